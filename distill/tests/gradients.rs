//! Every stage's gradient is the slope of its loss; distribution matching has its own test beside it, the discriminator one in
//! `distillation.rs`. Routes jump as weights move, so that routed attention is compared with automatic differentiation
//! (`denoiser.rs`) instead.

mod tiny;

use burn::tensor::Device;
use causeway_distill::method::consistency::Consistency;
use causeway_distill::method::diffusion_forcing::DiffusionForcing;
use causeway_distill::method::ode_distillation::{OdeDistillation, Trajectories};
use causeway_distill::method::resampling_forcing::{Resampling, ResamplingForcing};
use causeway_distill::method::teacher_forcing::{TeacherForcing, World};
use causeway_distill::net::codec;
use causeway_distill::net::mask::{Best, Mask, Ring, Route};
use causeway_distill::net::weights::Weights;
use causeway_distill::rng::Rng;
use causeway_distill::train::slope::slopes;
use causeway_distill::train::state::State;
use causeway_distill::train::trainer::{Job, Stage};
use causeway_runtime::config::{CodecConfig, ModelConfig, Prediction};

use self::tiny::{REACH, assert_slopes, codec_stage, off, recording, tiny, weights, with_world};

/// As small as it gets, since each tensor costs four passes.
fn config() -> ModelConfig {
    let mut config = tiny();
    let dit = &mut config.dit;
    (dit.dim, dit.layers, dit.ffn_dim) = (24, 1, 48);
    config
}

/// Loss and gradient of `stage` at `weights`, whose average is `ema`, on always the same samples.
fn take(stage: &dyn Stage, weights: &Weights, ema: &Weights, done: f64) -> (f32, Vec<f32>) {
    let state = State { ema: ema.data.to_vec(), ..State::new(weights.clone()) };
    let mut flat = vec![0.0; weights.data.len()];
    let job = Job { state: &state, rng: Rng::new(5), share: 2, device: Device::flex(), done };
    let (loss, found) = stage.gradient(job, &mut flat);
    assert_eq!(found, weights.entries().len());
    (loss, flat)
}

#[test]
fn teacher_forcing() {
    let config = config();
    let base = weights(&config);
    with_world(&config, true, 3, |world| {
        let stage = TeacherForcing(world);
        let (_, flat) = take(&stage, &base, &base, 0.0);
        let found = slopes(&base, &flat, REACH, |moved| take(&stage, moved, &base, 0.0).0);
        assert_slopes("teacher", &found, 0.02);
    });
}

/// A network that answers with the clean frame, whose loss counts that.
#[test]
fn teacher_forcing_of_clean_answers() {
    let mut config = config();
    config.dit.prediction = Prediction::Clean;
    let base = weights(&config);
    with_world(&config, true, 3, |world| {
        let stage = TeacherForcing(world);
        let (loss, flat) = take(&stage, &base, &base, 0.0);
        let found = slopes(&base, &flat, REACH, |moved| take(&stage, moved, &base, 0.0).0);
        assert_slopes("teacher", &found, 0.02);
        let (other, slow) = take(&TeacherForcing(World { cpu: false, ..stage.0 }), &base, &base, 0.0);
        assert!((loss - other).abs() < 1e-4 * loss && off(&slow, &flat) < 1e-3, "{loss}, {other}");
    });
}

/// Windows longer than the ring, whose first frames stay, with noisy copies behind them and one window in two blind.
#[test]
fn long_windows_in_several_copies() {
    let mut config = config();
    (config.history.window, config.history.sink) = (4, 1);
    let base = weights(&config);
    with_world(&config, true, 6, |world| {
        let stage = TeacherForcing(World { copies: 3, drop_prev: 0.5, ..world });
        let (loss, flat) = take(&stage, &base, &base, 0.0);
        let found = slopes(&base, &flat, REACH, |moved| take(&stage, moved, &base, 0.0).0);
        assert_slopes("teacher", &found, 0.02);
        // The library takes the same loss from the same draws.
        let (other, slow) = take(&TeacherForcing(World { cpu: false, ..stage.0 }), &base, &base, 0.0);
        assert!((loss - other).abs() < 1e-4 * loss && off(&slow, &flat) < 1e-3, "{loss}, {other}");
    });
    with_world(&config, true, 6, |world| {
        let mask = Mask::Causal(world.ring());
        let stage = DiffusionForcing { world, mask };
        let (_, flat) = take(&stage, &base, &base, 0.0);
        let found = slopes(&base, &flat, REACH, |moved| take(&stage, moved, &base, 0.0).0);
        assert_slopes("diffusion", &found, 0.02);
    });
}

/// Copies are so many draws of noise for the same history: one of three copies has the loss of one alone.
#[test]
fn copies_do_not_see_each_other() {
    let config = config();
    let base = weights(&config);
    with_world(&config, true, 5, |world| {
        let (windows, mut rng) = (world.windows(2, &mut Rng::new(6)), Rng::new(7));
        let (all, row) = (world.levels(&mut rng, 2 * 3 * 5), 5 * windows.len);
        let noisy = rng.normals(2 * 3 * row);
        let of = |copies: usize, sigma: &[f32], noisy: &[f32]| {
            let mask = Mask::TeacherForcing { ring: world.ring(), route: Best::of(0), copies };
            world.velocity(&base, &Device::flex(), mask, &windows.doubled(&windows.real, noisy, sigma))
        };
        let together = of(3, &all, &noisy);
        for copy in 0..3 {
            // That copy of both windows.
            let cut = |values: &[f32], row: usize| -> Vec<f32> {
                [0, 3].iter().flat_map(|b| values[(b + copy) * row..][..row].to_vec()).collect()
            };
            let alone = of(1, &cut(&all, 5), &cut(&noisy, row));
            assert!(off(&alone, &cut(&together, row)) < 1e-5, "copy {copy}");
        }
    });
}

#[test]
fn resampling_forcing_with_its_history_held_fixed() {
    let config = config();
    let base = weights(&config);
    let own = Resampling { own: 0.7, ..Resampling::default() };
    for (resampling, route) in [(Resampling::default(), Route::Fixed(0)), (own, Route::Between(3, 9))] {
        fixed_history(&config, &base, resampling, route);
    }
}

fn fixed_history(config: &ModelConfig, base: &Weights, resampling: Resampling, route: Route) {
    with_world(config, true, 3, |world| {
        // What the stage does, with the history taken out of the loss: no gradient flows through it (spec 5.3).
        let (world, mut rng) = (World { route, ..world }, Rng::new(5));
        let stage = ResamplingForcing { world, resampling };
        let world = world.drawn(&mut rng);
        let mut windows = world.data.windows(2, world.frames, &mut rng);
        let history = resampling.history(&world, base, &Device::flex(), &mut windows, &mut rng);
        assert_ne!(history, windows.real, "nothing was resampled");
        let regression = world.flow(&windows, &history, &mut rng);
        let at = |moved: &Weights| {
            let mut flat = vec![0.0; base.data.len()];
            (world.gradient(moved, &Device::flex(), &regression, &mut flat).0, flat)
        };
        let (loss, flat) = at(base);
        assert_slopes("resampling", &slopes(base, &flat, REACH, |moved| at(moved).0), 0.02);
        assert_eq!((loss, flat), take(&stage, base, base, 0.0), "the stage does something else");
    });
}

#[test]
fn consistency_with_its_target_held_fixed() {
    let config = config();
    let base = weights(&config);
    let other = |factor: f32| base.with(base.data.iter().map(|w| factor * w).collect());
    let (teacher, average) = (other(1.1), other(0.9));
    with_world(&config, true, 3, |world| {
        // A causal teacher on degraded history, and a bidirectional one.
        for (mask, resampling) in [(world.mask(), Some(Resampling::default())), (Mask::Full, None)] {
            let stage = Consistency { world, teacher: &teacher, mask, resampling };
            let (_, flat) = take(&stage, &base, &average, 0.0);
            let found = slopes(&base, &flat, REACH, |moved| take(&stage, moved, &average, 0.0).0);
            assert_slopes("consistency", &found, 0.02);
        }
    });
}

#[test]
fn sequences_and_trajectories() {
    let config = config();
    let base = weights(&config);
    let teacher = base.with(base.data.iter().map(|w| 0.9 * w).collect());
    for mask in [Mask::Causal(Ring::ENDLESS), Mask::Full] {
        with_world(&config, true, 3, |world| {
            let stage = DiffusionForcing { world, mask };
            let (_, flat) = take(&stage, &base, &base, 0.0);
            let found = slopes(&base, &flat, REACH, |moved| take(&stage, moved, &base, 0.0).0);
            assert_slopes(stage.name(), &found, 0.02);
        });
    }
    for mask in [Mask::teacher_forcing(0), Mask::Causal(Ring::ENDLESS)] {
        with_world(&config, true, 3, |world| {
            let trajectories = Trajectories::record(&world, &teacher, &Device::flex(), Mask::Full, 4, 2);
            let stage = OdeDistillation { world, trajectories: &trajectories, mask };
            let (_, flat) = take(&stage, &base, &base, 0.0);
            let found = slopes(&base, &flat, REACH, |moved| take(&stage, moved, &base, 0.0).0);
            assert_slopes(stage.name(), &found, 0.02);
        });
    }
}

#[test]
fn reconstruction() {
    let config = CodecConfig { channels: 4, widths: [10, 8, 6, 5], ..tiny().codec };
    let recording = recording();
    let mut base = Weights::init(&codec::specs(&config), 3);
    let mut rng = Rng::new(4);
    base.data.iter_mut().for_each(|w| *w += 0.02 * rng.normal());
    // Units that open or close within a step make a slope that single precision cannot follow, so here all are open;
    // tests/codec.rs holds the gradient of closed ones against automatic differentiation.
    for entry in base.entries().to_vec().iter().filter(|e| e.name.ends_with(".bias")) {
        base.data[entry.offset..entry.offset + entry.len()].iter_mut().for_each(|b| *b += 1.0);
    }
    for polish in [false, true] {
        let stage = codec_stage(&config, &recording, true, polish);
        let (_, flat) = take(&stage, &base, &base, 0.0);
        let mut found = slopes(&base, &flat, 0.002, |moved| take(&stage, moved, &base, 0.0).0);
        if polish {
            // The encoder is frozen: it has no gradient, whatever its slope.
            let [encoder, decoder]: [Vec<_>; 2] = [true, false]
                .map(|side| found.iter().filter(|s| s.name.starts_with("taehv.encoder.") == side).cloned().collect());
            assert!(encoder.iter().all(|s| s.expected == 0.0) && !encoder.is_empty());
            found = decoder;
        }
        assert_slopes(&format!("reconstruction, polish {polish}"), &found, 0.02);
    }
}
