//! Which numbers lie in half precision on a GPU: those for which the plan says that it is enough ([`Element::F16`]), if all that write and read
//! them can.

use super::device::Gpu;
use crate::{
    buffer::{BufferId, BufferKind, Element},
    op::Op,
    plan::Plan,
};

impl Gpu {
    /// Whether it keeps numbers in half precision where a plan lets it ([`Element::F16`]).
    pub fn keeps_halves(&self) -> bool {
        self.pipelines.target().0.unpack
    }
}

/// Of every buffer, whether it does, if the device can at all.
pub(super) fn halves(plan: &Plan, able: bool) -> Vec<bool> {
    let wanted = plan.buffers.iter().map(|buffer| {
        able && buffer.element == Element::F16 && buffer.kind == BufferKind::Scratch && buffer.len.is_multiple_of(2)
    });
    let mut halves: Vec<bool> = wanted.collect();
    for op in plan.passes.iter().flat_map(|pass| &pass.nodes) {
        op.operator().buffers(&mut |id, _| halves[id.0 as usize] &= takes(op, id));
    }
    halves
}

/// Whether the kernels of an operator take this buffer of its in half precision, two numbers a word.
fn takes(op: &Op, id: BufferId) -> bool {
    let even = |size: usize| size.is_multiple_of(2);
    match op {
        Op::Linear(op) => {
            let input = id == op.x && op.inputs.is_multiple_of(4);
            // Sums that go on are kept as they are.
            let output = id == op.y && even(op.outputs) && !op.residual;
            (input || output) && op.gate.is_none_or(|gate| gate.modulation != id)
        }
        Op::LayerNorm(op) => id == op.y && op.dim.is_multiple_of(4),
        #[cfg(feature = "waypoint")]
        Op::RmsNorm(op) => id == op.y && op.dim.is_multiple_of(4),
        Op::RmsNormRope(op) => id == op.x && even(op.dim),
        Op::Attention(op) => [op.q, op.k, op.v, op.y].contains(&id) && even(op.head_dim),
        Op::CrossAttention(op) => [op.q, op.k, op.v, op.y].contains(&id) && even(op.head_dim) && op.head_dim <= 128,
        Op::Route(op) => id == op.q,
        Op::Prefer(op) => id == op.q,
        Op::Commit(op) => [op.k, op.v].contains(&id) && even(op.head_dim),
        Op::Copy(op) => [op.x_offset, op.y_offset, op.len].into_iter().all(even),
        _ => false,
    }
}
