//! Files of family `umt5`: the text encoder of Wan models, an encoder of the T5 kind (spec 4).

use alloc::{format, string::String, vec, vec::Vec};

use serde::{Deserialize, Serialize};

use super::{
    About, ConfigError, FileConfig, Provenance,
    check::{check, positive, text, within},
    kind::check_version,
};

/// The family of these files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Umt5Family {
    /// A T5 encoder with gated GELU.
    Umt5,
}

/// Everything the `causeway` JSON of a text encoder holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Umt5Config {
    /// Format version, [`super::FORMAT`].
    pub format: u32,
    /// Always the same.
    pub family: Umt5Family,
    /// Short name of the encoder.
    pub name: String,
    /// The network.
    pub encoder: Umt5Sizes,
    /// Bytes of the `tokenizer.json` that the file holds too, as a tensor of bytes; 0 for none.
    #[serde(default, skip_serializing_if = "none")]
    pub tokenizer: usize,
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

/// Sizes of the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Umt5Sizes {
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// Width of the residual stream, and of an embedding.
    pub dim: usize,
    /// Attention heads.
    pub heads: usize,
    /// Features of a head, even; `heads * head_dim` need not be `dim`.
    pub head_dim: usize,
    /// Hidden width of the feed-forward layers.
    pub ffn_dim: usize,
    /// Layers.
    pub layers: usize,
    /// Buckets of relative positions, even: half of them for each direction.
    pub buckets: usize,
    /// Distance from which on all keys are in the last bucket.
    pub max_distance: usize,
    /// Whether all layers share one table of position biases.
    pub shared_bias: bool,
    /// Epsilon of all norms.
    pub eps: f32,
    /// Most tokens of a prompt, the end token included.
    pub length: usize,
}

fn none(bytes: &usize) -> bool {
    *bytes == 0
}

impl FileConfig for Umt5Config {
    const FAMILIES: &'static [&'static str] = &["umt5"];

    fn name(&self) -> &str {
        &self.name
    }

    fn about(&self) -> About<'_> {
        About { family: "umt5", license: &self.license, credits: &self.credits, provenance: &self.provenance }
    }

    fn summary(&self) -> Vec<(&'static str, String)> {
        let c = &self.encoder;
        let tables = if c.shared_bias { "one table for all layers" } else { "a table for each layer" };
        vec![
            (
                "encoder",
                format!("dim {}, heads {} of {}, layers {}, ffn {}", c.dim, c.heads, c.head_dim, c.layers, c.ffn_dim),
            ),
            ("tokens", format!("{} known, prompts of at most {}", c.vocabulary, c.length)),
            (
                "tokenizer",
                match self.tokenizer {
                    0 => "none in the file".into(),
                    bytes => format!("{bytes} bytes of JSON"),
                },
            ),
            ("positions", format!("{} buckets to a distance of {}, {tables}", c.buckets, c.max_distance)),
        ]
    }

    fn validate(&self) -> Result<(), ConfigError> {
        check_version(self.format)?;
        text("name", &self.name)?;
        within("tokenizer", self.tokenizer, 0, MOST_TOKENIZER)?;
        self.encoder.validate()
    }
}

/// Most bytes of a tokenizer; that of umT5 has 17 MB.
pub const MOST_TOKENIZER: usize = 64 << 20;

impl Umt5Sizes {
    /// Features of all heads.
    pub fn attention_dim(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Bucket of the relative position `key - query` (spec 4). Logarithms in `f32`, as in the reference: their rounding decides at
    /// bucket borders.
    pub fn bucket(&self, distance: isize) -> usize {
        let half = self.buckets / 2;
        let exact = half / 2;
        let side = if distance > 0 { half } else { 0 };
        let n = distance.unsigned_abs();
        if n < exact {
            return side + n;
        }
        let most = libm::log(self.max_distance as f64 / exact as f64) as f32;
        let share = libm::logf(n as f32 / exact as f32) / most;
        side + (exact + (share * (half - exact) as f32) as usize).min(half - 1)
    }

    fn validate(&self) -> Result<(), ConfigError> {
        within("encoder.vocabulary", self.vocabulary, 2, 1 << 21)?;
        within("encoder.dim", self.dim, 1, 16_384)?;
        within("encoder.heads", self.heads, 1, 256)?;
        within("encoder.head_dim", self.head_dim, 2, 256)?;
        check("encoder.head_dim", self.head_dim, self.head_dim.is_multiple_of(2), || "an even number".into())?;
        within("encoder.ffn_dim", self.ffn_dim, 1, 65_536)?;
        within("encoder.layers", self.layers, 1, 256)?;
        within("encoder.buckets", self.buckets, 4, 4096)?;
        check("encoder.buckets", self.buckets, self.buckets.is_multiple_of(2), || "an even number".into())?;
        within("encoder.max_distance", self.max_distance, self.buckets / 4 + 1, 1 << 20)?;
        positive("encoder.eps", self.eps, 0.1)?;
        within("encoder.length", self.length, 1, 4096)
    }
}
