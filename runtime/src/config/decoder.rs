//! Files of family `decoder`: what turns a Wan model's latents into pictures.

use alloc::{borrow::ToOwned, format, string::String, vec, vec::Vec};
use serde::{Deserialize, Serialize};

use super::{
    About, CodecConfig, CodecKind, ConfigError, FileConfig, Provenance, VaeConfig,
    check::{check, text},
    kind::check_version,
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

    /// Pixel frames for a stream's first latent frame.
    pub fn first_pictures(&self) -> usize {
        match self {
            Self::Taehv(codec) => codec.first_pictures(),
            Self::Vae(_) => 1,
        }
    }

    /// Pixel frames for each latent frame but the first.
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
            DecoderNetwork::Taehv(taehv) if taehv.encoder > 0 => {
                ("TAEHV, both ways", taehv.widths.as_slice(), taehv.blocks)
            }
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
                format!(
                    "{} channels to {side} x {side} pixels and {frames} frames, the first to {}",
                    codec.channels(),
                    codec.first_pictures()
                ),
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
}
