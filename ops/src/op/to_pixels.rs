//! The codec's pixel-shuffled channels to RGBA8 pixels.

use super::operator::{Access, Check, Operator, streamed};
use crate::buffer::{BufferId, Cost, PlanError};

/// Pixel shuffle of [height, width, 3*p*p] to RGBA8 [height*p, width*p] packed in u32 (R in the low byte, A = 255):
/// channel (c*p + dy)*p + dx of (i, j) is colour c of pixel (p*i + dy, p*j + dx); values are clamped to [0,1] and rounded
/// as floor(255 x + 0.5).
#[derive(Clone, Debug, PartialEq)]
pub struct ToPixels {
    /// Input [height, width, 3*p*p].
    pub x: BufferId,
    /// Output u32 [height*p, width*p].
    pub y: BufferId,
    /// Input height.
    pub height: usize,
    /// Input width.
    pub width: usize,
    /// Patch p.
    pub patch: usize,
}

impl Operator for ToPixels {
    fn name(&self) -> &'static str {
        "to_pixels"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        visit(self.x, Access::Read);
        visit(self.y, Access::Write);
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        let pixels = self.height * self.width * self.patch * self.patch;
        check.rule(pixels > 0, "all dimensions must be positive")?;
        check.buffer(self.x, 3 * pixels)?;
        check.buffer(self.y, pixels)
    }

    fn cost(&self) -> Cost {
        let pixels = self.height * self.width * self.patch * self.patch;
        streamed(9 * pixels, 4 * pixels)
    }
}
