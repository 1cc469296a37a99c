//! The codec of a world: the one thing between latents and pixels.

use causeway_ops::{
    BufferId, PlanBuilder,
    op::{Activation, FromPixels},
};

use super::{Dense, Taehv, layers::Map};
use crate::config::{CodecConfig, CodecKind, LatentConfig};

/// A codec, and what it remembers of the one stream that it decodes.
pub(super) enum Codec<'a> {
    /// Convolutions (spec 3.2).
    Taehv(Taehv<'a>),
    /// One matrix each way.
    Linear {
        /// Its sizes.
        config: &'a CodecConfig,
        /// The latents' shape.
        latent: LatentConfig,
    },
}

impl<'a> Codec<'a> {
    /// Declares the stream's state.
    pub fn new(b: &mut PlanBuilder, config: &'a CodecConfig, latent: LatentConfig) -> Self {
        match config.kind {
            CodecKind::Taehv => Self::Taehv(Taehv::new(b, config, latent)),
            CodecKind::Linear => Self::Linear { config, latent },
        }
    }

    /// Emits the decoding of one latent frame. `emit` takes each frame it makes, before the pixel shuffle.
    pub fn decode(&self, b: &mut PlanBuilder, x: BufferId, emit: &mut dyn FnMut(&mut PlanBuilder, Map)) {
        match self {
            Self::Taehv(taehv) => taehv.decode(b, x, emit),
            Self::Linear { config, latent: LatentConfig { height, width, channels } } => {
                let pixels = 3 * config.patch * config.patch;
                let buffer = matrix("linear.decoder", height * width, *channels, pixels).scratch(b, x, "unshuffled");
                emit(b, Map { buffer, height: *height, width: *width, channels: pixels });
            }
        }
    }

    /// Emits the encoding of the RGBA8 picture `image` as the first frame of a stream; returns the (unnormalised) latent.
    pub fn encode(&self, b: &mut PlanBuilder, image: BufferId) -> BufferId {
        match self {
            Self::Taehv(taehv) => taehv.encode(b, image),
            Self::Linear { config: CodecConfig { patch, .. }, latent: LatentConfig { height, width, channels } } => {
                let pixels = 3 * patch * patch;
                let y = b.scratch("unshuffled", height * width * pixels);
                b.push(FromPixels { x: image, y, height: *height, width: *width, patch: *patch });
                matrix("linear.encoder", height * width, pixels, *channels).scratch(b, y, "raw_latent")
            }
        }
    }
}

fn matrix(name: &str, rows: usize, inputs: usize, outputs: usize) -> Dense<'_> {
    Dense { name, rows, inputs, outputs, activation: Activation::None }
}
