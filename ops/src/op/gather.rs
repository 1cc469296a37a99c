//! Rows of a buffer, by a table.

use super::operator::{Access, Check, Operator, streamed};
use crate::buffer::{BufferId, Cost, PlanError};

/// `y[r] = x[table[offset + r]]` for the rows r < `rows`. An entry of the table beyond `slots` leaves its row of y as it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Gather {
    /// Source [slots, len].
    pub x: BufferId,
    /// Numbers of slots u32 [at least offset + rows].
    pub table: BufferId,
    /// First entry of the table that is used.
    pub offset: usize,
    /// Destination [rows, len].
    pub y: BufferId,
    /// Rows copied.
    pub rows: usize,
    /// Rows of the source.
    pub slots: usize,
    /// Elements of a row.
    pub len: usize,
}

impl Operator for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        visit(self.x, Access::Read);
        visit(self.table, Access::Read);
        visit(self.y, Access::Update);
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        check.rule(self.rows * self.slots * self.len > 0, "rows, slots and len must be positive")?;
        check.buffer(self.x, self.slots * self.len)?;
        check.buffer(self.table, self.offset + self.rows)?;
        check.buffer(self.y, self.rows * self.len)
    }

    fn cost(&self) -> Cost {
        streamed(0, self.rows * (2 * self.len + 1))
    }
}
