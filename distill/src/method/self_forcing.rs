//! Stage `self`: Self Forcing (spec 5.5), stage 3 of Causal Forcing (spec 5.4). The student rolls out from nothing, a bidirectional
//! teacher and its running copy score what it made, and the difference moves the student. No data are seen but actions and events.
//!
//! Two objectives: distribution matching, and the score identity (SiD), whose gradient also goes through both scores.
//!
//! [`distribution_matching`](super::distribution_matching) is the variety that trains the demo world: causal scores, given frames and
//! a discriminator.

use std::path::Path;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::footage::latents::with_ends;
use crate::method::score::{Pair, Scores, Verdict};
use crate::method::self_rollout::Made;
use crate::method::teacher_forcing::World;
use crate::net::dit;
use crate::net::fast::attention;
use crate::net::fast::network::Network;
use crate::net::rollout::Engine;
use crate::net::weights::Weights;
use crate::train::optim::{Part, Rule};
use crate::train::state::StateError;
use crate::train::trainer::{Figures, Job, Stage};

/// What the scores are used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Objective {
    /// Distribution matching: the scores' difference is the gradient.
    #[default]
    Matching,
    /// Score identity distillation with alpha 1: (real - fake) . (fake - made).
    Identity,
}

/// Distillation on self roll-outs.
pub struct SelfForcing<'a> {
    /// Data and settings; of the data only actions and events are seen.
    pub world: World<'a>,
    /// What is trained, and what knows the data: a bidirectional model as published, or a causal one.
    pub pair: Pair<'a>,
    /// What the scores are used for.
    pub objective: Objective,
    /// Denoising steps of a frame: an entry of the schedule.
    pub steps: usize,
}

impl SelfForcing<'_> {
    fn roll_out(&self, student: Engine<'_>, job: &mut Job<'_>) -> Made {
        let world = &self.world;
        let all = world.config.schedule.sigmas(self.steps).unwrap_or_else(|| vec![1.0]);
        let windows = world.data.windows(job.share, world.frames, &mut job.rng);
        let exit = 1 + job.rng.below(all.len());
        Made::roll_out(student, world, windows, 0, &all[..exit], &mut job.rng)
    }
}

/// The gradient of SiD at the made frames, through both scores; always computed on the CPU, where weights are at home.
pub fn identity(world: &World<'_>, scores: Scores<'_>, made: &Made, verdict: &Verdict) -> Vec<f32> {
    let (c, windows) = (&world.config.dit, &made.windows);
    let (x, real, fake) = (&windows.real, &verdict.real, &verdict.fake);
    let input = windows.arranged(scores.mask, x, &verdict.noisy, &verdict.level);
    let level = |i: usize| verdict.level[i / windows.len];
    // J^T g of x -> clean(x) = noisy - level v(x, noisy), with noisy = (1 - level) x + level noise; in teacher forcing x is history, too.
    let through = |net: &Weights, g: &[f32]| -> Vec<f32> {
        let network = Network::new(net, c);
        let mut attend = attention::masked(scores.mask, c, input.batch, input.frames, true);
        let (out, trace) = network.forward(&input, attend.as_mut(), true);
        let slope: Vec<f32> = g.iter().enumerate().map(|(i, g)| level(i) * g).collect();
        // Of all input frames the noisy ones come last in a window.
        let slope = with_ends(vec![0.0; out.len()], &dit::to_tokens(c, &slope), input.batch);
        let back = trace.map(|t| network.input_gradient(&input, t, attend.as_mut(), &slope));
        let [own, previous] = back.unwrap_or_default();
        let [history, noisy] = windows.arranged_back(scores.mask, &own, &previous);
        (0..g.len()).map(|i| (1.0 - level(i)) * (g[i] - noisy[i]) - history[i]).collect()
    };
    let by_real: Vec<f32> = (0..x.len()).map(|i| fake[i] - x[i]).collect();
    let by_fake: Vec<f32> = (0..x.len()).map(|i| real[i] - 2.0 * fake[i] + x[i]).collect();
    let (by_real, by_fake) = (through(scores.real, &by_real), through(scores.fake, &by_fake));
    let mut gradient = vec![0.0; x.len()];
    for b in 0..windows.batch {
        let norm = verdict.distance(made, b);
        made.live(b).for_each(|i| gradient[i] = (fake[i] - real[i] + by_real[i] + by_fake[i]) / norm);
    }
    gradient
}

impl Stage for SelfForcing<'_> {
    fn name(&self) -> &'static str {
        "self"
    }

    fn batch(&self) -> usize {
        self.world.batch
    }

    fn rule(&self) -> Rule {
        self.world.rule
    }

    fn part(&self, step: u64, len: usize) -> Part {
        self.pair.part(step, len)
    }

    fn gradient(&self, job: Job<'_>, flat: &mut [f32]) -> (f32, usize) {
        let roll_out = |student: Engine<'_>, job: &mut Job<'_>| self.roll_out(student, job);
        self.pair.gradient(&self.world, job, flat, roll_out, |scores, made, verdict, _| match self.objective {
            Objective::Matching => verdict.matching(made),
            Objective::Identity => identity(&self.world, scores, made, verdict),
        })
    }

    fn inspect(&self, net: &Weights, device: &Device, dir: &Path, step: u64) -> Result<Figures, StateError> {
        self.world.roll_few(&self.pair.split(net)[0], device, dir, (self.name(), step))
    }
}
