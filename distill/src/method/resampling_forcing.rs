//! Stage `resampling`: the same loss, but on a history the model made itself (Resampling Forcing, spec 5.3).
//!
//! Each window's frames are noised to one level and brought back in one Euler step, frame after frame on the model's own
//! output, so that their errors look like those of a roll-out. The target stays the real frame: the model learns to walk
//! back to the data from where its mistakes lead. No gradient flows through the history. [`Degrade`] has the paper's two
//! weaker ways beside it.
//!
//! **Ours, not the paper's: own roll-outs.** A re-synthesis begins with the noised truth, so it is never in the wrong place. Where
//! actions decide what comes, as in a world with a renderer, the recorded frame is the truth for any history that was led along
//! the recorded actions. So a share of windows may have a history that the model made from nothing but noise, after some real
//! frames, and still be told what should be there.

use std::path::Path;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::footage::latents::{Windows, even_levels, warp};
use crate::judge::eval::Sampler;
use crate::method::teacher_forcing::{Regression, World};
use crate::net::rollout::Engine;
use crate::net::weights::Weights;
use crate::rng::Rng;
use crate::train::optim::Rule;
use crate::train::state::StateError;
use crate::train::trainer::{Figures, Job, Stage};

/// Where the errors in a history come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Degrade {
    /// Gaussian noise: nothing of the model in it.
    Noise,
    /// Each frame re-made given the real ones before it: the model's errors, which do not add up.
    Parallel,
    /// Each frame re-made given those re-made before it: the method.
    Autoregressive,
}

/// How the level of a re-synthesis is drawn, before its shift.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drawn {
    /// The sigmoid of a normal number, as published: mostly in the middle.
    #[default]
    LogitNormal,
    /// Evenly.
    Uniform,
    /// Mostly near to noise: the larger of two even draws.
    Early,
    /// Mostly near to the data: the smaller of two even draws.
    Late,
}

impl Drawn {
    fn level(self, rng: &mut Rng) -> f32 {
        match self {
            Self::LogitNormal => 1.0 / (1.0 + (-rng.normal()).exp()),
            Self::Uniform => rng.unit(),
            Self::Early => rng.unit().max(rng.unit()),
            Self::Late => rng.unit().min(rng.unit()),
        }
    }
}

/// How a history is degraded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Resampling {
    /// Where its errors come from.
    #[serde(rename = "degrade")]
    pub how: Degrade,
    /// Shift of the distribution of re-synthesis levels. In the paper 0.6 is good, 0.1 lets errors pile up and 3 lets content
    /// drift (spec 5.3).
    pub shift: f32,
    /// How those levels are drawn before it.
    pub drawn: Drawn,
    /// Share of windows whose history is an own roll-out; all else is about the other windows.
    pub own: f32,
    /// Euler steps of a frame of such a roll-out: one makes the mean of what may come.
    pub own_steps: usize,
    /// Share of windows whose history is left clean, so that one-frame precision is not forgotten.
    pub clean: f32,
}

/// A world told its actions drifts less and fades more than a film: history is re-made from further up.
impl Default for Resampling {
    fn default() -> Self {
        Self { how: Degrade::Autoregressive, shift: 1.0, drawn: Drawn::LogitNormal, own: 0.0, own_steps: 2, clean: 0.1 }
    }
}

/// The part of a re-synthesis level that plain noise is worth: as much would leave nothing to continue from.
const NOISE: f32 = 0.3;

/// Most frames of an own roll-out. Farther on nothing the model can still know leads back.
const OWN: usize = 24;

impl Resampling {
    /// The degraded frames of `windows` [B, F, C, H, W], made by `weights` without gradient; the frame before each window is
    /// perturbed too, since the extra input channels see it.
    pub fn history(
        &self,
        world: &World<'_>,
        weights: &Weights,
        device: &Device,
        windows: &mut Windows,
        rng: &mut Rng,
    ) -> Vec<f32> {
        if self.own <= 0.0 {
            return self.degraded(world, weights, device, windows, rng);
        }
        // Windows are all drawn alike, so it may as well be the first ones.
        let own = (0..windows.batch).filter(|_| rng.unit() < self.own).count();
        let (first, mut others) = (windows.worlds(0, own), windows.worlds(own, windows.batch - own));
        let mut history = Vec::with_capacity(windows.real.len());
        if own > 0 {
            let leaves = world.leaves(weights, device);
            history = roll_out(world.engine(weights, &leaves), world, &first, self.own_steps, rng);
        }
        if others.batch > 0 {
            history.extend(self.degraded(world, weights, device, &mut others, rng));
        }
        windows.before = [first.before, others.before].concat();
        history
    }

    /// [`Self::history`] of windows none of which is rolled out.
    fn degraded(
        &self,
        world: &World<'_>,
        weights: &Weights,
        device: &Device,
        windows: &mut Windows,
        rng: &mut Rng,
    ) -> Vec<f32> {
        // One level for each sequence.
        let level = |rng: &mut Rng| {
            let keep = rng.unit() < self.clean;
            let u = self.drawn.level(rng);
            if keep { 0.0 } else { warp(u, self.shift) }
        };
        let levels: Vec<f32> = (0..windows.batch).map(|_| level(rng)).collect();
        for (before, &s) in windows.before.chunks_exact_mut(windows.len).zip(&levels) {
            if before.iter().any(|&x| x != 0.0) {
                // Typical one-step error of a re-synthesis at this level; there is no cache to make it from.
                before.iter_mut().for_each(|x| *x += 0.15 * s * rng.normal());
            }
        }
        let all = |scale: f32| levels.iter().flat_map(|&s| vec![scale * s; windows.frames]).collect::<Vec<_>>();
        match self.how {
            Degrade::Noise => windows.mix(&windows.real, &rng.normals(windows.real.len()), &all(NOISE)),
            Degrade::Parallel => {
                let sigma = all(1.0);
                let x = windows.mix(&windows.real, &rng.normals(windows.real.len()), &sigma);
                let input = windows.doubled(&windows.real, &x, &sigma);
                let v = world.velocity(weights, device, world.mask(), &input);
                x.iter().zip(&v).enumerate().map(|(i, (x, v))| x - sigma[i / windows.len] * v).collect()
            }
            Degrade::Autoregressive => {
                let leaves = world.leaves(weights, device);
                resample(world.engine(weights, &leaves), world, windows, &levels, rng)
            }
        }
    }
}

/// Frame after frame: noised to its window's level, and brought back in one step on what was brought back before.
fn resample(engine: Engine<'_>, world: &World<'_>, windows: &Windows, levels: &[f32], rng: &mut Rng) -> Vec<f32> {
    let mut rollout = world.rollout(engine, windows.before.clone());
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
        let v = rollout.velocity(&x, levels, &actions, &events);
        let made: Vec<f32> = (0..x.len()).map(|i| x[i] - levels[i / windows.len] * v[i]).collect();
        for b in 0..windows.batch {
            let to = (b * windows.frames + f) * windows.len;
            out[to..to + windows.len].copy_from_slice(&made[b * windows.len..(b + 1) * windows.len]);
        }
        rollout.commit(&made, &actions, &events);
    }
    out
}

/// Some real frames of `windows`, as many as the draw says, and at most [`OWN`] that the model makes after them in `steps` steps each,
/// along the actions of the recording.
fn roll_out(engine: Engine<'_>, world: &World<'_>, windows: &Windows, steps: usize, rng: &mut Rng) -> Vec<f32> {
    let given = windows.frames - 1 - rng.below(OWN.min(windows.frames - 1));
    let sigmas = even_levels(steps, world.config.schedule.shift);
    let (mut rollout, mut history) = (world.rollout(engine, windows.before.clone()), windows.clone());
    for f in 0..windows.frames {
        let (actions, events) = (windows.at(&windows.actions, f), windows.at(&windows.events, f));
        if f < given {
            rollout.commit(&windows.at(&windows.real, f), &actions, &events);
        } else {
            history.put(f, &rollout.integrate(&sigmas, &actions, &events, rng));
        }
    }
    history.real
}

/// Flow matching on degraded history.
pub struct ResamplingForcing<'a> {
    /// Data and settings.
    pub world: World<'a>,
    /// How history is degraded.
    pub resampling: Resampling,
}

impl ResamplingForcing<'_> {
    fn regression(&self, job: &mut Job<'_>) -> Regression {
        let (world, weights) = (&self.world.drawn(&mut job.rng), &job.state.weights);
        let mut windows = world.windows(job.share, &mut job.rng);
        let history = self.resampling.history(world, weights, &job.device, &mut windows, &mut job.rng);
        world.flow(&windows, &history, &mut job.rng)
    }
}

impl Stage for ResamplingForcing<'_> {
    fn name(&self) -> &'static str {
        "resampling"
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
        self.world.roll(net, device, Sampler::Flow(8), &dir.join(format!("resampling-{step}.png")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_drawn_where_they_are_said_to_be() {
        let mean = |drawn: Drawn| {
            let mut rng = Rng::new(2);
            let all: Vec<f32> = (0..20_000).map(|_| drawn.level(&mut rng)).collect();
            assert!(all.iter().all(|level| (0.0..=1.0).contains(level)));
            let mean = all.iter().sum::<f32>() / all.len() as f32;
            (mean, all.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / all.len() as f32)
        };
        // Means 1/2, 1/2, 2/3, 1/3; variances of a logit-normal .0433, of an even draw 1/12, of the larger or smaller of two 1/18.
        for (drawn, expected, variance) in [
            (Drawn::LogitNormal, 0.5, 0.0433),
            (Drawn::Uniform, 0.5, 1.0 / 12.0),
            (Drawn::Early, 2.0 / 3.0, 1.0 / 18.0),
            (Drawn::Late, 1.0 / 3.0, 1.0 / 18.0),
        ] {
            let found = mean(drawn);
            assert!((found.0 - expected).abs() < 0.01 && (found.1 - variance).abs() < 0.003, "{drawn:?}: {found:?}");
        }
    }
}
