//! LayerNorm over the feature dimension with a per-frame modulation or an affine weight.

use super::operator::{Access, Check, Operator, streamed};
use crate::buffer::{BufferId, Cost, PlanError, WeightId};

/// What follows the normalisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// `y * (1 + m[frame, scale]) + m[frame, shift]` with modulation vectors m [frames, vectors, dim].
    Modulation {
        /// Modulation vectors.
        modulation: BufferId,
        /// Vectors a frame.
        vectors: usize,
        /// Index of the shift vector.
        shift: usize,
        /// Index of the scale vector.
        scale: usize,
    },
    /// `y * weight + bias`.
    Affine {
        /// Weight [dim].
        weight: WeightId,
        /// Bias [dim].
        bias: WeightId,
    },
}

/// LayerNorm of every row of `x` [rows, dim].
#[derive(Clone, Debug, PartialEq)]
pub struct LayerNorm {
    /// Input [rows, dim].
    pub x: BufferId,
    /// Output [rows, dim].
    pub y: BufferId,
    /// Rows (tokens).
    pub rows: usize,
    /// Features.
    pub dim: usize,
    /// Rows a frame.
    pub rows_per_frame: usize,
    /// Added to the variance.
    pub eps: f32,
    /// Scale and shift.
    pub scale: Scale,
}

impl Operator for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        visit(self.x, Access::Read);
        if let Scale::Modulation { modulation, .. } = self.scale {
            visit(modulation, Access::Read);
        }
        visit(self.y, Access::Write);
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        check.rule(self.rows * self.dim * self.rows_per_frame > 0, "rows, dim and rows_per_frame must be positive")?;
        check.buffer(self.x, self.rows * self.dim)?;
        check.buffer(self.y, self.rows * self.dim)?;
        match self.scale {
            Scale::Modulation { modulation, vectors, shift, scale } => {
                check.rule(shift < vectors && scale < vectors, "shift and scale lie outside the modulation")?;
                check.buffer(modulation, self.rows.div_ceil(self.rows_per_frame) * vectors * self.dim)
            }
            Scale::Affine { weight, bias } => {
                check.weight(weight, self.dim)?;
                check.weight(bias, self.dim)
            }
        }
    }

    fn cost(&self) -> Cost {
        streamed(8 * self.rows * self.dim, 2 * self.rows * self.dim)
    }
}
