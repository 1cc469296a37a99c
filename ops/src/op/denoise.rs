//! One few-step sampler update (spec 2.2).

use super::operator::{Access, Check, Operator, streamed};
use crate::buffer::{BufferId, Cost, PlanError};

/// `x0 = x - sigma v`, or v itself where the network answers with it; then `x = (1 - next) x0 + next * noise(step + 1)` with next = `params.next_sigma`; on the last step next is 0
/// and x becomes x0. The noise is that of [`super::Noise`] with `params.step + 1` for its step.
#[derive(Clone, Debug, PartialEq)]
pub struct Denoise {
    /// Latents [frames, len], updated in place.
    pub x: BufferId,
    /// Predicted flow, or with `clean` predicted x0 [frames, len].
    pub v: BufferId,
    /// What `v` is.
    pub clean: bool,
    /// Frames.
    pub frames: usize,
    /// Elements a frame, a multiple of 4.
    pub len: usize,
}

impl Operator for Denoise {
    fn name(&self) -> &'static str {
        "denoise"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        visit(self.v, Access::Read);
        visit(self.x, Access::Update);
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        check.rule(self.frames * self.len > 0 && self.len.is_multiple_of(4), "len must be a positive multiple of 4")?;
        check.buffer(self.x, self.frames * self.len)?;
        check.buffer(self.v, self.frames * self.len)
    }

    fn cost(&self) -> Cost {
        streamed(45 * self.frames * self.len, 3 * self.frames * self.len)
    }
}
