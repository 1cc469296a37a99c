//! Attention that is not done in one go.

use core::ops::Range;

use super::source::{KEYS, Source};

/// Some of a tile's keys: runs of at most [`KEYS`], which end with their source. Where the keys are cut does not change a bit.
pub(crate) struct Span<'a> {
    pub(super) runs: Range<usize>,
    /// Runs of all sources.
    pub(super) all: usize,
    /// [`kept_words`](super::flash::kept_words) words for what becomes of the keys so far.
    pub(super) kept: &'a mut [f32],
}

impl<'a> Span<'a> {
    /// What steps `steps` of `of` take of `sources` sources of `rows` keys.
    pub(crate) fn new(steps: Range<usize>, of: usize, sources: usize, rows: usize, kept: &'a mut [f32]) -> Self {
        let all = sources * rows.div_ceil(KEYS);
        Self { runs: all * steps.start / of..all * steps.end / of, all, kept }
    }

    /// Those of all sources' keys that are meant.
    pub(crate) fn of<'b, I: Iterator<Item = Source<'b>>>(
        &self,
        sources: I,
    ) -> impl Iterator<Item = Source<'b>> + use<'b, I> {
        let (runs, mut before) = (self.runs.clone(), 0);
        sources.filter_map(move |source| {
            let count = source.rows.div_ceil(KEYS);
            let (from, to) = (runs.start.saturating_sub(before), runs.end.saturating_sub(before).min(count));
            before += count;
            (from < to).then(|| source.part(from * KEYS, to * KEYS))
        })
    }
}
