//! The denoiser: its sizes, and what it is told.

use alloc::{borrow::ToOwned, format, string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use super::{
    ConfigError, GameConfig, WaypointConfig,
    check::{MOST_NAMES, check, latents, names, number, positive, within},
};

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
    /// Text condition, which takes the place of actions and events; with `game` it is of a picture's features.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextConfig>,
    /// Picture condition and action modules; see [`DitConfig::game`].
    #[cfg_attr(feature = "matrix-game", serde(default, skip_serializing_if = "Option::is_none"))]
    #[cfg_attr(not(feature = "matrix-game"), serde(skip))]
    pub game: Option<GameConfig>,
    /// The other block; see [`DitConfig::waypoint`].
    #[cfg_attr(feature = "waypoint", serde(default, skip_serializing_if = "Option::is_none"))]
    #[cfg_attr(not(feature = "waypoint"), serde(skip))]
    pub waypoint: Option<WaypointConfig>,
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

    /// What a game has beside; nothing in a build without feature `matrix-game`.
    pub fn game(&self) -> Option<&GameConfig> {
        self.game.as_ref().filter(|_| cfg!(feature = "matrix-game"))
    }

    /// What Waypoint's block has in place of parts of Wan's; nothing in a build without feature `waypoint`.
    pub fn waypoint(&self) -> Option<&WaypointConfig> {
        self.waypoint.as_ref().filter(|_| cfg!(feature = "waypoint"))
    }

    /// Numbers that a latent frame is told of actions.
    pub fn told(&self) -> usize {
        self.actions.len() * self.game().map_or(1, |game| game.rows)
    }

    /// Channels the patch embedding reads: the noisy frame's, then with `prev_frame` those of the previous clean frame, or a picture condition's.
    pub fn in_channels(&self) -> usize {
        self.latent.channels * if self.prev_frame { 2 } else { 1 } + self.game().map_or(0, |game| game.condition)
    }

    /// Values the head writes for one token: the pixels of a patch, channel fastest.
    pub fn head_out(&self) -> usize {
        self.patch.iter().product::<usize>() * self.latent.channels
    }

    /// Values in one latent frame.
    pub fn latent_len(&self) -> usize {
        self.latent.channels * self.latent.height * self.latent.width
    }

    /// Values that say what heads prefer [layers but the last, heads, 2].
    pub(crate) fn preferences(&self) -> usize {
        2 * self.layers.saturating_sub(1) * self.heads
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
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
        if let Some(waypoint) = self.waypoint() {
            waypoint.validate(self.heads, head, self.layers)?;
            names("dit.actions", &self.actions)?;
            within("the number of dit.actions", self.actions.len(), WaypointConfig::MOUSE, MOST_NAMES)?;
            within("dit.chunk", self.chunk, 1, 1)?;
            let plain = !self.prev_frame && self.text.is_none() && self.game().is_none() && self.prediction.is_flow();
            check("dit.prev_frame, text, game, prediction", "given", plain, || {
                "none beside `dit.waypoint`".to_owned()
            })?;
            within("the number of dit.events", self.events.len(), 0, 0)?;
            return within("dit.event_tokens", self.event_tokens, 0, 0);
        }
        if let Some(text) = &self.text {
            within("dit.text.dim", text.dim, 1, 65_536)?;
            within("dit.text.length", text.length, 1, 4096)?;
            if let Some(game) = self.game() {
                names("dit.actions", &self.actions)?;
                game.validate(self.layers, self.actions.len())?;
                check("dit.prev_frame", "true", !self.prev_frame, || "false beside `dit.game`".to_owned())?;
            } else {
                within("the number of dit.actions", self.actions.len(), 0, 0)?;
            }
            within("the number of dit.events", self.events.len(), 0, 0)?;
            return within("dit.event_tokens", self.event_tokens, 0, 0);
        }
        check("dit.game", "given", self.game().is_none(), || "none without `dit.text`".to_owned())?;
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
