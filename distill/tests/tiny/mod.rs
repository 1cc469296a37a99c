//! A small denoiser for tests.

#![allow(dead_code, reason = "each test file uses its own part")]

use causeway_distill::dit;
use causeway_distill::preset::Preset;
use causeway_distill::recording::RecordingInfo;
use causeway_distill::rng::Rng;
use causeway_distill::weights::Weights;
use causeway_runtime::config::ModelConfig;

/// What a recording for [`tiny`] says of itself.
pub fn info() -> RecordingInfo {
    RecordingInfo {
        width: 32,
        height: 32,
        fps: 20.0,
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
