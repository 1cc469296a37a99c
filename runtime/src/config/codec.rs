//! The codec of a world.

use alloc::{borrow::ToOwned, format, string::String};

use serde::{Deserialize, Serialize};

use super::{
    ConfigError,
    check::{check, within},
};

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
    /// Of a file of its own: channels of all stages of its encoder, 0 where it has none. A world's encoder has the widths of its decoder.
    #[serde(default, skip_serializing_if = "none")]
    pub encoder: usize,
    /// How often a stream's first latent frame is decoded, and nothing shown, before all of its pictures are: MemBlocks then remember a frame like
    /// it. With 0 only its last picture is shown, which is what there is without such a beginning.
    #[serde(default, skip_serializing_if = "none")]
    pub warmup: usize,
}

fn one_each() -> [usize; 3] {
    [1; 3]
}

// A TAEHV always writes its stages, whatever they are.
fn stageless(widths: &[usize; 4]) -> bool {
    *widths == [0; 4]
}

fn none(count: &usize) -> bool {
    *count == 0
}

impl CodecConfig {
    /// A [`CodecKind::Linear`] codec of squares of `patch` pixels.
    pub fn linear(channels: usize, patch: usize) -> Self {
        let (widths, blocks, space_up, time_up) = ([0; 4], 0, [false; 3], [1; 3]);
        Self { kind: CodecKind::Linear, channels, patch, widths, blocks, space_up, time_up, encoder: 0, warmup: 0 }
    }

    /// Pixels along one side for each latent.
    pub fn space_factor(&self) -> usize {
        self.patch << self.space_up.iter().filter(|up| **up).count()
    }

    /// Pixel frames for each latent frame.
    pub fn time_factor(&self) -> usize {
        self.time_up.iter().product()
    }

    /// Pictures of a stream's first latent frame.
    pub fn first_pictures(&self) -> usize {
        if self.warmup > 0 { self.time_factor() } else { 1 }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
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
        within("codec.encoder", self.encoder, 0, 2048)?;
        within("codec.warmup", self.warmup, 0, 16)?;
        for (i, &frames) in self.time_up.iter().enumerate() {
            within(&format!("codec.time_up[{i}]"), frames, 1, 4)?;
        }
        Ok(())
    }
}

/// Name of the weight of a TGrow that makes frame `frame` of `frames`. Each frame has a tensor of its own, so that a plan can make
/// one after the other.
pub(crate) fn grown(frame: usize, frames: usize) -> String {
    if frames == 1 { "conv.weight".into() } else { format!("conv.{frame}.weight") }
}
