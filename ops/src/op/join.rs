//! Rows side by side.

use super::operator::{Access, Check, Operator, streamed};
use crate::buffer::{BufferId, Cost, PlanError};

/// `y[r] = [x[r] | z[r / every]]`: what is known of each row, and behind it what is known of `every` rows together, such as a frame's.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    /// First part [rows, widths[0]].
    pub x: BufferId,
    /// Second part [rows / every, rounded up, widths[1]].
    pub z: BufferId,
    /// Both [rows, widths[0] + widths[1]].
    pub y: BufferId,
    /// Rows.
    pub rows: usize,
    /// Features of the parts.
    pub widths: [usize; 2],
    /// Rows that share a second part.
    pub every: usize,
}

impl Join {
    /// Features of a whole row.
    pub fn width(&self) -> usize {
        self.widths[0] + self.widths[1]
    }
}

impl Operator for Join {
    fn name(&self) -> &'static str {
        "join"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        visit(self.x, Access::Read);
        visit(self.z, Access::Read);
        visit(self.y, Access::Write);
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        let [first, second] = self.widths;
        check.rule(self.rows * first * second * self.every > 0, "rows, widths and every must be positive")?;
        check.buffer(self.x, self.rows * first)?;
        check.buffer(self.z, self.rows.div_ceil(self.every) * second)?;
        check.buffer(self.y, self.rows * self.width())
    }

    fn cost(&self) -> Cost {
        streamed(0, self.rows * (2 * self.widths[0] + self.widths[1]) + self.rows.div_ceil(self.every) * self.widths[1])
    }
}
