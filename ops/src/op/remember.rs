//! The last frames that a convolution over time has seen.

use super::operator::{Access, Check, Operator, streamed};
use crate::buffer::{BufferId, Cost, PlanError};

/// Each row of `y` [rows, depth * channels], `depth` frames from the oldest to the newest, drops the oldest and takes that of `x` at
/// its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Remember {
    /// The newest frame [rows, channels].
    pub x: BufferId,
    /// The memory [rows, depth * channels].
    pub y: BufferId,
    /// Rows (pixels).
    pub rows: usize,
    /// Channels of a frame.
    pub channels: usize,
    /// Frames kept.
    pub depth: usize,
}

impl Operator for Remember {
    fn name(&self) -> &'static str {
        "remember"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        visit(self.x, Access::Read);
        visit(self.y, Access::Update);
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        check.rule(self.rows * self.channels * self.depth > 0, "rows, channels and depth must be positive")?;
        check.buffer(self.x, self.rows * self.channels)?;
        check.buffer(self.y, self.rows * self.depth * self.channels)
    }

    fn cost(&self) -> Cost {
        streamed(0, 2 * self.rows * self.depth * self.channels)
    }
}
