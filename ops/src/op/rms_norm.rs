//! RMS norm over the feature dimension without a weight of its own, with or without a per-frame modulation.

use super::operator::{Access, Check, Operator, streamed};
use crate::buffer::{BufferId, Cost, PlanError};

/// What follows the normalisation: `y * (1 + m[frame, scale]) + m[frame, shift]` with modulation vectors m [frames, vectors, dim].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Modulated {
    /// Modulation vectors.
    pub modulation: BufferId,
    /// Vectors a frame.
    pub vectors: usize,
    /// Index of the scale vector.
    pub scale: usize,
    /// Index of the shift vector.
    pub shift: usize,
    /// Rows a frame.
    pub rows_per_frame: usize,
}

/// `y = x / sqrt(mean(x^2) + eps)` of every row of `x` [rows, dim]; the mean is not taken off, as [`LayerNorm`](super::LayerNorm) does.
#[derive(Clone, Debug, PartialEq)]
pub struct RmsNorm {
    /// Input [rows, dim].
    pub x: BufferId,
    /// Output [rows, dim].
    pub y: BufferId,
    /// Rows (tokens).
    pub rows: usize,
    /// Features.
    pub dim: usize,
    /// Added to the mean square.
    pub eps: f32,
    /// Scale and shift.
    pub modulated: Option<Modulated>,
}

impl Operator for RmsNorm {
    fn name(&self) -> &'static str {
        "rms_norm"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        visit(self.x, Access::Read);
        if let Some(modulated) = &self.modulated {
            visit(modulated.modulation, Access::Read);
        }
        visit(self.y, Access::Write);
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        check.rule(self.rows * self.dim > 0, "rows and dim must be positive")?;
        check.buffer(self.x, self.rows * self.dim)?;
        check.buffer(self.y, self.rows * self.dim)?;
        let Some(Modulated { modulation, vectors, scale, shift, rows_per_frame }) = self.modulated else {
            return Ok(());
        };
        check.rule(rows_per_frame > 0, "rows_per_frame must be positive")?;
        check.rule(shift < vectors && scale < vectors, "shift and scale lie outside the modulation")?;
        check.buffer(modulation, self.rows.div_ceil(rows_per_frame) * vectors * self.dim)
    }

    fn cost(&self) -> Cost {
        streamed(6 * self.rows * self.dim, 2 * self.rows * self.dim)
    }
}
