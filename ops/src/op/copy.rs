//! Copies between buffers.

use super::operator::{Access, Check, Operator, streamed};
use crate::buffer::{BufferId, Cost, PlanError};

/// `y[y_offset..][..len] = x[x_offset..][..len]`: a state buffer takes this frame's activations.
#[derive(Clone, Debug, PartialEq)]
pub struct Copy {
    /// Source.
    pub x: BufferId,
    /// First element read.
    pub x_offset: usize,
    /// Destination.
    pub y: BufferId,
    /// First element written.
    pub y_offset: usize,
    /// Elements.
    pub len: usize,
}

impl Operator for Copy {
    fn name(&self) -> &'static str {
        "copy"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        visit(self.x, Access::Read);
        visit(self.y, Access::Update);
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        check.rule(self.len > 0, "len must be positive")?;
        check.buffer(self.x, self.x_offset + self.len)?;
        check.buffer(self.y, self.y_offset + self.len)
    }

    fn cost(&self) -> Cost {
        streamed(0, 2 * self.len)
    }
}
