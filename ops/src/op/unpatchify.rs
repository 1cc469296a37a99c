//! Patch rows to latents.

use super::operator::{Access, Check, Operator, streamed};
use crate::buffer::{BufferId, Cost, PlanError};

/// Rows [frames * tokens, ph * pw * channels] (channel fastest, spec 1.4 step 6) to latents [frames, height, width, channels].
#[derive(Clone, Debug, PartialEq)]
pub struct Unpatchify {
    /// Rows.
    pub x: BufferId,
    /// Latents.
    pub y: BufferId,
    /// Frames.
    pub frames: usize,
    /// Latent height.
    pub height: usize,
    /// Latent width.
    pub width: usize,
    /// Latent channels.
    pub channels: usize,
    /// Patch (height, width).
    pub patch: [usize; 2],
}

impl Operator for Unpatchify {
    fn name(&self) -> &'static str {
        "unpatchify"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        visit(self.x, Access::Read);
        visit(self.y, Access::Write);
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        let [ph, pw] = self.patch;
        let len = self.frames * self.height * self.width * self.channels;
        check.rule(len * ph * pw > 0, "all dimensions must be positive")?;
        check.rule(
            self.height.is_multiple_of(ph) && self.width.is_multiple_of(pw),
            "the patch must divide the latent",
        )?;
        check.buffer(self.x, len)?;
        check.buffer(self.y, len)
    }

    fn cost(&self) -> Cost {
        streamed(0, 2 * self.frames * self.height * self.width * self.channels)
    }
}
