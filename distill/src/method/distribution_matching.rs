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
//! All three share one [`State`](crate::state::State): student, critic, discriminator.

use std::path::Path;

use burn::tensor::Device;
use causeway_runtime::config::DitConfig;

use crate::dit;
use crate::eval;
use crate::latents::{Windows, warp};
use crate::method::adversary::{self, Pairs};
use crate::method::teacher_forcing::{Regression, World};
use crate::optim::{Part, Rule};
use crate::rng::Rng;
use crate::rollout::Rollout;
use crate::state::StateError;
use crate::trainer::{Job, Stage};
use crate::weights::Weights;

/// One step in this many moves the student, the others its critic (the published ratio is 5).
pub const RATIO: u64 = 5;

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

/// Something the student made from a few real frames.
struct Made {
    /// Actions and events of the stream; its `real` frames are the given ones (real, or generated before)
    /// followed by generated ones.
    windows: Windows,
    /// What really followed [B, F, C, H, W].
    truth: Vec<f32>,
    /// Inputs of the last denoising step of each frame [B, F, C, H, W], and its noise level [B, F]; zeros for given frames.
    noisy: Vec<f32>,
    sigma: Vec<f32>,
    given: usize,
}

impl DistributionMatching<'_> {
    /// Student and critic, both `start`, and a fresh discriminator.
    pub fn networks(c: &DitConfig, start: &Weights) -> Weights {
        start.beside(start, "critic.").beside(&Weights::init(&adversary::specs(c), 3), "")
    }

    fn split(&self, all: &Weights) -> [Weights; 3] {
        let (one, len) = (self.teacher.entries().len(), self.teacher.data.len());
        let [student, critic] = [0..len, len..2 * len].map(|range| self.teacher.with(all.data[range].to_vec()));
        [student, critic, all.behind(2 * one)]
    }

    fn student_moves(step: u64) -> bool {
        step % RATIO == RATIO - 1
    }

    /// A roll-out that stops at a random step of a random list, the same for all its frames, after real or generated ones.
    fn roll_out(&self, student: &Weights, job: &mut Job<'_>) -> Made {
        let (world, rng) = (&self.world, &mut job.rng);
        let (config, c) = (world.config, &world.config.dit);
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
            let mut rollout = Rollout::new(engine, c, world.frames, stream.before.clone()).routed(world.route);
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
        let mut windows = stream.part(ahead, world.frames);

        let sigmas = &all[..1 + rng.below(all.len())];
        let exit = sigmas[sigmas.len() - 1];
        let mut rollout = Rollout::new(engine, c, windows.frames, windows.before.clone()).routed(world.route);
        let (mut noisy, mut sigma) = (vec![0.0; windows.real.len()], vec![0.0; windows.batch * windows.frames]);
        for f in 0..windows.frames {
            let (actions, events) = (windows.at(&windows.actions, f), windows.at(&windows.events, f));
            if f < given {
                rollout.commit(&windows.at(&windows.real, f), &actions, &events);
                continue;
            }
            let (x, made) = rollout.denoise(sigmas, &actions, &events, rng);
            rollout.commit(&made, &actions, &events);
            windows.put(f, &made);
            for b in 0..windows.batch {
                let row = b * windows.frames + f;
                noisy[row * windows.len..][..windows.len].copy_from_slice(&x[b * windows.len..][..windows.len]);
                sigma[row] = exit;
            }
        }
        Made { windows, truth, noisy, sigma, given }
    }

    /// Flow matching of generated frames: what the critic learns.
    fn critic(&self, made: &Made, rng: &mut Rng) -> Regression {
        let mut r = self.world.flow(&made.windows, &made.windows.real, rng);
        made.forget_given(&mut r);
        r
    }

    /// What the student learns: its last step should have ended `gradient` away from where it did.
    fn student(&self, critic: &Weights, adversary: &Weights, made: &Made, job: &mut Job<'_>) -> Regression {
        let (world, windows) = (&self.world, &made.windows);
        let (x, frame) = (&windows.real, windows.len);
        let level = |rng: &mut Rng| warp(rng.unit(), world.config.schedule.shift).clamp(0.02, 0.98);
        let t: Vec<f32> = (0..windows.batch * windows.frames).map(|_| level(&mut job.rng)).collect();
        let y = windows.mix(x, &job.rng.normals(x.len()), &t);
        let input = windows.doubled(x, &y, &t);
        let [fake, real] = [critic, self.teacher].map(|net| world.velocity(net, &job.device, &input));
        // x_fake - x_real = t (v_real - v_fake), over the mean distance of x from x_real (spec 5.5), sample by sample.
        let row = windows.frames * frame;
        let mut gradient = vec![0.0; x.len()];
        for b in 0..windows.batch {
            let live = b * row + made.given * frame..(b + 1) * row;
            let away = |i: usize| f64::from((x[i] - (y[i] - t[i / frame] * real[i])).abs());
            let norm = (live.clone().map(away).sum::<f64>() / live.len() as f64).max(1e-6) as f32;
            live.for_each(|i| gradient[i] = t[i / frame] * (real[i] - fake[i]) / norm);
        }
        self.add_adversary(adversary, made, &mut gradient);
        // The step ends at noisy - sigma v; it should end at x - gradient.
        let goal: Vec<f32> = (0..x.len()).map(|i| made.noisy[i] - x[i] + gradient[i]).collect();
        let mut r = Regression {
            input: windows.doubled(x, &made.noisy, &made.sigma),
            scale: made.sigma.clone(),
            goal: dit::to_tokens(&world.config.dit, &goal),
        };
        made.forget_given(&mut r);
        r
    }

    /// Adds the discriminator's gradient to that of distribution matching, in a fixed proportion of sizes.
    fn add_adversary(&self, weights: &Weights, made: &Made, gradient: &mut [f32]) {
        let [real, fake] = made.pairs(&self.world.config.dit);
        let slopes = adversary::pass_for_real(weights, &real, &fake).1;
        let size = |values: &mut dyn Iterator<Item = &f32>| values.map(|g| f64::from(g.abs())).sum::<f64>();
        let (own, other) = (size(&mut gradient.iter()), size(&mut slopes.iter().flatten()));
        let scale = ADVERSARY * (own / other.max(1e-12)) as f32;
        for (slope, at) in slopes.iter().zip(made.places()) {
            let frame = &mut gradient[at * made.windows.len..][..slope.len()];
            frame.iter_mut().zip(slope).for_each(|(g, s)| *g += scale * s);
        }
    }
}

impl Made {
    /// Indices of the generated frames.
    fn places(&self) -> impl Iterator<Item = usize> + use<> {
        let (frames, given) = (self.windows.frames, self.given);
        (0..self.windows.batch * frames).filter(move |row| row % frames >= given)
    }

    /// Real and generated frames of these places, each with the one before it in its own stream.
    fn pairs(&self, c: &DitConfig) -> [Pairs; 2] {
        [&self.truth, &self.windows.real].map(|stream| {
            let frame = |row: usize| &stream[row * self.windows.len..][..self.windows.len];
            let pairs: Vec<_> = self.places().map(|row| (frame(row), frame(row - 1))).collect();
            Pairs::new(c, &pairs)
        })
    }

    /// Real frames have no part in a loss.
    fn forget_given(&self, r: &mut Regression) {
        let frames = self.windows.frames;
        for (row, goal) in r.goal.chunks_exact_mut(self.windows.len).enumerate() {
            if row % frames < self.given {
                goal.fill(0.0);
                r.scale[row] = 0.0;
            }
        }
    }
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
        match Self::student_moves(step) {
            true => Part { range: 0..student, rate: STUDENT },
            false => Part { range: student..len, rate: 1.0 },
        }
    }

    fn gradient(&self, mut job: Job<'_>, flat: &mut [f32]) -> (f32, usize) {
        let [student, critic, adversary] = self.split(&job.state.weights);
        let made = self.roll_out(&student, &mut job);
        let (len, all) = (self.teacher.data.len(), job.state.weights.entries().len());
        // Networks that do not move have no gradient, and are not expected to.
        let one = self.teacher.entries().len();
        if Self::student_moves(job.state.step) {
            let r = self.student(&critic, &adversary, &made, &mut job);
            let (loss, found) = self.world.gradient(&student, &job.device, &r, &mut flat[..len]);
            return (loss, found + all - one);
        }
        let [real, fake] = made.pairs(&self.world.config.dit);
        adversary::tell_apart(&adversary, &real, &fake, &mut job.rng, &mut flat[2 * len..]);
        // Keeps its share of the clipped gradient small; the optimizer's own scale makes up for it.
        flat[2 * len..].iter_mut().for_each(|g| *g *= 0.1);
        let r = self.critic(&made, &mut job.rng);
        let (loss, found) = self.world.gradient(&critic, &job.device, &r, &mut flat[len..2 * len]);
        (loss, found + all - one)
    }

    fn inspect(&self, net: &Weights, device: &Device, dir: &Path, step: u64) -> Result<Vec<(String, f64)>, StateError> {
        let [student, ..] = self.split(net);
        eval::roll_few(self.world.held, self.world.config, &student, device, dir, (self.name(), step))
    }
}

#[cfg(test)]
mod tests;
