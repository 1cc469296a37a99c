//! Exact, deterministic work on a Wan model without a decoder: chunk by chunk from given noise, with the ring of a session.
//!
//! ```no_run
//! # fn f(noise: Vec<f32>, renoise: Vec<f32>, prompt: Vec<f32>) -> Result<(), Box<dyn std::error::Error>> {
//! use causeway_runtime::{Device, Model, Rollout, RolloutOptions, rollout::Sampling};
//! let model = Model::open("wan.safetensors")?;
//! let mut rollout = Rollout::new(&model, &Device::auto(Device::cpu(0)), model.config().dit.latent, RolloutOptions::default())?;
//! rollout.set_text(&prompt)?;
//! let latents = rollout.run(&noise, &renoise, &Sampling::few(&[1.0, 0.9375, 0.8333333, 0.625]))?;
//! # Ok(()) }
//! ```

mod options;
mod sampling;
mod switch;

pub use options::{RolloutError, RolloutOptions, Sink};
pub use sampling::{Moment, Sampling};
pub use switch::Switch;

use alloc::{boxed::Box, collections::VecDeque, format, vec, vec::Vec};

use causeway_ops::{Backend, BufferId, Params, Plan, backend::Memory, plan::PassId};

use crate::{
    config::{DitConfig, Family, LatentConfig},
    device::Device,
    file::Model,
    layout::{interleave, planar},
    model::{ModelError, WanPasses, WanPlan},
    session::{Ring, frame_table::FrameTable},
};
use options::Settled;
pub(crate) use options::finite;
use switch::Blend;

/// Which of a guided stream's two prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Positive,
    Negative,
}

/// A stream of a Wan model.
pub struct Rollout {
    backend: Box<dyn Backend>,
    wan: WanPlan,
    config: DitConfig,
    ring: Ring,
    sink: Option<Sink>,
    first: usize,
    text_length: usize,
    text_rows: usize,
    context_timestep: f32,
    table: FrameTable,
    /// Frames committed since the stream began.
    position: u64,
    /// Number of the next chunk's first frame as the ring counts: a reset or a refreshed sink begins anew.
    frame: u64,
    /// Latents of the newest frames, planar, as many as the window holds; only where they may be recomputed.
    recent: VecDeque<f32>,
    /// The prompt in force, padded.
    prompt: Vec<f32>,
    /// A change of prompt under way.
    blend: Option<Blend>,
}

impl Rollout {
    /// A stream of `model` on `device` and on latents of this size (a DiT has no size of its own).
    ///
    /// # Errors
    /// Options that do not fit the model, a memory cap that is too small, a device that refuses.
    pub fn new(
        model: &Model<'_>,
        device: &Device,
        latent: LatentConfig,
        options: RolloutOptions,
    ) -> Result<Self, RolloutError> {
        if model.config().family != Family::Wan {
            return Err(ModelError::Unsupported("it reads no text; `Session` runs it".into()).into());
        }
        let Settled { dit, ring, shape, text_length, context_timestep } =
            options.settle(model.config().clone(), latent)?;
        let (first, text_rows) = (shape.first, shape.text_rows);
        let mut wan = WanPlan::new(&dit, shape)?;
        let plan = core::mem::take(&mut wan.plan);
        let table = FrameTable::new(&ring, dit.rope_dims()[0]);
        let kept = if options.recache.is_some() { ring.window * dit.latent_len() } else { 0 };
        let prompt = vec![0.0; text_rows * dit.text.map_or(1, |text| text.dim)];
        let own = table.memory() + plan.bytes() + 4 * (kept + prompt.len());
        Ok(Self {
            backend: device.load(model, &plan, options.memory_cap, own)?,
            wan,
            ring,
            sink: options.recache,
            first,
            text_length,
            text_rows,
            context_timestep,
            table,
            position: 0,
            frame: 0,
            recent: VecDeque::with_capacity(kept),
            prompt,
            blend: None,
            config: dit,
        })
    }

    /// Sets the prompt from the next chunk on: text embeddings [n, text dim] without their padding. The ring keeps what it holds; see
    /// [`Self::switch`].
    ///
    /// # Errors
    /// [`RolloutError::Size`], [`RolloutError::NotFinite`], a backend that fails.
    pub fn set_text(&mut self, text: &[f32]) -> Result<(), RolloutError> {
        let prompt = self.padded(text)?;
        self.blend = None;
        self.condition(Side::Positive, &prompt, text.len() / self.text_dim())?;
        self.prompt = prompt;
        Ok(())
    }

    /// Sets the negative prompt of a guided stream, as [`Self::set_text`].
    ///
    /// # Errors
    /// As [`Self::set_text`]; [`RolloutError::Option`] for a stream that is not guided.
    pub fn set_negative(&mut self, text: &[f32]) -> Result<(), RolloutError> {
        let prompt = self.padded(text)?;
        self.condition(Side::Negative, &prompt, text.len() / self.text_dim())
    }

    fn text_dim(&self) -> usize {
        self.config.text.map_or(1, |text| text.dim)
    }

    /// A checked prompt and rows of zeros up to the most.
    fn padded(&self, text: &[f32]) -> Result<Vec<f32>, RolloutError> {
        let (dim, most) = (self.text_dim(), self.text_rows - 1);
        if !text.len().is_multiple_of(dim) || text.len() / dim > most {
            let expected = format!("at most {most} rows of {dim}");
            return Err(RolloutError::Size { what: "the text", found: text.len(), expected });
        }
        finite("the text", text)?;
        let mut padded = vec![0.0; self.text_rows * dim];
        padded[..text.len()].copy_from_slice(text);
        Ok(padded)
    }

    /// Computes the cross-attention keys and values of a padded prompt of `rows` rows.
    fn condition(&mut self, side: Side, prompt: &[f32], rows: usize) -> Result<(), RolloutError> {
        // Rows that stand for nothing are never seen.
        let mut offsets = vec![-1e30; self.text_rows];
        offsets[..rows].fill(0.0);
        if rows < self.text_length {
            offsets[rows] = libm::log((self.text_length - rows) as f64) as f32;
        }
        let branch = self.branch(side)?;
        let (pass, into) = (branch.condition, branch.offsets);
        self.backend.write(self.wan.text, bytemuck::cast_slice(prompt))?;
        self.backend.write(into, bytemuck::cast_slice(&offsets))?;
        self.pass(pass, 0)
    }

    /// Frames of the next chunk.
    pub fn frames(&self) -> usize {
        if self.position == 0 { self.first } else { self.ring.chunk }
    }

    /// Number of the next chunk's first frame.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The network's flow for the next chunk's latents [frames, C, H, W], one timestep a frame. Nothing is committed.
    ///
    /// # Errors
    /// [`RolloutError::Size`], a backend that fails.
    pub fn flow(&mut self, latents: &[f32], timesteps: &[f32]) -> Result<Vec<f32>, RolloutError> {
        let history = self.place(latents, timesteps)?;
        self.predict(Side::Positive, latents.len(), history)
    }

    /// The flow under one prompt, of inputs that are in place.
    fn predict(&mut self, side: Side, values: usize, history: u32) -> Result<Vec<f32>, RolloutError> {
        let pass = self.passes(side)?.denoise;
        self.pass(pass, history)?;
        let mut interleaved = vec![0.0f32; self.words(self.wan.flow)];
        self.backend.read(self.wan.flow, bytemuck::cast_slice_mut(&mut interleaved))?;
        let (mut flow, len) = (vec![0.0; values], self.config.latent_len());
        for (out, frame) in flow.chunks_exact_mut(len).zip(interleaved.chunks_exact(len)) {
            planar(frame, self.config.latent.channels, out);
        }
        Ok(flow)
    }

    /// Commits clean latents [frames, C, H, W] to the ring, seen at the model's context noise, and goes on to the next chunk.
    ///
    /// # Errors
    /// As [`Self::flow`].
    pub fn commit(&mut self, latents: &[f32]) -> Result<(), RolloutError> {
        let frames = self.frames();
        let history = self.place(latents, &vec![self.context_timestep; frames])?;
        for side in self.sides() {
            let pass = self.passes(side)?.commit;
            self.pass(pass, history)?;
        }
        self.position += frames as u64;
        self.frame += frames as u64;
        self.keep(latents);
        self.blend_on()
    }

    /// Commits given clean latents [n, C, H, W] chunk by chunk: what a video begins with (spec 2.4).
    ///
    /// # Errors
    /// [`RolloutError::Size`] where n is not whole chunks, [`RolloutError::NotFinite`], a backend that fails.
    pub fn start(&mut self, latents: &[f32]) -> Result<(), RolloutError> {
        finite("the initial latents", latents)?;
        let mut rest = latents;
        while !rest.is_empty() {
            let size = self.frames() * self.config.latent_len();
            let (chunk, others) = rest.split_at_checked(size).ok_or_else(|| RolloutError::Size {
                what: "the rest of the initial latents",
                found: rest.len(),
                expected: format!("whole chunks of {} frames, {size} values", self.frames()),
            })?;
            self.commit(chunk)?;
            rest = others;
        }
        Ok(())
    }

    /// The plan that runs.
    pub fn plan(&self) -> &Plan {
        self.backend.plan()
    }

    /// The plan's passes and buffers; the plan itself lies with the backend ([`Self::plan`]).
    pub fn wan(&self) -> &WanPlan {
        &self.wan
    }

    /// The backend, for tools.
    pub fn backend(&mut self) -> &mut dyn Backend {
        self.backend.as_mut()
    }

    /// Bytes held, by purpose.
    pub fn memory(&self) -> Memory {
        let mut memory = self.backend.memory();
        let own = 4 * (self.recent.capacity() + self.prompt.len());
        memory.overhead += self.table.memory() + self.plan().bytes() + own;
        memory
    }

    /// The prompts that every chunk is committed under.
    fn sides(&self) -> impl Iterator<Item = Side> + use<> {
        let negative = self.wan.negative.is_some().then_some(Side::Negative);
        core::iter::once(Side::Positive).chain(negative)
    }

    fn branch(&self, side: Side) -> Result<&crate::model::WanBranch, RolloutError> {
        match (side, &self.wan.negative) {
            (Side::Positive, _) => Ok(&self.wan.positive),
            (Side::Negative, Some(branch)) => Ok(branch),
            (Side::Negative, None) => Err(RolloutError::Option("this stream was not created for guidance".into())),
        }
    }

    fn passes(&self, side: Side) -> Result<WanPasses, RolloutError> {
        let branch = self.branch(side)?;
        Ok(if self.position == 0 { branch.first } else { branch.chunk })
    }

    /// Writes a chunk's inputs; returns the visible history.
    fn place(&mut self, latents: &[f32], timesteps: &[f32]) -> Result<u32, RolloutError> {
        let (frames, len) = (self.frames(), self.config.latent_len());
        let wrong = |what, found, expected| Err(RolloutError::Size { what, found, expected });
        if latents.len() != frames * len {
            return wrong("a chunk", latents.len(), format!("{frames} frames of {len}"));
        }
        if timesteps.len() != frames {
            return wrong("timesteps", timesteps.len(), format!("one for each of {frames} frames"));
        }
        self.write(latents, timesteps)?;
        let rope = (self.config.rope_dims()[0], self.config.rope_theta);
        let buffers = (self.wan.frames, self.wan.rotations);
        Ok(self.table.place(self.backend.as_mut(), buffers, &self.ring, rope, self.frame, frames)?)
    }

    /// Writes latents and timesteps of some frames.
    fn write(&mut self, latents: &[f32], timesteps: &[f32]) -> Result<(), RolloutError> {
        let len = self.config.latent_len();
        let mut interleaved = vec![0.0; self.words(self.wan.latents)];
        for (frame, out) in latents.chunks_exact(len).zip(interleaved.chunks_exact_mut(len)) {
            interleave(frame, self.config.latent.channels, out);
        }
        let mut sinusoids = vec![0.0; self.words(self.wan.sinusoids)];
        for (&t, row) in timesteps.iter().zip(sinusoids.chunks_exact_mut(self.config.freq_dim)) {
            sinusoid(t, row);
        }
        self.backend.write(self.wan.latents, bytemuck::cast_slice(&interleaved))?;
        self.backend.write(self.wan.sinusoids, bytemuck::cast_slice(&sinusoids))?;
        Ok(())
    }

    fn words(&self, buffer: BufferId) -> usize {
        self.plan().buffer(buffer).len
    }

    fn pass(&mut self, pass: PassId, history: u32) -> Result<(), RolloutError> {
        let nodes = self.backend.plan().pass(pass).nodes.len();
        self.backend.run(pass, 0..nodes, &Params { history, ..Params::default() })?;
        Ok(())
    }
}

/// [cos(t f_i) | sin(t f_i)], f_i = 10000^(-i/half), in f64 as the reference does (spec 1.4, step 2).
fn sinusoid(t: f32, row: &mut [f32]) {
    let half = row.len() / 2;
    for i in 0..half {
        let angle = f64::from(t) * libm::pow(10_000.0, -(i as f64) / half as f64);
        row[i] = libm::cos(angle) as f32;
        row[half + i] = libm::sin(angle) as f32;
    }
}
