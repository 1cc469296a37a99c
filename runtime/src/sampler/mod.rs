//! Samplers: from the network's flow to the latents of the next step, with the noise levels they step through (spec 2.1, 2.2, 2.5).
//!
//! All of them are plain functions of latents. Sigma is the share of noise: x = (1 - sigma) clean + sigma noise.

mod unipc;

use alloc::vec::Vec;

use unipc::UniPc;

/// How latents are stepped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

/// The sampling of one chunk.
pub struct Solver<'a> {
    sampler: Sampler,
    sigmas: &'a [f32],
    unipc: UniPc,
}

impl<'a> Solver<'a> {
    /// Before the first step of `schedule`.
    pub fn new(sampler: Sampler, schedule: &'a Schedule) -> Self {
        Self { sampler, sigmas: &schedule.sigmas, unipc: UniPc::default() }
    }

    /// Takes latents `x` from before step `step` to after it, along `flow`; steps come in order. `fresh` is the noise that
    /// [`Sampler::Few`] adds, not read after the last step.
    pub fn step(&mut self, step: usize, x: &mut [f32], flow: &[f32], fresh: &[f32]) {
        let sigma = f64::from(self.sigmas[step]);
        let next = f64::from(self.sigmas.get(step + 1).copied().unwrap_or(0.0));
        let pairs = x.iter_mut().zip(flow);
        match self.sampler {
            Sampler::Few => {
                for (i, (x, v)) in pairs.enumerate() {
                    let clean = f64::from(*x) - sigma * f64::from(*v);
                    let noise = if next > 0.0 { f64::from(fresh[i]) } else { 0.0 };
                    *x = ((1.0 - next) * clean + next * noise) as f32;
                }
            }
            Sampler::Euler => pairs.for_each(|(x, v)| *x = (f64::from(*x) + (next - sigma) * f64::from(*v)) as f32),
            Sampler::UniPc => self.unipc.step(self.sigmas, step, x, flow),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                let mut solver = Solver::new(sampler, &schedule);
                let mut x = noise;
                for (step, &sigma) in schedule.sigmas.iter().enumerate() {
                    let flow: Vec<f32> = x.iter().zip(&clean).map(|(x, c)| (x - c) / sigma).collect();
                    solver.step(step, &mut x, &flow, &noise);
                }
                let error = x.iter().zip(&clean).map(|(x, c)| (x - c).abs()).fold(0.0, f32::max);
                assert!(error < 1e-5, "{sampler:?} in {steps} steps: off by {error}");
            }
        }
    }
}
