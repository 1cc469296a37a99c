//! What a model file says about its model: the `causeway` JSON of `docs/model-file.md`, parsed and checked.
//!
//! A configuration is untrusted input. [`ModelConfig::from_json`] never returns one that a Plan could not be built
//! from: every size has an upper bound, so shape products stay far from overflow, and the error names the field, what
//! it holds and what was expected.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use check::{check, latents, names, number, positive, text, unique_steps, within};
use serde::{Deserialize, Serialize};

mod check;
mod decoder;
mod kind;
mod umt5;

pub(crate) use check::misleading;
pub use check::printable;
pub use decoder::{DecoderConfig, DecoderFamily, DecoderNetwork, VaeConfig};
use kind::check_version;
pub use kind::{About, FileConfig, from_json, to_json};
pub use umt5::{Umt5Config, Umt5Family, Umt5Sizes};

/// The one format version this build reads and writes.
pub const FORMAT: u32 = 1;

/// Longest accepted configuration text, bytes. (Nesting is bounded by `serde_json`, at 128.)
pub const MAX_JSON: usize = 1 << 20;

/// Why a configuration was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The text is longer than [`MAX_JSON`].
    #[error("the causeway JSON has {0} bytes, expected at most {MAX_JSON}")]
    TooLong(usize),
    /// Not JSON, or a field is missing, unknown, duplicated or of the wrong type.
    #[error("the causeway JSON is not valid: {0}")]
    Json(String),
    /// Made for another version of the format.
    #[error("the file has format version {found}, this build reads version {FORMAT}")]
    Version {
        /// The version the file names.
        found: u32,
    },
    /// A file of another kind.
    #[error("the file holds a model of family {found:?}, expected {expected}")]
    Family {
        /// The family the file names.
        found: String,
        /// The families that would have been accepted.
        expected: String,
    },
    /// A field holds a value that cannot be right.
    #[error("config: {field} is {found}, expected {expected}")]
    Field {
        /// Path of the field, such as `dit.heads`.
        field: String,
        /// The value, or its count where it is a list.
        found: String,
        /// What would have been accepted.
        expected: String,
    },
}

/// The model families this build can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// A small causal Wan-type DiT with action and event conditions, and a TAEHV codec.
    World,
    /// A causal Wan 2.1 text-to-video DiT. `codec` tells the size of its pictures; its weights are not in the file.
    Wan,
}

/// Everything the `causeway` JSON holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Format version, [`FORMAT`].
    pub format: u32,
    /// Which network the tensors belong to.
    pub family: Family,
    /// Short name of the model.
    pub name: String,
    /// The denoiser.
    pub dit: DitConfig,
    /// The latent codec.
    pub codec: CodecConfig,
    /// Noise levels of a denoising run.
    pub schedule: ScheduleConfig,
    /// What attention remembers.
    pub history: HistoryConfig,
    /// Latents to begin a world from without an image, where the file has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<StartConfig>,
    /// Pixel frames a second the world was trained at.
    pub fps: f32,
    /// Latent frames that an action lasts once it has begun: a session keeps it up so long, whatever is pressed meanwhile, so that
    /// each of them is told the movement under way. With 1 every chunk is told what is pressed.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub latch: usize,
    /// Licence of the weights.
    #[serde(default)]
    pub license: String,
    /// Whom and what to credit.
    #[serde(default)]
    pub credits: String,
    /// How the weights came to be.
    #[serde(default)]
    pub provenance: Provenance,
}

fn once() -> usize {
    1
}

fn is_once(latch: &usize) -> bool {
    *latch == 1
}

/// Sizes of the denoiser (spec 1.1) and the names of its conditions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DitConfig {
    /// Width of the residual stream.
    pub dim: usize,
    /// Attention heads; `dim / heads` is even and at least 6.
    pub heads: usize,
    /// Blocks.
    pub layers: usize,
    /// Hidden width of the feed-forward layers.
    pub ffn_dim: usize,
    /// Width of the timestep sinusoid, even.
    pub freq_dim: usize,
    /// Epsilon of all norms.
    pub eps: f32,
    /// Patch size over (latent frames, height, width); the first is 1.
    pub patch: [usize; 3],
    /// Shape of one latent frame.
    pub latent: LatentConfig,
    /// Latent frames denoised together.
    pub chunk: usize,
    /// Whether the previous clean frame is given as extra input channels.
    pub prev_frame: bool,
    /// What the head answers with.
    #[serde(default, skip_serializing_if = "Prediction::is_flow")]
    pub prediction: Prediction,
    /// Base of the rotary frequencies.
    pub rope_theta: f32,
    /// Names of the entries of an action vector.
    pub actions: Vec<String>,
    /// Names of the event conditions.
    pub events: Vec<String>,
    /// Context rows for each event.
    pub event_tokens: usize,
    /// Text condition, which takes the place of actions and events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextConfig>,
    /// Per-channel mean of the codec's latents.
    pub latent_mean: Vec<f32>,
    /// Per-channel standard deviation of the codec's latents.
    pub latent_std: Vec<f32>,
}

/// What a denoiser answers with when it sees x = (1 - sigma) clean + sigma noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Prediction {
    /// The flow, noise - clean (spec 2.1).
    #[default]
    Flow,
    /// The clean frame itself. A wide patch of pixels lies on a narrow manifold, its noise does not: so the frame passes through
    /// fewer features than the patch has values ("Just image Transformers", arXiv 2511.13720).
    Clean,
}

impl Prediction {
    /// The least noise level that the flow of a [`Self::Clean`] answer is computed with: (x - answer) / max(sigma, this).
    pub const LEAST_SIGMA: f32 = 0.05;

    /// Whether the answer is the flow.
    pub fn is_flow(&self) -> bool {
        *self == Self::Flow
    }
}

/// The text condition (spec 1.4, step 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextConfig {
    /// Features of a text embedding.
    pub dim: usize,
    /// Rows that a prompt is padded to with zeros.
    pub length: usize,
}

/// Shape of one latent frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatentConfig {
    /// Channels.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// Which codec turns latents into pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CodecKind {
    /// The TAEHV convolution codec (spec 3.2), at any width.
    Taehv,
    /// A square of `patch` pixels is a latent by one matrix, and comes back by another: its principal components. Pictures of few
    /// shapes need no more, and nothing is to be trained.
    Linear,
}

/// Sizes of the codec. Stage 0 is the one nearest to the latents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodecConfig {
    /// The codec's architecture.
    pub kind: CodecKind,
    /// Latent channels, equal to `dit.latent.channels`.
    pub channels: usize,
    /// Side of the pixel-shuffle block next to the picture; for [`CodecKind::Linear`] there is nothing else.
    pub patch: usize,
    /// Channels before stages 0, 1, 2 and after the last.
    #[serde(default, skip_serializing_if = "stageless")]
    pub widths: [usize; 4],
    /// MemBlocks a stage.
    #[serde(default, skip_serializing_if = "none")]
    pub blocks: usize,
    /// Whether a stage doubles height and width.
    #[serde(default)]
    pub space_up: [bool; 3],
    /// Frames that a stage makes of one.
    #[serde(default = "one_each")]
    pub time_up: [usize; 3],
}

fn one_each() -> [usize; 3] {
    [1; 3]
}

// A TAEHV always writes its stages, whatever they are.
fn stageless(widths: &[usize; 4]) -> bool {
    *widths == [0; 4]
}

fn none(blocks: &usize) -> bool {
    *blocks == 0
}

/// Noise levels of a denoising run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleConfig {
    /// The timestep warp: sigma' = shift * sigma / (1 + (shift - 1) * sigma).
    pub shift: f32,
    /// Nominal (unwarped) timesteps in (0, 1000], falling, by their number.
    #[serde(deserialize_with = "unique_steps")]
    pub steps: BTreeMap<usize, Vec<f32>>,
    /// The entry of `steps` to use unless the host asks for another.
    pub default_steps: usize,
    /// Timestep in [0, 1000) at which the commit pass sees the clean frame.
    pub context_noise: f32,
}

/// How frames in the window are numbered for rotary positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Positions {
    /// Visible frames are 0, 1, ... (sink, rolling, chunk).
    Compact,
    /// Frame numbers since the stream began.
    Absolute,
}

/// What attention remembers, in latent frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryConfig {
    /// Frames attention can see, including the sink and the chunk in flight.
    pub window: usize,
    /// First frames of the stream that are never dropped.
    pub sink: usize,
    /// History frames a query is routed to; 0 means all of them.
    pub route: usize,
    /// Numbering of frames.
    pub positions: Positions,
}

/// Latents to begin a world from without an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartConfig {
    /// Name of the tensor [count, C, H, W] of normalised latents.
    pub latents: String,
    /// Events in force: one for all start frames, or one for each.
    pub events: Vec<usize>,
    /// Latent frames in the tensor.
    pub count: usize,
}

/// How the weights came to be. Further keys are kept as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The command that made the weights.
    #[serde(default)]
    pub command: String,
    /// SHA-256 of the training data, hexadecimal.
    #[serde(default)]
    pub data_sha256: String,
    /// Optimiser steps.
    #[serde(default)]
    pub steps: u64,
    /// Whatever else the trainer noted.
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

impl FileConfig for ModelConfig {
    const FAMILIES: &'static [&'static str] = &["world", "wan"];

    fn name(&self) -> &str {
        &self.name
    }

    fn about(&self) -> About<'_> {
        About {
            family: match self.family {
                Family::World => "world",
                Family::Wan => "wan",
            },
            license: &self.license,
            credits: &self.credits,
            provenance: &self.provenance,
        }
    }

    fn summary(&self) -> Vec<(&'static str, String)> {
        let (dit, history) = (&self.dit, self.history);
        let ((width, height), latent) = (self.picture(), dit.latent);
        let counts: Vec<_> = self.schedule.steps.keys().collect();
        let mut lines = vec![
            ("picture", format!("{width} x {height}, {} frames/s", self.fps)),
            (
                "latent",
                format!(
                    "{} x {} x {}, {} tokens, {} picture frame(s)",
                    latent.channels,
                    latent.height,
                    latent.width,
                    dit.tokens_per_frame(),
                    self.codec.time_factor()
                ),
            ),
            (
                "denoiser",
                format!(
                    "dim {}, heads {}, layers {}, ffn {}, chunk {}",
                    dit.dim, dit.heads, dit.layers, dit.ffn_dim, dit.chunk
                ),
            ),
            ("history", format!("window {}, sink {}, route {}", history.window, history.sink, history.route)),
            ("steps", format!("{counts:?}, {} by default", self.schedule.default_steps)),
        ];
        match dit.text {
            Some(text) => lines.push(("text", format!("at most {} rows of {}", text.length, text.dim))),
            None => lines.extend([("actions", dit.actions.join(", ")), ("events", dit.events.join(", "))]),
        }
        lines
    }

    fn validate(&self) -> Result<(), ConfigError> {
        Self::validate(self)
    }

    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        crate::file::expected_tensors(self)
    }
}

impl ModelConfig {
    /// [`from_json`].
    ///
    /// # Errors
    /// Any [`ConfigError`].
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        from_json(text)
    }

    /// [`to_json`].
    ///
    /// # Errors
    /// What [`Self::validate`] finds.
    pub fn to_json(&self) -> Result<String, ConfigError> {
        to_json(self)
    }

    /// Checks every field, alone and against the others.
    ///
    /// # Errors
    /// The first thing that is wrong, as [`ConfigError::Field`] or [`ConfigError::Version`].
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_version(self.format)?;
        text("name", &self.name)?;
        self.dit.validate()?;
        let (family, has_text) = (self.family, self.dit.text.is_some());
        check("family", format!("{family:?}"), has_text == (family == Family::Wan), || {
            "Wan with `dit.text`, World without".to_owned()
        })?;
        self.codec.validate()?;
        let channels = self.dit.latent.channels;
        check("codec.channels", self.codec.channels, self.codec.channels == channels, || {
            format!("dit.latent.channels, {channels}")
        })?;
        let clean = self.dit.prediction == Prediction::Clean;
        check("dit.prediction", "clean", !clean || family == Family::World, || "flow in this family".to_owned())?;
        self.schedule.validate()?;
        self.history.validate(self.dit.chunk)?;
        if let Some(start) = &self.start {
            check("start", "given", family == Family::World, || "none in this family".to_owned())?;
            start.validate(self.dit.events.len())?;
        }
        within("latch", self.latch, 1, 1000)?;
        let chunk = self.dit.chunk;
        check("latch", self.latch, self.latch == 1 || self.latch.is_multiple_of(chunk), || {
            format!("1, or whole chunks of {chunk} latent frames")
        })?;
        positive("fps", self.fps, 1000.0)
    }

    /// Size of a picture in pixels: (width, height).
    pub fn picture(&self) -> (usize, usize) {
        let scale = self.codec.space_factor();
        (self.dit.latent.width * scale, self.dit.latent.height * scale)
    }
}

impl DitConfig {
    /// Dimensions of one attention head.
    pub fn head_dim(&self) -> usize {
        self.dim / self.heads
    }

    /// How RoPE splits a head over (time, height, width), in this order; each is even.
    pub fn rope_dims(&self) -> [usize; 3] {
        let (dim, side) = (self.head_dim(), self.head_dim() / 6);
        [dim - 4 * side, 2 * side, 2 * side]
    }

    /// Tokens of one latent frame as (rows, columns).
    pub fn token_grid(&self) -> (usize, usize) {
        (self.latent.height / self.patch[1], self.latent.width / self.patch[2])
    }

    /// Tokens of one latent frame.
    pub fn tokens_per_frame(&self) -> usize {
        let (rows, columns) = self.token_grid();
        rows * columns
    }

    /// Channels the patch embedding reads: the noisy frame's, then with `prev_frame` those of the previous clean frame.
    pub fn in_channels(&self) -> usize {
        self.latent.channels * if self.prev_frame { 2 } else { 1 }
    }

    /// Values the head writes for one token: the pixels of a patch, channel fastest.
    pub fn head_out(&self) -> usize {
        self.patch.iter().product::<usize>() * self.latent.channels
    }

    /// Values in one latent frame.
    pub fn latent_len(&self) -> usize {
        self.latent.channels * self.latent.height * self.latent.width
    }

    fn validate(&self) -> Result<(), ConfigError> {
        within("dit.dim", self.dim, 1, 16_384)?;
        within("dit.heads", self.heads, 1, 256)?;
        let (dim, heads) = (self.dim, self.heads);
        check("dit.heads", heads, dim.is_multiple_of(heads), || format!("a divisor of dit.dim, {dim}"))?;
        let head = self.head_dim();
        check("dit.dim / dit.heads", head, head.is_multiple_of(2) && (6..=1024).contains(&head), || {
            "an even number from 6 to 1024".to_owned()
        })?;
        within("dit.layers", self.layers, 1, 256)?;
        within("dit.ffn_dim", self.ffn_dim, 1, 65_536)?;
        within("dit.freq_dim", self.freq_dim, 2, 4096)?;
        check("dit.freq_dim", self.freq_dim, self.freq_dim.is_multiple_of(2), || "an even number".to_owned())?;
        positive("dit.eps", self.eps, 0.1)?;
        self.validate_latents()?;
        within("dit.chunk", self.chunk, 1, 64)?;
        number("dit.rope_theta", self.rope_theta, self.rope_theta >= 1.0 && self.rope_theta <= 1e9, "from 1 to 1e9")?;
        if let Some(text) = &self.text {
            within("dit.text.dim", text.dim, 1, 65_536)?;
            within("dit.text.length", text.length, 1, 4096)?;
            within("the number of dit.actions", self.actions.len(), 0, 0)?;
            within("the number of dit.events", self.events.len(), 0, 0)?;
            return within("dit.event_tokens", self.event_tokens, 0, 0);
        }
        names("dit.actions", &self.actions)?;
        names("dit.events", &self.events)?;
        within("dit.event_tokens", self.event_tokens, 1, 512)
    }

    fn validate_latents(&self) -> Result<(), ConfigError> {
        let latent = &self.latent;
        within("dit.latent.channels", latent.channels, 1, 256)?;
        within("dit.latent.height", latent.height, 1, 1024)?;
        within("dit.latent.width", latent.width, 1, 1024)?;
        within("dit.patch[0]", self.patch[0], 1, 1)?;
        for (axis, side) in [(1, latent.height), (2, latent.width)] {
            let (field, patch) = (format!("dit.patch[{axis}]"), self.patch[axis]);
            within(&field, patch, 1, 16)?;
            check(&field, patch, side.is_multiple_of(patch), || format!("a divisor of the latent's side, {side}"))?;
        }
        within("tokens per latent frame", self.tokens_per_frame(), 1, 65_536)?;
        latents("dit.latent", latent.channels, &self.latent_mean, &self.latent_std)
    }
}

impl CodecConfig {
    /// A [`CodecKind::Linear`] codec of squares of `patch` pixels.
    pub fn linear(channels: usize, patch: usize) -> Self {
        let (widths, blocks, space_up, time_up) = ([0; 4], 0, [false; 3], [1; 3]);
        Self { kind: CodecKind::Linear, channels, patch, widths, blocks, space_up, time_up }
    }

    /// Pixels along one side for each latent.
    pub fn space_factor(&self) -> usize {
        self.patch << self.space_up.iter().filter(|up| **up).count()
    }

    /// Pixel frames for each latent frame.
    pub fn time_factor(&self) -> usize {
        self.time_up.iter().product()
    }

    fn validate(&self) -> Result<(), ConfigError> {
        within("codec.channels", self.channels, 1, 256)?;
        within("codec.patch", self.patch, 1, 16)?;
        if self.kind == CodecKind::Linear {
            let bare = Self::linear(self.channels, self.patch);
            let found = || format!("{:?}", (self.widths, self.blocks, self.space_up, self.time_up));
            check("codec.widths, blocks, space_up, time_up", found(), *self == bare, || "none of them".to_owned())?;
            return within("codec.channels", self.channels, 1, 3 * self.patch * self.patch);
        }
        for (i, &width) in self.widths.iter().enumerate() {
            within(&format!("codec.widths[{i}]"), width, 1, 2048)?;
        }
        within("codec.blocks", self.blocks, 1, 16)?;
        for (i, &frames) in self.time_up.iter().enumerate() {
            within(&format!("codec.time_up[{i}]"), frames, 1, 4)?;
        }
        Ok(())
    }
}

impl ScheduleConfig {
    /// The warped noise levels sigma in (0, 1] of the entry with `count` steps, or `None` where there is none.
    ///
    /// Nominal 1000, 750, 500, 250 with shift 5 become 1, 0.9375, 0.83333, 0.625 (spec 2.1).
    pub fn sigmas(&self, count: usize) -> Option<Vec<f32>> {
        let warp = |step: &f32| {
            let sigma = step / 1000.0;
            self.shift * sigma / (1.0 + (self.shift - 1.0) * sigma)
        };
        Some(self.steps.get(&count)?.iter().map(warp).collect())
    }

    fn validate(&self) -> Result<(), ConfigError> {
        positive("schedule.shift", self.shift, 100.0)?;
        let lists = self.steps.len();
        check("schedule.steps", format!("a map of {lists}"), (1..=64).contains(&lists), || "1 to 64 lists".to_owned())?;
        for (&count, list) in &self.steps {
            let field = format!("schedule.steps.{count}");
            within(&field, count, 1, 1000)?;
            check(&field, format!("a list of {}", list.len()), list.len() == count, || format!("{count} timesteps"))?;
            let mut last = f32::INFINITY;
            for (i, &step) in list.iter().enumerate() {
                let field = format!("{field}[{i}]");
                number(&field, step, step > 0.0 && step <= 1000.0, "above 0 and at most 1000")?;
                check(&field, step, step < last, || format!("less than the step before it, {last}"))?;
                last = step;
            }
        }
        let default = self.default_steps;
        check("schedule.default_steps", default, self.steps.contains_key(&default), || {
            "a key of schedule.steps".to_owned()
        })?;
        let noise = self.context_noise;
        number("schedule.context_noise", noise, (0.0..1000.0).contains(&noise), "from 0 to below 1000")
    }
}

impl HistoryConfig {
    fn validate(&self, chunk: usize) -> Result<(), ConfigError> {
        within("history.window", self.window, chunk + 1, 4096)?;
        let (window, sink) = (self.window, self.sink);
        check("history.sink", sink, sink <= window - chunk, || {
            format!("at most history.window less the chunk, {}", window - chunk)
        })?;
        within("history.route", self.route, 0, window)
    }
}

impl StartConfig {
    fn validate(&self, events: usize) -> Result<(), ConfigError> {
        text("start.latents", &self.latents)?;
        check("start.latents", format!("{:?}", self.latents), self.latents.starts_with("start."), || {
            "a tensor name that begins with `start.`".to_owned()
        })?;
        within("start.count", self.count, 1, 4096)?;
        let listed = self.events.len();
        check("start.events", format!("a list of {listed}"), listed == 1 || listed == self.count, || {
            format!("1 event, or one for each of {} latents", self.count)
        })?;
        for (i, &event) in self.events.iter().enumerate() {
            within(&format!("start.events[{i}]"), event, 0, events - 1)?;
        }
        Ok(())
    }
}
