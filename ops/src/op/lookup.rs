//! A row of a table, chosen by the noise level.

use super::operator::{Access, Check, Operator, streamed};
use crate::buffer::{BufferId, Cost, PlanError};

/// `y[f] = table[params.level]` for every frame f: what a network is told of the noise level. A level beyond the table takes its last row.
#[derive(Clone, Debug, PartialEq)]
pub struct Lookup {
    /// Table [rows, len], one row a noise level.
    pub table: BufferId,
    /// Rows of the table.
    pub rows: usize,
    /// Output [frames, len].
    pub y: BufferId,
    /// Frames.
    pub frames: usize,
    /// Elements of a row.
    pub len: usize,
}

impl Operator for Lookup {
    fn name(&self) -> &'static str {
        "lookup"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        visit(self.table, Access::Read);
        visit(self.y, Access::Write);
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        check.rule(self.rows * self.frames * self.len > 0, "rows, frames and len must be positive")?;
        check.buffer(self.table, self.rows * self.len)?;
        check.buffer(self.y, self.frames * self.len)
    }

    fn cost(&self) -> Cost {
        streamed(0, (1 + self.frames) * self.len)
    }
}
