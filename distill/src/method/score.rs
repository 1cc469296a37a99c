//! What two denoisers say of made frames: one knows the data, one, trained on the student's output as it changes, knows what is
//! made. Where they differ is where the student should go (spec 5.5).

use burn::tensor::Device;

use crate::footage::latents::with_ends;
use crate::method::diffusion_forcing;
use crate::method::self_rollout::{Made, forget_given};
use crate::method::teacher_forcing::{Regression, World};
use crate::net::mask::Mask;
use crate::net::rollout::Engine;
use crate::net::weights::Weights;
use crate::rng::Rng;
use crate::train::optim::Part;
use crate::train::trainer::Job;

/// The two denoisers.
#[derive(Clone, Copy)]
pub struct Scores<'a> {
    /// Knows the data; frozen.
    pub real: &'a Weights,
    /// Knows what the student makes.
    pub fake: &'a Weights,
    /// Which frames both see: [`Mask::Full`] as published; in teacher forcing the student's own history.
    pub mask: Mask,
}

/// Their answers about made frames.
pub struct Verdict {
    /// The made frames with noise [B, F, C, H, W].
    pub noisy: Vec<f32>,
    /// Its level [B, F].
    pub level: Vec<f32>,
    /// Clean frames as the real score sees them.
    pub real: Vec<f32>,
    /// Clean frames as the fake score sees them.
    pub fake: Vec<f32>,
}

impl Scores<'_> {
    /// Adds noise to what was made and asks both.
    pub fn judge(&self, world: &World<'_>, device: &Device, made: &Made, rng: &mut Rng) -> Verdict {
        let (windows, _) = made.seen();
        let level = diffusion_forcing::levels(world, self.mask, windows.batch, windows.frames, rng);
        self.judge_at(world, device, made, level.into_iter().map(|t| t.clamp(0.02, 0.98)).collect(), rng)
    }

    /// The same at levels drawn evenly from `low` to `high`.
    pub fn judge_between(
        &self,
        world: &World<'_>,
        device: &Device,
        made: &Made,
        [low, high]: [f32; 2],
        rng: &mut Rng,
    ) -> Verdict {
        let (windows, _) = made.seen();
        let level = |count| (0..count).map(|_| low + (high - low) * rng.unit()).collect();
        let level = self.mask.drawn(windows.batch, windows.frames, level);
        self.judge_at(world, device, made, level, rng)
    }

    /// The same at these levels [B, F] of the frames that the scores see.
    fn judge_at(&self, world: &World<'_>, device: &Device, made: &Made, level: Vec<f32>, rng: &mut Rng) -> Verdict {
        let (windows, _) = made.seen();
        let x = &windows.real;
        let noisy = windows.mix(x, &rng.normals(x.len()), &level);
        let input = windows.arranged(self.mask, x, &noisy, &level);
        let [real, fake] = [self.real, self.fake].map(|net| {
            let v = world.velocity(net, device, self.mask, &input);
            noisy.iter().zip(&v).enumerate().map(|(i, (y, v))| y - level[i / windows.len] * v).collect()
        });
        Verdict { noisy, level, real, fake }.after(made)
    }
}

impl Verdict {
    /// The same about all frames of `made`, on those unseen nothing: no noise, and both see them where they are.
    fn after(self, made: &Made) -> Self {
        let (windows, frames) = (&made.windows, made.windows.frames);
        let frame = |seen: Vec<f32>| with_ends(windows.real.clone(), &seen, windows.batch);
        Self {
            noisy: frame(self.noisy),
            level: with_ends(vec![0.0; windows.batch * frames], &self.level, windows.batch),
            real: frame(self.real),
            fake: frame(self.fake),
        }
    }

    /// The gradient of distribution matching at the made frames: fake minus real, over the mean distance from the real one,
    /// window by window; zero for given frames.
    pub fn matching(&self, made: &Made) -> Vec<f32> {
        let x = &made.windows.real;
        let mut gradient = vec![0.0; x.len()];
        for b in 0..made.windows.batch {
            let norm = self.distance(made, b);
            made.live(b).for_each(|i| gradient[i] = (self.fake[i] - self.real[i]) / norm);
        }
        gradient
    }

    /// Mean distance of the made frames of window `b` from where the real score sees them.
    pub fn distance(&self, made: &Made, b: usize) -> f32 {
        let (x, live) = (&made.windows.real, made.live(b));
        let sum = live.clone().map(|i| f64::from((x[i] - self.real[i]).abs())).sum::<f64>();
        (sum / live.len() as f64).max(1e-6) as f32
    }
}

/// One step in this many moves the student, the others its critic, as published.
pub const RATIO: u64 = 5;

/// A student and the running score of what it makes, trained by turns as one [`State`](crate::train::state::State).
#[derive(Clone, Copy)]
pub struct Pair<'a> {
    /// The frozen score of the data; the critic begins as it, and both networks have its tensors.
    pub teacher: &'a Weights,
    /// Which frames both scores see: those of the whole window as published, or, as in LongLive 2, earlier ones alone (spec 5.7).
    pub mask: Mask,
}

impl<'a> Pair<'a> {
    /// Both scores, of which `fake` is the critic.
    pub fn scores(self, fake: &'a Weights) -> Scores<'a> {
        Scores { real: self.teacher, fake, mask: self.mask }
    }

    /// Both networks as one, before training.
    pub fn join(student: &Weights, teacher: &Weights) -> Weights {
        student.beside(teacher, "critic.")
    }

    /// Student and critic.
    pub fn split(self, all: &Weights) -> [Weights; 2] {
        let len = self.teacher.data.len();
        [0..len, len..2 * len].map(|range| self.teacher.with(all.data[range].to_vec()))
    }

    /// Whether step number `step` is the student's.
    pub fn student_moves(step: u64) -> bool {
        step % RATIO == RATIO - 1
    }

    /// The network that step number `step` moves, among `len` weights.
    pub fn part(self, step: u64, len: usize) -> Part {
        let student = self.teacher.data.len();
        Part { range: if Self::student_moves(step) { 0..student } else { student..len }, rate: 1.0 }
    }

    /// Gradient of one step: of the student along what `towards` makes of a verdict on what it made, or of its critic.
    pub fn gradient(
        self,
        world: &World<'_>,
        mut job: Job<'_>,
        flat: &mut [f32],
        roll_out: impl FnOnce(Engine<'_>, &mut Job<'_>) -> Made,
        towards: impl FnOnce(Scores<'_>, &Made, &Verdict, &mut Rng) -> Vec<f32>,
    ) -> (f32, usize) {
        let len = self.teacher.data.len();
        let [student, fake] = self.split(&job.state.weights);
        let leaves = world.leaves(&student, &job.device);
        let made = roll_out(world.engine(&student, &leaves), &mut job);
        let (loss, found) = if Self::student_moves(job.state.step) {
            let scores = self.scores(&fake);
            let verdict = scores.judge(world, &job.device, &made, &mut job.rng);
            let gradient = towards(scores, &made, &verdict, &mut job.rng);
            world.gradient(&student, &job.device, &made.regression(world, &gradient), &mut flat[..len])
        } else {
            let r = critic(world, self.mask, &made, &mut job.rng);
            world.gradient(&fake, &job.device, &r, &mut flat[len..])
        };
        // The network that does not move has no gradient, and is not expected to.
        (loss, found + self.teacher.entries().len())
    }
}

/// Flow matching of made frames: what the fake score learns.
pub fn critic(world: &World<'_>, mask: Mask, made: &Made, rng: &mut Rng) -> Regression {
    let (windows, given) = made.seen();
    let sigma = diffusion_forcing::levels(world, mask, windows.batch, windows.frames, rng);
    let mut r = world.matching(mask, &windows, &windows.real, &sigma, rng);
    forget_given(&mut r, &windows, given);
    r
}
