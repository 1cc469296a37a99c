//! Latents to patch rows.

use super::operator::{Access, Check, Operator, streamed};
use crate::buffer::{BufferId, Cost, PlanError};

/// Latents [frames, height, width, channels] (and a previous frame) to rows [frames * tokens, features] in the order of the
/// patch embedding's weight: channel slowest, then patch row, then patch column (spec, trap 7).
#[derive(Clone, Debug, PartialEq)]
pub struct Patchify {
    /// Latents [frames, height, width, channels].
    pub x: BufferId,
    /// Previous clean latent frame [height, width, channels], whose channels follow those of `x` for every frame.
    pub previous: Option<BufferId>,
    /// Each frame has a previous one of its own: `previous` is [frames, height, width, channels].
    pub apart: bool,
    /// Output rows.
    pub y: BufferId,
    /// Frames.
    pub frames: usize,
    /// Latent height.
    pub height: usize,
    /// Latent width.
    pub width: usize,
    /// Latent channels (of `x`).
    pub channels: usize,
    /// Patch (height, width).
    pub patch: [usize; 2],
}

impl Patchify {
    /// Features of a row.
    pub fn features(&self) -> usize {
        let channels = if self.previous.is_some() { 2 * self.channels } else { self.channels };
        channels * self.patch[0] * self.patch[1]
    }
}

impl Operator for Patchify {
    fn name(&self) -> &'static str {
        "patchify"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        visit(self.x, Access::Read);
        if let Some(previous) = self.previous {
            visit(previous, Access::Read);
        }
        visit(self.y, Access::Write);
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        let frame = self.height * self.width * self.channels;
        let [ph, pw] = self.patch;
        check.rule(self.frames * frame * ph * pw > 0, "all dimensions must be positive")?;
        check.rule(
            self.height.is_multiple_of(ph) && self.width.is_multiple_of(pw),
            "the patch must divide the latent",
        )?;
        check.buffer(self.x, self.frames * frame)?;
        if let Some(previous) = self.previous {
            check.buffer(previous, if self.apart { self.frames * frame } else { frame })?;
        }
        check.buffer(self.y, self.frames * (self.height / ph) * (self.width / pw) * self.features())
    }

    fn cost(&self) -> Cost {
        streamed(0, 3 * self.frames * self.height * self.width * self.channels)
    }
}
