//! Sizes of the worlds this crate trains.

use causeway_runtime::config::{
    CodecConfig, CodecKind, ConfigError, Descriptors, DitConfig, FORMAT, Family, HistoryConfig, LatentConfig,
    ModelConfig, Positions, Prediction, Provenance, ScheduleConfig, StartConfig,
};
use causeway_runtime::sampler::Sampler;

use serde::{Deserialize, Serialize};

use crate::footage::recording::RecordingInfo;

/// Denoising steps that a frame can be made in unless a recipe says otherwise.
const STEPS: [usize; 2] = [4, 2];

/// Which size to train.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// 64x64 pictures on a CPU.
    #[default]
    Cpu,
    /// 128x96 pictures on a GPU.
    Gpu,
}

/// Sizes of the networks: a preset, and what is to be otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sizes {
    /// Where all that is not named here comes from.
    #[serde(default)]
    pub preset: Preset,
    /// Short name in the model file.
    pub name: Option<String>,
    /// Width of the denoiser.
    pub dim: Option<usize>,
    /// Its attention heads.
    pub heads: Option<usize>,
    /// Its blocks.
    pub layers: Option<usize>,
    /// Width inside its feed-forward layers.
    pub ffn_dim: Option<usize>,
    /// Width of the noise level's sinusoids.
    pub freq_dim: Option<usize>,
    /// Tokens that stand for an event.
    pub event_tokens: Option<usize>,
    /// Frames that attention sees, the one being made included.
    pub window: Option<usize>,
    /// First frames of a stream that stay among them.
    pub sink: Option<usize>,
    /// What routes are found by.
    pub descriptors: Option<Descriptors>,
    /// Whether the denoiser is shown the frame before as further channels of its input.
    pub prev_frame: Option<bool>,
    /// Channels of a latent.
    pub channels: Option<usize>,
    /// Which codec.
    pub codec: Option<CodecKind>,
    /// Widths of a TAEHV's levels, the smallest picture first.
    pub widths: Option<[usize; 4]>,
    /// Pixels along the side of a linear codec's latent.
    pub square: Option<usize>,
    /// What the denoiser answers with.
    pub prediction: Option<Prediction>,
    /// Denoising steps that a frame can be made in; the most of them unless the player asks for others.
    pub steps: Option<Vec<usize>>,
}

impl Sizes {
    /// Denoising steps that a frame can be made in.
    pub fn lists(&self) -> Vec<usize> {
        self.steps.clone().unwrap_or_else(|| STEPS.into())
    }

    /// The model of these sizes on recordings of `info`.
    ///
    /// # Errors
    /// [`ConfigError`] when no such model can be run.
    pub fn model(&self, info: &RecordingInfo) -> Result<ModelConfig, ConfigError> {
        let mut model = self.preset.model(info);
        let ModelConfig { dit, codec, history, schedule, name, .. } = &mut model;
        if self.codec == Some(CodecKind::Linear) {
            let side = self.square.unwrap_or(8);
            *codec = CodecConfig::linear(codec.channels, side);
            (dit.latent.width, dit.latent.height) = (info.width / side, info.height / side);
        }
        dit.prediction = self.prediction.unwrap_or(dit.prediction);
        let channels = self.channels.unwrap_or(codec.channels);
        (codec.channels, dit.latent.channels) = (channels, channels);
        (dit.latent_mean, dit.latent_std) = (vec![0.0; channels], vec![1.0; channels]);
        codec.widths = self.widths.unwrap_or(codec.widths);
        for (size, wanted) in [
            (&mut dit.dim, self.dim),
            (&mut dit.heads, self.heads),
            (&mut dit.layers, self.layers),
            (&mut dit.ffn_dim, self.ffn_dim),
            (&mut dit.freq_dim, self.freq_dim),
            (&mut dit.event_tokens, self.event_tokens),
            (&mut history.window, self.window),
            (&mut history.sink, self.sink),
        ] {
            *size = wanted.unwrap_or(*size);
        }
        history.descriptors = self.descriptors.unwrap_or(history.descriptors);
        dit.prev_frame = self.prev_frame.unwrap_or(dit.prev_frame);
        *name = self.name.clone().unwrap_or_else(|| name.clone());
        *schedule = even(&self.lists());
        model.validate()?;
        let (found, wanted) = (model.picture(), (info.width, info.height));
        if found != wanted {
            let (width, height) = found;
            let expected = format!("pictures that the codec halves evenly, such as {width}x{height}");
            return Err(ConfigError::Field {
                field: "recording".into(),
                found: format!("{}x{}", info.width, info.height),
                expected,
            });
        }
        Ok(model)
    }
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
            prediction: Prediction::Flow,
            rope_theta: 10_000.0,
            actions: info.actions.clone(),
            events: info.events.clone(),
            event_tokens: 4,
            text: None,
            game: None,
            waypoint: None,
            latent_mean: vec![0.0; channels],
            latent_std: vec![1.0; channels],
        };
        ModelConfig {
            format: FORMAT,
            family: Family::World,
            name: "rooms".into(),
            dit,
            codec,
            schedule: even(&STEPS),
            history: HistoryConfig {
                window: 12,
                sink: 0,
                route: 0,
                descriptors: Descriptors::Rotated,
                positions: Positions::Compact,
                groups: Vec::new(),
            },
            start: Some(StartConfig {
                latents: "start.latents".into(),
                events: vec![0],
                count: crate::judge::eval::START,
            }),
            fps: info.fps,
            latch: info.latch,
            controls: Vec::new(),
            limits: Default::default(),
            health: Default::default(),
            license: info.license.clone(),
            credits: info.credits.clone(),
            provenance: Provenance::default(),
        }
    }
}

/// Even steps, one list for each of `counts`.
fn even(counts: &[usize]) -> ScheduleConfig {
    let list = |&n: &usize| (n, (0..n).map(|i| 1000.0 * (1.0 - i as f32 / n as f32)).collect());
    let default_steps = counts.iter().copied().max().unwrap_or_default();
    ScheduleConfig {
        shift: 3.0,
        steps: counts.iter().map(list).collect(),
        first: Vec::new(),
        sampler: Sampler::Few,
        default_steps,
        context_noise: 0.0,
    }
}

fn codec(channels: usize, patch: usize, widths: [usize; 4], space_up: [bool; 3]) -> CodecConfig {
    CodecConfig {
        kind: CodecKind::Taehv,
        channels,
        patch,
        widths,
        blocks: 1,
        space_up,
        time_up: [1, 1, 1],
        encoder: 0,
        warmup: 0,
    }
}
