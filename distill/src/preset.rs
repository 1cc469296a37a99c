//! The two sizes of world this crate trains.

use std::collections::BTreeMap;

use causeway_runtime::config::{
    CodecConfig, CodecKind, DitConfig, FORMAT, Family, HistoryConfig, LatentConfig, ModelConfig, Positions, Provenance,
    ScheduleConfig, StartConfig,
};

use crate::optim::Rule;
use crate::recording::RecordingInfo;

/// Which size to train.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    /// 64x64 rooms on two CPU cores in about an hour.
    Cpu,
    /// 128x96 game footage on a GPU.
    Gpu,
}

/// Batches and optimizer settings of a preset.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Recipe {
    /// Clips a codec step.
    pub clips: usize,
    /// Windows a denoiser step.
    pub windows: usize,
    /// Codec optimizer.
    pub codec: Rule,
    /// Optimizer of the flow stages; `resampling` takes 0.7 of its rate, `consistency` a quarter.
    pub flow: Rule,
}

impl Preset {
    /// The model this preset trains on recordings of `info`.
    pub fn model(self, info: &RecordingInfo) -> ModelConfig {
        let (dim, heads, layers, ffn_dim, freq_dim, channels) = match self {
            Self::Cpu => (192, 6, 5, 576, 64, 12),
            Self::Gpu => (384, 8, 8, 1152, 128, 12),
        };
        let codec = match self {
            Self::Cpu => codec(channels, 2, [64, 48, 24, 24], [true, true, false]),
            Self::Gpu => codec(channels, 1, [128, 96, 64, 64], [true, true, true]),
        };
        let scale = codec.space_factor();
        let latent = LatentConfig { channels, height: info.height / scale, width: info.width / scale };
        let dit = DitConfig {
            dim,
            heads,
            layers,
            ffn_dim,
            freq_dim,
            eps: 1e-6,
            patch: [1, 2, 2],
            latent,
            chunk: 1,
            prev_frame: true,
            rope_theta: 10_000.0,
            actions: info.actions.clone(),
            events: info.events.clone(),
            event_tokens: 4,
            text: None,
            latent_mean: vec![0.0; channels],
            latent_std: vec![1.0; channels],
        };
        let steps = BTreeMap::from([(4, vec![1000.0, 750.0, 500.0, 250.0]), (2, vec![1000.0, 500.0])]);
        ModelConfig {
            format: FORMAT,
            family: Family::World,
            name: "rooms".into(),
            dit,
            codec,
            schedule: ScheduleConfig { shift: 3.0, steps, default_steps: 4, context_noise: 0.0 },
            history: HistoryConfig { window: 12, sink: 0, route: 0, positions: Positions::Compact },
            start: Some(StartConfig { latents: "start.latents".into(), events: vec![0], count: crate::eval::START }),
            fps: info.fps,
            license: info.license.clone(),
            credits: info.credits.clone(),
            provenance: Provenance::default(),
        }
    }

    /// Batches and optimizer settings.
    pub fn recipe(self) -> Recipe {
        let codec = Rule { rate: 2e-3, ..Rule::default() };
        match self {
            Self::Cpu => Recipe { clips: 4, windows: 4, codec, flow: Rule { rate: 1.5e-3, ..Rule::default() } },
            Self::Gpu => {
                Recipe { clips: 16, windows: 32, codec, flow: Rule { rate: 8e-4, warmup: 500, ..Rule::default() } }
            }
        }
    }
}

fn codec(channels: usize, patch: usize, widths: [usize; 4], space_up: [bool; 3]) -> CodecConfig {
    CodecConfig { kind: CodecKind::Taehv, channels, patch, widths, blocks: 1, space_up, time_up: [1, 1, 1] }
}
