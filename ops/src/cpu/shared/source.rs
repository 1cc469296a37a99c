//! Keys and values that attention reads where they lie.

use crate::kv::Kv;

/// Keys whose scores are held at a time.
pub(super) const KEYS: usize = 128;

/// Keys and values that a tile attends to.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    /// From the head's first word of the first key on; rows are `step` words apart.
    pub(crate) keys: &'a [f32],
    pub(crate) values: &'a [f32],
    /// What these words hold.
    pub(crate) kv: Kv,
    pub(crate) step: usize,
    pub(crate) rows: usize,
    /// Rotations (cos, sin) of the queries' and of the keys' frame.
    pub(crate) turn: Option<(&'a [f32], &'a [f32])>,
    /// Added to the scores.
    pub(crate) added: Option<Added<'a>>,
    /// The queries that see them, a bit each.
    pub(crate) mask: u32,
}

/// Numbers added to scores.
#[derive(Clone, Copy)]
pub(crate) enum Added<'a> {
    /// One a key.
    Rows(&'a [f32]),
    /// By distance: entry `query + keys - 1 - key`, queries counted within the tile.
    Distances(&'a [f32]),
}

impl Source<'_> {
    /// Rows `from .. to`, or to the end if there are fewer.
    pub(super) fn part(self, from: usize, to: usize) -> Self {
        let to = to.min(self.rows);
        let added = self.added.map(|added| match added {
            Added::Rows(numbers) => Added::Rows(&numbers[from..]),
            Added::Distances(numbers) => Added::Distances(&numbers[self.rows - to..]),
        });
        let from_word = from * self.step;
        Source { keys: &self.keys[from_word..], values: &self.values[from_word..], rows: to - from, added, ..self }
    }
}
