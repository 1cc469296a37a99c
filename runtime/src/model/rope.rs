//! Rotary positions: how far the pairs of a head turn from one position to the next.

use alloc::vec::Vec;

/// The pairs of one axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rope {
    /// Rotated dimensions of a head: two for each pair.
    pub dims: usize,
    /// Base of the frequencies.
    pub theta: f32,
    /// Neighbouring pairs that turn alike.
    pub repeat: usize,
}

impl Rope {
    /// Of frequencies that all differ (spec 1.5).
    pub fn new(dims: usize, theta: f32) -> Self {
        Self { dims, theta, repeat: 1 }
    }

    /// Appends (cos, sin) of p * theta^(-2j/dims) for the pairs j, the first of those that turn alike counting for all. In f64, because
    /// positions have no end.
    pub fn rotate(&self, table: &mut Vec<f32>, position: f64) {
        for pair in 0..self.dims / 2 {
            let first = pair / self.repeat * self.repeat;
            let angle = position * libm::pow(f64::from(self.theta), -2.0 * first as f64 / self.dims as f64);
            turn(table, angle);
        }
    }
}

/// Appends (cos, sin) of an angle.
pub(super) fn turn(table: &mut Vec<f32>, angle: f64) {
    table.extend([libm::cos(angle) as f32, libm::sin(angle) as f32]);
}
