//! Samplers: the noise levels that a chunk steps through, and the weights of each step (spec 2.1, 2.2, 2.5).
//!
//! A step is a weighted sum of what there is, which the operator [`Solve`](causeway_ops::op::Solve) takes on the device; here are the weights,
//! in double precision. Sigma is the share of noise: x = (1 - sigma) clean + sigma noise.

mod step;
mod unipc;

pub use step::Step;

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// How latents are stepped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sampler {
    /// A distilled student's: guess the clean latents, add fresh noise of the next level (spec 2.2).
    #[default]
    Few,
    /// Straight along the flow.
    Euler,
    /// UniPC of order 2 (Zhao et al., 2023), B(h) = e^h - 1, predicting clean latents.
    UniPc,
}

/// Noise levels of a denoising run, falling, and the timesteps that the network is told. After the last step the level is 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Noise level before each step, in (0, 1].
    pub sigmas: Vec<f32>,
    /// Timestep of each step.
    pub timesteps: Vec<f32>,
}

/// s u / (1 + (s - 1) u).
fn shifted(u: f64, shift: f32) -> f64 {
    let shift = f64::from(shift);
    shift * u / (1.0 + (shift - 1.0) * u)
}

impl Schedule {
    /// Given noise levels, timesteps in proportion.
    pub fn of(sigmas: &[f32]) -> Self {
        Self { sigmas: sigmas.to_vec(), timesteps: sigmas.iter().map(|sigma| 1000.0 * sigma).collect() }
    }

    /// Levels 1 - i / steps, shifted.
    pub fn euler(steps: usize, shift: f32) -> Self {
        let sigmas = (0..steps).map(|i| shifted(1.0 - i as f64 / steps as f64, shift) as f32);
        Self::of(&sigmas.collect::<Vec<_>>())
    }

    /// Levels from 1 down to a thousandth, the end left out, shifted; timesteps are whole numbers.
    pub fn unipc(steps: usize, shift: f32) -> Self {
        let level = |i: usize| {
            let sigma = shifted(1.0 - 0.999 * i as f64 / steps as f64, shift);
            // The logarithm of a clean share of nothing is not a number to step from.
            if 1.0 - sigma < 1e-6 { sigma - 1e-6 } else { sigma }
        };
        Self {
            sigmas: (0..steps).map(|i| level(i) as f32).collect(),
            timesteps: (0..steps).map(|i| libm::trunc(1000.0 * level(i)) as f32).collect(),
        }
    }

    /// Steps.
    pub fn len(&self) -> usize {
        self.sigmas.len()
    }

    /// Whether there are no steps.
    pub fn is_empty(&self) -> bool {
        self.sigmas.is_empty()
    }
}

/// How the chunks of a stream are sampled.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// How latents are stepped.
    pub sampler: Sampler,
    /// Noise levels of every chunk.
    pub schedule: Schedule,
    /// Those of the stream's first chunk, where it has its own.
    pub first: Option<Schedule>,
    /// Guidance g: the flow is u + g (c - u) for the flows c under the prompt and u under the negative one; 1 is without.
    pub guidance: f32,
}

impl Sampling {
    /// A distilled student's sampling (spec 2.2) through these warped noise levels.
    pub fn few(sigmas: &[f32]) -> Self {
        Self { sampler: Sampler::Few, schedule: Schedule::of(sigmas), first: None, guidance: 1.0 }
    }

    /// Whether it leads away from a negative prompt.
    pub fn guided(&self) -> bool {
        self.guidance != 1.0
    }

    /// Steps that add fresh noise, of the longest list.
    pub fn renoised(&self) -> usize {
        let steps = self.schedule.len().max(self.first.as_ref().map_or(0, Schedule::len));
        if self.sampler == Sampler::Few { steps.saturating_sub(1) } else { 0 }
    }
}

impl Sampler {
    /// Step `step` through these noise levels.
    pub fn step(self, sigmas: &[f32], step: usize) -> Step {
        let sigma = sigmas[step];
        let (now, next) = (f64::from(sigma), sigmas.get(step + 1).map_or(0.0, |&next| f64::from(next)));
        let plain = |sample: f64, clean: f64, noise: f64| Step {
            sigma,
            keep: 1.0,
            correct: [0.0; 4],
            predict: [sample as f32, clean as f32, 0.0, noise as f32],
        };
        match self {
            Self::Few => plain(0.0, 1.0 - next, next),
            // x + (next - now) v with v = (x - c) / now.
            Self::Euler => plain(next / now, 1.0 - next / now, 0.0),
            Self::UniPc => unipc::step(sigmas, step),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `Solve` does.
    fn take(step: &Step, x: &mut [f32; 3], flow: &[f32], noise: &[f32; 3], past: &mut [[f32; 3]; 3]) {
        for i in 0..3 {
            let c = x[i] - step.sigma * flow[i];
            let [from, newer, older] = [past[0][i], past[1][i], past[2][i]];
            let [a, b, d, e] = step.correct;
            let sample = step.keep * x[i] + a * from + b * newer + d * older + e * c;
            let [p, q, r, n] = step.predict;
            x[i] = p * sample + q * c + r * newer + n * noise[i];
            (past[0][i], past[1][i], past[2][i]) = (sample, c, newer);
        }
    }

    /// With one clean picture behind all latents the flow is known: every sampler must arrive at it.
    #[test]
    fn samplers_arrive_where_the_flow_points() {
        let (clean, noise) = ([0.5f32, -1.0, 2.0], [1.0f32, 0.25, -0.75]);
        for sampler in [Sampler::Few, Sampler::Euler, Sampler::UniPc] {
            for steps in [1, 2, 3, 8] {
                let schedule = match sampler {
                    Sampler::UniPc => Schedule::unipc(steps, 5.0),
                    _ => Schedule::euler(steps, 5.0),
                };
                let (mut x, mut past) = (noise, [[0.0f32; 3]; 3]);
                for (at, sigma) in schedule.sigmas.iter().enumerate() {
                    let flow: Vec<f32> = x.iter().zip(&clean).map(|(x, c)| (x - c) / sigma).collect();
                    take(&sampler.step(&schedule.sigmas, at), &mut x, &flow, &noise, &mut past);
                }
                let error = x.iter().zip(&clean).map(|(x, c)| (x - c).abs()).fold(0.0, f32::max);
                assert!(error < 1e-5, "{sampler:?} in {steps} steps: off by {error}");
            }
        }
    }
}
