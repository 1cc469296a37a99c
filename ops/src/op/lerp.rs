//! On the way from one vector to another.

use super::operator::{Access, Check, Operator, streamed};
use crate::buffer::{BufferId, Cost, PlanError, WeightId};

/// `y += weight * (x - y)`: a learned share of the values of an earlier layer, the value residual of "Value Residual Learning"
/// (arXiv 2410.17897).
#[derive(Clone, Debug, PartialEq)]
pub struct Lerp {
    /// Where a weight of 1 leads.
    pub x: BufferId,
    /// Where a weight of 0 stays, updated in place.
    pub y: BufferId,
    /// The share, one number.
    pub weight: WeightId,
    /// Elements.
    pub len: usize,
}

impl Operator for Lerp {
    fn name(&self) -> &'static str {
        "lerp"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        visit(self.x, Access::Read);
        visit(self.y, Access::Update);
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        check.rule(self.len > 0, "len must be positive")?;
        check.buffer(self.x, self.len)?;
        check.buffer(self.y, self.len)?;
        check.weight(self.weight, 1)
    }

    fn cost(&self) -> Cost {
        streamed(3 * self.len, 3 * self.len)
    }
}
