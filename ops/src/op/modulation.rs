//! Per-frame modulation vectors: the time projection plus a learned offset.

use super::operator::{Access, Check, Operator, streamed};
use crate::buffer::{BufferId, Cost, PlanError, WeightId};

/// `y[f, i] = x[f, i or 0] + weight[i]` for i in 0..vectors. The head broadcasts one vector a frame (`broadcast`), the blocks
/// have one for each (spec 1.4).
#[derive(Clone, Debug, PartialEq)]
pub struct Modulation {
    /// Input [frames, vectors, dim], or [frames, dim] with `broadcast`.
    pub x: BufferId,
    /// Learned offset [1, vectors, dim].
    pub weight: WeightId,
    /// Output [frames, vectors, dim].
    pub y: BufferId,
    /// Frames.
    pub frames: usize,
    /// Vectors a frame.
    pub vectors: usize,
    /// Features.
    pub dim: usize,
    /// The input holds one vector a frame.
    pub broadcast: bool,
}

impl Operator for Modulation {
    fn name(&self) -> &'static str {
        "modulation"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        visit(self.x, Access::Read);
        visit(self.y, Access::Write);
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        check.rule(self.frames * self.vectors * self.dim > 0, "frames, vectors and dim must be positive")?;
        let rows = if self.broadcast { 1 } else { self.vectors };
        check.buffer(self.x, self.frames * rows * self.dim)?;
        check.buffer(self.y, self.frames * self.vectors * self.dim)?;
        check.weight(self.weight, self.vectors * self.dim)
    }

    fn cost(&self) -> Cost {
        let elements = self.frames * self.vectors * self.dim;
        streamed(elements, 2 * elements)
    }
}
