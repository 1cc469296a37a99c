//! Stage `resampling`: the same loss, but on a history the model made itself (Resampling Forcing, spec 5.3).
//!
//! Each window's frames are noised to one level and brought back in one Euler step, frame after frame on the model's own
//! output, so that their errors look like those of a roll-out. The target stays the real frame: the model learns to walk
//! back to the data from where its mistakes lead. No gradient flows through the history.

use std::path::Path;

use burn::tensor::Device;
use causeway_runtime::config::DitConfig;

use crate::eval::{self, Sampler};
use crate::latents::{Windows, warp};
use crate::method::teacher_forcing::{Regression, World};
use crate::optim::Rule;
use crate::rng::Rng;
use crate::rollout::{Engine, Rollout};
use crate::state::StateError;
use crate::trainer::{Job, Stage};
use crate::weights::Weights;

/// Shift of the distribution of re-synthesis levels. In the paper 0.6 is good, 0.1 lets errors pile up and 3 lets content drift
/// (spec 5.3); a world told its actions drifts less and fades more, so history is re-made from further up.
const SHIFT: f32 = 1.0;

/// Share of windows whose history is left clean, so that one-frame precision is not forgotten.
const CLEAN: f32 = 0.1;

/// The model's own version of the frames of `windows` [B, F, C, H, W], without gradient; the frame before each window is
/// perturbed too, since the extra input channels see it.
pub fn resample(engine: Engine<'_>, c: &DitConfig, route: usize, windows: &mut Windows, rng: &mut Rng) -> Vec<f32> {
    // One logit-normal level for each sequence.
    let level = |rng: &mut Rng| {
        let keep = rng.unit() < CLEAN;
        let u = 1.0 / (1.0 + (-rng.normal()).exp());
        if keep { 0.0 } else { warp(u, SHIFT) }
    };
    let levels: Vec<f32> = (0..windows.batch).map(|_| level(rng)).collect();
    for (before, &s) in windows.before.chunks_exact_mut(windows.len).zip(&levels) {
        if before.iter().any(|&x| x != 0.0) {
            // Typical one-step error of a re-synthesis at this level; there is no cache to make it from.
            before.iter_mut().for_each(|x| *x += 0.15 * s * rng.normal());
        }
    }
    let mut rollout = Rollout::new(engine, c, windows.frames, windows.before.clone()).routed(route);
    let mut out = vec![0.0; windows.real.len()];
    for f in 0..windows.frames {
        let (actions, events) = (windows.at(&windows.actions, f), windows.at(&windows.events, f));
        let real = windows.at(&windows.real, f);
        let x: Vec<f32> = real
            .iter()
            .enumerate()
            .map(|(i, x)| {
                let s = levels[i / windows.len];
                (1.0 - s) * x + s * rng.normal()
            })
            .collect();
        let v = rollout.velocity(&x, &levels, &actions, &events);
        let made: Vec<f32> = (0..x.len()).map(|i| x[i] - levels[i / windows.len] * v[i]).collect();
        for b in 0..windows.batch {
            let to = (b * windows.frames + f) * windows.len;
            out[to..to + windows.len].copy_from_slice(&made[b * windows.len..(b + 1) * windows.len]);
        }
        rollout.commit(&made, &actions, &events);
    }
    out
}

/// Flow matching on self-made history.
pub struct ResamplingForcing<'a>(pub World<'a>);

impl ResamplingForcing<'_> {
    fn regression(&self, job: &mut Job<'_>) -> Regression {
        let (world, weights) = (&self.0, &job.state.weights);
        let mut windows = world.data.windows(job.share, world.frames, &mut job.rng);
        let leaves = world.leaves(weights, &job.device);
        let history =
            resample(world.engine(weights, &leaves), &world.config.dit, world.route, &mut windows, &mut job.rng);
        world.flow(&windows, &history, &mut job.rng)
    }
}

impl Stage for ResamplingForcing<'_> {
    fn name(&self) -> &'static str {
        "resampling"
    }

    fn batch(&self) -> usize {
        self.0.batch
    }

    fn rule(&self) -> Rule {
        self.0.rule
    }

    fn gradient(&self, mut job: Job<'_>, flat: &mut [f32]) -> (f32, usize) {
        let r = self.regression(&mut job);
        self.0.gradient(&job.state.weights, &job.device, &r, flat)
    }

    fn inspect(&self, net: &Weights, device: &Device, dir: &Path, step: u64) -> Result<Vec<(String, f64)>, StateError> {
        eval::roll(
            self.0.held,
            self.0.config,
            net,
            device,
            Sampler::Flow(8),
            &dir.join(format!("resampling-{step}.png")),
        )
    }
}
