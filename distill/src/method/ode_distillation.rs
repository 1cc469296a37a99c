//! Stage `ode`: few-step initialisation by regression onto a teacher's probability-flow trajectories (Causal Forcing stage 2a, spec
//! 5.4; with a bidirectional teacher the initialisation of CausVid and Self Forcing).
//!
//! A trajectory starts from noise and ends, by many Euler steps, in a clean frame. The student is shown a state on the way and must
//! name the end. That is a function only if the end depends on nothing the student does not see. A teacher that reads the past
//! alone fulfils this frame by frame; the end of a bidirectional one also depends on the noise of frames to come, and the student
//! can do no better than their average: blur.

use std::path::Path;

use burn::tensor::Device;

use crate::dit;
use crate::latents::{Windows, warp};
use crate::mask::Mask;
use crate::method::teacher_forcing::{Regression, World};
use crate::optim::Rule;
use crate::rng::Rng;
use crate::state::StateError;
use crate::trainer::{Figures, Job, Stage};
use crate::weights::Weights;

/// Euler steps of a trajectory (published: 48). A multiple of the students' steps, so that their levels are on the way.
const EULER: usize = 16;

/// Trajectories integrated at once.
const TOGETHER: usize = 32;

/// Stored trajectories of a teacher.
pub struct Trajectories {
    /// Actions and events; `real` holds the clean history that students get in teacher forcing.
    pub windows: Windows,
    /// Noise levels at which states were kept, falling.
    pub levels: Vec<f32>,
    /// States at these levels, each [B, F, C, H, W].
    pub states: Vec<Vec<f32>>,
    /// Where the trajectories end [B, F, C, H, W].
    pub ends: Vec<f32>,
}

impl Trajectories {
    /// Runs `teacher` from noise over `count` windows. Under [`Mask::TeacherForcing`] every frame continues the real history, which
    /// the windows keep; under [`Mask::Full`] all frames move together, and their ends become the history.
    pub fn record(world: &World<'_>, teacher: &Weights, device: &Device, mask: Mask, count: usize, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut windows = world.data.windows(count, world.frames, &mut rng);
        let levels = world.config.schedule.sigmas(4).unwrap_or_else(|| vec![1.0]);
        let noise = rng.normals(windows.real.len());
        let mut out = Self { levels, states: Vec::new(), ends: Vec::new(), windows: Windows::default() };
        out.states = vec![Vec::with_capacity(noise.len()); out.levels.len()];
        for first in (0..count).step_by(TOGETHER) {
            let part = windows.worlds(first, TOGETHER.min(count - first));
            let at = first * windows.frames * windows.len;
            let path = integrate(world, teacher, device, mask, &part, &noise[at..at + part.real.len()]);
            for (i, state) in path.into_iter().enumerate() {
                // The path's nodes that a student starts from are evenly spread over it.
                match (i % (EULER / out.levels.len()), i / (EULER / out.levels.len())) {
                    _ if i == EULER => out.ends.extend(state),
                    (0, kept) => out.states[kept].extend(state),
                    _ => {}
                }
            }
        }
        if mask == Mask::Full {
            windows.real.clone_from(&out.ends);
        }
        Self { windows, ..out }
    }
}

/// The states of `windows` from `noise` [B, F, C, H, W] to the end: [`EULER`] + 1 of them.
pub fn integrate(
    world: &World<'_>,
    teacher: &Weights,
    device: &Device,
    mask: Mask,
    windows: &Windows,
    noise: &[f32],
) -> Vec<Vec<f32>> {
    let level = |i: usize| warp(1.0 - i as f32 / EULER as f32, world.config.schedule.shift);
    let mut path = vec![noise.to_vec()];
    for i in 0..EULER {
        let (x, sigma) = (&path[i], vec![level(i); windows.batch * windows.frames]);
        let v = world.velocity(teacher, device, mask, &windows.arranged(mask, &windows.real, x, &sigma));
        let by = level(i) - level(i + 1);
        path.push(x.iter().zip(&v).map(|(x, v)| x - by * v).collect());
    }
    path
}

/// Regression onto stored trajectories.
pub struct OdeDistillation<'a> {
    /// Settings.
    pub world: World<'a>,
    /// What to learn.
    pub trajectories: &'a Trajectories,
    /// What the student sees: clean history under [`Mask::TeacherForcing`], the noisy states before it under [`Mask::Causal`].
    pub mask: Mask,
}

impl OdeDistillation<'_> {
    /// The student's task on `windows` of trajectories, from the states of one level (spec 5.4: one for all frames).
    pub fn regression(&self, first: usize, batch: usize, level: usize) -> Regression {
        let t = self.trajectories;
        let windows = t.windows.worlds(first, batch);
        let at = first * windows.frames * windows.len;
        let (x, ends) = (&t.states[level][at..][..windows.real.len()], &t.ends[at..][..windows.real.len()]);
        let sigma = vec![t.levels[level]; windows.batch * windows.frames];
        // x - sigma v is to be the end.
        let goal: Vec<f32> = x.iter().zip(ends).map(|(x, end)| x - end).collect();
        Regression {
            mask: self.mask,
            input: windows.arranged(self.mask, &windows.real, x, &sigma),
            goal: dit::to_tokens(&self.world.config.dit, &goal),
            scale: sigma,
        }
    }
}

impl Stage for OdeDistillation<'_> {
    fn name(&self) -> &'static str {
        "ode"
    }

    fn batch(&self) -> usize {
        self.world.batch
    }

    fn rule(&self) -> Rule {
        self.world.rule
    }

    fn gradient(&self, mut job: Job<'_>, flat: &mut [f32]) -> (f32, usize) {
        let (rng, t) = (&mut job.rng, self.trajectories);
        let first = rng.below(t.windows.batch - job.share + 1);
        let r = self.regression(first, job.share, rng.below(t.levels.len()));
        self.world.gradient(&job.state.weights, &job.device, &r, flat)
    }

    fn inspect(&self, net: &Weights, device: &Device, dir: &Path, step: u64) -> Result<Figures, StateError> {
        self.world.roll_few(net, device, dir, (self.name(), step))
    }
}
