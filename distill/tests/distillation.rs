//! What the distillation stages ask of the student, against their definitions.

mod tiny;

use burn::tensor::Device;
use causeway_distill::method::adversary::{self, Pairs};
use causeway_distill::method::distribution_matching::DistributionMatching;
use causeway_distill::method::score::RATIO;
use causeway_distill::net::weights::Weights;
use causeway_distill::rng::Rng;
use causeway_distill::train::state::State;
use causeway_distill::train::trainer::{Job, Stage};

use self::tiny::{tiny, weights, with_world};

/// Loss and gradient of one step of distribution matching.
fn step(teacher: &Weights, pair: Weights, number: u64, cpu: bool) -> (f32, Vec<f32>) {
    with_world(&tiny(), cpu, 6, |world| {
        let stage = DistributionMatching { world, teacher };
        let state = State { step: number, ..State::new(pair) };
        let mut flat = vec![0.0; state.weights.data.len()];
        let rng = Rng::new(5 + number);
        let job = Job { state: &state, rng, share: 2, device: Device::flex(), done: 0.0 };
        let (loss, found) = stage.gradient(job, &mut flat);
        assert_eq!(found, state.weights.entries().len());
        (loss, flat)
    })
}

/// Student, critic and a discriminator.
fn networks(student: &Weights, critic: &Weights) -> Weights {
    student.beside(critic, "critic.").beside(&Weights::init(&adversary::specs(&tiny().dit), 3), "")
}

fn norm(values: &[f32]) -> f32 {
    values.iter().map(|x| x * x).sum::<f32>().sqrt()
}

#[test]
fn a_student_whose_critic_is_the_teacher_stays_where_it_is() {
    let student = weights(&tiny());
    let teacher = student.with(student.data.iter().map(|w| 1.1 * w).collect());
    for cpu in [true, false] {
        let still = networks(&student, &teacher);
        let moved = networks(&student, &student);
        // The goal is then the student's own last step: a doubled pass must give what the roll-out gave.
        let (loss, none) = step(&teacher, still, RATIO - 1, cpu);
        let (_, some) = step(&teacher, moved, RATIO - 1, cpu);
        assert!(loss < 1e-8, "loss {loss}");
        assert!(norm(&some) > 1e-3 && norm(&none) < 1e-3 * norm(&some), "{} of {}", norm(&none), norm(&some));
    }
}

#[test]
fn each_step_moves_the_student_or_its_judges() {
    let (student, other) = (weights(&tiny()), weights(&tiny()));
    let teacher = student.with(student.data.iter().map(|w| 0.9 * w).collect());
    let half = student.data.len();
    for number in 0..2 * RATIO {
        let (_, flat) = step(&teacher, networks(&student, &other), number, true);
        let (a, b, c) = (norm(&flat[..half]), norm(&flat[half..2 * half]), norm(&flat[2 * half..]));
        let students = number % RATIO == RATIO - 1;
        let moved = if students { a > 0.0 && b + c == 0.0 } else { a == 0.0 && b > 0.0 && c > 0.0 };
        assert!(moved, "step {number}: {a}, {b} and {c}");
    }
}

#[test]
fn the_discriminators_losses_have_the_gradients_of_finite_differences() {
    let c = tiny().dit;
    let (len, mut rng) = (c.latent_len(), Rng::new(6));
    let values = rng.normals(8 * len);
    let frames: Vec<&[f32]> = values.chunks_exact(len).collect();
    let pairs = |made: &[f32]| {
        let real = Pairs::new(&c, &[(frames[0], frames[1]), (frames[2], frames[3])]);
        [real, Pairs::new(&c, &[(&made[..len], frames[5]), (&made[len..], frames[7])])]
    };
    let made = [frames[4], frames[6]].concat();
    let weights = Weights::init(&adversary::specs(&c), 3);

    // Its own weights, along the gradient found (elsewhere single precision drowns the difference); the same noise each time.
    let [real, fake] = pairs(&made);
    let mut grad = vec![0.0; weights.data.len()];
    adversary::tell_apart(&weights, &real, &fake, &mut Rng::new(7), &mut grad);
    let along: Vec<f32> = grad.iter().map(|g| g / norm(&grad)).collect();
    let loss = |step: f32| {
        let moved = weights.with(weights.data.iter().zip(&along).map(|(w, d)| w + step * d).collect());
        f64::from(adversary::tell_apart(&moved, &real, &fake, &mut Rng::new(7), &mut vec![0.0; grad.len()]))
    };
    let expected = (loss(1e-3) - loss(-1e-3)) / 2e-3;
    let found: f64 = grad.iter().zip(&along).map(|(g, d)| f64::from(g * d)).sum();
    assert!((found - expected).abs() < 0.02 * expected.abs() + 1e-3, "weights: {found} of {expected}");

    // And the generated frames.
    let slopes = adversary::pass_for_real(&weights, &real, &fake).1.concat();
    let along = rng.normals(made.len());
    let loss = |step: f32| {
        let moved: Vec<f32> = made.iter().zip(&along).map(|(x, d)| x + step * d).collect();
        let [real, fake] = pairs(&moved);
        f64::from(adversary::pass_for_real(&weights, &real, &fake).0)
    };
    let expected = (loss(1e-3) - loss(-1e-3)) / 2e-3;
    let found: f64 = slopes.iter().zip(&along).map(|(g, d)| f64::from(g * d)).sum();
    assert!((found - expected).abs() < 0.02 * expected.abs() + 1e-4, "frames: {found} of {expected}");
}
