//! Stage `dmd`: distribution matching distillation on the student's own roll-outs (Self Forcing, spec 5.5; stage 3 of Causal
//! Forcing, spec 5.4). Consistency makes few steps land where many would; this makes the result look like the data.
//!
//! Two frozen or running denoisers judge a roll-out: the teacher knows where real frames lie, the critic, trained on the
//! student's output as it changes, where generated ones do. The student moves along the difference of the two. Both
//! are causal and see the student's own history, so that every frame is judged as the continuation of what was really made.
//!
//! Student and critic share one [`State`](crate::state::State): student first, critic second.

use std::path::Path;

use burn::tensor::Device;

use crate::dit;
use crate::eval::{self, Sampler};
use crate::latents::{Windows, warp};
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

/// Most real frames a roll-out starts from; at least one.
const GIVEN: usize = 4;

/// Distillation on self roll-outs.
pub struct DistributionMatching<'a> {
    /// Data and settings.
    pub world: World<'a>,
    /// The frozen model that knows the data.
    pub teacher: &'a Weights,
}

/// Something the student made from a few real frames.
struct Made {
    /// Actions and events of the stream; its `real` frames are the given ones followed by generated ones.
    windows: Windows,
    /// Inputs of the last denoising step of each frame [B, F, C, H, W], and its noise level [B, F]; zeros for given frames.
    noisy: Vec<f32>,
    sigma: Vec<f32>,
    given: usize,
}

impl DistributionMatching<'_> {
    /// Student and critic, both `start`.
    pub fn pair(start: &Weights) -> Weights {
        start.beside(start, "critic.")
    }

    fn networks(&self, pair: &Weights) -> [Weights; 2] {
        let (student, critic) = pair.data.split_at(self.teacher.data.len());
        [student, critic].map(|data| self.teacher.with(data.to_vec()))
    }

    fn student_moves(step: u64) -> bool {
        step % RATIO == RATIO - 1
    }

    /// A roll-out that stops at a random step of a random list, the same for all its frames.
    fn roll_out(&self, student: &Weights, job: &mut Job<'_>) -> Made {
        let (world, rng) = (&self.world, &mut job.rng);
        let (config, c) = (world.config, &world.config.dit);
        let mut windows = world.data.windows(job.share, world.frames, rng);
        let lists: Vec<usize> = config.schedule.steps.keys().copied().collect();
        let mut sigmas = config.schedule.sigmas(lists[rng.below(lists.len())]).unwrap_or_else(|| vec![1.0]);
        sigmas.truncate(1 + rng.below(sigmas.len()));
        let exit = sigmas[sigmas.len() - 1];
        let given = 1 + rng.below(GIVEN.min(windows.frames - 1));

        let leaves = world.leaves(student, &job.device);
        let mut rollout = Rollout::new(world.engine(student, &leaves), c, windows.frames, windows.before.clone());
        let (mut noisy, mut sigma) = (vec![0.0; windows.real.len()], vec![0.0; windows.batch * windows.frames]);
        for f in 0..windows.frames {
            let (actions, events) = (windows.at(&windows.actions, f), windows.at(&windows.events, f));
            if f < given {
                rollout.commit(&windows.at(&windows.real, f), &actions, &events);
                continue;
            }
            let (x, made) = rollout.denoise(&sigmas, &actions, &events, rng);
            rollout.commit(&made, &actions, &events);
            for b in 0..windows.batch {
                let row = b * windows.frames + f;
                let (to, from) = (row * windows.len..(row + 1) * windows.len, b * windows.len..(b + 1) * windows.len);
                windows.real[to.clone()].copy_from_slice(&made[from.clone()]);
                noisy[to].copy_from_slice(&x[from]);
                sigma[row] = exit;
            }
        }
        Made { windows, noisy, sigma, given }
    }

    /// Flow matching of generated frames: what the critic learns.
    fn critic(&self, made: &Made, rng: &mut Rng) -> Regression {
        let mut r = self.world.flow(&made.windows, &made.windows.real, rng);
        made.forget_given(&mut r);
        r
    }

    /// What the student learns: its last step should have ended `gradient` away from where it did.
    fn student(&self, critic: &Weights, made: &Made, job: &mut Job<'_>) -> Regression {
        let (world, windows) = (&self.world, &made.windows);
        let (x, frame) = (&windows.real, windows.len);
        let level = |rng: &mut Rng| warp(rng.unit(), world.config.schedule.shift).clamp(0.02, 0.98);
        let t: Vec<f32> = (0..windows.batch * windows.frames).map(|_| level(&mut job.rng)).collect();
        let y = windows.mix(x, &job.rng.normals(x.len()), &t);
        let input = windows.doubled(x, &y, &t);
        let [fake, real] = [critic, self.teacher].map(|net| world.velocity(net, &job.device, &input));
        // x_fake - x_real = t (v_real - v_fake), over the mean distance of x from x_real (spec 5.5), sample by sample.
        let row = windows.frames * frame;
        let mut goal = vec![0.0; x.len()];
        for b in 0..windows.batch {
            let live = b * row + made.given * frame..(b + 1) * row;
            let away = |i: usize| f64::from((x[i] - (y[i] - t[i / frame] * real[i])).abs());
            let norm = (live.clone().map(away).sum::<f64>() / live.len() as f64).max(1e-6) as f32;
            for i in live {
                let gradient = t[i / frame] * (real[i] - fake[i]) / norm;
                // The step ends at noisy - sigma v; it should end at x - gradient.
                goal[i] = made.noisy[i] - x[i] + gradient;
            }
        }
        let mut r = Regression {
            input: windows.doubled(x, &made.noisy, &made.sigma),
            scale: made.sigma.clone(),
            goal: dit::to_tokens(&world.config.dit, &goal),
        };
        made.forget_given(&mut r);
        r
    }
}

impl Made {
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
        match Self::student_moves(step) {
            true => Part { range: 0..len / 2, rate: STUDENT },
            false => Part { range: len / 2..len, rate: 1.0 },
        }
    }

    fn gradient(&self, mut job: Job<'_>, flat: &mut [f32]) -> (f32, usize) {
        let [student, critic] = self.networks(&job.state.weights);
        let made = self.roll_out(&student, &mut job);
        let moving = self.part(job.state.step, flat.len()).range;
        let (net, r) = match Self::student_moves(job.state.step) {
            true => (&student, self.student(&critic, &made, &mut job)),
            false => (&critic, self.critic(&made, &mut job.rng)),
        };
        let (loss, found) = self.world.gradient(net, &job.device, &r, &mut flat[moving]);
        // The other network has none, and is not expected to.
        (loss, found + job.state.weights.entries().len() / 2)
    }

    fn inspect(&self, net: &Weights, device: &Device, dir: &Path, step: u64) -> Result<Vec<(String, f64)>, StateError> {
        let [student, _] = self.networks(net);
        let mut figures = Vec::new();
        for steps in [4, 2] {
            let sheet = dir.join(format!("dmd-{step}-{steps}.png"));
            let found = eval::roll(self.world.held, self.world.config, &student, device, Sampler::Few(steps), &sheet)?;
            figures.extend(found.into_iter().map(|(k, v)| (format!("{k}@{steps}"), v)));
        }
        Ok(figures)
    }
}
