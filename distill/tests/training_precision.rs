//! Training with bf16 products beside training with f32 ones.

mod tiny;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use causeway_distill::method::teacher_forcing::{TeacherForcing, World};
use causeway_distill::net::fast::kernels::Kernels;
use causeway_distill::rng::Rng;
use causeway_distill::train::optim::Rule;
use causeway_distill::train::state::State;
use causeway_distill::train::trainer::{Job, Run, Span, Stage};

use self::tiny::{off, tiny, weights, with_world};

/// Half the distance between neighbours of eight significant bits: what rounding one factor may change, at most.
const ROUNDING: f64 = 1.0 / 512.0;

#[test]
fn a_gradient_differs_by_what_rounding_explains() {
    let (config, fastest) = (tiny(), Kernels::fastest());
    let base = weights(&config);
    let take = |kernels: Kernels| {
        with_world(&config, true, 3, |world| {
            let state = State::new(base.clone().on(kernels));
            let mut flat = vec![0.0; base.data.len()];
            let job = Job { state: &state, rng: Rng::new(5), share: 2, device: Device::flex(), done: 0.0 };
            let (loss, _) = TeacherForcing(world).gradient(job, &mut flat);
            (f64::from(loss), flat)
        })
    };
    let ((exact, slopes), (fast, found)) = (take(Kernels::F32), take(fastest));
    assert!((fast - exact).abs() < 2.0 * ROUNDING * exact, "loss {fast}, in single precision {exact}");
    // The longest way through two blocks and back has 32 products, each with two rounded factors whose errors have random signs.
    let room = (32.0f64 * 2.0).sqrt() * ROUNDING;
    for entry in base.entries() {
        let at = entry.offset..entry.offset + entry.len();
        let distance = off(&slopes[at.clone()], &found[at]);
        assert!(distance < room, "{}: the gradient is off by {distance}, expected below {room}", entry.name);
    }
    if fastest != Kernels::F32 {
        assert_ne!(slopes, found, "the kernels are the same");
    }
}

#[test]
fn both_learn_alike() {
    let config = tiny();
    let (device, stop) = (Device::flex(), AtomicBool::new(false));
    let run = Run {
        dir: Path::new(""),
        name: "teacher",
        budget: Span::Steps(100),
        threads: 1,
        accumulate: 1,
        device: &device,
        stop: &stop,
        save_every: Span::Steps(100),
        inspect_every: Span::Steps(100),
        seed: 3,
    };
    let rule = Rule { rate: 5e-3, warmup: 5, ..Rule::default() };
    let train = |kernels: Kernels| {
        with_world(&config, true, 3, |world| {
            let (stage, mut state) =
                (TeacherForcing(World { rule, ..world }), State::new(weights(&config).on(kernels)));
            let step = |n| f64::from(run.step(&stage, &mut state, n as f64 / 100.0).expect("a step").loss);
            (0..100).map(step).collect::<Vec<f64>>()
        })
    };
    let (exact, fast) = (train(Kernels::F32), train(Kernels::fastest()));
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    let ends = [&exact, &fast].map(|losses| [mean(&losses[..10]), mean(&losses[90..])]);
    assert!(ends[0][1] < 0.9 * ends[0][0], "nothing was learnt: {:?}", ends[0]);
    // Batches and noise are the same, so that only rounding parts the two.
    for ([exact, fast], when) in [[ends[0][0], ends[1][0]], [ends[0][1], ends[1][1]]].into_iter().zip(["first", "last"])
    {
        assert!((fast - exact).abs() < 0.01 * exact, "{when} ten steps: loss {fast}, in single precision {exact}");
    }
}
