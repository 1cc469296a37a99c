//! Stage `teacher`: flow matching of every frame of a window given the clean frames before it (spec 5.1).

use std::path::Path;

use burn::tensor::{Device, Tensor};
use causeway_runtime::config::{ModelConfig, Prediction};

use crate::footage::latents::{Latents, Windows, repeated, warp, with_ends};
use crate::footage::returns::Returns;
use crate::judge::eval::{self, Held, Sampler};
use crate::net::dit;
use crate::net::fast::attention;
use crate::net::fast::network::Network;
use crate::net::mask::{Best, Mask, Ring, Route};
use crate::net::precision::Precision;
use crate::net::rollout::{Engine, Rollout};
use crate::net::weights::{Leaves, Weights, floats};
use crate::rng::Rng;
use crate::train::optim::Rule;
use crate::train::state::StateError;
use crate::train::trainer::{Figures, Job, Stage, library_gradient};

/// What all stages of the denoiser share.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// The model being trained.
    pub config: &'a ModelConfig,
    /// Training data.
    pub data: &'a Latents,
    /// What to roll out and compare with, where that is pictures.
    pub held: Option<&'a Held<'a>>,
    /// Windows a step.
    pub batch: usize,
    /// Frames of a window.
    pub frames: usize,
    /// History frames a query is routed to; where they are drawn and not asked for by [`Self::drawn`], the most of them.
    pub route: Route,
    /// Noisy copies of a window behind its clean one, in flow matching.
    pub copies: usize,
    /// Share of windows in which the network is not shown the frame before.
    pub drop_prev: f32,
    /// Share of frames that flow matching shows as nothing but noise, where all must come from history.
    pub pure: f32,
    /// How much tokens count in flow matching in which a fact of the episode comes back, for each ten frames it was out of sight, and
    /// where those are.
    pub returns: Option<(f32, &'a Returns)>,
    /// Optimizer settings.
    pub rule: Rule,
    /// Whether the device is the CPU, where hand-written passes compute.
    pub cpu: bool,
    /// What the tensor library multiplies in where they do not.
    pub precision: Precision,
}

impl World<'_> {
    /// This world with a route drawn.
    pub fn drawn(&self, rng: &mut Rng) -> Self {
        Self { route: Route::Fixed(self.route.draw(rng)), ..*self }
    }

    /// Draws `batch` windows of the data. The frame before is a shortcut past history, so a share of them goes without.
    pub fn windows(&self, batch: usize, rng: &mut Rng) -> Windows {
        let mut windows = self.data.windows(batch, self.frames, rng);
        if self.drop_prev > 0.0 {
            windows.blind = (0..batch).map(|_| rng.unit() < self.drop_prev).collect();
        }
        windows
    }

    /// An independent noise level for each frame: uniform on the warped schedule, so that training sees the levels
    /// sampling uses.
    pub fn levels(&self, rng: &mut Rng, n: usize) -> Vec<f32> {
        (0..n).map(|_| warp(rng.unit(), self.config.schedule.shift)).collect()
    }

    /// Flow matching of the frames of `windows` given `history` (real or degraded), in each copy a level for each.
    pub fn flow(&self, windows: &Windows, history: &[f32], rng: &mut Rng) -> Regression {
        let mut sigma = self.levels(rng, windows.batch * self.copies * windows.frames);
        if self.pure > 0.0 {
            sigma.iter_mut().filter(|_| rng.unit() < self.pure).for_each(|sigma| *sigma = 1.0);
        }
        let mask = Mask::TeacherForcing { ring: self.ring(), route: self.best(), copies: self.copies };
        let mut regression = self.matching(mask, windows, history, &sigma, rng);
        if let Some((worth, returns)) = self.returns {
            let of = |&first: &usize| returns.gaps(first, windows.frames, self.ring().window);
            let gaps: Vec<usize> = windows.firsts.iter().flat_map(of).collect();
            let worth: Vec<f32> = gaps.iter().map(|&gap| (worth * gap as f32 / 10.0).max(1.0)).collect();
            regression.weigh(&repeated(&worth, windows.batch, self.copies));
        }
        regression
    }

    /// Flow matching of the frames of `windows` at levels `sigma`, [B, F] or for copies [B, copies, F]; `history` is for teacher
    /// forcing only.
    pub fn matching(&self, mask: Mask, windows: &Windows, history: &[f32], sigma: &[f32], rng: &mut Rng) -> Regression {
        let real = repeated(&windows.real, windows.batch, sigma.len() / (windows.batch * windows.frames));
        let noise = rng.normals(real.len());
        let noisy = windows.mix(&real, &noise, sigma);
        let (prediction, len) = (self.config.dit.prediction, windows.len);
        // What the flow is worth at each level, and how much of it a clean answer's bounded division shows.
        let weights: Vec<[f32; 2]> = sigma.iter().map(|&sigma| weight(prediction, sigma)).collect();
        let scale = weights.iter().map(|&[worth, _]| worth).collect();
        let part = |i: usize| weights[i / len].iter().product::<f32>();
        let target: Vec<f32> = noise.iter().zip(&real).enumerate().map(|(i, (e, x))| (e - x) * part(i)).collect();
        let goal = dit::to_tokens(&self.config.dit, &target);
        Regression { mask, input: windows.arranged(mask, history, &noisy, sigma), scale, goal }
    }

    /// Teacher forcing with this world's ring and routing, one noisy copy.
    pub fn mask(&self) -> Mask {
        Mask::TeacherForcing { ring: self.ring(), route: self.best(), copies: 1 }
    }

    /// The history frames of the most that a query sees.
    fn best(&self) -> Best {
        Best { frames: self.route.most(), by: self.config.history.descriptors }
    }

    /// What a frame sees of a long window, as when it is played.
    pub fn ring(&self) -> Ring {
        Ring { window: self.config.history.window, sink: self.config.history.sink }
    }

    /// Roll-outs with this world's routing from `before` [B, C, H, W] on; they remember what the ring holds, and no more than training
    /// windows have.
    pub fn rollout<'b>(&'b self, engine: Engine<'b>, before: Vec<f32>) -> Rollout<'b> {
        let Ring { window, sink } = self.ring();
        let window = window.min(self.frames);
        Rollout::new(engine, &self.config.dit, window, before).routed(self.best()).sinking(sink.min(window - 1))
    }

    /// v for the frames of `input` that have a loss [B, F, C, H, W], without gradient.
    pub fn velocity(&self, weights: &Weights, device: &Device, mask: Mask, input: &dit::Frames) -> Vec<f32> {
        let c = &self.config.dit;
        let tokens = if self.cpu {
            let mut attend = attention::masked(mask, c, input.batch, input.frames, false);
            let out = Network::new(weights, c).forward(input, attend.as_mut(), false).0;
            judged_rows(mask, &out, input.batch)
        } else {
            floats(judged_velocity(&weights.leaves(device).in_precision(self.precision), self.config, mask, input))
        };
        dit::from_tokens(c, &tokens)
    }

    /// The loss of a regression as the tensor library sees it.
    pub fn loss(&self, net: &Leaves, r: &Regression) -> Tensor<1> {
        let v = judged_velocity(net, self.config, r.mask, &r.input);
        let shape = v.dims();
        let each = shape[0] / r.scale.len();
        let scale: Vec<f32> = r.scale.iter().flat_map(|&x| std::iter::repeat_n(x, each)).collect();
        let error = v * net.constant(scale, [shape[0], 1]) - net.constant(r.goal.clone(), shape);
        (error.clone() * error).mean()
    }

    /// Adds the gradient of a regression of `weights` to `flat`, by the fast path where it can; its loss, and how many
    /// tensors had a gradient.
    pub fn gradient(&self, weights: &Weights, device: &Device, r: &Regression, flat: &mut [f32]) -> (f32, usize) {
        if !self.cpu {
            let scale = self.precision.scale();
            let mut scaled = vec![0.0; flat.len()];
            let loss = |net: &Leaves| self.loss(&net.in_precision(self.precision), r) * scale;
            let (loss, found) = library_gradient(weights, device, &mut scaled, loss);
            flat.iter_mut().zip(scaled).for_each(|(sum, g)| *sum += g / scale);
            return (loss / scale, found);
        }
        let c = &self.config.dit;
        let network = Network::new(weights, c);
        let mut attend = attention::masked(r.mask, c, r.input.batch, r.input.frames, true);
        let (out, trace) = network.forward(&r.input, attend.as_mut(), true);
        let (row, mut slope, mut loss) = (r.goal.len() / r.scale.len(), Vec::new(), 0.0f64);
        for (i, (v, goal)) in judged_rows(r.mask, &out, r.input.batch).iter().zip(&r.goal).enumerate() {
            let error = v * r.scale[i / row] - goal;
            loss += f64::from(error * error);
            slope.push(2.0 * error * r.scale[i / row] / r.goal.len() as f32);
        }
        if let Some(trace) = trace {
            let slope = with_ends(vec![0.0; out.len()], &slope, r.input.batch);
            network.backward(&r.input, trace, attend.as_mut(), &slope, flat);
        }
        ((loss / r.goal.len() as f64) as f32, weights.entries().len())
    }

    /// Rolls out and compares, if there are pictures (see [`eval::roll`]).
    ///
    /// # Errors
    /// [`StateError`] when the sheet cannot be written.
    pub fn roll(&self, net: &Weights, device: &Device, sampler: Sampler, sheet: &Path) -> Result<Figures, StateError> {
        self.held.map_or(Ok(Vec::new()), |held| eval::roll(held, self.config, net, device, sampler, sheet))
    }

    /// The same with few steps (see [`eval::roll_few`]).
    ///
    /// # Errors
    /// As [`Self::roll`].
    pub fn roll_few(
        &self,
        net: &Weights,
        device: &Device,
        dir: &Path,
        stage: (&str, u64),
    ) -> Result<Figures, StateError> {
        self.held.map_or(Ok(Vec::new()), |held| eval::roll_few(held, self.config, net, device, dir, stage))
    }

    /// What rolls out `weights`; `leaves` are theirs.
    pub fn engine<'b>(&self, weights: &'b Weights, leaves: &'b Option<Leaves>) -> Engine<'b> {
        leaves.as_ref().map_or(Engine::Fast(weights), Engine::Library)
    }

    /// The leaves of `weights` where the library computes, `None` where the fast path does.
    pub fn leaves(&self, weights: &Weights, device: &Device) -> Option<Leaves> {
        (!self.cpu).then(|| weights.leaves(device).in_precision(self.precision))
    }
}

/// The weight of the flow at `sigma`, and the share of it that a perfect answer shows. A flow counts as it is. A clean frame counts
/// by its own error, four times as much below level 1/2 as at level 1: weighed by the flow's error it would be the lowest levels
/// that count, which few-step sampling never visits and which ask for nothing but a copy of the input.
fn weight(prediction: Prediction, sigma: f32) -> [f32; 2] {
    match prediction {
        Prediction::Flow => [1.0, 1.0],
        Prediction::Clean => {
            let divisor = sigma.max(Prediction::LEAST_SIGMA);
            [divisor / sigma.max(0.5), sigma / divisor]
        }
    }
}

/// A least-squares problem: mean of (scale v - goal)^2 over the frames of `input` that have a loss.
pub struct Regression {
    /// How `input` is arranged.
    pub mask: Mask,
    /// What the network sees.
    pub input: dit::Frames,
    /// Factor on the answer of each such frame [B, F], or [B, copies, F]; or of each of its tokens.
    pub scale: Vec<f32>,
    /// Goal as tokens [B*F*S, head_out].
    pub goal: Vec<f32>,
}

impl Regression {
    /// Lets each token [B, copies, F, S] count as often as `worth` says.
    fn weigh(&mut self, worth: &[f32]) {
        let (each, row) = (worth.len() / self.scale.len(), self.goal.len() / worth.len());
        self.scale = self.scale.iter().flat_map(|&scale| std::iter::repeat_n(scale, each)).collect();
        for ((scale, goal), worth) in self.scale.iter_mut().zip(self.goal.chunks_exact_mut(row)).zip(worth) {
            *scale *= worth.sqrt();
            goal.iter_mut().for_each(|goal| *goal *= worth.sqrt());
        }
    }
}

/// The values of each of `batch` sequences that have a loss.
fn judged_rows(mask: Mask, tokens: &[f32], batch: usize) -> Vec<f32> {
    let one = tokens.len() / batch;
    let first = one - mask.judged(one);
    tokens.chunks_exact(one).flat_map(|window| window[first..].iter().copied()).collect()
}

/// v for the frames of `input` that have a loss, as tokens [B*F*S, head_out].
pub fn judged_velocity(net: &Leaves, config: &ModelConfig, mask: Mask, input: &dit::Frames) -> Tensor<2> {
    let c = &config.dit;
    let v = dit::forward(net, c, input, mask.library(c, input.frames, net.device()).as_mut());
    let [rows, out] = v.dims();
    let (b, one) = (input.batch, rows / input.batch);
    let n = mask.judged(one);
    v.reshape([b, one, out]).slice([0..b, one - n..one]).reshape([b * n, out])
}

/// Teacher forcing on real history.
pub struct TeacherForcing<'a>(pub World<'a>);

impl TeacherForcing<'_> {
    fn regression(&self, job: &mut Job<'_>) -> Regression {
        let world = self.0.drawn(&mut job.rng);
        let windows = world.windows(job.share, &mut job.rng);
        world.flow(&windows, &windows.real, &mut job.rng)
    }
}

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

    fn gradient(&self, mut job: Job<'_>, flat: &mut [f32]) -> (f32, usize) {
        let r = self.regression(&mut job);
        self.0.gradient(&job.state.weights, &job.device, &r, flat)
    }

    fn inspect(&self, net: &Weights, device: &Device, dir: &Path, step: u64) -> Result<Figures, StateError> {
        self.0.roll(net, device, Sampler::Flow(8), &dir.join(format!("teacher-{step}.png")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::dit::Frames;

    /// What is worth more counts so many times in the loss, and no answer is a better one for it.
    #[test]
    fn tokens_count_as_often_as_they_are_worth() {
        let frames = Frames { batch: 1, frames: 2, ..Frames::default() };
        // Two frames of two tokens of one value: scale * answer - goal is 1, 2, 3, 4 for an answer of ones.
        let of = |worth: &[f32]| {
            let mut r = Regression {
                mask: Mask::teacher_forcing(0),
                input: frames.clone(),
                scale: vec![5.0, 6.0],
                goal: vec![4.0, 3.0, 3.0, 2.0],
            };
            r.weigh(worth);
            assert_eq!(r.scale.len(), 4);
            r.scale.iter().zip(&r.goal).map(|(scale, goal)| (scale - goal).powi(2)).collect::<Vec<f32>>()
        };
        assert_eq!(of(&[1.0; 4]), [1.0, 4.0, 9.0, 16.0]);
        assert_eq!(of(&[1.0, 9.0, 1.0, 9.0]), [1.0, 36.0, 9.0, 144.0]);
    }
}
