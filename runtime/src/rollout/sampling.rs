//! Sampling a whole video, chunk by chunk.

use alloc::{format, vec, vec::Vec};

use super::{Rollout, RolloutError, Side, finite};
use crate::sampler::{Sampler, Schedule, Solver};

/// How the chunks of a video are sampled.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// How latents are stepped.
    pub sampler: Sampler,
    /// Noise levels of every chunk.
    pub schedule: Schedule,
    /// Those of the stream's first chunk, where it has its own.
    pub first: Option<Schedule>,
    /// Guidance g: the flow is u + g (c - u) for the flows c under the prompt and u under the negative one; 1 is without.
    pub guidance: f32,
}

impl Sampling {
    /// A distilled student's sampling (spec 2.2) through these warped noise levels.
    pub fn few(sigmas: &[f32]) -> Self {
        Self { sampler: Sampler::Few, schedule: Schedule::of(sigmas), first: None, guidance: 1.0 }
    }

    /// Steps that add fresh noise, of the longest list: as many rows `renoise` has.
    pub fn renoised(&self) -> usize {
        let steps = self.schedule.len().max(self.first.as_ref().map_or(0, Schedule::len));
        if self.sampler == Sampler::Few { steps.saturating_sub(1) } else { 0 }
    }
}

/// What a watcher of [`Rollout::run_watched`] is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Moment<'a> {
    /// A chunk is about to begin: prompts may be switched.
    Chunk,
    /// A raw output of the network under the prompt [frames of the chunk, C, H, W].
    Flow(&'a [f32]),
}

impl Rollout {
    /// Samples a whole video: `noise` [F, C, H, W]; `renoise` [steps - 1, F, C, H, W] for [`Sampler::Few`], of the longest list of steps,
    /// empty for others. Returns latents [F, C, H, W].
    ///
    /// # Errors
    /// [`RolloutError::Size`] where F is not whole chunks, [`RolloutError::NotFinite`], [`RolloutError::Option`] for guidance without a
    /// second ring, a backend that fails.
    pub fn run(&mut self, noise: &[f32], renoise: &[f32], sampling: &Sampling) -> Result<Vec<f32>, RolloutError> {
        self.run_watched(noise, renoise, sampling, |_, _| Ok(()))
    }

    /// As [`Self::run`]; `watch` sees chunks begin and the network's outputs, and may switch prompts or end it with an error.
    ///
    /// # Errors
    /// As [`Self::run`], and those of `watch`.
    pub fn run_watched<E: From<RolloutError>>(
        &mut self,
        noise: &[f32],
        renoise: &[f32],
        sampling: &Sampling,
        mut watch: impl FnMut(&mut Self, Moment<'_>) -> Result<(), E>,
    ) -> Result<Vec<f32>, E> {
        let (len, renoised) = (self.config.latent_len(), sampling.renoised());
        if sampling.schedule.is_empty() || sampling.first.as_ref().is_some_and(Schedule::is_empty) {
            return Err(RolloutError::Option("a schedule without steps".into()).into());
        }
        if renoise.len() != renoised * noise.len() {
            let expected = format!("{renoised} times the {} of noise", noise.len());
            return Err(RolloutError::Size { what: "renoise", found: renoise.len(), expected }.into());
        }
        finite("noise", noise)?;
        finite("renoise", renoise)?;
        let mut latents = Vec::with_capacity(noise.len());
        while latents.len() < noise.len() {
            watch(self, Moment::Chunk)?;
            let (from, size) = (latents.len(), self.frames() * len);
            let Some(x) = noise.get(from..from + size) else {
                let expected = format!("whole chunks of {} frames, {size} values", self.frames());
                return Err(
                    RolloutError::Size { what: "the rest of noise", found: noise.len() - from, expected }.into()
                );
            };
            let fresh = |step: usize| renoise.get(step * noise.len() + from..).unwrap_or(&[]);
            let x = self.sample(x.to_vec(), fresh, sampling, &mut watch)?;
            self.commit(&x)?;
            latents.extend(x);
        }
        Ok(latents)
    }

    /// Samples the next chunk from noise `x`.
    fn sample<'n, E: From<RolloutError>>(
        &mut self,
        mut x: Vec<f32>,
        fresh: impl Fn(usize) -> &'n [f32],
        sampling: &Sampling,
        watch: &mut impl FnMut(&mut Self, Moment<'_>) -> Result<(), E>,
    ) -> Result<Vec<f32>, E> {
        let own = sampling.first.as_ref().filter(|_| self.position == 0);
        let schedule = own.unwrap_or(&sampling.schedule);
        let mut solver = Solver::new(sampling.sampler, schedule);
        for (step, &timestep) in schedule.timesteps.iter().enumerate() {
            let history = self.place(&x, &vec![timestep; self.frames()])?;
            let mut flow = self.predict(Side::Positive, x.len(), history)?;
            watch(self, Moment::Flow(&flow))?;
            if sampling.guidance != 1.0 {
                let negative = self.predict(Side::Negative, x.len(), history)?;
                for (flow, u) in flow.iter_mut().zip(negative) {
                    *flow = u + sampling.guidance * (*flow - u);
                }
            }
            solver.step(step, &mut x, &flow, fresh(step));
        }
        Ok(x)
    }
}
