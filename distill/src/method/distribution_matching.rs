//! Stage `dmd`: distribution matching distillation on the student's own roll-outs (Self Forcing, spec 5.5; stage 3 of Causal
//! Forcing, spec 5.4). Consistency makes few steps land where many would; this makes the result look like the data.
//!
//! Two frozen or running denoisers judge a roll-out: the teacher knows where real frames lie, the critic, trained on the
//! student's output as it changes, where generated ones do. The student moves along the difference of the two. Both
//! are causal and see the student's own history, so that every frame is judged as the continuation of what was really made.
//!
//! A teacher's own softness is the limit of that, so a third network, a discriminator (see [`adversary`]), adds what real
//! frames have to say.
//!
//! All three share one [`State`](crate::train::state::State): student, critic, discriminator.

use std::path::Path;

use burn::tensor::Device;
use causeway_runtime::config::DitConfig;

use crate::method::adversary::{self, Pairs};
use crate::method::score::{self, Pair, Scores};
use crate::method::self_rollout::Made;
use crate::method::teacher_forcing::{Regression, World};
use crate::net::weights::Weights;
use crate::train::optim::{Part, Rule};
use crate::train::state::StateError;
use crate::train::trainer::{Figures, Job, Stage};

/// Rate of the student beside the critic's.
const STUDENT: f32 = 0.5;

/// Size of the discriminator's pull beside that of distribution matching.
const ADVERSARY: f32 = 0.5;

/// Most frames a roll-out starts from; at least one.
const GIVEN: usize = 4;

/// Most frames that are made before the window that is judged, so that long roll-outs are seen too (streaming long tuning,
/// spec 5.6). Half of all windows begin with real frames.
const AHEAD: usize = 36;

/// Distillation on self roll-outs.
pub struct DistributionMatching<'a> {
    /// Data and settings.
    pub world: World<'a>,
    /// The frozen model that knows the data.
    pub teacher: &'a Weights,
}

impl DistributionMatching<'_> {
    /// The student, a critic that begins as the teacher's score (spec 5.5), and a fresh discriminator. What maps noise to frames in a
    /// few steps is no score: its critic would have to unlearn that first.
    pub fn networks(c: &DitConfig, student: &Weights, teacher: &Weights) -> Weights {
        Pair::join(student, teacher).beside(&Weights::init(&adversary::specs(c), 3), "")
    }

    fn split(&self, all: &Weights) -> [Weights; 3] {
        let (one, len) = (self.teacher.entries().len(), self.teacher.data.len());
        let [student, critic] = [0..len, len..2 * len].map(|range| self.teacher.with(all.data[range].to_vec()));
        [student, critic, all.behind(2 * one)]
    }

    /// A roll-out that stops at a random step of a random list, the same for all its frames, after real or generated ones; and what
    /// really followed [B, F, C, H, W].
    fn roll_out(&self, student: &Weights, job: &mut Job<'_>) -> (Made, Vec<f32>) {
        let (world, rng) = (&self.world, &mut job.rng);
        let config = world.config;
        let lists: Vec<usize> = config.schedule.steps.keys().copied().collect();
        let all = config.schedule.sigmas(lists[rng.below(lists.len())]).unwrap_or_else(|| vec![1.0]);
        let given = 1 + rng.below(GIVEN.min(world.frames - 1));
        // A window also wants the frame before it.
        let room = world.data.episodes.longest().saturating_sub(world.frames + 1).min(AHEAD);
        let ahead = if rng.below(2) == 0 { 0 } else { rng.below(room + 1) };
        let leaves = world.leaves(student, &job.device);
        let engine = world.engine(student, &leaves);

        let mut stream = world.data.windows(job.share, ahead + world.frames, rng);
        let truth = stream.part(ahead, world.frames).real;
        if ahead > 0 {
            let mut rollout = world.rollout(engine, stream.before.clone());
            for f in 0..ahead + given {
                let (actions, events) = (stream.at(&stream.actions, f), stream.at(&stream.events, f));
                if f < given {
                    rollout.commit(&stream.at(&stream.real, f), &actions, &events);
                } else {
                    let made = rollout.generate(&all, &actions, &events, rng);
                    stream.put(f, &made);
                }
            }
        }
        let exit = 1 + rng.below(all.len());
        let windows = stream.part(ahead, world.frames);
        (Made::roll_out(engine, world, windows, given, &all[..exit], rng), truth)
    }

    /// What the student learns.
    fn student(&self, [critic, adversary]: [&Weights; 2], made: &Made, truth: &[f32], job: &mut Job<'_>) -> Regression {
        let scores = Scores { real: self.teacher, fake: critic, mask: self.world.mask() };
        let mut gradient = scores.judge(&self.world, &job.device, made, &mut job.rng).matching(made);
        self.add_adversary(adversary, made, truth, &mut gradient);
        made.regression(&self.world, &gradient)
    }

    /// Adds the discriminator's gradient to that of distribution matching, in a fixed proportion of sizes.
    fn add_adversary(&self, weights: &Weights, made: &Made, truth: &[f32], gradient: &mut [f32]) {
        let [real, fake] = pairs(&self.world.config.dit, made, truth);
        let slopes = adversary::pass_for_real(weights, &real, &fake).1;
        let size = |values: &mut dyn Iterator<Item = &f32>| values.map(|g| f64::from(g.abs())).sum::<f64>();
        let (own, other) = (size(&mut gradient.iter()), size(&mut slopes.iter().flatten()));
        let scale = ADVERSARY * (own / other.max(1e-12)) as f32;
        for (slope, at) in slopes.iter().zip(places(made)) {
            let frame = &mut gradient[at * made.windows.len..][..slope.len()];
            frame.iter_mut().zip(slope).for_each(|(g, s)| *g += scale * s);
        }
    }
}

/// Indices of the generated frames.
fn places(made: &Made) -> impl Iterator<Item = usize> + use<> {
    let (frames, given) = (made.windows.frames, made.given);
    (0..made.windows.batch * frames).filter(move |row| row % frames >= given)
}

/// Real and generated frames of these places, each with the one before it in its own stream.
fn pairs(c: &DitConfig, made: &Made, truth: &[f32]) -> [Pairs; 2] {
    [truth, &made.windows.real].map(|stream| {
        let frame = |row: usize| &stream[row * made.windows.len..][..made.windows.len];
        let pairs: Vec<_> = places(made).map(|row| (frame(row), frame(row - 1))).collect();
        Pairs::new(c, &pairs)
    })
}

impl Stage for DistributionMatching<'_> {
    fn name(&self) -> &'static str {
        "dmd"
    }

    fn batch(&self) -> usize {
        self.world.batch
    }

    fn rule(&self) -> Rule {
        self.world.rule
    }

    fn part(&self, step: u64, len: usize) -> Part {
        let student = self.teacher.data.len();
        match Pair::student_moves(step) {
            true => Part { range: 0..student, rate: STUDENT },
            false => Part { range: student..len, rate: 1.0 },
        }
    }

    fn gradient(&self, mut job: Job<'_>, flat: &mut [f32]) -> (f32, usize) {
        let [student, critic, adversary] = self.split(&job.state.weights);
        let (made, truth) = self.roll_out(&student, &mut job);
        let (len, all) = (self.teacher.data.len(), job.state.weights.entries().len());
        // Networks that do not move have no gradient, and are not expected to.
        let one = self.teacher.entries().len();
        if Pair::student_moves(job.state.step) {
            let r = self.student([&critic, &adversary], &made, &truth, &mut job);
            let (loss, found) = self.world.gradient(&student, &job.device, &r, &mut flat[..len]);
            return (loss, found + all - one);
        }
        let [real, fake] = pairs(&self.world.config.dit, &made, &truth);
        adversary::tell_apart(&adversary, &real, &fake, &mut job.rng, &mut flat[2 * len..]);
        // Keeps its share of the clipped gradient small; the optimizer's own scale makes up for it.
        flat[2 * len..].iter_mut().for_each(|g| *g *= 0.1);
        let r = score::critic(&self.world, self.world.mask(), &made, &mut job.rng);
        let (loss, found) = self.world.gradient(&critic, &job.device, &r, &mut flat[len..2 * len]);
        (loss, found + all - one)
    }

    fn inspect(&self, net: &Weights, device: &Device, dir: &Path, step: u64) -> Result<Figures, StateError> {
        let [student, ..] = self.split(net);
        self.world.roll_few(&student, device, dir, (self.name(), step))
    }
}

#[cfg(test)]
mod tests;
