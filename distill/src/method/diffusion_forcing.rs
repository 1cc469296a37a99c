//! Flow matching of one noisy sequence. Under [`Mask::Causal`] each frame has its own noise level, history too: diffusion forcing
//! (spec 5.2). Under [`Mask::Full`] all frames share one level and see each other: the bidirectional video model that Self Forcing
//! takes for its score, and that Causal Forcing shows to be the wrong teacher for a causal student.

use std::path::Path;

use burn::tensor::Device;

use crate::judge::eval::{self, Held, Sampler};
use crate::method::ode_distillation;
use crate::method::teacher_forcing::World;
use crate::net::mask::Mask;
use crate::net::weights::Weights;
use crate::rng::Rng;
use crate::train::optim::Rule;
use crate::train::state::StateError;
use crate::train::trainer::{Figures, Job, Stage};

/// Flow matching of sequences.
pub struct DiffusionForcing<'a> {
    /// Data and settings.
    pub world: World<'a>,
    /// Which frames see which: [`Mask::Causal`] or [`Mask::Full`].
    pub mask: Mask,
}

/// Noise levels [B, F] for the frames of `batch` sequences: one for each frame, or under [`Mask::Full`] for each sequence.
pub fn levels(world: &World<'_>, mask: Mask, batch: usize, frames: usize, rng: &mut Rng) -> Vec<f32> {
    mask.drawn(batch, frames, |count| world.levels(rng, count))
}

impl DiffusionForcing<'_> {
    /// A bidirectional model cannot be rolled out frame by frame: it draws whole windows for actions and events that were.
    fn draw(&self, held: &Held<'_>, net: &Weights, device: &Device, sheet: &Path) -> Result<Figures, StateError> {
        let (world, frames) = (&self.world, self.world.frames);
        let starts = eval::windows(held, frames);
        let windows = held.latents.begun(&starts, frames);
        let noise = Rng::new(7).normals(windows.real.len());
        let ends =
            ode_distillation::integrate(world, net, device, self.mask, &windows, &noise).pop().unwrap_or_default();
        let made: Vec<_> = (0..frames).map(|f| windows.at(&ends, f)).collect();
        eval::draw(held, world.config, device, &starts, &made, sheet)
    }
}

impl Stage for DiffusionForcing<'_> {
    fn name(&self) -> &'static str {
        if self.mask == Mask::Full { "bidirectional" } else { "diffusion" }
    }

    fn batch(&self) -> usize {
        self.world.batch
    }

    fn rule(&self) -> Rule {
        self.world.rule
    }

    fn gradient(&self, mut job: Job<'_>, flat: &mut [f32]) -> (f32, usize) {
        let windows = self.world.windows(job.share, &mut job.rng);
        let sigma = levels(&self.world, self.mask, windows.batch, windows.frames, &mut job.rng);
        let r = self.world.matching(self.mask, &windows, &[], &sigma, &mut job.rng);
        self.world.gradient(&job.state.weights, &job.device, &r, flat)
    }

    fn inspect(&self, net: &Weights, device: &Device, dir: &Path, step: u64) -> Result<Figures, StateError> {
        let sheet = dir.join(format!("{}-{step}.png", self.name()));
        match (self.mask, self.world.held) {
            (Mask::Full, Some(held)) => self.draw(held, net, device, &sheet),
            (Mask::Full, None) => Ok(Vec::new()),
            _ => self.world.roll(net, device, Sampler::Flow(8), &sheet),
        }
    }
}
