//! What a kernel sees, and how it spreads its work.

use core::{cell::Cell, ops::Range};

use super::{
    parts::{Parts, steps},
    scratch::Scratch,
    simd::Level,
    split::Split,
    weights::Prepared,
};
use crate::{
    buffer::{BufferId, WeightId},
    parallel::Parallel,
    params::Params,
};

/// Where a buffer lies: first word and words. Empty for a buffer no node touches.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// In the block of constants, else in the arena.
    pub(crate) constant: bool,
    pub(crate) from: usize,
    pub(crate) len: usize,
}

/// All parts of a node, however many there are.
pub(super) const ALL: Range<usize> = 0..usize::MAX;

/// What a kernel sees: its buffers, its weights, the run's parameters, threads and scratch memory.
///
/// Views are handed out by unsafe methods with one contract: a kernel asks only for the buffers its operator declares, writes
/// only those it declares as written, and holds at most one mutable view of each. Then no two views overlap, because
/// `PlanBuilder::build` rejects nodes that write a buffer they also name otherwise, the planner keeps buffers that meet in
/// a node apart, and one node runs at a time.
pub(crate) struct Context<'a> {
    /// Per-run parameters.
    pub(crate) params: &'a Params,
    pub(crate) level: Level,
    pub(crate) scratch: &'a Scratch,
    pub(super) arena: *mut u32,
    pub(super) constants: *mut u32,
    pub(super) places: &'a [Place],
    pub(super) weights: &'a [Prepared],
    pub(super) parallel: &'a dyn Parallel,
    /// Parts of the node to be run, or [`ALL`].
    pub(super) parts: Range<usize>,
    /// Begin and end of the rows that earlier parts of the node have prepared in shared scratch; empty if there were none.
    pub(crate) ready: &'a Cell<[usize; 2]>,
    /// What a node keeps from one part to the next.
    pub(super) kept: *mut u32,
    pub(super) kept_words: usize,
}

/// Work below which waking other threads costs more than it saves, in multiply-adds.
const GRAIN: usize = 400_000;

impl<'a> Context<'a> {
    /// A buffer that the operator reads.
    ///
    /// # Safety
    /// The contract of [`Context`].
    pub(crate) unsafe fn read<T: bytemuck::Pod>(&self, id: BufferId) -> &'a [T] {
        const { assert!(size_of::<T>() == 4) };
        let (at, len) = self.at(id);
        // SAFETY: `len` initialised words begin there; by the contract nobody writes them meanwhile.
        unsafe { core::slice::from_raw_parts(at.cast(), len) }
    }

    /// A buffer that the operator writes or updates.
    ///
    /// # Safety
    /// The contract of [`Context`].
    pub(crate) unsafe fn write<T: bytemuck::Pod>(&self, id: BufferId) -> &'a mut [T] {
        const { assert!(size_of::<T>() == 4) };
        let (at, len) = self.at(id);
        // SAFETY: as in `read`; by the contract this is the only view.
        unsafe { core::slice::from_raw_parts_mut(at.cast(), len) }
    }

    fn at(&self, id: BufferId) -> (*mut u32, usize) {
        let place = self.places[id.0 as usize];
        let base = if place.constant { self.constants } else { self.arena };
        (base.wrapping_add(place.from), place.len)
    }

    /// A prepared weight.
    pub(crate) fn weight(&self, id: WeightId) -> &'a Prepared {
        &self.weights[id.0 as usize]
    }

    /// A weight prepared as plain numbers (`WeightRole::Vector`).
    pub(crate) fn vector(&self, id: WeightId) -> &'a [f32] {
        self.weight(id).vector()
    }

    /// Runs `f(0) .. f(n-1)`, on other threads too if `work` (multiply-adds in all) is worth it.
    pub(crate) fn for_each(&self, n: usize, work: usize, f: impl Fn(usize) + Sync) {
        if work < GRAIN || n < 2 {
            (0..n).for_each(f);
        } else {
            self.parallel.for_each(n, &f);
        }
    }

    /// The pieces that are to be run, of a node whose pieces go in one.
    pub(crate) fn pieces(&self, parts: &Parts) -> Range<usize> {
        if self.parts == ALL { 0..parts.pieces } else { parts.pieces(&self.parts) }
    }

    /// Runs `f(piece, steps, slot)` for the pieces of the parts to be run; `work` is the whole node's. A piece of which only some steps are
    /// run has a slot to itself, below [`BAND`](super::parts::BAND), to keep things in until its last one.
    pub(crate) fn for_parts(&self, parts: &Parts, work: usize, f: impl Fn(usize, Range<usize>, Option<usize>) + Sync) {
        if self.parts == ALL {
            return self.for_each(parts.pieces, work, |piece| f(piece, 0..1, None));
        }
        let wanted = self.parts.clone();
        let (steps_each, work) = (parts.steps(), work / parts.count());
        if steps_each == 1 {
            let pieces = parts.pieces(&wanted);
            return self.for_each(pieces.len(), work * wanted.len(), |i| f(pieces.start + i, 0..1, None));
        }
        for (pieces, part) in parts.bands(wanted) {
            let n = pieces.len();
            self.for_each(n, work * part.as_ref().map_or(n * steps_each, Range::len), |i| match &part {
                None => f(pieces.start + i, 0..1, None),
                Some(part) => {
                    let steps = steps(part, i, n);
                    if !steps.is_empty() {
                        f(pieces.start + i, steps, Some(i));
                    }
                }
            });
        }
    }

    /// What the node's earlier parts have kept.
    ///
    /// # Safety
    /// At most one view lives at a time.
    #[allow(clippy::mut_from_ref, reason = "the contract allows one view")]
    pub(crate) unsafe fn kept(&self) -> &mut [f32] {
        // SAFETY: these words lie behind all buffers; the only view, by the contract.
        unsafe { core::slice::from_raw_parts_mut(self.kept.cast(), self.kept_words) }
    }

    /// As [`Self::for_rows`], for the rows of the parts to be run, of a node whose pieces are all the rows of `y`.
    pub(crate) fn for_rows_of<T: Send>(
        &self,
        parts: &Parts,
        y: &mut [T],
        (width, work): (usize, usize),
        f: impl Fn(usize, &mut [T]) + Sync,
    ) {
        let rows = self.pieces(parts);
        self.for_rows(&mut y[rows.start * width..rows.end * width], width, work, |first, y| f(rows.start + first, y));
    }

    /// Splits `y` into rows of `width`, hands runs of rows to `f(first row, rows)`, in parallel if `work` a row is worth it.
    pub(crate) fn for_rows<T: Send>(&self, y: &mut [T], width: usize, work: usize, f: impl Fn(usize, &mut [T]) + Sync) {
        let rows = y.len() / width;
        // A fixed partition, several pieces a thread so that an interrupted thread delays little.
        let step = if work * rows < GRAIN { rows.max(1) } else { rows.div_ceil(32) };
        let y = Split::new(&mut y[..rows * width]);
        self.for_each(rows.div_ceil(step), work * rows, |piece| {
            let (from, to) = (piece * step, rows.min(piece * step + step));
            // SAFETY: pieces are disjoint runs of rows.
            f(from, unsafe { y.part(from * width, (to - from) * width) });
        });
    }
}
