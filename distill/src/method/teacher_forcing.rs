//! Stage `teacher`: flow matching of every frame of a window given the clean frames before it (spec 5.1).

use std::path::Path;

use burn::tensor::{Device, Tensor};
use causeway_runtime::config::ModelConfig;

use crate::dit;
use crate::eval::{self, Held};
use crate::latents::{Latents, Windows, warp};
use crate::mask::Doubled;
use crate::optim::Rule;
use crate::rng::Rng;
use crate::state::StateError;
use crate::trainer::{Job, Stage};
use crate::weights::{Leaves, Weights};

/// What all stages of the denoiser share.
pub struct World<'a> {
    /// The model being trained.
    pub config: &'a ModelConfig,
    /// Training data.
    pub data: &'a Latents,
    /// What to roll out and compare with.
    pub held: &'a Held<'a>,
    /// Windows a step.
    pub batch: usize,
    /// Frames of a window.
    pub frames: usize,
    /// History frames a query is routed to; 0 for all.
    pub route: usize,
    /// Optimizer settings.
    pub rule: Rule,
}

impl World<'_> {
    /// An independent noise level for each frame: uniform on the warped schedule, so that training sees the levels
    /// sampling uses.
    pub fn levels(&self, rng: &mut Rng, n: usize) -> Vec<f32> {
        (0..n).map(|_| warp(rng.unit(), self.config.schedule.shift)).collect()
    }

    /// Flow-matching loss of the real frames of `windows` given `history` (clean or degraded).
    pub fn flow_loss(&self, net: &Leaves, windows: &Windows, history: &[f32], rng: &mut Rng) -> Tensor<1> {
        let c = &self.config.dit;
        let sigma = self.levels(rng, windows.batch * windows.frames);
        let noise = rng.normals(windows.real.len());
        let noisy = windows.mix(&windows.real, &noise, &sigma);
        let target: Vec<f32> = noise.iter().zip(&windows.real).map(|(e, x)| e - x).collect();
        let v = self.velocity(net, &windows.doubled(history, &noisy, &sigma), self.route);
        let error = v - net.constant(dit::to_tokens(c, &target), [target.len() / c.head_out(), c.head_out()]);
        (error.clone() * error).mean()
    }

    /// v for the noisy half of a doubled input, as tokens [B*F*S, head_out].
    pub fn velocity(&self, net: &Leaves, doubled: &dit::Frames, route: usize) -> Tensor<2> {
        noisy_velocity(net, self.config, doubled, route)
    }
}

/// v for the noisy half of a doubled input, as tokens [B*F*S, head_out].
pub fn noisy_velocity(net: &Leaves, config: &ModelConfig, doubled: &dit::Frames, route: usize) -> Tensor<2> {
    let c = &config.dit;
    let mut attend = Doubled::new(c, doubled.frames / 2, route, net.device());
    let v = dit::forward(net, c, doubled, &mut attend);
    let [rows, out] = v.dims();
    let (b, half) = (doubled.batch, rows / doubled.batch / 2);
    v.reshape([b, 2 * half, out]).slice([0..b, half..2 * half]).reshape([b * half, out])
}

/// Teacher forcing on real history.
pub struct TeacherForcing<'a>(pub World<'a>);

impl Stage for TeacherForcing<'_> {
    fn name(&self) -> &'static str {
        "teacher"
    }

    fn batch(&self) -> usize {
        self.0.batch
    }

    fn rule(&self) -> Rule {
        self.0.rule
    }

    fn loss(&self, net: &Leaves, mut job: Job<'_>) -> Tensor<1> {
        let windows = self.0.data.windows(job.share, self.0.frames, &mut job.rng);
        self.0.flow_loss(net, &windows, &windows.real, &mut job.rng)
    }

    fn inspect(&self, net: &Weights, device: &Device, dir: &Path, step: u64) -> Result<Vec<(String, f64)>, StateError> {
        eval::roll(self.0.held, self.0.config, net, device, eval::Sampler::Flow(8), &dir.join(format!("teacher-{step}.png")))
    }
}
