//! Embeddings by their weights in a mix.

use super::operator::{Access, Check, Operator, streamed};
use crate::buffer::{BufferId, Cost, PlanError, WeightId};

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
