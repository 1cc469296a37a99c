//! A stream of latents to a stream of pictures.
//!
//! ```no_run
//! # fn f(latents: Vec<f32>) -> Result<(), Box<dyn std::error::Error>> {
//! use causeway_runtime::{Decoder, DecoderFile, Device};
//! let file = DecoderFile::open("taew2_1.safetensors")?;
//! let mut decoder = Decoder::new(&file, &Device::auto(Device::cpu(0)), (60, 104), None)?;
//! for latent in latents.chunks(16 * 60 * 104) {
//!     let frames = decoder.decode(latent)?; // [1, 3, 480, 832], then [4, 3, 480, 832]
//! }
//! # Ok(()) }
//! ```

use alloc::{boxed::Box, format, vec, vec::Vec};

use causeway_ops::{Backend, Params, Plan, backend::Memory, plan::PassId};

use crate::{
    config::DecoderConfig,
    device::Device,
    file::ModelFile,
    layout::interleave,
    model::{DecoderPass, DecoderPlan, Tiles},
    session::{SessionError, finite},
};

/// A file of family `decoder`.
pub type DecoderFile<'a> = ModelFile<'a, DecoderConfig>;

/// Runs a whole pass.
pub(crate) fn run_pass(backend: &mut dyn Backend, pass: PassId) -> Result<(), SessionError> {
    let nodes = backend.plan().pass(pass).nodes.len();
    Ok(backend.run(pass, 0..nodes, &Params::default())?)
}

/// Decodes one stream.
pub struct Decoder {
    backend: Box<dyn Backend>,
    plan: DecoderPlan,
    latent_len: usize,
    channels: usize,
    begun: bool,
}

impl Decoder {
    /// A decoder of latents of (height, width) that holds at most `memory_cap` bytes. The weights are copied into the device's layout,
    /// so the file may be dropped.
    ///
    /// # Errors
    /// A memory cap that is too small (with the exact need), a device that refuses, a size that cannot be.
    pub fn new(
        file: &DecoderFile<'_>,
        device: &Device,
        size: (usize, usize),
        memory_cap: Option<usize>,
    ) -> Result<Self, SessionError> {
        Self::tiled(file, device, size, &Tiles::whole(size), memory_cap)
    }

    /// A decoder of one of `tiles` of latents of (height, width) at a time.
    pub(super) fn tiled(
        file: &DecoderFile<'_>,
        device: &Device,
        size: (usize, usize),
        tiles: &Tiles,
        memory_cap: Option<usize>,
    ) -> Result<Self, SessionError> {
        let mut plan = DecoderPlan::tiled(file.config(), size, tiles)?;
        let channels = file.config().codec.channels();
        let inner = core::mem::take(&mut plan.plan);
        let backend = device.load(file, &inner, memory_cap, inner.bytes())?.plain();
        Ok(Self { backend, plan, latent_len: channels * size.0 * size.1, channels, begun: false })
    }

    /// Decodes the next latent [C, H, W] (normalised, as the denoiser makes it) to RGB frames in 0..=1, [n, 3, height, width]:
    /// [`DecoderNetwork::first_pictures`] for the first latent of a stream, [`DecoderNetwork::time_factor`] for each that follows.
    ///
    /// [`DecoderNetwork::first_pictures`]: crate::config::DecoderNetwork::first_pictures
    /// [`DecoderNetwork::time_factor`]: crate::config::DecoderNetwork::time_factor
    ///
    /// # Errors
    /// [`SessionError::Size`], [`SessionError::NotFinite`], a backend that fails.
    pub fn decode(&mut self, latent: &[f32]) -> Result<Vec<f32>, SessionError> {
        self.decode_tile(latent, 0)
    }

    /// Decodes tile `tile` of the next latent of a stream of that tile.
    pub(super) fn decode_tile(&mut self, latent: &[f32], tile: usize) -> Result<Vec<f32>, SessionError> {
        if latent.len() != self.latent_len {
            let expected = format!("{}", self.latent_len);
            return Err(SessionError::Size { what: "a latent", found: latent.len(), expected });
        }
        finite("a latent", latent)?;
        let mut interleaved = vec![0.0; latent.len()];
        interleave(latent, self.channels, &mut interleaved);
        self.backend.write(self.plan.latent, bytemuck::cast_slice(&interleaved))?;
        let DecoderPass { id, frames, skipped, repeats } = if self.begun { self.plan.next } else { self.plan.first };
        let runs = core::iter::repeat_n(&id, 1 + repeats);
        for pass in self.plan.features.iter().chain(self.plan.cuts.get(tile)).chain(runs) {
            run_pass(self.backend.as_mut(), *pass)?;
        }
        let mut raw = vec![0.0f32; self.backend.plan().buffer(self.plan.frames).len];
        self.backend.read(self.plan.frames, bytemuck::cast_slice_mut(&mut raw))?;
        self.begun = true;
        let (width, height) = self.picture();
        let mut out = vec![0.0; (frames - skipped) * 3 * width * height];
        let raw = raw.chunks_exact(3 * width * height).take(frames).skip(skipped);
        for (raw, out) in raw.zip(out.chunks_exact_mut(3 * width * height)) {
            self.shuffle(raw, out);
        }
        Ok(out)
    }

    /// Forgets the stream: the next latent is a first one.
    ///
    /// # Errors
    /// A backend that fails.
    pub fn restart(&mut self) -> Result<(), SessionError> {
        self.begun = false;
        Ok(self.backend.clear()?)
    }

    /// Size of a picture in pixels: (width, height).
    pub fn picture(&self) -> (usize, usize) {
        let [height, width] = self.plan.size;
        (width * self.plan.patch, height * self.plan.patch)
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

    /// [h, w, 3 * p * p] to [3, h * p, w * p], black to 0.
    fn shuffle(&self, raw: &[f32], out: &mut [f32]) {
        let ([_, width], p, black) = (self.plan.size, self.plan.patch, self.plan.black);
        let area = raw.len() / 3;
        for (cell, raw) in raw.chunks_exact(3 * p * p).enumerate() {
            let (i, j) = (cell / width, cell % width);
            for (channel, &value) in raw.iter().enumerate() {
                let (colour, dy, dx) = (channel / (p * p), channel / p % p, channel % p);
                let at = colour * area + (i * p + dy) * width * p + j * p + dx;
                out[at] = ((value - black) / (1.0 - black)).clamp(0.0, 1.0);
            }
        }
    }
}
