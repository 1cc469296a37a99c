//! AdamW with a global gradient clip and a running average, as one pass over flat arrays.

use std::ops::Range;

use crate::state::State;

/// How a stage steps.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Rule {
    /// Peak learning rate.
    pub rate: f32,
    /// Steps of linear warm-up.
    pub warmup: u64,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Decoupled weight decay.
    pub decay: f32,
    /// Largest norm of the whole gradient.
    pub clip: f32,
    /// Decay of the running average of the weights.
    pub ema: f32,
}

/// The weights that one step moves.
#[derive(Clone, Debug)]
pub struct Part {
    /// Their places in the flat array.
    pub range: Range<usize>,
    /// Factor on the learning rate.
    pub rate: f32,
}

impl Default for Rule {
    fn default() -> Self {
        Self { rate: 1e-3, warmup: 50, beta1: 0.9, beta2: 0.99, decay: 0.01, clip: 1.0, ema: 0.995 }
    }
}

impl Rule {
    /// Learning rate at `step` when a share `done` of the stage is over: warm-up, then half a cosine down to a twentieth.
    pub fn rate_at(&self, step: u64, done: f64) -> f32 {
        let warm = ((step + 1) as f32 / self.warmup.max(1) as f32).min(1.0);
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done.clamp(0.0, 1.0)).cos()) as f32;
        self.rate * warm * (0.05 + 0.95 * cosine)
    }

    /// Takes one step of `part` along `grad` (same order as the weights) and returns its norm before clipping. A gradient that is
    /// not finite uses up its step, whose batch would only fail again, and moves nothing.
    pub fn step(&self, state: &mut State, grad: &[f32], part: &Part, rate: f32) -> f32 {
        let (range, rate) = (part.range.clone(), rate * part.rate);
        let grad = &grad[range.clone()];
        let norm = grad.iter().map(|&g| f64::from(g) * f64::from(g)).sum::<f64>().sqrt() as f32;
        state.step += 1;
        if !norm.is_finite() {
            return norm;
        }
        let scale = if norm > self.clip { self.clip / norm } else { 1.0 };
        let t = state.step as i32;
        let (c1, c2) = (1.0 - self.beta1.powi(t), 1.0 - self.beta2.powi(t));
        // Early on the average follows quickly, or it would still hold the random start.
        let ema = self.ema.min((1.0 + t as f32) / (10.0 + t as f32));
        let State { weights, ema: average, first, second, .. } = state;
        let [weights, average, first, second] =
            [&mut *weights.data, average, first, second].map(|all| &mut all[range.clone()]);
        for ((((w, e), m), v), &g) in weights.iter_mut().zip(average).zip(first).zip(second).zip(grad) {
            let g = g * scale;
            *m = self.beta1 * *m + (1.0 - self.beta1) * g;
            *v = self.beta2 * *v + (1.0 - self.beta2) * g * g;
            *w -= rate * ((*m / c1) / ((*v / c2).sqrt() + 1e-8) + self.decay * *w);
            *e = ema * *e + (1.0 - ema) * *w;
        }
        norm
    }
}
