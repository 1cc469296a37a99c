//! UniPC of order 2: a predictor from the last two guesses of the clean latents, and a corrector that goes back over the step once
//! the guess at its end is known (Zhao et al., 2023). Time is lambda = ln(clean share / noise share).

use alloc::vec::Vec;

/// What a step leaves for the next.
#[derive(Default)]
pub(super) struct UniPc {
    /// Guesses of the clean latents: of the step before the last, of the last.
    older: Vec<f64>,
    newer: Vec<f64>,
    /// Latents that the last step began from.
    from: Vec<f64>,
    /// Order of the last predictor.
    order: usize,
}

/// A step from one noise level to another, as weights: of the latents it begins from, of the guess there, of the difference that the
/// guess before makes, of the difference that the guess at the end makes.
struct Weights {
    from: f64,
    newer: f64,
    older: f64,
    end: f64,
}

fn lambda(sigma: f64) -> f64 {
    libm::log((1.0 - sigma) / sigma)
}

impl Weights {
    /// Predicts with the guess made at noise level `before`, too, if there is one.
    fn predictor(before: Option<f64>, from: f64, to: f64) -> Self {
        if to == 0.0 {
            return Self { from: 0.0, newer: 1.0, older: 0.0, end: 0.0 };
        }
        let h = lambda(to) - lambda(from);
        let gain = -(1.0 - to) * libm::expm1(-h);
        let older = before.map_or(0.0, |before| 0.5 * h / (lambda(before) - lambda(from)));
        Self { from: to / from, newer: gain, older: gain * older, end: 0.0 }
    }

    /// The same step, knowing the guess at its end.
    fn corrector(before: Option<f64>, from: f64, to: f64) -> Self {
        let h = lambda(to) - lambda(from);
        let (hh, phi) = (-h, libm::expm1(-h));
        let gain = -(1.0 - to) * phi;
        let Some(before) = before else {
            return Self { from: to / from, newer: gain, older: 0.0, end: 0.5 * gain };
        };
        // Both differences together must be exact for guesses that change with lambda and with its square.
        let r = (lambda(before) - lambda(from)) / h;
        let first = phi / hh - 1.0;
        let second = 2.0 * (first / hh - 0.5) / phi;
        let first = first / phi;
        let older = (first - second) / (1.0 - r);
        Self { from: to / from, newer: gain, older: gain * older / r, end: gain * (first - older) }
    }
}

impl UniPc {
    /// One step of latents `x` along `flow`.
    pub fn step(&mut self, sigmas: &[f32], step: usize, x: &mut [f32], flow: &[f32]) {
        let sigma = |i: usize| sigmas.get(i).map_or(0.0, |&sigma| f64::from(sigma));
        let now = sigma(step);
        let clean: Vec<f64> = x.iter().zip(flow).map(|(x, v)| f64::from(*x) - now * f64::from(*v)).collect();
        let mut sample: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
        if step > 0 {
            let w = Weights::corrector((self.order > 1).then(|| sigma(step - 2)), sigma(step - 1), now);
            for (i, sample) in sample.iter_mut().enumerate() {
                let newer = self.newer[i];
                let bend = if w.older == 0.0 { 0.0 } else { w.older * (self.older[i] - newer) };
                *sample = w.from * self.from[i] + w.newer * newer + bend + w.end * (clean[i] - newer);
            }
        }
        self.older = core::mem::replace(&mut self.newer, clean);
        self.order = 2.min(step + 1).min(sigmas.len() - step);
        let w = Weights::predictor((self.order > 1).then(|| sigma(step - 1)), now, sigma(step + 1));
        for (i, x) in x.iter_mut().enumerate() {
            let newer = self.newer[i];
            let bend = if w.older == 0.0 { 0.0 } else { w.older * (self.older[i] - newer) };
            *x = (w.from * sample[i] + w.newer * newer + bend) as f32;
        }
        self.from = sample;
    }
}
