//! Products in sixteen bits: gradients and training beside those of single precision, by the tensor library on the CPU, where it
//! computes in all of them.

mod tiny;

use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use causeway_distill::method::teacher_forcing::{TeacherForcing, World};
use causeway_distill::net::mask::Mask;
use causeway_distill::net::precision::{Precision, PrecisionError};
use causeway_distill::net::weights::Weights;
use causeway_distill::rng::Rng;
use causeway_distill::train::optim::Rule;
use causeway_distill::train::state::State;
use causeway_distill::train::trainer::{Run, Span};
use causeway_runtime::config::ModelConfig;

use self::tiny::{off, tiny, weights, with_world};

fn config() -> ModelConfig {
    let mut config = tiny();
    let dit = &mut config.dit;
    (dit.dim, dit.layers, dit.ffn_dim) = (24, 1, 48);
    config
}

#[test]
fn gradients_are_those_of_single_precision_but_for_rounding() {
    let config = config();
    let base = weights(&config);
    for (precision, most) in [(Precision::Bf16, 0.03), (Precision::F16, 0.004)] {
        let of = |precision: Precision, size: f32| {
            with_world(&config, false, 3, |world| {
                let world = World { precision, ..world };
                let mut rng = Rng::new(5);
                let windows = world.data.windows(2, world.frames, &mut rng);
                let mut r = world.flow(&windows, &windows.real, &mut rng);
                // A loss and its gradient times the square of `size`.
                r.goal.iter_mut().for_each(|goal| *goal *= size);
                r.scale.iter_mut().for_each(|scale| *scale *= size);
                let mut flat = vec![0.0; base.data.len()];
                let (loss, found) = world.gradient(&base, &Device::flex(), &r, &mut flat);
                assert_eq!(found, base.entries().len());
                let v = world.velocity(&base, &Device::flex(), Mask::teacher_forcing(0), &r.input);
                (loss, flat, v)
            })
        };
        // Losses near the end of training are small, and so are slopes.
        for size in [1.0, 0.05] {
            let (expected, found) = (of(Precision::F32, size), of(precision, size));
            let (loss, all, answer) =
                (off(&[expected.0], &[found.0]), off(&expected.1, &found.1), off(&expected.2, &found.2));
            assert!(loss < most && all < most && answer < most, "{precision:?}: {loss} {all} {answer}");
            assert!(all > 1e-5 && answer > 1e-5, "{precision:?} is single precision: {all} {answer}");
            for entry in base.entries() {
                let at = entry.offset..entry.offset + entry.len();
                let one = off(&expected.1[at.clone()], &found.1[at]);
                assert!(one < 5.0 * most, "{precision:?}, {}: {one}", entry.name);
            }
        }
    }
}

#[test]
fn training_goes_as_in_single_precision() {
    let config = config();
    let (base, device, stop) = (weights(&config), Device::flex(), AtomicBool::new(false));
    let root = std::env::temp_dir().join(format!("causeway-precision-{}", std::process::id()));
    let train = |precision: Precision| -> (f32, Weights) {
        let dir = root.join(format!("{precision:?}"));
        std::fs::create_dir_all(&dir).expect("a temporary folder");
        with_world(&config, false, 3, |world| {
            let rule = Rule { rate: 2e-3, warmup: 5, ..world.rule };
            let stage = TeacherForcing(World { rule, precision, held: None, ..world });
            let run = Run {
                dir: &dir,
                name: "teacher",
                budget: Span::Steps(60),
                threads: 1,
                accumulate: 1,
                device: &device,
                stop: &stop,
                save_every: Span::Minutes(1.0),
                inspect_every: Span::Minutes(1.0),
                seed: 3,
            };
            let mut state = State::new(base.clone());
            assert!(run.train(&stage, &mut state).expect("training"));
            let mut rng = Rng::new(8);
            let windows = stage.0.data.windows(8, 3, &mut rng);
            let r = stage.0.flow(&windows, &windows.real, &mut rng);
            let single = World { precision: Precision::F32, ..stage.0 };
            let mut flat = vec![0.0; base.data.len()];
            (single.gradient(&state.weights, &device, &r, &mut flat).0, state.weights)
        })
    };
    let (single, _) = train(Precision::F32);
    for precision in [Precision::Bf16, Precision::F16] {
        let (loss, weights) = train(precision);
        assert!((loss / single - 1.0).abs() < 0.02, "{precision:?}: {loss} beside {single}");
        // The weights themselves are single: most have digits that sixteen bits have no room for.
        let fine = weights.data.iter().filter(|w| w.to_bits() & 0x1fff != 0).count();
        assert!(fine * 10 > weights.data.len() * 9, "only {fine} weights of {} are single", weights.data.len());
    }
    std::fs::remove_dir_all(root).expect("the test's own folder");
}

#[test]
fn what_cannot_compute_in_a_precision_says_so() {
    for (precision, name) in [(Precision::Bf16, "bf16"), (Precision::F16, "f16")] {
        assert_eq!(precision.check(true, |_| true), Err(PrecisionError::Cpu(name)));
        assert_eq!(precision.check(false, |_| false), Err(PrecisionError::Device(name)));
        assert_eq!(precision.check(false, |dtype| Device::flex().supports_dtype(dtype)), Ok(()));
    }
    assert_eq!(Precision::F32.check(true, |_| false), Ok(()));
}
