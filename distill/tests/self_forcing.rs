//! Self Forcing's objectives and the trajectories of Causal Forcing, against their definitions (spec 5.4, 5.5).

mod tiny;

use burn::tensor::Device;
use causeway_distill::method::ode_distillation::{Trajectories, integrate};
use causeway_distill::method::score::{Pair, RATIO, Scores};
use causeway_distill::method::self_forcing::{self, Objective, SelfForcing};
use causeway_distill::method::self_rollout::Made;
use causeway_distill::method::teacher_forcing::World;
use causeway_distill::net::mask::{Mask, Ring};
use causeway_distill::net::rollout::Engine;
use causeway_distill::net::weights::Weights;
use causeway_distill::rng::Rng;
use causeway_distill::train::state::State;
use causeway_distill::train::trainer::{Job, Stage};
use causeway_runtime::config::ModelConfig;

use self::tiny::{tiny, weights, with_world};

const FRAMES: usize = 4;

fn config() -> ModelConfig {
    let mut config = tiny();
    let dit = &mut config.dit;
    (dit.dim, dit.layers, dit.ffn_dim, dit.prev_frame) = (24, 1, 48, false);
    config
}

fn made(world: &World<'_>, student: &Weights) -> Made {
    let mut rng = Rng::new(3);
    let windows = world.data.windows(2, FRAMES, &mut rng);
    Made::roll_out(Engine::Fast(student), world, windows, 1, &[1.0, 0.6], &mut rng)
}

#[test]
fn scores_that_agree_leave_the_student_where_it_is() {
    let config = config();
    let student = weights(&config);
    let teacher = student.with(student.data.iter().map(|w| 0.9 * w).collect());
    with_world(&config, true, FRAMES, |world| {
        let made = made(&world, &student);
        for mask in [Mask::Full, world.mask()] {
            let gradient = |fake: &Weights, objective| {
                let scores = Scores { real: &teacher, fake, mask };
                let verdict = scores.judge(&world, &Device::flex(), &made, &mut Rng::new(6));
                let gradient = match objective {
                    Objective::Matching => verdict.matching(&made),
                    Objective::Identity => self_forcing::identity(&world, scores, &made, &verdict),
                };
                gradient.iter().map(|g| g * g).sum::<f32>().sqrt()
            };
            for objective in [Objective::Matching, Objective::Identity] {
                let (still, moved) = (gradient(&teacher, objective), gradient(&student, objective));
                assert!(still < 1e-3 * moved, "{mask:?} {objective:?}: {still} beside {moved}");
            }
        }
    });
}

#[test]
fn the_score_identity_has_the_gradient_of_finite_differences() {
    for prev_frame in [false, true] {
        let mut config = config();
        config.dit.prev_frame = prev_frame;
        for mask in [Mask::Full, Mask::teacher_forcing(0)] {
            the_score_identity(&config, mask);
        }
    }
}

fn the_score_identity(config: &ModelConfig, mask: Mask) {
    let student = weights(config);
    let [teacher, critic] = [0.9, 1.1].map(|f: f32| student.with(student.data.iter().map(|w| f * w).collect()));
    with_world(config, true, FRAMES, |world| {
        let made = made(&world, &student);
        let scores = Scores { real: &teacher, fake: &critic, mask };
        let judge = |made: &Made| scores.judge(&world, &Device::flex(), made, &mut Rng::new(6));
        let verdict = judge(&made);
        let gradient = self_forcing::identity(&world, scores, &made, &verdict);
        let norms: Vec<f32> = (0..2).map(|b| verdict.distance(&made, b)).collect();
        // All frames have a part in the loss, since both scores see them; but only generated ones may move.
        let loss = |by: f32, along: &[f32]| {
            let mut moved =
                Made { windows: made.windows.clone(), noisy: Vec::new(), sigma: Vec::new(), given: 1, unseen: 0 };
            moved.windows.real.iter_mut().zip(along).for_each(|(x, a)| *x += by * a);
            let (v, x) = (judge(&moved), &moved.windows.real);
            let row = x.len() / 2;
            let term = |i: usize| f64::from((v.real[i] - v.fake[i]) * (v.fake[i] - x[i]) / norms[i / row]);
            (0..x.len()).map(term).sum::<f64>()
        };
        let mut rng = Rng::new(9);
        for _ in 0..4 {
            let mut along = vec![0.0; gradient.len()];
            (0..2).for_each(|b| made.live(b).for_each(|i| along[i] = rng.normal()));
            let found = (loss(2e-3, &along) - loss(-2e-3, &along)) / 4e-3;
            let expected: f64 = gradient.iter().zip(&along).map(|(g, a)| f64::from(g * a)).sum();
            let size = gradient.iter().map(|g| f64::from(g * g)).sum::<f64>().sqrt();
            assert!((found - expected).abs() < 0.02 * size, "{found}, expected {expected} of {size}");
        }
    });
}

#[test]
fn steps_move_the_student_or_its_critic() {
    let config = config();
    let student = weights(&config);
    let teacher = student.with(student.data.iter().map(|w| 0.9 * w).collect());
    let masks = [Mask::Full, Mask::teacher_forcing(0)];
    for (objective, mask) in [Objective::Matching, Objective::Identity].into_iter().zip(masks) {
        with_world(&config, true, FRAMES, |world| {
            let pair = Pair { teacher: &teacher, mask };
            let stage = SelfForcing { world, pair, objective, steps: 4 };
            let both = Pair::join(&student, &student);
            let half = student.data.len();
            for step in [0, RATIO - 1] {
                let state = State { step, ..State::new(both.clone()) };
                let job = Job { state: &state, rng: Rng::new(5), share: 2, device: Device::flex(), done: 0.0 };
                let mut flat = vec![0.0; both.data.len()];
                let (_, found) = stage.gradient(job, &mut flat);
                assert_eq!(found, both.entries().len());
                let moves = [&flat[..half], &flat[half..]].map(|part| part.iter().any(|&g| g != 0.0));
                assert_eq!(moves, [step == RATIO - 1, step == 0], "{objective:?}, step {step}");
            }
        });
    }
}

#[test]
fn only_a_bidirectional_teachers_ends_depend_on_noise_to_come() {
    let config = config();
    let teacher = weights(&config);
    with_world(&config, true, FRAMES, |world| {
        let mut rng = Rng::new(3);
        let windows = world.data.windows(2, FRAMES, &mut rng);
        let noise = rng.normals(windows.real.len());
        let mut other = noise.clone();
        // New noise for the last frame.
        let row = FRAMES * windows.len;
        other.chunks_exact_mut(row).for_each(|w| w[row - windows.len..].iter_mut().for_each(|x| *x = rng.normal()));
        for (mask, depends) in [(world.mask(), false), (Mask::Causal(Ring::ENDLESS), false), (Mask::Full, true)] {
            let ends = |noise: &[f32]| {
                let end = integrate(&world, &teacher, &Device::flex(), mask, &windows, noise).pop().expect("states");
                end.chunks_exact(row).flat_map(|w| w[..row - windows.len].to_vec()).collect::<Vec<f32>>()
            };
            assert_eq!(ends(&noise) != ends(&other), depends, "{mask:?}");
        }
    });
}

#[test]
fn trajectories_do_not_depend_on_threads_and_come_back_from_their_file() {
    let config = config();
    let teacher = weights(&config);
    let all = |t: &Trajectories| {
        let w = &t.windows;
        let arrays = [&t.levels, &t.states.concat(), &t.ends, &w.real, &w.before, &w.actions].map(Clone::clone);
        (arrays, [w.batch, w.frames, w.len, t.states.len()], w.events.clone())
    };
    with_world(&config, true, FRAMES, |world| {
        // More than are integrated at once.
        let record =
            |threads: usize| Trajectories::record_on(threads, &world, &teacher, &Device::flex(), Mask::Full, 70, 2);
        let (one, three) = (record(1), record(3));
        assert!(all(&one) == all(&three));
        let path = std::env::temp_dir().join(format!("causeway-trajectories-{}.safetensors", std::process::id()));
        assert!(Trajectories::load(&path, "these").expect("no file").is_none());
        one.save(&path, "these").expect("a file");
        let found = Trajectories::load(&path, "these").expect("a good file").expect("the same trajectories");
        assert!(all(&found) == all(&one));
        assert!(Trajectories::load(&path, "others").expect("a good file").is_none());
        let bytes = std::fs::read(&path).expect("the file");
        std::fs::write(&path, &bytes[..bytes.len() - 9]).expect("a torn file");
        assert!(Trajectories::load(&path, "these").is_err());
        std::fs::remove_file(&path).expect("the test's own file");
    });
}
