//! A run that is stopped and goes on ends exactly where an uninterrupted one does.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use burn::tensor::Device;
use causeway_distill::optim::Rule;
use causeway_distill::state::{State, StateError};
use causeway_distill::trainer::{Job, Run, Stage, library_gradient};
use causeway_distill::weights::{Init, Spec, Weights};

/// Fits a vector to noisy data, and asks for a stop after some steps.
struct Toy<'a> {
    stop: &'a AtomicBool,
    left: AtomicU64,
}

impl Stage for Toy<'_> {
    fn name(&self) -> &'static str {
        "toy"
    }

    fn batch(&self) -> usize {
        4
    }

    fn rule(&self) -> Rule {
        Rule { rate: 0.05, warmup: 3, ..Rule::default() }
    }

    fn gradient(&self, mut job: Job<'_>, flat: &mut [f32]) -> (f32, usize) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.stop.store(true, Ordering::Relaxed);
        }
        let goal: Vec<f32> = (0..8).map(|i| i as f32 + job.rng.normal()).collect();
        library_gradient(&job.state.weights, &job.device, flat, |net| {
            let error = net.get::<1>("x") - net.constant(goal, [8]);
            (error.clone() * error).mean()
        })
    }

    fn inspect(&self, _: &Weights, _: &Device, _: &Path, _: u64) -> Result<Vec<(String, f64)>, StateError> {
        Ok(Vec::new())
    }
}

fn fresh() -> Weights {
    Weights::init(&[Spec::new("x", &[8], Init::Normal(1.0))], 1)
}

fn folder(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("causeway-resume-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a temporary folder");
    dir
}

/// Trains until `max_steps`, stopping after `pause` steps if the budget allows more.
fn train(dir: &Path, state: &mut State, pause: u64) -> bool {
    let (stop, device) = (AtomicBool::new(false), Device::flex());
    let toy = Toy { stop: &stop, left: AtomicU64::new(pause) };
    // A budget without end: the schedule then depends on steps alone.
    let run = Run {
        dir,
        minutes: 1e12,
        threads: 1,
        device: &device,
        stop: &stop,
        inspect_every: 1e9,
        max_steps: 12,
        seed: 3,
    };
    run.train(&toy, state).expect("training")
}

#[test]
fn resuming_gives_the_identical_continuation() {
    let (whole_dir, parts_dir) = (folder("whole"), folder("parts"));
    let mut whole = State::new(fresh());
    train(&whole_dir, &mut whole, u64::MAX);
    assert_eq!(whole.step, 12);

    let mut parts = State::new(fresh());
    assert!(!train(&parts_dir, &mut parts, 5), "the first part should report that it was stopped");
    assert_eq!(parts.step, 5);
    let mut parts = State::load(fresh(), &parts_dir.join("toy.state.safetensors")).expect("a checkpoint");
    train(&parts_dir, &mut parts, u64::MAX);

    assert_eq!(whole.step, parts.step);
    for (name, a, b) in [
        ("weights", &whole.weights.data, &parts.weights.data),
        ("average", &whole.ema, &parts.ema),
        ("first moments", &whole.first, &parts.first),
        ("second moments", &whole.second, &parts.second),
    ] {
        let same = a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-6 * a.abs().max(1.0));
        assert!(same, "{name} differ: {a:?} and {b:?}");
    }
    for dir in [whole_dir, parts_dir] {
        std::fs::remove_dir_all(dir).expect("a temporary folder");
    }
}

#[test]
fn a_checkpoint_of_another_network_is_refused() {
    let dir = folder("other");
    let path = dir.join("x.state.safetensors");
    State::new(fresh()).save(&path).expect("a checkpoint");
    let other = Weights::init(&[Spec::new("x", &[9], Init::Zero)], 1);
    let error = State::load(other, &path).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(error.contains("holds 8 values, the network has 9"), "the error says {error:?}");
    std::fs::remove_dir_all(dir).expect("a temporary folder");
}
