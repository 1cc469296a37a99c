//! A stream of pictures to a stream of latents: the start of an image-to-video stream, or a video's latents.

use alloc::{boxed::Box, format, vec, vec::Vec};

use causeway_ops::{Backend, Plan, backend::Memory};

use crate::{
    codec::decoder::{DecoderFile, run_pass},
    device::Device,
    layout::{interleave, planar},
    model::EncoderPlan,
    session::{SessionError, finite},
};

/// Encodes one stream.
pub struct Encoder {
    backend: Box<dyn Backend>,
    plan: EncoderPlan,
    channels: usize,
    picture: (usize, usize),
    begun: bool,
}

impl Encoder {
    /// An encoder to latents of (height, width) that holds at most `memory_cap` bytes. The weights are copied into the device's layout, so the file may be dropped.
    ///
    /// # Errors
    /// A file without an encoder, and as [`crate::Decoder::new`].
    pub fn new(
        file: &DecoderFile<'_>,
        device: &Device,
        size: (usize, usize),
        memory_cap: Option<usize>,
    ) -> Result<Self, SessionError> {
        let mut plan = EncoderPlan::new(file.config(), size)?;
        let codec = &file.config().codec;
        let (channels, side) = (codec.channels(), codec.space_factor());
        let inner = core::mem::take(&mut plan.plan);
        let backend = device.load(file, &inner, memory_cap, inner.bytes())?.plain();
        Ok(Self { backend, plan, channels, picture: (size.1 * side, size.0 * side), begun: false })
    }

    /// Frames that the next latent stands for: 1 at the start of a stream, then all that the network makes of a latent.
    pub fn frames(&self) -> usize {
        if self.begun { self.plan.frames } else { 1 }
    }

    /// Encodes the next [`Self::frames`] RGB frames in 0..=1, [n, 3, height, width], to a normalised latent [C, H, W].
    ///
    /// # Errors
    /// [`SessionError::Size`], [`SessionError::NotFinite`], a backend that fails.
    pub fn encode(&mut self, frames: &[f32]) -> Result<Vec<f32>, SessionError> {
        let (count, len) = (self.frames(), 3 * self.picture.0 * self.picture.1);
        if frames.len() != count * len {
            let expected = format!("{count} frames of {len}");
            return Err(SessionError::Size { what: "the frames", found: frames.len(), expected });
        }
        finite("the frames", frames)?;
        let mut images = vec![0.0; self.plan.frames * len];
        for (frame, image) in frames.chunks_exact(len).zip(images.chunks_exact_mut(len)) {
            interleave(frame, 3, image);
            image.iter_mut().for_each(|value| *value = 2.0 * *value - 1.0);
        }
        self.backend.write(self.plan.images, bytemuck::cast_slice(&images))?;
        let pass = if self.begun { self.plan.next } else { self.plan.first };
        run_pass(self.backend.as_mut(), pass)?;
        let mut interleaved = vec![0.0f32; self.plan().buffer(self.plan.latent).len];
        self.backend.read(self.plan.latent, bytemuck::cast_slice_mut(&mut interleaved))?;
        self.begun = true;
        let mut latent = vec![0.0; interleaved.len()];
        planar(interleaved.iter().copied(), self.channels, &mut latent);
        Ok(latent)
    }

    /// Forgets the stream: the next frame is a first one.
    ///
    /// # Errors
    /// A backend that fails.
    pub fn restart(&mut self) -> Result<(), SessionError> {
        self.begun = false;
        Ok(self.backend.clear()?)
    }

    /// Size of a picture in pixels: (width, height).
    pub fn picture(&self) -> (usize, usize) {
        self.picture
    }

    /// The plan that runs.
    pub fn plan(&self) -> &Plan {
        self.backend.plan()
    }

    /// Bytes held, by purpose.
    pub fn memory(&self) -> Memory {
        let mut memory = self.backend.memory();
        memory.overhead += self.plan().bytes();
        memory
    }
}
