//! The codec's pixel-shuffled channels to RGBA8 pixels.

use super::operator::{Access, Check, Operator, streamed};
use crate::buffer::{BufferId, Cost, PlanError};

/// Pixel shuffle of [height, width, 3*p*p] to RGBA8 [height*p, width*p] packed in u32 (R in the low byte, A = 255):
/// channel (c*p + dy)*p + dx of (i, j) is colour c of pixel (p*i + dy, p*j + dx). Values from `black` to 1 become x in [0,1], others are
/// clamped; rounded is as floor(255 x + 0.5).
#[derive(Clone, Debug, PartialEq)]
pub struct ToPixels {
    /// Input [height, width, 3*p*p], from `x_offset` on.
    pub x: BufferId,
    /// First element read.
    pub x_offset: usize,
    /// Output u32 [height*p, width*p].
    pub y: BufferId,
    /// Input height.
    pub height: usize,
    /// Input width.
    pub width: usize,
    /// Patch p.
    pub patch: usize,
    /// The value that is black, less than 1, which is white: 0 or -1 in models there are.
    pub black: f32,
}

impl ToPixels {
    /// What a value's distance from black is multiplied with.
    pub(crate) fn scale(&self) -> f32 {
        1.0 / (1.0 - self.black)
    }
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
        check.rule(self.black.is_finite() && self.black < 1.0, "black must be less than 1")?;
        check.buffer(self.x, self.x_offset + 3 * pixels)?;
        check.buffer(self.y, pixels)
    }

    fn cost(&self) -> Cost {
        let pixels = self.height * self.width * self.patch * self.patch;
        streamed(15 * pixels, 4 * pixels)
    }
}
