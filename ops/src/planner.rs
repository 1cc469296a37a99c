//! The memory planner: where each buffer of a plan lies in one arena.
//!
//! State, inputs and outputs have places of their own. Scratch buffers live within a pass, from the first node that touches them
//! to the last, and share memory with every scratch buffer whose life never overlaps theirs in any pass.

use alloc::{collections::BinaryHeap, vec, vec::Vec};
use core::cmp::{Ordering, Reverse};

use crate::{
    buffer::{BufferId, BufferKind},
    op::Access,
    plan::Plan,
};

/// Offsets of a plan's buffers, in 32-bit elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Offset of each buffer in the arena; None for constants and for buffers no node touches and no host needs.
    pub offsets: Vec<Option<usize>>,
    /// Elements of state at the front of the arena.
    pub state: usize,
    /// Elements of the whole arena.
    pub total: usize,
}

/// First and last node of a buffer's life in one pass.
#[cfg(feature = "gpu")]
pub(crate) type Life = Option<(usize, usize)>;

impl Layout {
    /// Plans `plan`, each offset a multiple of `align` elements.
    pub fn new(plan: &Plan, align: usize) -> Self {
        let round = |len: usize| len.next_multiple_of(align);
        let mut offsets = vec![None; plan.buffers.len()];
        let mut end = 0;
        let mut place_kind = |wanted: &dyn Fn(&BufferKind) -> bool, end: &mut usize| {
            for (at, buffer) in plan.buffers.iter().enumerate() {
                if wanted(&buffer.kind) {
                    offsets[at] = Some(*end);
                    *end += round(buffer.len);
                }
            }
        };
        place_kind(&|kind| *kind == BufferKind::State, &mut end);
        let state = end;
        place_kind(&|kind| matches!(kind, BufferKind::Input | BufferKind::Output), &mut end);
        let scratch = place_scratch(plan, end, &round, &mut offsets);
        Self { offsets, state, total: end.max(scratch) }
    }

    /// Offset of a buffer that has a place.
    pub fn offset(&self, id: BufferId) -> Option<usize> {
        self.offsets[id.0 as usize]
    }
}

/// Greedy best-known heuristic for this interval problem: largest buffer first, each at the lowest offset free of the buffers
/// already placed whose life overlaps. Returns the end of the scratch area.
fn place_scratch(plan: &Plan, base: usize, round: &dyn Fn(usize) -> usize, offsets: &mut [Option<usize>]) -> usize {
    let lives = lives(plan);
    let scratch = |&at: &usize| plan.buffers[at].kind == BufferKind::Scratch && !lives[at].is_empty();
    // A heap, since a sort of the library's would be ten thousand bytes of code.
    let mut left: BinaryHeap<(usize, Reverse<usize>)> =
        (0..plan.buffers.len()).filter(scratch).map(|at| (plan.buffers[at].len, Reverse(at))).collect();
    let mut placed: Vec<(usize, usize, usize)> = Vec::new(); // (offset, end, buffer), sorted by offset
    let mut top = base;
    while let Some((_, Reverse(at))) = left.pop() {
        let len = round(plan.buffers[at].len);
        let mut offset = base;
        for &(from, to, other) in &placed {
            if from < offset + len && offset < to && meet(&lives[at], &lives[other]) {
                offset = to;
            }
        }
        offsets[at] = Some(offset);
        top = top.max(offset + len);
        let index = placed.partition_point(|&(from, ..)| from <= offset);
        placed.insert(index, (offset, offset + len, at));
    }
    top
}

#[cfg(feature = "gpu")]
pub(crate) fn overlap(a: &[Life], b: &[Life]) -> bool {
    a.iter().zip(b).any(|(a, b)| matches!((a, b), (Some(a), Some(b)) if a.0 <= b.1 && b.0 <= a.1))
}

/// A pass, and the first and last node of a buffer's life in it.
type Part = (usize, usize, usize);

/// Whether two buffers, of which each has its parts in the order of passes, live at one time. Most live in few of many passes.
fn meet(mut a: &[Part], mut b: &[Part]) -> bool {
    while let ([first, others @ ..], [second, rest @ ..]) = (a, b) {
        match first.0.cmp(&second.0) {
            Ordering::Less => a = others,
            Ordering::Greater => b = rest,
            Ordering::Equal if first.1 <= second.2 && second.1 <= first.2 => return true,
            Ordering::Equal => (a, b) = (others, rest),
        }
    }
    false
}

/// Life of every buffer.
fn lives(plan: &Plan) -> Vec<Vec<Part>> {
    let mut lives: Vec<Vec<Part>> = vec![Vec::new(); plan.buffers.len()];
    for (pass, nodes) in plan.passes.iter().map(|pass| &pass.nodes).enumerate() {
        for (node, op) in nodes.iter().enumerate() {
            op.operator().buffers(&mut |id: BufferId, _: Access| {
                let life = &mut lives[id.0 as usize];
                match life.last_mut().filter(|part| part.0 == pass) {
                    Some(part) => part.2 = node,
                    None => life.push((pass, node, node)),
                }
            });
        }
    }
    lives
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        buffer::Element,
        op::{Activate, Activation},
        plan::PlanBuilder,
    };

    /// A chain x -> a -> b -> c -> y needs two scratch places, not three, and no two live buffers overlap.
    #[test]
    fn a_chain_reuses_memory() {
        let mut b = PlanBuilder::new();
        let x = b.buffer("x", Element::F32, 100, BufferKind::Input);
        let y = b.buffer("y", Element::F32, 100, BufferKind::Output);
        let chain: Vec<_> = ["a", "b", "c"].iter().map(|name| b.scratch(*name, 100)).collect();
        b.pass("main");
        for pair in [x, chain[0], chain[1], chain[2], y].windows(2) {
            b.push(Activate { x: pair[0], y: pair[1], len: 100, activation: Activation::Relu, affine: None });
        }
        let plan = b.build().unwrap();
        let layout = Layout::new(&plan, 16);
        assert_eq!(layout.state, 0);
        assert_eq!(layout.total, 4 * 112);
        assert_eq!(layout.offset(chain[0]), layout.offset(chain[2]));
        assert_ne!(layout.offset(chain[0]), layout.offset(chain[1]));
    }

    /// Buffers that meet in one pass stay apart even if another pass would let them share.
    #[test]
    fn lives_of_all_passes_count() {
        let mut b = PlanBuilder::new();
        let (p, q, r) = (b.scratch("p", 32), b.scratch("q", 32), b.scratch("r", 32));
        let relu = |x, y| Activate { x, y, len: 32, activation: Activation::Relu, affine: None };
        b.pass("one");
        b.push(relu(p, q));
        b.pass("two");
        b.push(relu(q, r));
        let plan = b.build().unwrap();
        let layout = Layout::new(&plan, 16);
        assert_ne!(layout.offset(p), layout.offset(q));
        assert_ne!(layout.offset(q), layout.offset(r));
        assert_eq!(layout.offset(p), layout.offset(r));
    }
}
