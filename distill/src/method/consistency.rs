//! Stage `consistency`: causal consistency distillation (Causal Forcing stage 2b, spec 5.4), after which few steps do.
//!
//! A frozen teacher takes one step down the flow from a noisy frame; the student must say the same about both ends. Its
//! own running average is the target. All three see the same history: real, or the teacher's re-synthesis, as a roll-out
//! would have it.
//!
//! A bidirectional teacher steps down whole windows, all frames at one level, of which the student sees the clean past alone: asymmetric
//! consistency, which the paper finds very blurry (its Fig. 10).

use std::path::Path;

use burn::tensor::Device;

use crate::footage::latents::warp;
use crate::method::resampling_forcing::Resampling;
use crate::method::teacher_forcing::{Regression, World};
use crate::net::dit;
use crate::net::mask::Mask;
use crate::net::weights::Weights;
use crate::train::optim::Rule;
use crate::train::state::StateError;
use crate::train::trainer::{Figures, Job, Stage};

/// Discrete levels between noise and data. The published 48 need tens of thousands of steps for what is learnt near the data
/// to travel up to the noise; at our budget a coarser ladder arrives.
const LEVELS: usize = 16;

/// Distillation of `teacher`.
pub struct Consistency<'a> {
    /// Data and settings.
    pub world: World<'a>,
    /// The frozen model to distil.
    pub teacher: &'a Weights,
    /// What the teacher sees: the same as the student, or under [`Mask::Full`] the whole noisy window.
    pub mask: Mask,
    /// How the history that all three see is degraded; real if `None`, as published.
    pub resampling: Option<Resampling>,
}

impl Consistency<'_> {
    fn level(&self, i: usize) -> f32 {
        warp(1.0 - i as f32 / LEVELS as f32, self.world.config.schedule.shift)
    }

    fn regression(&self, job: &mut Job<'_>) -> Regression {
        let (world, c, rng) = (&self.world, &self.world.config.dit, &mut job.rng);
        let mut windows = world.windows(job.share, rng);
        let history = match &self.resampling {
            // What re-synthesises is the student where the teacher cannot go frame by frame.
            Some(how) if self.mask == Mask::Full => {
                how.history(world, &job.state.averaged(), &job.device, &mut windows, rng)
            }
            Some(how) => how.history(world, self.teacher, &job.device, &mut windows, rng),
            None => windows.real.clone(),
        };

        // A level for each frame, or for all that see each other; the last pair of levels ends at the data themselves.
        let index = |count| (0..count).map(|_| rng.below(LEVELS)).collect();
        let index = self.mask.drawn(windows.batch, windows.frames, index);
        let high: Vec<f32> = index.iter().map(|&i| self.level(i)).collect();
        let low: Vec<f32> = index.iter().map(|&i| self.level(i + 1)).collect();
        let x = windows.mix(&windows.real, &rng.normals(windows.real.len()), &high);
        let input = windows.doubled(&history, &x, &high);
        let frame = windows.len;
        let step = |x: &[f32], v: &[f32], by: &dyn Fn(usize) -> f32| -> Vec<f32> {
            x.iter().zip(v).enumerate().map(|(i, (x, v))| x - by(i / frame) * v).collect()
        };
        let seen = windows.arranged(self.mask, &history, &x, &high);
        let v = world.velocity(self.teacher, &job.device, self.mask, &seen);
        let lower = step(&x, &v, &|f| high[f] - low[f]);
        let w =
            world.velocity(&job.state.averaged(), &job.device, world.mask(), &windows.doubled(&history, &lower, &low));
        let target = step(&lower, &w, &|f| low[f]);
        // |x - high v - target| in terms of the network's answer.
        let goal: Vec<f32> = x.iter().zip(&target).map(|(x, t)| x - t).collect();
        Regression { mask: world.mask(), input, scale: high, goal: dit::to_tokens(c, &goal) }
    }
}

impl Stage for Consistency<'_> {
    fn name(&self) -> &'static str {
        "consistency"
    }

    fn batch(&self) -> usize {
        self.world.batch
    }

    fn rule(&self) -> Rule {
        self.world.rule
    }

    fn gradient(&self, mut job: Job<'_>, flat: &mut [f32]) -> (f32, usize) {
        let r = self.regression(&mut job);
        self.world.gradient(&job.state.weights, &job.device, &r, flat)
    }

    fn inspect(&self, net: &Weights, device: &Device, dir: &Path, step: u64) -> Result<Figures, StateError> {
        self.world.roll_few(net, device, dir, (self.name(), step))
    }
}
