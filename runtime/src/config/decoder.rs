//! Files of family `decoder`: what turns a Wan model's latents into pictures.

use alloc::{borrow::ToOwned, format, string::String, vec, vec::Vec};
use serde::{Deserialize, Serialize};

use super::{
    About, CodecConfig, CodecKind, ConfigError, FileConfig, Provenance,
    check::{check, latents, text, within},
    check_version,
};

/// The family of these files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DecoderFamily {
    /// A decoder, and an encoder where the network has one.
    Decoder,
}

/// Everything the `causeway` JSON of a decoder holds. Networks are convolutional, so it names no picture size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecoderConfig {
    /// Format version, [`super::FORMAT`].
    pub format: u32,
    /// Always the same.
    pub family: DecoderFamily,
    /// Short name of the decoder.
    pub name: String,
    /// The network.
    pub codec: DecoderNetwork,
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

/// The networks that decode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DecoderNetwork {
    /// TAEHV (spec 3.2), the decoder alone.
    Taehv(CodecConfig),
    /// The Wan 2.1 VAE (spec 3.1), both ways where the file has both.
    Vae(VaeConfig),
}

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

    fn validate(&self) -> Result<(), ConfigError> {
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

impl DecoderNetwork {
    /// Channels of a latent.
    pub fn channels(&self) -> usize {
        match self {
            Self::Taehv(codec) => codec.channels,
            Self::Vae(vae) => vae.channels,
        }
    }

    /// Pixels along one side for each latent.
    pub fn space_factor(&self) -> usize {
        match self {
            Self::Taehv(codec) => codec.space_factor(),
            Self::Vae(vae) => vae.space_factor(),
        }
    }

    /// Pixel frames for each latent frame but the first, which makes one.
    pub fn time_factor(&self) -> usize {
        match self {
            Self::Taehv(codec) => codec.time_factor(),
            Self::Vae(vae) => vae.time_factor(),
        }
    }
}

impl FileConfig for DecoderConfig {
    const FAMILIES: &'static [&'static str] = &["decoder"];

    fn name(&self) -> &str {
        &self.name
    }

    fn about(&self) -> About<'_> {
        About { family: "decoder", license: &self.license, credits: &self.credits, provenance: &self.provenance }
    }

    fn summary(&self) -> Vec<(&'static str, String)> {
        let codec = &self.codec;
        let (side, frames) = (codec.space_factor(), codec.time_factor());
        let (network, widths, blocks) = match codec {
            DecoderNetwork::Taehv(taehv) => ("TAEHV, latents to pictures", taehv.widths.as_slice(), taehv.blocks),
            DecoderNetwork::Vae(vae) if vae.decode_only => {
                ("Wan 2.1 VAE, latents to pictures", vae.widths.as_slice(), vae.blocks)
            }
            DecoderNetwork::Vae(vae) => ("Wan 2.1 VAE, both ways", vae.widths.as_slice(), vae.blocks),
        };
        vec![
            ("network", network.to_owned()),
            (
                "latent",
                format!("{} channels to {side} x {side} pixels and {frames} frames, the first to 1", codec.channels()),
            ),
            ("levels", format!("widths {widths:?}, {blocks} blocks each")),
        ]
    }

    fn validate(&self) -> Result<(), ConfigError> {
        check_version(self.format)?;
        text("name", &self.name)?;
        match &self.codec {
            DecoderNetwork::Taehv(codec) => {
                let kind = format!("{:?}", codec.kind);
                check("codec.kind", kind, codec.kind == CodecKind::Taehv, || "taehv in a decoder's file".to_owned())?;
                codec.validate()
            }
            DecoderNetwork::Vae(vae) => vae.validate(),
        }
    }

    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        crate::file::decoder_tensors(self)
    }
}
