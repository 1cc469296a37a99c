//! Exact, deterministic work on a Wan model without a decoder: chunk by chunk from given noise, with the ring of a session.
//!
//! ```no_run
//! # fn f(noise: Vec<f32>, renoise: Vec<f32>, prompt: Vec<f32>) -> Result<(), Box<dyn std::error::Error>> {
//! use causeway_runtime::{Model, Rollout, RolloutOptions};
//! let model = Model::open("wan.safetensors")?;
//! let mut rollout = Rollout::new(&model, model.config().dit.latent, RolloutOptions::default())?;
//! rollout.set_text(&prompt)?;
//! let latents = rollout.run(&noise, &renoise, &[1.0, 0.9375, 0.8333333, 0.625])?;
//! # Ok(()) }
//! ```

use alloc::{boxed::Box, format, string::String, vec, vec::Vec};

use causeway_ops::{Backend, BackendError, Kv, Params, Plan, backend::Memory, plan::PassId};

use crate::{
    config::{DitConfig, Family, LatentConfig, Positions},
    file::Model,
    model::{ModelError, Past, WanPlan, WanShape},
    session::{
        BackendChoice, Ring, SessionError, SessionOptions,
        create::{self, interleave, planar},
        frame_table::FrameTable,
    },
};

/// Why a rollout was refused, or failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RolloutError {
    /// An option is out of range for this model.
    #[error("{0}")]
    Option(String),
    /// An input of the wrong size.
    #[error("{what} has {found} values, expected {expected}")]
    Size {
        /// Which input.
        what: &'static str,
        /// Values given.
        found: usize,
        /// What would have been accepted.
        expected: String,
    },
    /// An input that is not a number.
    #[error("value {index} of {what} is not a finite number")]
    NotFinite {
        /// Which input.
        what: &'static str,
        /// Where.
        index: usize,
    },
    /// The model cannot be run so.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The backend refused or failed.
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl From<BackendError> for RolloutError {
    fn from(error: BackendError) -> Self {
        Self::Session(error.into())
    }
}

/// How a stream runs; fields left `None` take the model file's value.
#[derive(Clone, Debug, Default)]
pub struct RolloutOptions {
    /// Latent frames attention sees, including sink and chunk.
    pub window: Option<usize>,
    /// First frames that stay.
    pub sink: Option<usize>,
    /// Frames of a chunk.
    pub chunk: Option<usize>,
    /// Frames of the first chunk; all chunks are alike if `None`.
    pub first: Option<usize>,
    /// History frames kept a query; 0 for all.
    pub route: Option<usize>,
    /// How the ring stores keys and values.
    pub kv: Kv,
    /// Numbering of frames.
    pub positions: Option<Positions>,
    /// Timestep at which the commit pass sees clean frames.
    pub context_noise: Option<f32>,
    /// Rows a prompt is padded to.
    pub text_length: Option<usize>,
    /// Most rows of a prompt, `text_length` if `None`: memory for cross-attention is kept for so many.
    pub text_rows: Option<usize>,
    /// Where to compute.
    pub backend: BackendChoice,
    /// CPU threads; 0 takes what the machine has.
    pub threads: usize,
    /// Most bytes to hold.
    pub memory_cap: Option<usize>,
}

/// A stream of a Wan model.
pub struct Rollout {
    backend: Box<dyn Backend>,
    wan: WanPlan,
    config: DitConfig,
    ring: Ring,
    first: usize,
    text_length: usize,
    text_rows: usize,
    context_timestep: f32,
    table: FrameTable,
    /// Number of the next chunk's first frame.
    frame: u64,
}

impl Rollout {
    /// A stream of `model` on latents of this size (a DiT has no size of its own).
    ///
    /// # Errors
    /// Options that do not fit the model, a memory cap that is too small, no adapter.
    pub fn new(model: &Model<'_>, latent: LatentConfig, options: RolloutOptions) -> Result<Self, RolloutError> {
        let mut config = model.config().clone();
        let (Family::Wan, Some(text)) = (config.family, config.dit.text) else {
            return Err(ModelError::Unsupported("it reads no text; `Session` runs it".into()).into());
        };
        let chunk = options.chunk.unwrap_or(config.dit.chunk);
        let window = options.window.unwrap_or(config.history.window.max(chunk));
        config.dit.chunk = chunk;
        config.dit.latent = latent;
        // One frame more than a chunk is what a file must have; a single chunk needs no history.
        config.history.window = window.max(chunk.saturating_add(1));
        config.history.sink = options.sink.unwrap_or(config.history.sink.min(window.saturating_sub(chunk)));
        config.history.route = options.route.unwrap_or(config.history.route.min(config.history.window));
        config.schedule.context_noise = options.context_noise.unwrap_or(config.schedule.context_noise);
        config.validate().map_err(|error| RolloutError::Option(format!("{error}")))?;
        let first = options.first.unwrap_or(chunk);
        let text_length = options.text_length.unwrap_or(text.length);
        let text_rows = options.text_rows.unwrap_or(text_length);
        let refused = |what: String| Err(RolloutError::Option(what));
        if window < chunk || config.history.sink > window - chunk {
            let sink = config.history.sink;
            return refused(format!(
                "a window of {window} frames does not hold a sink of {sink} and a chunk of {chunk}"
            ));
        }
        if !(1..=chunk).contains(&first) {
            return refused(format!("the first chunk has {first} frames, expected 1 to {chunk}"));
        }
        if !(1..=4096).contains(&text_length) || text_rows > text_length {
            return refused(format!("{text_rows} rows of text do not fit a length of {text_length}; at most 4096"));
        }
        // The row after the last one stands for the padding.
        let text_rows = text_rows + 1;
        let past = Past { kv: options.kv, ..Past::new(window, config.history.route) };
        let shape = WanShape { first, past, text_rows };
        let mut wan = WanPlan::new(&config.dit, shape)?;
        let plan = core::mem::take(&mut wan.plan);
        let positions = options.positions.unwrap_or(config.history.positions);
        let ring = Ring { window, sink: config.history.sink, chunk, positions };
        let table = FrameTable::new(&ring, config.dit.rope_dims()[0]);
        let mut session = SessionOptions {
            backend: options.backend,
            threads: options.threads,
            memory_cap: options.memory_cap,
            ..SessionOptions::default()
        };
        let backend = create::backend(model, &plan, &mut session, table.memory() + plan.bytes())?;
        let context_timestep = config.schedule.context_noise;
        Ok(Self {
            backend,
            wan,
            config: config.dit,
            ring,
            first,
            text_length,
            text_rows,
            context_timestep,
            table,
            frame: 0,
        })
    }

    /// Sets the prompt: text embeddings [n, text dim] without their padding.
    ///
    /// # Errors
    /// [`RolloutError::Size`], [`RolloutError::NotFinite`], a backend that fails.
    pub fn set_text(&mut self, text: &[f32]) -> Result<(), RolloutError> {
        let dim = self.config.text.map_or(1, |text| text.dim);
        let most = self.text_rows - 1;
        if !text.len().is_multiple_of(dim) || text.len() / dim > most {
            let expected = format!("at most {most} rows of {dim}");
            return Err(RolloutError::Size { what: "the text", found: text.len(), expected });
        }
        finite("the text", text)?;
        let rows = text.len() / dim;
        let mut padded = vec![0.0; self.text_rows * dim];
        padded[..text.len()].copy_from_slice(text);
        // Rows that stand for nothing are never seen.
        let mut offsets = vec![-1e30; self.text_rows];
        offsets[..rows].fill(0.0);
        if rows < self.text_length {
            offsets[rows] = libm::log((self.text_length - rows) as f64) as f32;
        }
        self.backend.write(self.wan.text, bytemuck::cast_slice(&padded))?;
        self.backend.write(self.wan.offsets, bytemuck::cast_slice(&offsets))?;
        self.pass(self.wan.condition, 0)
    }

    /// Frames of the next chunk.
    pub fn frames(&self) -> usize {
        if self.frame == 0 { self.first } else { self.ring.chunk }
    }

    /// Number of the next chunk's first frame.
    pub fn position(&self) -> u64 {
        self.frame
    }

    /// The network's flow for the next chunk's latents [frames, C, H, W], one timestep a frame. Nothing is committed.
    ///
    /// # Errors
    /// [`RolloutError::Size`], a backend that fails.
    pub fn flow(&mut self, latents: &[f32], timesteps: &[f32]) -> Result<Vec<f32>, RolloutError> {
        let history = self.place(latents, timesteps)?;
        let pass = if self.frame == 0 { self.wan.first.denoise } else { self.wan.chunk.denoise };
        self.pass(pass, history)?;
        let len = self.config.latent_len();
        let mut interleaved = vec![0.0f32; self.ring.chunk * len];
        self.backend.read(self.wan.flow, bytemuck::cast_slice_mut(&mut interleaved))?;
        let mut flow = vec![0.0; latents.len()];
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
        let pass = if self.frame == 0 { self.wan.first.commit } else { self.wan.chunk.commit };
        self.pass(pass, history)?;
        self.frame += frames as u64;
        Ok(())
    }

    /// The few-step sampler (spec 2.2) over a whole video: `noise` [F, C, H, W], `renoise` [steps - 1, F, C, H, W], `sigmas` the
    /// warped noise levels. Returns latents [F, C, H, W].
    ///
    /// # Errors
    /// [`RolloutError::Size`] where F is not whole chunks, [`RolloutError::NotFinite`], a backend that fails.
    pub fn run(&mut self, noise: &[f32], renoise: &[f32], sigmas: &[f32]) -> Result<Vec<f32>, RolloutError> {
        self.run_watched(noise, renoise, sigmas, |_| Ok(()))
    }

    /// As [`Self::run`]; `watch` sees every raw output of the network [frames of the chunk, C, H, W] and may end it with an error.
    ///
    /// # Errors
    /// As [`Self::run`], and those of `watch`.
    pub fn run_watched<E: From<RolloutError>>(
        &mut self,
        noise: &[f32],
        renoise: &[f32],
        sigmas: &[f32],
        mut watch: impl FnMut(&[f32]) -> Result<(), E>,
    ) -> Result<Vec<f32>, E> {
        let len = self.config.latent_len();
        let expected = format!("{} for {} noise levels", sigmas.len().max(1) - 1, sigmas.len());
        if sigmas.is_empty() || renoise.len() != (sigmas.len() - 1) * noise.len() {
            return Err(RolloutError::Size { what: "renoise", found: renoise.len(), expected }.into());
        }
        finite("noise", noise)?;
        finite("renoise", renoise)?;
        let mut latents = Vec::with_capacity(noise.len());
        while latents.len() < noise.len() {
            let (from, size) = (latents.len(), self.frames() * len);
            let Some(x) = noise.get(from..from + size) else {
                let expected = format!("whole chunks of {} frames, {size} values", self.frames());
                return Err(
                    RolloutError::Size { what: "the rest of noise", found: noise.len() - from, expected }.into()
                );
            };
            let mut x = x.to_vec();
            for (step, &sigma) in sigmas.iter().enumerate() {
                let flow = self.flow(&x, &vec![1000.0 * sigma; self.frames()])?;
                watch(&flow)?;
                let next = f64::from(sigmas.get(step + 1).copied().unwrap_or(0.0));
                let fresh = renoise.get(step * noise.len() + from..).unwrap_or(&[]);
                for (i, (x, v)) in x.iter_mut().zip(&flow).enumerate() {
                    let clean = f64::from(*x) - f64::from(sigma) * f64::from(*v);
                    let noise = if next > 0.0 { f64::from(fresh[i]) } else { 0.0 };
                    *x = ((1.0 - next) * clean + next * noise) as f32;
                }
            }
            self.commit(&x)?;
            latents.extend(x);
        }
        Ok(latents)
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
        memory.overhead += self.table.memory() + self.plan().bytes();
        memory
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
        let mut interleaved = vec![0.0; self.ring.chunk * len];
        for (frame, out) in latents.chunks_exact(len).zip(interleaved.chunks_exact_mut(len)) {
            interleave(frame, self.config.latent.channels, out);
        }
        let mut sinusoids = vec![0.0; self.ring.chunk * self.config.freq_dim];
        for (&t, row) in timesteps.iter().zip(sinusoids.chunks_exact_mut(self.config.freq_dim)) {
            sinusoid(t, row);
        }
        self.backend.write(self.wan.latents, bytemuck::cast_slice(&interleaved))?;
        self.backend.write(self.wan.sinusoids, bytemuck::cast_slice(&sinusoids))?;
        let rope = (self.config.rope_dims()[0], self.config.rope_theta);
        let buffers = (self.wan.frames, self.wan.rotations);
        Ok(self.table.place(self.backend.as_mut(), buffers, &self.ring, rope, self.frame, frames)?)
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

pub(crate) fn finite(what: &'static str, values: &[f32]) -> Result<(), RolloutError> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(RolloutError::NotFinite { what, index }),
        None => Ok(()),
    }
}
