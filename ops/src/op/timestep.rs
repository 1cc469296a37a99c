//! The timestep sinusoid.

use super::operator::{Access, Check, Operator, streamed};
use crate::buffer::{BufferId, Cost, PlanError};

/// `[cos(t f_i) | sin(t f_i)]`, f_i = 10000^(-i/half), half = features/2, the same row for every frame; t = `params.timestep`.
#[derive(Clone, Debug, PartialEq)]
pub struct Timestep {
    /// Output [frames, features].
    pub y: BufferId,
    /// Frames.
    pub frames: usize,
    /// Features, even.
    pub features: usize,
}

impl Operator for Timestep {
    fn name(&self) -> &'static str {
        "timestep"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        visit(self.y, Access::Write);
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        check.rule(self.frames > 0 && self.features > 0, "frames and features must be positive")?;
        check.rule(self.features.is_multiple_of(2), "features must be even")?;
        check.buffer(self.y, self.frames * self.features)
    }

    fn cost(&self) -> Cost {
        let elements = self.frames * self.features;
        streamed(20 * elements, elements)
    }
}
