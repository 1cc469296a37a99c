//! Copies between buffers and from embedding tables.

use super::{Access, Check, Operator, streamed};
use crate::buffer::{BufferId, Cost, PlanError, WeightId};

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

/// Weighted sum of embedding rows: `y = sum_i mix[i] * weight[i]`, weight [entries, len]. One-hot `mix` selects an event; a
/// fractional one blends two.
#[derive(Clone, Debug, PartialEq)]
pub struct Embed {
    /// Mixing weights [entries].
    pub mix: BufferId,
    /// Embedding table [entries, len].
    pub weight: WeightId,
    /// Output [len].
    pub y: BufferId,
    /// Entries of the table.
    pub entries: usize,
    /// Elements of an entry.
    pub len: usize,
}

impl Operator for Embed {
    fn name(&self) -> &'static str {
        "embed"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        visit(self.mix, Access::Read);
        visit(self.y, Access::Write);
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        check.rule(self.entries * self.len > 0, "entries and len must be positive")?;
        check.buffer(self.mix, self.entries)?;
        check.weight(self.weight, self.entries * self.len)?;
        check.buffer(self.y, self.len)
    }

    fn cost(&self) -> Cost {
        streamed(2 * self.entries * self.len, self.len)
    }
}
