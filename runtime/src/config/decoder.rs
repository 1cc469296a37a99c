//! Files of family `decoder`: what turns a Wan model's latents into pictures.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use super::{CodecConfig, ConfigError, FileConfig, Provenance, check::text, check_version};

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
}

impl DecoderNetwork {
    /// Channels of a latent.
    pub fn channels(&self) -> usize {
        match self {
            Self::Taehv(codec) => codec.channels,
        }
    }

    /// Pixels along one side for each latent.
    pub fn space_factor(&self) -> usize {
        match self {
            Self::Taehv(codec) => codec.space_factor(),
        }
    }

    /// Pixel frames for each latent frame but the first, which makes one.
    pub fn time_factor(&self) -> usize {
        match self {
            Self::Taehv(codec) => codec.time_factor(),
        }
    }
}

impl FileConfig for DecoderConfig {
    const FAMILIES: &'static [&'static str] = &["decoder"];

    fn name(&self) -> &str {
        &self.name
    }

    fn validate(&self) -> Result<(), ConfigError> {
        check_version(self.format)?;
        text("name", &self.name)?;
        match &self.codec {
            DecoderNetwork::Taehv(codec) => codec.validate(),
        }
    }

    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        crate::file::decoder_tensors(self)
    }
}
