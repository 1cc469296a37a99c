//! Exact, deterministic work: the same stream, from given noise, without a codec.
//!
//! ```no_run
//! # fn f(noise: Vec<f32>, renoise: Vec<f32>, prompt: Vec<f32>) -> Result<(), Box<dyn std::error::Error>> {
//! use causeway_runtime::{Device, Exact, Model, SessionOptions, sampler::Sampling, session::{Change, Condition}};
//! let model = Model::open("wan.safetensors")?;
//! let sampling = Some(Sampling::few(&[1.0, 0.9375, 0.8333333, 0.625]));
//! let options = SessionOptions { sampling, ..SessionOptions::default() };
//! let mut exact = Exact::new(&model, &Device::auto(Device::cpu(0)), options)?;
//! exact.session().set_prompt(0, &prompt)?;
//! exact.session().queue(Change::to(Condition::Prompt(0)))?;
//! let latents = exact.run(&noise, &renoise, |_| Ok::<(), causeway_runtime::SessionError>(()))?;
//! # Ok(()) }
//! ```

use alloc::{format, vec, vec::Vec};

use super::{
    budget::Budget,
    error::{SessionError, finite},
    given::Given,
    options::{Output, SessionOptions},
    pump::at,
    session::Session,
};
use crate::{
    device::Device,
    file::Model,
    layout::{interleave, planar},
    model::{Level, ProgramId, sinusoid},
};

impl Session {
    /// Writes the noise that a chunk of `frames` frames begins with, where the host gives it, and what the passes are told.
    pub(super) fn draw(&mut self, frames: usize) -> Result<(), SessionError> {
        let Some(given) = &self.given else { return Ok(()) };
        let len = frames * self.settled.dit.latent_len();
        if given.noise.len() < len {
            return Err(SessionError::Size { what: "noise", found: given.noise.len(), expected: format!("{len}") });
        }
        self.tables.give(self.backend.as_mut(), &self.stream, &given.noise[..len])?;
        self.renoise()
    }

    /// Writes what the host gives for the step that the cursor is at: the noise that is added after it.
    pub(super) fn renoise(&mut self) -> Result<(), SessionError> {
        let (Some(given), Some(exact)) = (&self.given, self.stream.exact) else { return Ok(()) };
        let Some(fresh) = given.fresh.get(self.state.cursor.level) else { return Ok(()) };
        let mut whole = vec![0.0; self.backend.plan().buffer(exact.fresh).len];
        whole[..fresh.len()].copy_from_slice(fresh);
        Ok(self.backend.write(exact.fresh, bytemuck::cast_slice(&whole))?)
    }

    /// Writes the timesteps that the pass about to begin is told, where there is no table of them.
    pub(super) fn time(&mut self) -> Result<(), SessionError> {
        let cursor = self.state.cursor;
        let begins = (cursor.node, cursor.part) == (0, 0);
        let Some(sinusoids) = self.stream.exact.filter(|_| begins).and_then(|exact| exact.sinusoids) else {
            return Ok(());
        };
        let Some((program, step)) = at(self, &cursor) else { return Ok(()) };
        let (width, frames) = (self.settled.dit.freq_dim, program.frames);
        let levels = self.settled.schedule(self.state.position == 0, self.state.quality.steps);
        let timesteps = match (step.level, self.given.as_ref().and_then(|given| given.timesteps.as_ref())) {
            (Level::Clean, _) => vec![self.settled.context_timestep; frames],
            (Level::Step, Some(own)) => own.clone(),
            (Level::Step, None) => vec![levels.timesteps[self.state.cursor.level]; frames],
        };
        let mut rows = vec![0.0; self.backend.plan().buffer(sinusoids).len];
        rows.chunks_exact_mut(width).zip(timesteps).for_each(|(row, timestep)| sinusoid(timestep, row));
        Ok(self.backend.write(sinusoids, bytemuck::cast_slice(&rows))?)
    }
}

/// What a watcher of [`Exact::run`] is told.
pub enum Moment<'a> {
    /// A chunk is about to begin: changes may be queued.
    Chunk(&'a mut Session),
    /// A raw output of the network under the prompt [frames of the chunk, C, H, W].
    Flow(&'a [f32]),
}

/// A stream from given noise.
pub struct Exact(Session);

impl Exact {
    /// A stream of `model` on `device` that gives latents.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn new(model: &Model<'_>, device: &Device, options: SessionOptions) -> Result<Self, SessionError> {
        let queue = options.chunk.unwrap_or(model.config().dit.chunk).max(1);
        let options = SessionOptions { output: Output::Latents, queue, ..options };
        Session::create(model, None, device, options, true).map(Self)
    }

    /// The stream, to be told of prompts and asked for its sizes.
    pub fn session(&mut self) -> &mut Session {
        &mut self.0
    }

    /// Frames of the next chunk.
    pub fn frames(&self) -> usize {
        self.0.chunk_frames()
    }

    /// Makes a whole video: `noise` [F, C, H, W]; `renoise` [steps - 1, F, C, H, W] for few-step sampling, of the longest list of steps, empty for
    /// other samplers. Returns latents [F, C, H, W], behind those that the stream starts from. `watch` sees chunks begin and the network's
    /// outputs, and may end it with an error.
    ///
    /// # Errors
    /// [`SessionError::Size`] where F is not whole chunks, [`SessionError::NotFinite`], a backend that fails, and those of `watch`.
    pub fn run<E: From<SessionError>>(
        &mut self,
        noise: &[f32],
        renoise: &[f32],
        mut watch: impl FnMut(Moment<'_>) -> Result<(), E>,
    ) -> Result<Vec<f32>, E> {
        let (len, renoised) = (self.0.settled.dit.latent_len(), self.0.settled.sampling.renoised());
        if renoise.len() != renoised * noise.len() {
            let expected = format!("{renoised} times the {} of noise", noise.len());
            return Err(SessionError::Size { what: "renoise", found: renoise.len(), expected }.into());
        }
        finite("noise", noise)?;
        finite("renoise", renoise)?;
        let mut latents = Vec::new();
        self.open(&mut latents)?;
        let mut from = 0;
        while from < noise.len() {
            watch(Moment::Chunk(&mut self.0))?;
            let frames = self.frames();
            let size = frames * len;
            if noise.len() - from < size {
                let expected = format!("whole chunks of {frames} frames, {size} values");
                let (what, found) = ("the rest of noise", noise.len() - from);
                return Err(SessionError::Size { what, found, expected }.into());
            }
            let fresh = (0..renoised).map(|step| self.interleaved(&renoise[step * noise.len() + from..][..size]));
            let (fresh, noise) = (fresh.collect(), self.interleaved(&noise[from..from + size]));
            self.0.given = Some(Given { noise, fresh, timesteps: None });
            let position = self.0.state.position;
            while self.0.state.position == position {
                if let Some(flow) = self.step(frames)? {
                    watch(Moment::Flow(&flow))?;
                }
                self.take(&mut latents);
            }
            from += size;
        }
        Ok(latents)
    }

    /// The network's flow for the next chunk's latents [frames, C, H, W], one timestep per frame. Nothing is committed, and nothing is left of it.
    ///
    /// # Errors
    /// [`SessionError::Size`], [`SessionError::NotFinite`], a backend that fails; [`SessionError::Option`] of a model that knows only the noise
    /// levels of its file.
    pub fn flow(&mut self, latents: &[f32], timesteps: &[f32]) -> Result<Vec<f32>, SessionError> {
        let (frames, len) = (self.frames(), self.0.settled.dit.latent_len());
        let wrong = |what, found, expected| Err(SessionError::Size { what, found, expected });
        if latents.len() != frames * len {
            return wrong("a chunk", latents.len(), format!("{frames} frames of {len}"));
        }
        if timesteps.len() != frames {
            return wrong("timesteps", timesteps.len(), format!("one for each of {frames} frames"));
        }
        if self.0.stream.exact.is_some_and(|exact| exact.sinusoids.is_none()) {
            return Err(SessionError::Option("this model is told the noise levels of its file only".into()));
        }
        finite("a chunk", latents)?;
        finite("timesteps", timesteps)?;
        self.open(&mut Vec::new())?;
        let noise = self.interleaved(latents);
        self.0.given = Some(Given { noise, fresh: Vec::new(), timesteps: Some(timesteps.to_vec()) });
        let flow = loop {
            if let Some(flow) = self.step(frames)? {
                break flow;
            }
        };
        self.0.abort_chunk();
        self.0.given = None;
        Ok(flow)
    }

    /// Commits what the stream starts from.
    fn open(&mut self, latents: &mut Vec<f32>) -> Result<(), SessionError> {
        while self.0.opens().is_some() {
            self.step(0)?;
            self.take(latents);
        }
        Ok(())
    }

    /// One node; the flow under the prompt where its pass has just been run for the chunk's `frames` frames.
    fn step(&mut self, frames: usize) -> Result<Option<Vec<f32>>, SessionError> {
        let before = self.0.state.cursor;
        self.0.pump(Budget::Nodes(1))?;
        let now = self.0.state.cursor;
        let (Some(exact), Some(ProgramId::Chunk(_))) = (self.0.stream.exact, before.program) else { return Ok(None) };
        // The first pass of a chunk is that of the prompt: the host gives the noise.
        if before.step != 0 || (now.step, now.level) == (0, before.level) {
            return Ok(None);
        }
        let mut all = vec![0.0f32; self.0.backend.plan().buffer(exact.flow).len];
        self.0.backend.read(exact.flow, bytemuck::cast_slice_mut(&mut all))?;
        let (len, channels) = (self.0.settled.dit.latent_len(), self.0.settled.dit.latent.channels);
        let mut flow = vec![0.0; frames * len];
        for (out, frame) in flow.chunks_exact_mut(len).zip(all.chunks_exact(len)) {
            planar(frame.iter().copied(), channels, out);
        }
        Ok(Some(flow))
    }

    /// Takes the latents that are ready.
    fn take(&mut self, latents: &mut Vec<f32>) {
        let len = self.0.settled.dit.latent_len();
        let at = latents.len();
        latents.resize(at + len, 0.0);
        if self.0.latent(&mut latents[at..]).is_none() {
            latents.truncate(at);
        }
    }

    fn interleaved(&self, latents: &[f32]) -> Vec<f32> {
        let (len, channels) = (self.0.settled.dit.latent_len(), self.0.settled.dit.latent.channels);
        let mut out = vec![0.0; latents.len()];
        latents.chunks_exact(len).zip(out.chunks_exact_mut(len)).for_each(|(from, to)| interleave(from, channels, to));
        out
    }
}
