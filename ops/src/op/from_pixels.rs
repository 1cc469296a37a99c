//! RGBA8 pixels to the codec's pixel-shuffled channels.

use super::operator::{Access, Check, Operator, streamed};
use crate::buffer::{BufferId, Cost, PlanError};

/// The inverse of [`super::ToPixels`]: RGBA8 to [height, width, 3*p*p] in [`black`, 1]; alpha is ignored.
#[derive(Clone, Debug, PartialEq)]
pub struct FromPixels {
    /// Input u32 [height*p, width*p].
    pub x: BufferId,
    /// Output [height, width, 3*p*p].
    pub y: BufferId,
    /// Output height.
    pub height: usize,
    /// Output width.
    pub width: usize,
    /// Patch p.
    pub patch: usize,
    /// The value that black becomes; white becomes 1.
    pub black: f32,
}

impl Operator for FromPixels {
    fn name(&self) -> &'static str {
        "from_pixels"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        visit(self.x, Access::Read);
        visit(self.y, Access::Write);
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        let pixels = self.height * self.width * self.patch * self.patch;
        check.rule(pixels > 0, "all dimensions must be positive")?;
        check.rule(self.black.is_finite() && self.black < 1.0, "black must be less than 1")?;
        check.buffer(self.x, pixels)?;
        check.buffer(self.y, 3 * pixels)
    }

    fn cost(&self) -> Cost {
        let pixels = self.height * self.width * self.patch * self.patch;
        streamed(9 * pixels, 4 * pixels)
    }
}
