//! Nodes in parts: what a host can run of a large node before it gets control back.
//!
//! A kernel cuts its work into *pieces* for the threads. A part is as many of them as make some thirty million operations, well below a
//! millisecond of one core. Attention to a long history has larger pieces, a tile of queries each; these go in *steps*, of a run of keys each.
//! Pieces that go in steps go together, [`BAND`] at a time, so that there is something for each thread to do however few parts are asked for.
//! Where a node is cut depends on the plan and the instruction set alone.

use core::ops::Range;

/// Floating-point operations (a multiply-add counts two) that a part has at most, where pieces are not larger.
pub(crate) const MOST: u64 = 32_000_000;

/// Pieces that are in steps at one time.
pub(crate) const BAND: usize = 16;

/// How a node's pieces make parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) pieces: usize,
    /// Operations of a piece.
    flops: u64,
    /// Whether a piece can go in steps.
    stepped: bool,
}

impl Parts {
    /// Parts of pieces of `flops` operations that go in one.
    pub(crate) fn of(pieces: usize, flops: u64) -> Self {
        Self { pieces, flops, stepped: false }
    }

    /// Parts of rows of `width` elements, each its own: an element takes some tens of operations' time.
    pub(crate) fn rows(rows: usize, width: usize) -> Self {
        Self::of(rows, 40 * width as u64)
    }

    /// Parts of pieces that can go in steps.
    pub(crate) fn stepped(pieces: usize, flops: u64) -> Self {
        Self { pieces, flops, stepped: true }
    }

    /// Pieces of a part.
    fn each(&self) -> usize {
        (MOST / self.flops.max(1)).max(1) as usize
    }

    /// Parts of a piece: one but where pieces that go in steps are larger than parts.
    pub(crate) fn steps(&self) -> usize {
        if self.stepped { self.flops.div_ceil(MOST).max(1) as usize } else { 1 }
    }

    /// Number of parts, at least 1.
    pub(crate) fn count(&self) -> usize {
        (self.pieces.div_ceil(self.each()) * self.steps()).max(1)
    }

    /// The pieces of `parts`, where pieces go in one.
    pub(crate) fn pieces(&self, parts: &Range<usize>) -> Range<usize> {
        let each = self.each();
        (parts.start * each).min(self.pieces)..(parts.end * each).min(self.pieces)
    }

    /// Cuts `parts` into runs of bands: one that is run in part, then all that are run from end to end, then another in part. A run is its
    /// pieces, and if they are run in part the parts of this band.
    pub(crate) fn bands(&self, parts: Range<usize>) -> impl Iterator<Item = (Range<usize>, Option<Range<usize>>)> {
        let (band, count, pieces) = (BAND * self.steps(), self.count(), self.pieces);
        let mut next = parts.start;
        core::iter::from_fn(move || {
            if next >= parts.end {
                return None;
            }
            let (start, first) = (next, next / band);
            // The band behind the last one that is run to its end; the last band of all may be a short one.
            let whole = if parts.end >= count { count.div_ceil(band) } else { parts.end / band };
            let span = |to: usize| first * BAND..pieces.min(to * BAND);
            if start.is_multiple_of(band) && whole > first {
                next = (whole * band).min(count);
                return Some((span(whole), None));
            }
            next = parts.end.min((first + 1) * band).min(count);
            Some((span(first + 1), Some(start - first * band..next - first * band)))
        })
    }
}

/// The steps that parts `parts` of a band are for piece `piece` of its `pieces`: pieces take turns.
pub(crate) fn steps(parts: &Range<usize>, piece: usize, pieces: usize) -> Range<usize> {
    let turns = |parts: usize| (parts + pieces - 1 - piece) / pieces;
    turns(parts.start)..turns(parts.end)
}

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use super::*;

    /// Runs parts in groups of `group` and returns how often each step of each piece was run; none before the one in front of it.
    fn ran(parts: Parts, group: usize) -> Vec<Vec<usize>> {
        let mut done = vec![vec![]; parts.pieces];
        for from in (0..parts.count()).step_by(group) {
            for (pieces, part) in parts.bands(from..parts.count().min(from + group)) {
                for piece in pieces.clone() {
                    let all = 0..parts.steps();
                    done[piece]
                        .extend(part.as_ref().map_or(all, |part| steps(part, piece - pieces.start, pieces.len())));
                }
            }
        }
        done
    }

    #[test]
    fn every_step_is_run_once_and_in_order() {
        for pieces in [1, 2, 15, 16, 17, 40, 64] {
            for steps in [2, 3, 7] {
                let parts = Parts::stepped(pieces, steps as u64 * MOST);
                for group in [1, 2, 5, 16, 31, 32, 33, 100, 10_000] {
                    let expected = vec![(0..steps).collect::<Vec<_>>(); pieces];
                    assert_eq!(ran(parts, group), expected, "{pieces} pieces, {steps} steps, {group} parts at a time");
                }
            }
        }
    }

    #[test]
    fn small_nodes_are_whole_and_large_ones_are_not() {
        assert_eq!(Parts::of(100, 300_000).count(), 1);
        assert_eq!(Parts::of(100, 3_000_000).count(), 10);
        assert_eq!(Parts::of(100, 90_000_000).count(), 100);
        assert_eq!(Parts::stepped(100, 90_000_000).count(), 300);
        assert_eq!(Parts::of(100, 3_000_000).pieces(&(3..10)), 30..100);
    }
}
