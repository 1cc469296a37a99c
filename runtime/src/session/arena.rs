//! Whether a saved arena holds what a stream can go on from: numbers, and none beyond all measure.
//!
//! A snapshot is a file that anybody can write. A NaN in a ring would spoil every frame that sees it, so it is refused before anything is
//! touched.

use alloc::{vec, vec::Vec};

use causeway_ops::{
    Backend, BufferId, Kv,
    op::{Access, Op},
    plan::{BufferKind, Element, PassId},
};

/// The largest magnitude that any value of a stream can have. Products of two and sums of many of these are far from the end of f32.
const MOST: f32 = 1e9;

/// Whether the state in `saved` is made of numbers, and what the nodes of `pass` from `node` on will read of its scratch.
pub(super) fn sound(backend: &dyn Backend, saved: &[u8], at: Option<(PassId, usize)>) -> bool {
    let plan = backend.plan();
    let bytes = |id: BufferId| backend.saved(id).and_then(|range| saved.get(range));
    let rings = rings(backend);
    let state = plan.state().all(|id| match (plan.buffer(id).element, rings[id.0 as usize]) {
        (Element::F32 | Element::F16, _) => bytes(id).is_none_or(numbers),
        (Element::U32, Some((kv, head_dim))) => bytes(id).is_none_or(|bytes| row_numbers(bytes, kv, head_dim)),
        (Element::U32, None) => true,
    });
    // A GPU may keep scratch in half precision.
    let scratch = |id| {
        bytes(id).is_none_or(|bytes| match plan.buffer(id).len {
            len if bytes.len() == 2 * len => halves(bytes),
            _ => numbers(bytes),
        })
    };
    state && at.is_none_or(|(pass, node)| live(backend, pass, node).into_iter().all(scratch))
}

/// How rings store their rows, for each buffer that is one.
fn rings(backend: &dyn Backend) -> Vec<Option<(Kv, usize)>> {
    let plan = backend.plan();
    let mut rings = vec![None; plan.buffers.len()];
    for op in plan.passes.iter().flat_map(|pass| &pass.nodes) {
        if let Op::Commit(op) = op {
            [op.ring_k, op.ring_v].into_iter().for_each(|id| rings[id.0 as usize] = Some((op.kv, op.head_dim)));
        }
    }
    rings
}

/// Scratch of floats that the nodes from `node` on read before they write it.
fn live(backend: &dyn Backend, pass: PassId, node: usize) -> Vec<BufferId> {
    let plan = backend.plan();
    let mut written = vec![false; plan.buffers.len()];
    let mut live = Vec::new();
    for op in plan.pass(pass).nodes.iter().skip(node) {
        op.operator().buffers(&mut |id, access| {
            let buffer = plan.buffer(id);
            let known = core::mem::replace(&mut written[id.0 as usize], true);
            let floats = buffer.kind == BufferKind::Scratch && buffer.element != Element::U32;
            if floats && !known && access != Access::Write && backend.is_written(id, pass, node) {
                live.push(id);
            }
        });
    }
    live
}

fn numbers(bytes: &[u8]) -> bool {
    // NaN is not below either.
    bytes.as_chunks::<4>().0.iter().all(|bytes| f32::from_le_bytes(*bytes).abs() <= MOST)
}

fn halves(bytes: &[u8]) -> bool {
    // All exponent bits are set in NaN and infinity.
    bytes.as_chunks::<2>().0.iter().all(|half| u16::from_le_bytes(*half) & 0x7c00 != 0x7c00)
}

/// Whether rows of a ring are numbers.
fn row_numbers(bytes: &[u8], kv: Kv, head_dim: usize) -> bool {
    match kv {
        Kv::F32 => numbers(bytes),
        Kv::F16 => halves(bytes),
        Kv::Q8 => bytes.chunks_exact(4 * kv.row_words(head_dim)).all(|row| numbers(&row[row.len() - 4..])),
    }
}
