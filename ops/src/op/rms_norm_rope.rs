//! RMS norm over the whole feature dimension, then the spatial part of RoPE.

use super::operator::{Access, Check, Operator, streamed};
use crate::buffer::{BufferId, Cost, PlanError, WeightId};

/// The spatial rotation. Its table is a constant [tokens per frame, pairs, 2] of (cos, sin): the height and then the width
/// pairs of one head, the same for every head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// Rotation table.
    pub table: BufferId,
    /// Tokens a frame.
    pub tokens: usize,
    /// Rows that are of one token: 1, or its heads where each is a row.
    pub rows: usize,
    /// Heads of a row.
    pub heads: usize,
    /// Leading pairs of each head that stay unrotated here: the temporal ones, which attention applies (docs/design.md, idea 4).
    pub temporal_pairs: usize,
}

/// `y = rope(x / rms(x) * weight)`, in place; the norm spans a row, of all heads (spec 1.4) or of one, the rotation is per head on
/// interleaved pairs.
#[derive(Clone, Debug, PartialEq)]
pub struct RmsNormRope {
    /// Rows [rows, dim], rewritten in place.
    pub x: BufferId,
    /// Norm weight [dim]; None for ones.
    pub weight: Option<WeightId>,
    /// Rows.
    pub rows: usize,
    /// Features.
    pub dim: usize,
    /// Added to the mean square.
    pub eps: f32,
    /// Spatial rotation; None for cross-attention.
    pub grid: Option<Grid>,
}

impl Operator for RmsNormRope {
    fn name(&self) -> &'static str {
        "rms_norm_rope"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        if let Some(grid) = &self.grid {
            visit(grid.table, Access::Read);
        }
        visit(self.x, Access::Update);
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        check.rule(self.rows * self.dim > 0, "rows and dim must be positive")?;
        check.buffer(self.x, self.rows * self.dim)?;
        self.weight.map_or(Ok(()), |weight| check.weight(weight, self.dim))?;
        if let Some(grid) = &self.grid {
            check
                .rule(grid.heads > 0 && self.dim.is_multiple_of(2 * grid.heads), "heads must divide dim into pairs")?;
            let pairs = self.dim / grid.heads / 2;
            check
                .rule(grid.temporal_pairs <= pairs && grid.tokens * grid.rows > 0, "more temporal pairs than pairs")?;
            check.buffer(grid.table, grid.tokens * (pairs - grid.temporal_pairs) * 2)?;
        }
        Ok(())
    }

    fn cost(&self) -> Cost {
        streamed(8 * self.rows * self.dim, 2 * self.rows * self.dim)
    }
}
