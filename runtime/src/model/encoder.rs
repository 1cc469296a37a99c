//! An encoder's plan: pixel frames in, the latent that they make out.

use alloc::format;

use causeway_ops::{
    BufferId, Plan, PlanBuilder,
    op::Copy,
    plan::{BufferKind, Element, PassId},
};

use super::{Map, ModelError, decoder::check_size, vae::Vae};
use crate::config::{DecoderConfig, DecoderNetwork};

/// An encoder's plan and the buffers a host touches.
#[derive(Clone, Debug)]
pub struct EncoderPlan {
    /// The plan.
    pub plan: Plan,
    /// One frame, the first of a stream, to a latent.
    pub first: PassId,
    /// `frames` frames to a latent.
    pub next: PassId,
    /// Frames of the pass `next`.
    pub frames: usize,
    /// Frames [frames, height, width, 3], values from -1 to 1.
    pub images: BufferId,
    /// Normalised latent [height, width, channels].
    pub latent: BufferId,
}

impl EncoderPlan {
    /// Emits the plan of `config` for latents of this size.
    ///
    /// # Errors
    /// [`ModelError`] for a network without an encoder, and as [`super::DecoderPlan::new`].
    pub fn new(config: &DecoderConfig, size: (usize, usize)) -> Result<Self, ModelError> {
        check_size(size)?;
        let vae = match &config.codec {
            DecoderNetwork::Vae(vae) if !vae.decode_only => vae,
            _ => return Err(ModelError::Unsupported(format!("{} has no encoder", config.name))),
        };
        let (side, frames) = (vae.space_factor(), vae.time_factor());
        let (height, width) = (size.0 * side, size.1 * side);
        let picture = 3 * height * width;
        let mut b = PlanBuilder::new();
        let images = b.buffer("images", Element::F32, frames * picture, BufferKind::Input);
        let latent = b.buffer("latent", Element::F32, vae.channels * size.0 * size.1, BufferKind::Output);
        let mut network = Vae::new(vae);
        let mut pass = |name: &str, count: usize| {
            let id = b.pass(name);
            for index in 0..count {
                let frame = Map { buffer: b.scratch("image", picture), height, width, channels: 3 };
                b.push(Copy { x: images, x_offset: index * picture, y: frame.buffer, y_offset: 0, len: picture });
                network.encode(&mut b, frame, index, count == 1, &mut |b, x| {
                    b.push(Copy { x: x.buffer, x_offset: 0, y: latent, y_offset: 0, len: x.values() });
                });
            }
            id
        };
        let first = pass("encode.first", 1);
        let next = if frames == 1 { first } else { pass("encode", frames) };
        Ok(Self { plan: b.build()?, first, next, frames, images, latent })
    }
}
