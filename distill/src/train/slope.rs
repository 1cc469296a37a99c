//! Whether a gradient is the slope of its loss, by finite differences: for whoever writes a method.

use crate::net::weights::Weights;

/// Rounding of a loss in single precision, relative to it.
const ROUNDING: f64 = 2e-7;

/// What one tensor's gradient says, and what its loss does.
#[derive(Clone, Debug)]
pub struct Slope {
    /// The tensor.
    pub name: String,
    /// Length of its gradient: how steeply the loss should rise along it.
    pub expected: f64,
    /// How steeply it rises.
    pub found: f64,
    /// What rounding alone may make of nothing.
    pub floor: f64,
}

impl Slope {
    /// Whether the slope stands out from rounding, so that a wrong gradient would be seen.
    pub fn is_clear(&self) -> bool {
        self.expected > 10.0 * self.floor
    }

    /// Whether slope and gradient agree but for `tolerance`, a share, and rounding.
    pub fn agrees(&self, tolerance: f64) -> bool {
        (self.found - self.expected).abs() <= tolerance * self.expected + self.floor
    }
}

/// The slopes of `loss` at `weights` along each tensor's part of `grad`, moving the tensor by `reach` and twice that. A loss must be a function of the weights alone, with the same
/// noise at every call and what the method holds fixed held fixed.
///
/// Central differences at two distances, combined so that their error is of fourth order: single precision wants long steps.
pub fn slopes(weights: &Weights, grad: &[f32], reach: f32, loss: impl Fn(&Weights) -> f32) -> Vec<Slope> {
    let floor = ROUNDING * f64::from(loss(weights).abs()) / f64::from(reach);
    let one = |entry: &crate::net::weights::Entry| {
        let at = entry.offset..entry.offset + entry.len();
        let length = grad[at.clone()].iter().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt();
        let rise = |distance: f32| {
            let side = |way: f32| {
                let mut moved = weights.clone();
                let scale = way / length.max(1e-30) as f32;
                moved.data[at.clone()].iter_mut().zip(&grad[at.clone()]).for_each(|(w, g)| *w += scale * g);
                f64::from(loss(&moved))
            };
            side(distance) - side(-distance)
        };
        let found = (8.0 * rise(reach) - rise(2.0 * reach)) / (12.0 * f64::from(reach));
        Slope { name: entry.name.clone(), expected: length, found, floor }
    };
    weights.entries().iter().map(one).collect()
}
