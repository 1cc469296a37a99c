//! AdamW with a global gradient clip and a running average, as one pass over flat arrays; beside it Muon for the matrices of blocks.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::net::weights::Entry;
use crate::train::muon;
use crate::train::state::State;

/// Which way a step goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// AdamW for all weights.
    #[default]
    Adamw,
    /// Muon for the matrices of blocks ([`muon`]), with `beta1` as momentum, and AdamW for all else.
    Muon,
}

/// How a stage steps.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Rule {
    /// Which way a step goes.
    pub optimizer: Optimizer,
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
        Self {
            optimizer: Optimizer::Adamw,
            rate: 1e-3,
            warmup: 50,
            beta1: 0.9,
            beta2: 0.99,
            decay: 0.01,
            clip: 1.0,
            ema: 0.995,
        }
    }
}

impl Rule {
    /// Learning rate `step` steps after the moments began, when a share `done` of the stage is over: warm-up, then half a cosine
    /// down to a twentieth.
    pub fn rate_at(&self, step: u64, done: f64) -> f32 {
        let warm = ((step + 1) as f32 / self.warmup.max(1) as f32).min(1.0);
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done.clamp(0.0, 1.0)).cos()) as f32;
        self.rate * warm * (0.05 + 0.95 * cosine)
    }

    /// Takes one step of `part` along `grad` (same order as the weights) and returns its norm before clipping. A gradient that is
    /// not finite uses up its step, whose batch would only fail again, and moves nothing. `threads` share what Muon computes.
    pub fn step(&self, state: &mut State, grad: &[f32], part: &Part, rate: f32, threads: usize) -> f32 {
        let (range, rate) = (part.range.clone(), rate * part.rate);
        let grad = &grad[range.clone()];
        let norm = grad.iter().map(|&g| f64::from(g) * f64::from(g)).sum::<f64>().sqrt() as f32;
        state.step += 1;
        if !norm.is_finite() {
            return norm;
        }
        let scale = if norm > self.clip { self.clip / norm } else { 1.0 };
        let (t, taken) = (state.step as i32, (state.step - state.begun) as i32);
        let (c1, c2) = (1.0 - self.beta1.powi(taken), 1.0 - self.beta2.powi(taken));
        // Early on the average follows quickly, or it would still hold the random start.
        let ema = self.ema.min((1.0 + t as f32) / (10.0 + t as f32));
        for (m, &g) in state.first[range.clone()].iter_mut().zip(grad) {
            *m = self.beta1 * *m + (1.0 - self.beta1) * g * scale;
        }
        let matrices = self.matrices(state, &range, grad, scale, threads);
        let State { weights, ema: average, first, second, .. } = state;
        let [weights, average, first, second] =
            [&mut *weights.data, average, first, second].map(|all| &mut all[range.clone()]);
        let mut adamw = |from: usize, to: usize| {
            let moments = first[from..to].iter().zip(&mut second[from..to]).zip(&grad[from..to]);
            for (w, ((m, v), &g)) in weights[from..to].iter_mut().zip(moments) {
                let g = g * scale;
                *v = self.beta2 * *v + (1.0 - self.beta2) * g * g;
                *w -= rate * ((*m / c1) / ((*v / c2).sqrt() + 1e-8) + self.decay * *w);
            }
        };
        let mut from = 0;
        for (at, _) in &matrices {
            adamw(from, at.start);
            from = at.end;
        }
        adamw(from, range.len());
        for (at, direction) in matrices {
            for (w, d) in weights[at].iter_mut().zip(direction) {
                *w -= rate * (d + self.decay * *w);
            }
        }
        for (e, w) in average.iter_mut().zip(weights) {
            *e = ema * *e + (1.0 - ema) * *w;
        }
        norm
    }

    /// Where in `range` the matrices lie that Muon moves, and which way; `grad` is that of the range.
    fn matrices(
        &self,
        state: &State,
        range: &Range<usize>,
        grad: &[f32],
        scale: f32,
        threads: usize,
    ) -> Vec<(Range<usize>, Vec<f32>)> {
        if self.optimizer == Optimizer::Adamw {
            return Vec::new();
        }
        let (start, weights) = (range.start, &state.weights);
        let inside = |entry: &Entry| range.start <= entry.offset && entry.offset + entry.len() <= range.end;
        let found: Vec<_> = weights.entries().iter().filter(|entry| muon::moves(entry) && inside(entry)).collect();
        let one = |entry: &&Entry| {
            let at = entry.offset..entry.offset + entry.len();
            // Nesterov's look ahead.
            let own = at.start - start..at.end - start;
            let moments = state.first[at].iter().zip(&grad[own.clone()]);
            let ahead: Vec<f32> = moments.map(|(m, g)| self.beta1 * m + (1.0 - self.beta1) * g * scale).collect();
            let direction = muon::direction(weights.kernels, &ahead, [entry.shape[0], entry.shape[1]]);
            (own, direction)
        };
        let threads = threads.max(1);
        let share = |n: usize| found.iter().skip(n).step_by(threads).map(one).collect::<Vec<_>>();
        let share = &share;
        let mut all: Vec<_> = std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|n| scope.spawn(move || share(n))).collect();
            let first = share(0);
            let others = others.into_iter().flat_map(|o| o.join().unwrap_or_else(|e| std::panic::resume_unwind(e)));
            first.into_iter().chain(others).collect()
        });
        all.sort_by_key(|(at, _)| at.start);
        all
    }
}
