//! The chunk's first noise.

use super::operator::{Access, Check, Operator, streamed};
use crate::buffer::{BufferId, Cost, PlanError};

/// Fills `frames` latent frames with normal noise: element e of frame f is `philox::normal4(seed, params.frame + f, 0, e/4)[e%4]`,
/// e counting channels-last.
#[derive(Clone, Debug, PartialEq)]
pub struct Noise {
    /// Output [frames, len].
    pub y: BufferId,
    /// Frames.
    pub frames: usize,
    /// Elements a frame, a multiple of 4.
    pub len: usize,
}

impl Operator for Noise {
    fn name(&self) -> &'static str {
        "noise"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        visit(self.y, Access::Write);
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        check.rule(self.frames * self.len > 0 && self.len.is_multiple_of(4), "len must be a positive multiple of 4")?;
        check.buffer(self.y, self.frames * self.len)
    }

    fn cost(&self) -> Cost {
        streamed(40 * self.frames * self.len, self.frames * self.len)
    }
}
