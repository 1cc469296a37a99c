//! UniPC of order 2: a predictor from the last two guesses of the clean latents, and a corrector that goes back over the step once
//! the guess at its end is known (Zhao et al., 2023). Time is lambda = ln(clean share / noise share).

use super::step::Step;

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

/// Whether the predictor of a step is of order 2: there is a guess before it, and the last step is taken more carefully.
fn second(sigmas: &[f32], step: usize) -> bool {
    2.min(step + 1).min(sigmas.len() - step) > 1
}

/// Step `step`: first the correction of the one before, then the prediction.
pub(super) fn step(sigmas: &[f32], step: usize) -> Step {
    let sigma = |i: usize| sigmas.get(i).map_or(0.0, |&sigma| f64::from(sigma));
    let (mut keep, mut correct) = (1.0, [0.0; 4]);
    if step > 0 {
        let before = second(sigmas, step - 1).then(|| sigma(step - 2));
        let w = Weights::corrector(before, sigma(step - 1), sigma(step));
        // Differences are from the newer guess.
        (keep, correct) = (0.0, [w.from, w.newer - w.older - w.end, w.older, w.end].map(|w| w as f32));
    }
    let before = second(sigmas, step).then(|| sigma(step - 1));
    let w = Weights::predictor(before, sigma(step), sigma(step + 1));
    // This step's guess is the newest now, and the newer one of before the older.
    let predict = [w.from, w.newer - w.older, w.older, 0.0].map(|w| w as f32);
    Step { sigma: sigmas[step], keep, correct, predict }
}
