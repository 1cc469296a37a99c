//! A run that is stopped and goes on ends exactly where an uninterrupted one does.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use burn::tensor::Device;
use causeway_distill::net::weights::{Init, Spec, Weights};
use causeway_distill::train::optim::Rule;
use causeway_distill::train::state::{State, StateError};
use causeway_distill::train::trainer::{Job, Run, Span, Stage, library_gradient};

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

/// Trains twelve steps, stopping after `pause` of them.
fn train(dir: &Path, state: &mut State, pause: u64, [threads, accumulate]: [usize; 2]) -> bool {
    let (stop, device) = (AtomicBool::new(false), Device::flex());
    let toy = Toy { stop: &stop, left: AtomicU64::new(pause) };
    let run = Run {
        dir,
        name: "toy",
        budget: Span::Steps(12),
        threads,
        accumulate,
        device: &device,
        stop: &stop,
        save_every: Span::Steps(5),
        inspect_every: Span::Steps(100),
        seed: 3,
    };
    run.train(&toy, state).expect("training")
}

/// The notes of `dir` without the clock.
fn notes(dir: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(dir.join("metrics.jsonl")).expect("metrics");
    let mut lines: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).expect("a line")).collect();
    lines.iter_mut().for_each(|line| line["seconds"] = 0.into());
    lines
}

fn assert_same(a: &State, b: &State) {
    assert_eq!(a.step, b.step);
    let arrays = |s: &State| [s.weights.data.to_vec(), s.ema.clone(), s.first.clone(), s.second.clone()];
    for (a, b) in arrays(a).iter().zip(&arrays(b)) {
        assert!(a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits()), "{a:?} and {b:?}");
    }
}

#[test]
fn resuming_gives_the_identical_continuation() {
    let (whole_dir, parts_dir) = (folder("whole"), folder("parts"));
    let mut whole = State::new(fresh());
    assert!(train(&whole_dir, &mut whole, u64::MAX, [1, 1]));
    assert_eq!(whole.step, 12);

    let mut parts = State::new(fresh());
    assert!(!train(&parts_dir, &mut parts, 7, [1, 1]), "the first part should report that it was stopped");
    assert_eq!(parts.step, 7);
    // As if it had been killed in its ninth step, half way through a line.
    let metrics = parts_dir.join("metrics.jsonl");
    let mut text = std::fs::read_to_string(&metrics).expect("metrics");
    text += "{\"stage\":\"toy\",\"step\":8,\"seconds\":1.0,\"loss\":77.0}\n{\"stage\":\"to";
    std::fs::write(&metrics, text).expect("metrics");
    let mut parts = State::load(fresh(), &parts_dir.join("toy.state.safetensors")).expect("a checkpoint");
    assert!(train(&parts_dir, &mut parts, u64::MAX, [1, 1]));

    assert_same(&whole, &parts);
    assert_eq!(notes(&whole_dir), notes(&parts_dir));
    // A loss for each of twelve steps, and the last look.
    assert_eq!(notes(&parts_dir).len(), 13);
    // What is complete stays as it is.
    assert!(train(&parts_dir, &mut parts, u64::MAX, [1, 1]));
    assert_eq!(notes(&parts_dir).len(), 13);
    for dir in [whole_dir, parts_dir] {
        std::fs::remove_dir_all(dir).expect("a temporary folder");
    }
}

#[test]
fn a_batch_in_rounds_is_the_same_batch() {
    let dirs = ["wide", "long"].map(folder);
    let (mut wide, mut long) = (State::new(fresh()), State::new(fresh()));
    train(&dirs[0], &mut wide, u64::MAX, [4, 1]);
    train(&dirs[1], &mut long, u64::MAX, [1, 4]);
    assert_same(&wide, &long);
    assert_eq!(notes(&dirs[0]), notes(&dirs[1]));
    for dir in dirs {
        std::fs::remove_dir_all(dir).expect("a temporary folder");
    }
}

#[test]
fn parts_of_a_batch_count_by_their_size() {
    // Its gradient is the size of the share: (3 * 3 + 4 * 4) / 7 over two workers.
    struct Shares;
    impl Stage for Shares {
        fn name(&self) -> &'static str {
            "shares"
        }
        fn batch(&self) -> usize {
            7
        }
        fn rule(&self) -> Rule {
            Rule::default()
        }
        fn gradient(&self, job: Job<'_>, flat: &mut [f32]) -> (f32, usize) {
            flat.fill(job.share as f32);
            (job.share as f32, 1)
        }
        fn inspect(&self, _: &Weights, _: &Device, _: &Path, _: u64) -> Result<Vec<(String, f64)>, StateError> {
            Ok(Vec::new())
        }
    }
    let (dir, stop, device) = (folder("shares"), AtomicBool::new(false), Device::flex());
    let run = Run {
        dir: &dir,
        name: "shares",
        budget: Span::Steps(1),
        threads: 2,
        accumulate: 1,
        device: &device,
        stop: &stop,
        save_every: Span::Minutes(1.0),
        inspect_every: Span::Minutes(1.0),
        seed: 3,
    };
    run.train(&Shares, &mut State::new(fresh())).expect("training");
    let first = &notes(&dir)[0];
    let (loss, norm) = (first["loss"].as_f64().unwrap_or(0.0), first["norm"].as_f64().unwrap_or(0.0));
    assert!((loss - 25.0 / 7.0).abs() < 1e-5, "loss {loss}");
    assert!((norm - 25.0 / 7.0 * 8f64.sqrt()).abs() < 1e-4, "norm {norm}");
    std::fs::remove_dir_all(dir).expect("a temporary folder");
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
