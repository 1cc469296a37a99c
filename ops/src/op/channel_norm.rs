//! RMS norm over the channels of each pixel.

use super::{
    activate::Activation,
    operator::{Access, Check, Operator, streamed},
};
use crate::buffer::{BufferId, Cost, PlanError, WeightId};

/// `y = act(x / |x| * sqrt(dim) * weight)` for every row; a row of zeros stays zero.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelNorm {
    /// Input [rows, dim].
    pub x: BufferId,
    /// Gain [dim].
    pub weight: WeightId,
    /// Output [rows, dim].
    pub y: BufferId,
    /// Rows (pixels).
    pub rows: usize,
    /// Channels.
    pub dim: usize,
    /// Applied last.
    pub activation: Activation,
}

impl Operator for ChannelNorm {
    fn name(&self) -> &'static str {
        "channel_norm"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        visit(self.x, Access::Read);
        visit(self.y, Access::Write);
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        check.rule(self.rows * self.dim > 0, "rows and dim must be positive")?;
        check.buffer(self.x, self.rows * self.dim)?;
        check.weight(self.weight, self.dim)?;
        check.buffer(self.y, self.rows * self.dim)
    }

    fn cost(&self) -> Cost {
        streamed(10 * self.rows * self.dim, 2 * self.rows * self.dim)
    }
}
