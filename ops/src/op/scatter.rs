//! Rows into a buffer, by a table.

use super::operator::{Access, Check, Operator, streamed};
use crate::buffer::{BufferId, Cost, PlanError};

/// `y[table[offset + r]] = x[r]` for the rows r < `rows`, the inverse of [`Gather`](super::Gather). The other slots stay as they were. An
/// entry of the table beyond `slots` writes nothing. Two rows must not go to one slot: which one stays there is not defined.
#[derive(Clone, Debug, PartialEq)]
pub struct Scatter {
    /// Source [rows, len], from `x_offset` on.
    pub x: BufferId,
    /// First element read.
    pub x_offset: usize,
    /// Numbers of slots u32 [at least offset + rows].
    pub table: BufferId,
    /// First entry of the table that is used.
    pub offset: usize,
    /// Destination [slots, len].
    pub y: BufferId,
    /// Rows copied.
    pub rows: usize,
    /// Rows of the destination.
    pub slots: usize,
    /// Elements of a row.
    pub len: usize,
}

impl Operator for Scatter {
    fn name(&self) -> &'static str {
        "scatter"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        visit(self.x, Access::Read);
        visit(self.table, Access::Read);
        visit(self.y, Access::Update);
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        check.rule(self.rows * self.slots * self.len > 0, "rows, slots and len must be positive")?;
        check.buffer(self.x, self.x_offset + self.rows * self.len)?;
        check.buffer(self.table, self.offset + self.rows)?;
        check.buffer(self.y, self.slots * self.len)
    }

    fn cost(&self) -> Cost {
        streamed(0, self.rows * (2 * self.len + 1))
    }
}
