//! A tiny random world model for everybody's tests: small enough to run in microseconds, with every part a real one
//! has.

use causeway_ops::quant::DType;
use causeway_runtime::config::{
    CodecConfig, CodecKind, DecoderConfig, DecoderFamily, DecoderNetwork, Descriptors, DitConfig, FORMAT, Family,
    HistoryConfig, LatentConfig, ModelConfig, Positions, Prediction, Provenance, ScheduleConfig, StartConfig,
    TextConfig,
};
use causeway_runtime::file::write_model_to;
use causeway_runtime::import::{Settings, wan_1_3b};
use causeway_runtime::sampler::Sampler;
use std::collections::BTreeMap;

/// A codec in a file of its own, of which nothing else is said.
pub fn codec_config(name: &str, codec: DecoderNetwork) -> DecoderConfig {
    DecoderConfig {
        format: FORMAT,
        family: DecoderFamily::Decoder,
        name: name.to_owned(),
        codec,
        license: String::new(),
        credits: String::new(),
        provenance: Provenance::default(),
    }
}

/// dim 48, 2 heads of 24, 2 layers, latents 4 x 8 x 8 (16 tokens), pictures 64 x 64, window 6 with chunk 1.
///
/// Rows of 48 cannot be quantised; of its matrices only `ffn.2` (rows of 96) can. Use [`quantisable_config`] for more.
pub fn tiny_config() -> ModelConfig {
    let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
    ModelConfig {
        format: FORMAT,
        family: Family::World,
        name: "tiny".to_owned(),
        dit: DitConfig {
            dim: 48,
            heads: 2,
            layers: 2,
            ffn_dim: 96,
            freq_dim: 32,
            eps: 1e-6,
            patch: [1, 2, 2],
            latent: LatentConfig { channels: 4, height: 8, width: 8 },
            chunk: 1,
            prev_frame: true,
            prediction: Prediction::Flow,
            rope_theta: 10_000.0,
            actions: names(&["forward", "back", "left", "right", "attack"]),
            events: names(&["daylight", "amber", "night"]),
            event_tokens: 4,
            text: None,
            game: None,
            waypoint: None,
            latent_mean: vec![0.1, -0.2, 0.0, 0.3],
            latent_std: vec![1.0, 0.8, 1.2, 0.9],
        },
        codec: CodecConfig {
            kind: CodecKind::Taehv,
            channels: 4,
            patch: 2,
            widths: [16, 12, 8, 8],
            blocks: 1,
            space_up: [true, true, false],
            time_up: [1, 1, 1],
            encoder: 0,
            warmup: 0,
        },
        schedule: ScheduleConfig {
            first: Vec::new(),
            sampler: Sampler::Few,
            shift: 5.0,
            steps: BTreeMap::from([(4, vec![1000.0, 750.0, 500.0, 250.0]), (2, vec![1000.0, 500.0])]),
            default_steps: 4,
            context_noise: 0.0,
        },
        history: HistoryConfig {
            window: 6,
            sink: 0,
            route: 0,
            descriptors: Descriptors::Rotated,
            positions: Positions::Compact,
            groups: Vec::new(),
        },
        start: Some(StartConfig { latents: "start.latents".to_owned(), events: vec![0], count: 2 }),
        fps: 20.0,
        latch: 1,
        controls: Vec::new(),
        limits: Default::default(),
        health: Default::default(),
        license: "CC0-1.0".to_owned(),
        credits: "random numbers".to_owned(),
        provenance: Provenance { command: "tiny_config()".to_owned(), ..Provenance::default() },
    }
}

/// [`tiny_config`] with dim 64, so that every matrix of a block can be quantised.
pub fn quantisable_config() -> ModelConfig {
    let mut config = tiny_config();
    config.dit.dim = 64;
    config
}

/// The model file of [`tiny_config`] in `F32`; the same bytes for the same seed.
pub fn tiny_model_bytes(seed: u64) -> Vec<u8> {
    model_bytes(&tiny_config(), DType::F32, seed)
}

/// A model file of any configuration with random weights, scaled so that activations keep their size.
///
/// # Panics
/// If `config` is not valid.
pub fn model_bytes(config: &ModelConfig, dtype: DType, seed: u64) -> Vec<u8> {
    match write_model_to(Vec::new(), config, dtype, |name, shape| random_weights(name, shape, seed)) {
        Ok(bytes) => bytes,
        Err(error) => panic!("{error}"),
    }
}

/// Random values for the tensor `name`, drawn from a generator keyed by name and seed.
pub fn random_weights(name: &str, shape: &[usize], seed: u64) -> Vec<f32> {
    let fan_in = shape[1..].iter().product::<usize>().max(1) as f32;
    // Mean and standard deviation. Convolutions are followed by ReLU, which halves the variance.
    let (mean, std) = match name {
        _ if name.starts_with("start.") => (0.0, 1.0),
        _ if name.ends_with("event_embedding") => (0.0, 1.0),
        _ if name.ends_with(".bias") => (0.0, 0.05),
        _ if name.ends_with("modulation") => (0.0, 0.3),
        _ if shape.len() == 1 => (1.0, 0.1),
        _ if name.starts_with("taehv.") => (0.0, (2.0 / fan_in).sqrt()),
        _ => (0.0, 1.0 / fan_in.sqrt()),
    };
    let key = name
        .bytes()
        .fold(seed ^ 0xcbf2_9ce4_8422_2325, |key, byte| (key ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let mut random = Random(key);
    (0..shape.iter().product()).map(|_| mean + std * random.normal()).collect()
}

/// A small deterministic generator (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// An index below `end`, which must not be 0.
    pub fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.bits()) * end as u128) >> 64) as usize
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 24) as f32
    }

    /// Close to a standard normal: a sum of 12 uniforms, bounded by 6.
    pub fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }
}

/// A Wan model of so many layers of this width, a multiple of 128, on latents of this size; prompts have rows of 32.
pub fn wan_config(layers: usize, dim: usize, (width, height): (usize, usize)) -> ModelConfig {
    let mut config = wan_1_3b(&Settings { window: 6, ..Settings::default() });
    config.dit.layers = layers;
    config.dit.latent = LatentConfig { width, height, ..config.dit.latent };
    if dim < config.dit.dim {
        (config.dit.dim, config.dit.heads, config.dit.ffn_dim) = (dim, dim / 128, 2 * dim);
    }
    config.dit.text = config.dit.text.map(|text| TextConfig { dim: 32, ..text });
    config
}
