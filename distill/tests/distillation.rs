//! What the distillation stages ask of the student, against their definitions.

mod tiny;

use burn::tensor::Device;
use causeway_distill::codec;
use causeway_distill::eval::Held;
use causeway_distill::latents::Latents;
use causeway_distill::method::distribution_matching::{DistributionMatching, RATIO};
use causeway_distill::method::teacher_forcing::World;
use causeway_distill::optim::Rule;
use causeway_distill::recording::Recording;
use causeway_distill::rng::Rng;
use causeway_distill::state::State;
use causeway_distill::trainer::{Job, Stage};
use causeway_distill::weights::Weights;

use self::tiny::{info, tiny, weights};

const FRAMES: usize = 40;

fn recording() -> Recording {
    let mut rng = Rng::new(3);
    Recording {
        frames: vec![0; FRAMES * 32 * 32 * 3],
        actions: (0..FRAMES * 2).map(|_| rng.below(2) as f32).collect(),
        events: (0..FRAMES).map(|_| rng.below(2) as u8).collect(),
        poses: Vec::new(),
        episode_starts: (0..FRAMES).map(|i| u8::from(i == 0)).collect(),
        info: info(),
    }
}

/// Loss and gradient of one step of distribution matching.
fn step(teacher: &Weights, pair: Weights, number: u64, cpu: bool) -> (f32, Vec<f32>) {
    let (config, recording) = (tiny(), recording());
    let latents = Latents::new(Rng::new(4).normals(FRAMES * config.dit.latent_len()), &recording);
    let codec = Weights::init(&codec::specs(&config.codec), 1);
    let held = Held { recording: &recording, latents: &latents, codec: &codec, worlds: 1, frames: 2, cpu };
    let (rule, route) = (Rule::default(), 0);
    let world = World { config: &config, data: &latents, held: &held, batch: 2, frames: 6, route, rule, cpu };
    let stage = DistributionMatching { world, teacher };
    let state = State { step: number, ..State::new(pair) };
    let mut flat = vec![0.0; state.weights.data.len()];
    let rng = Rng::new(5 + number);
    let job = Job { state: &state, rng, share: 2, device: Device::flex(), done: 0.0 };
    let (loss, found) = stage.gradient(job, &mut flat);
    assert_eq!(found, state.weights.entries().len());
    (loss, flat)
}

fn norm(values: &[f32]) -> f32 {
    values.iter().map(|x| x * x).sum::<f32>().sqrt()
}

#[test]
fn a_student_whose_critic_is_the_teacher_stays_where_it_is() {
    let student = weights(&tiny());
    let teacher = student.with(student.data.iter().map(|w| 1.1 * w).collect());
    for cpu in [true, false] {
        let still = student.beside(&teacher, "critic.");
        let moved = student.beside(&student, "critic.");
        // The goal is then the student's own last step: a doubled pass must give what the roll-out gave.
        let (loss, none) = step(&teacher, still, RATIO - 1, cpu);
        let (_, some) = step(&teacher, moved, RATIO - 1, cpu);
        assert!(loss < 1e-8, "loss {loss}");
        assert!(norm(&some) > 1e-3 && norm(&none) < 1e-3 * norm(&some), "{} of {}", norm(&none), norm(&some));
    }
}

#[test]
fn each_step_moves_one_network() {
    let (student, other) = (weights(&tiny()), weights(&tiny()));
    let teacher = student.with(student.data.iter().map(|w| 0.9 * w).collect());
    let half = student.data.len();
    for number in 0..2 * RATIO {
        let (_, flat) = step(&teacher, student.beside(&other, "critic."), number, true);
        let (a, b) = (norm(&flat[..half]), norm(&flat[half..]));
        let students = number % RATIO == RATIO - 1;
        assert!(if students { a > 0.0 && b == 0.0 } else { a == 0.0 && b > 0.0 }, "step {number}: {a} and {b}");
    }
}
