//! Attention that is not done in one go.

use core::ops::Range;

use super::flash::{Added, KEYS, Source};

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

impl Source<'_> {
    /// Rows `from .. to`, or to the end if there are fewer.
    fn part(self, from: usize, to: usize) -> Self {
        let to = to.min(self.rows);
        let added = self.added.map(|added| match added {
            Added::Rows(numbers) => Added::Rows(&numbers[from..]),
            Added::Distances(numbers) => Added::Distances(&numbers[self.rows - to..]),
        });
        let from_word = from * self.step;
        Source { keys: &self.keys[from_word..], values: &self.values[from_word..], rows: to - from, added, ..self }
    }
}
