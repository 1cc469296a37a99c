//! Files of family `clip`: the visual tower that games are told a picture's features by (spec 2.13).

use alloc::{format, string::String, vec, vec::Vec};

use serde::{Deserialize, Serialize};

use super::{
    About, ConfigError, FileConfig, Provenance,
    check::{check, number, positive, text, within},
    kind::check_version,
};

/// The family of these files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClipFamily {
    /// A vision transformer of CLIP's.
    Clip,
}

/// Everything the `causeway` JSON of an image encoder holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipConfig {
    /// Format version, [`super::FORMAT`].
    pub format: u32,
    /// Always the same.
    pub family: ClipFamily,
    /// Short name of the encoder.
    pub name: String,
    /// The network.
    pub encoder: ClipSizes,
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

/// Sizes of the tower.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipSizes {
    /// Pixels along a side of the square that it looks at, whole patches.
    pub side: usize,
    /// Pixels along a side of a patch.
    pub patch: usize,
    /// Width of the residual stream, and of a row of features.
    pub dim: usize,
    /// Attention heads.
    pub heads: usize,
    /// Hidden width of the feed-forward layers.
    pub ffn_dim: usize,
    /// Layers that are run: features are those of the last but one of the published tower.
    pub layers: usize,
    /// Epsilon of all norms.
    pub eps: f32,
    /// Mean of red, green and blue in 0 to 1.
    pub mean: [f32; 3],
    /// Their standard deviation.
    pub std: [f32; 3],
}

impl ClipSizes {
    /// Patches of a picture.
    pub fn patches(&self) -> usize {
        (self.side / self.patch).pow(2)
    }

    /// Rows of features: one of the whole picture, then one of each patch.
    pub fn rows(&self) -> usize {
        1 + self.patches()
    }

    /// Values of a patch: colours, rows, columns.
    pub fn patch_len(&self) -> usize {
        3 * self.patch * self.patch
    }
}

impl FileConfig for ClipConfig {
    const FAMILIES: &'static [&'static str] = &["clip"];

    fn name(&self) -> &str {
        &self.name
    }

    fn about(&self) -> About<'_> {
        About { family: "clip", license: &self.license, credits: &self.credits, provenance: &self.provenance }
    }

    fn summary(&self) -> Vec<(&'static str, String)> {
        let c = &self.encoder;
        vec![
            ("encoder", format!("dim {}, heads {}, layers {}, ffn {}", c.dim, c.heads, c.layers, c.ffn_dim)),
            ("picture", format!("{0} x {0} in patches of {1} x {1}: {2} rows of features", c.side, c.patch, c.rows())),
        ]
    }

    fn validate(&self) -> Result<(), ConfigError> {
        check_version(self.format)?;
        text("name", &self.name)?;
        let c = &self.encoder;
        within("encoder.patch", c.patch, 1, 64)?;
        within("encoder.side", c.side, c.patch, 1024)?;
        check("encoder.side", c.side, c.side.is_multiple_of(c.patch), || format!("a multiple of {}", c.patch))?;
        within("encoder.heads", c.heads, 1, 256)?;
        within("encoder.dim", c.dim, c.heads, 16_384)?;
        check("encoder.dim", c.dim, c.dim.is_multiple_of(c.heads), || format!("a multiple of {} heads", c.heads))?;
        within("encoder.ffn_dim", c.ffn_dim, 1, 65_536)?;
        within("encoder.layers", c.layers, 1, 256)?;
        positive("encoder.eps", c.eps, 0.1)?;
        let colours = |what: &str, i: usize| format!("encoder.{what}[{i}]");
        for (i, (&mean, &std)) in c.mean.iter().zip(&c.std).enumerate() {
            number(&colours("mean", i), mean, (-10.0..=10.0).contains(&mean), "from -10 to 10")?;
            positive(&colours("std", i), std, 10.0)?;
        }
        Ok(())
    }
}
