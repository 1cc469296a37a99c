//! Sums of rows.

use super::{
    activate::Activation,
    operator::{Access, Check, Operator, streamed},
};
use crate::buffer::{BufferId, Cost, PlanError};

/// `y[r] = act(x[r] + z[r / every])`: what is known of each row, and what is known of `every` rows together, such as a frame's.
#[derive(Clone, Debug, PartialEq)]
pub struct Add {
    /// Rows [rows, dim].
    pub x: BufferId,
    /// Shared rows [rows / every, rounded up, dim].
    pub z: BufferId,
    /// Output [rows, dim].
    pub y: BufferId,
    /// Rows.
    pub rows: usize,
    /// Features.
    pub dim: usize,
    /// Rows that share one.
    pub every: usize,
    /// Applied to the sum.
    pub activation: Activation,
}

impl Operator for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        visit(self.x, Access::Read);
        visit(self.z, Access::Read);
        visit(self.y, Access::Write);
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        check.rule(self.rows * self.dim * self.every > 0, "rows, dim and every must be positive")?;
        check.buffer(self.x, self.rows * self.dim)?;
        check.buffer(self.z, self.rows.div_ceil(self.every) * self.dim)?;
        check.buffer(self.y, self.rows * self.dim)
    }

    fn cost(&self) -> Cost {
        streamed(9 * self.rows * self.dim, (2 * self.rows + self.rows.div_ceil(self.every)) * self.dim)
    }
}
