//! A small denoiser for tests.

#![allow(dead_code, reason = "each test file uses its own part")]

use causeway_distill::footage::data::Episodes;
use causeway_distill::footage::latents::Latents;
use causeway_distill::footage::recording::{Recording, RecordingInfo};
use causeway_distill::judge::eval::Held;
use causeway_distill::method::reconstruction::Reconstruction;
use causeway_distill::method::teacher_forcing::World;
use causeway_distill::net::codec;
use causeway_distill::net::dit;
use causeway_distill::net::mask::Route;
use causeway_distill::net::precision::Precision;
use causeway_distill::net::weights::Weights;
use causeway_distill::rng::Rng;
use causeway_distill::run::preset::Preset;
use causeway_distill::train::optim::Rule;
use causeway_distill::train::slope::Slope;
use causeway_runtime::config::{CodecConfig, ModelConfig};

/// What a recording for [`tiny`] says of itself.
pub fn info() -> RecordingInfo {
    RecordingInfo {
        width: 32,
        height: 32,
        fps: 20.0,
        latch: 1,
        actions: vec!["go".into(), "turn".into()],
        events: vec!["day".into(), "night".into()],
        license: String::new(),
        credits: String::new(),
        source: String::new(),
        seed: 0,
    }
}

/// A denoiser of two layers for 32x32 pictures.
pub fn tiny() -> ModelConfig {
    let mut config = Preset::Cpu.model(&info());
    let dit = &mut config.dit;
    (dit.dim, dit.heads, dit.layers, dit.ffn_dim, dit.freq_dim) = (48, 2, 2, 96, 16);
    config
}

/// Weights with every tensor away from its special start, so that nothing is hidden by a zero.
pub fn weights(config: &ModelConfig) -> Weights {
    let mut weights = Weights::init(&dit::specs(&config.dit), 9);
    let mut rng = Rng::new(10);
    weights.data.iter_mut().for_each(|w| *w += 0.05 * rng.normal());
    weights
}

/// Frames of [`recording`].
pub const FRAMES: usize = 40;

/// One episode of waves, with random actions and events.
pub fn recording() -> Recording {
    let mut rng = Rng::new(3);
    let wave = |at: usize| {
        let [channel, x, y, t] = [at % 3, at / 3 % 32, at / 96 % 32, at / 3072].map(|i| i as f32);
        (120.0 + 100.0 * (0.3 * x + 0.2 * (1.0 + channel) * y + t).sin()) as u8
    };
    Recording {
        frames: (0..FRAMES * 32 * 32 * 3).map(wave).collect(),
        actions: (0..FRAMES * 2).map(|_| rng.below(2) as f32).collect(),
        events: (0..FRAMES).map(|_| rng.below(2) as u8).collect(),
        poses: Vec::new(),
        episode_starts: (0..FRAMES).map(|i| u8::from(i == 0)).collect(),
        info: info(),
    }
}

/// Data and settings of a denoiser stage on windows of `frames` random latents, passed to `f`.
pub fn with_world<T>(config: &ModelConfig, cpu: bool, frames: usize, f: impl FnOnce(World<'_>) -> T) -> T {
    let recording = recording();
    let data = Rng::new(4).normals(FRAMES * config.dit.latent_len());
    let latents = Latents::new(data, &recording);
    let codec = Weights::init(&codec::specs(&config.codec), 1);
    let held = Held { recording: &recording, latents: &latents, codec: &codec, worlds: 1, frames: 2, cpu };
    let (rule, precision) = (Rule::default(), Precision::F32);
    let held = Some(&held);
    f(World {
        config,
        data: &latents,
        held,
        batch: 2,
        frames,
        route: Route::Fixed(0),
        copies: 1,
        drop_prev: 0.0,
        pure: 0.0,
        returns: None,
        rule,
        cpu,
        precision,
    })
}

/// A codec stage on `recording`, two clips a step.
pub fn codec_stage<'a>(
    config: &'a CodecConfig,
    recording: &'a Recording,
    fast: bool,
    polish: bool,
) -> Reconstruction<'a> {
    let (episodes, rule) = (Episodes::new(&recording.episode_starts), Rule::default());
    Reconstruction { config, train: recording, held: recording, episodes, batch: 2, rule, fast, polish }
}

/// Length of the difference over that of `expected`.
pub fn off(expected: &[f32], found: &[f32]) -> f64 {
    assert_eq!(expected.len(), found.len());
    let square = |x: f32| f64::from(x).powi(2);
    let difference = expected.iter().zip(found).map(|(a, b)| square(a - b)).sum::<f64>();
    (difference / expected.iter().map(|&x| square(x)).sum::<f64>()).sqrt()
}

/// How far a denoiser's tensors are moved for their slopes.
pub const REACH: f32 = 0.02;

/// Holds slopes against gradients; most of them must be clear enough to tell.
pub fn assert_slopes(what: &str, slopes: &[Slope], tolerance: f64) {
    for slope in slopes {
        assert!(slope.agrees(tolerance), "{what}: {slope:?}");
    }
    let clear = slopes.iter().filter(|s| s.is_clear()).count();
    assert!(4 * clear >= 3 * slopes.len(), "{what}: only {clear} of {} gradients are clear", slopes.len());
}
