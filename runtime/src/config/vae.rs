//! The Wan 2.1 VAE (spec 3.1): its sizes.

use alloc::{borrow::ToOwned, format, vec::Vec};

use serde::{Deserialize, Serialize};

use super::{
    ConfigError,
    check::{check, latents, within},
};

/// Sizes of the VAE. Level 0 is the one next to the pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaeConfig {
    /// Latent channels.
    pub channels: usize,
    /// Channels of each level.
    pub widths: Vec<usize>,
    /// Residual blocks of a level of the encoder; one of the decoder has one more.
    pub blocks: usize,
    /// For each step from a level to the next, which halves height and width: whether it also halves the frames.
    pub time_down: Vec<bool>,
    /// Per-channel mean of latents; the denoiser works on (z - mean) / std.
    pub latent_mean: Vec<f32>,
    /// Per-channel standard deviation of latents.
    pub latent_std: Vec<f32>,
    /// Whether the file lacks the encoder.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub decode_only: bool,
}

impl VaeConfig {
    /// Pixels along one side for each latent.
    pub fn space_factor(&self) -> usize {
        1 << self.time_down.len()
    }

    /// Pixel frames for each latent frame but the first.
    pub fn time_factor(&self) -> usize {
        1 << self.time_down.iter().filter(|halves| **halves).count()
    }

    /// Pixels within which the edge of a tile changes what the decoder makes of whole features: a convolution in each step to a level,
    /// two in each of its blocks, and the last one see one further at their own size.
    pub(crate) fn reach(&self) -> usize {
        self.time_down.iter().fold(0, |reach, _| 2 * reach + 1 + 2 * (self.blocks + 1)) + 1
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        within("codec.vae.channels", self.channels, 1, 256)?;
        let levels = self.widths.len();
        within("the number of codec.vae.widths", levels, 2, 5)?;
        within("the number of codec.vae.time_down", self.time_down.len(), levels - 1, levels - 1)?;
        for (level, &width) in self.widths.iter().enumerate() {
            let field = format!("codec.vae.widths[{level}]");
            within(&field, width, 2, 2048)?;
            check(&field, width, width.is_multiple_of(2), || "an even number".to_owned())?;
        }
        within("codec.vae.blocks", self.blocks, 1, 8)?;
        latents("codec.vae.latent", self.channels, &self.latent_mean, &self.latent_std)
    }
}
