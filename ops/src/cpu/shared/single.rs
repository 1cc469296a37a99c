//! One query of attention against a run of keys: what a tile does about a frame that few of its queries see.
//!
//! A product of a whole tile would be work for queries that do not want it. Alone, a query has no lanes to share: its channels are
//! the lanes, and the sums of a vector of keys are made together. A score costs about twice what it does in a full tile.

use super::math;
use crate::cpu::simd::{MAX_LANES, Simd, vectors};

/// Keys whose weights are multiplied with values at a time: independent chains of additions hide their latency.
const CHAINS: usize = 4;

/// A query's softmax so far.
pub(crate) struct Single<'a> {
    /// Sums of values, whole vectors.
    pub(crate) sums: &'a mut [f32],
    /// Largest score so far.
    pub(crate) top: &'a mut f32,
    /// Sum of weights relative to it.
    pub(crate) total: &'a mut f32,
}

/// Keys and values from a head's first feature on, `dim` apart.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) keys: &'a [f32],
    pub(crate) values: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) dim: usize,
    pub(crate) head_dim: usize,
}

impl Single<'_> {
    /// Takes all rows into the softmax of the turned and scaled `query`, `scores` at a time, which must be whole vectors.
    #[inline(always)]
    pub(crate) fn absorb<S: Simd>(&mut self, s: S, query: &[f32], rows: Rows<'_>, scores: &mut [f32]) {
        let Rows { dim, head_dim, .. } = rows;
        assert!(scores.len().is_multiple_of(S::LANES) && query.len() >= head_dim && self.sums.len() >= head_dim);
        for first in (0..rows.rows).step_by(scores.len()) {
            let part = Rows {
                keys: &rows.keys[first * dim..],
                values: &rows.values[first * dim..],
                rows: scores.len().min(rows.rows - first),
                ..rows
            };
            let extent = (part.rows - 1) * dim + head_dim;
            assert!(extent <= part.keys.len() && extent <= part.values.len(), "keys or values are too short");
            let mut top = s.splat(*self.top);
            for at in (0..part.rows).step_by(S::LANES) {
                let last = (part.rows - at).min(S::LANES) - 1;
                let key = part.keys[at * dim..].as_ptr();
                // SAFETY: the assertions above; rows `at ..= at + last` are there.
                let found = unsafe {
                    if last + 1 == S::LANES {
                        products(s, query, key, dim, head_dim, S::LANES - 1)
                    } else {
                        products(s, query, key, dim, head_dim, last)
                    }
                };
                top = s.max(top, found);
                s.store(&mut scores[at..at + S::LANES], found);
            }
            let shrink = self.weigh(s, s.top(top), &mut scores[..part.rows]);
            for column in (0..head_dim).step_by(2 * S::LANES) {
                let n = S::LANES.min(head_dim - column);
                // SAFETY: the assertions above; the columns are below `head_dim`.
                unsafe {
                    if column + 2 * S::LANES <= head_dim {
                        self.add::<S, 2>(s, scores, part, column, S::LANES, shrink);
                    } else {
                        self.add::<S, 1>(s, scores, part, column, n, shrink);
                        if column + S::LANES < head_dim {
                            self.add::<S, 1>(s, scores, part, column + S::LANES, head_dim - column - S::LANES, shrink);
                        }
                    }
                }
            }
        }
    }

    /// Turns scores into weights relative to `top`; returns what earlier sums shrink by.
    #[inline(always)]
    fn weigh<S: Simd>(&mut self, s: S, top: f32, scores: &mut [f32]) -> f32 {
        let mut shrink = [1.0];
        if top > *self.top {
            s.store(&mut shrink, math::exp(s, s.splat(*self.top - top)));
        }
        let (tops, mut total) = (s.splat(top), s.splat(0.0));
        vectors(
            s,
            scores.len(),
            #[inline(always)]
            |at, n| {
                let scores = &mut scores[at..at + n];
                s.store(scores, math::exp(s, s.sub(s.load(scores), tops)));
                // Loaded again, because lanes beyond the last key are zero then.
                total = s.add(total, s.load(scores));
            },
        );
        *self.top = top;
        *self.total = *self.total * shrink[0] + s.sum(total);
        shrink[0]
    }

    /// Adds the weighted values of `V` vectors of columns, `n` of them in the last.
    ///
    /// # Safety
    /// All rows hold columns up to the last one.
    #[inline(always)]
    unsafe fn add<S: Simd, const V: usize>(
        &mut self,
        s: S,
        weights: &[f32],
        rows: Rows<'_>,
        column: usize,
        n: usize,
        shrink: f32,
    ) {
        let mut sums = [[s.splat(0.0); V]; CHAINS];
        let value = rows.values[column..].as_ptr();
        macro_rules! take {
            ($row:expr, $sums:expr) => {{
                let weight = s.splat(weights[$row]);
                for (v, sum) in $sums.iter_mut().enumerate() {
                    // SAFETY: the caller's promise.
                    let value = unsafe {
                        let at = value.add($row * rows.dim + v * S::LANES);
                        if n == S::LANES { s.load_at(at) } else { s.load_first(at, n) }
                    };
                    *sum = s.fma(weight, value, *sum);
                }
            }};
        }
        let whole = rows.rows / CHAINS * CHAINS;
        for row in (0..whole).step_by(CHAINS) {
            for (chain, sums) in sums.iter_mut().enumerate() {
                take!(row + chain, sums);
            }
        }
        for (row, sums) in (whole..rows.rows).zip(&mut sums) {
            take!(row, sums);
        }
        let shrink = s.splat(shrink);
        for v in 0..V {
            let sum = s.add(s.add(sums[0][v], sums[1][v]), s.add(sums[2][v], sums[3][v]));
            let old = &mut self.sums[column + v * S::LANES..];
            let old = &mut old[..if v + 1 == V { n } else { S::LANES }];
            s.store(old, s.fma(s.load(old), shrink, sum));
        }
    }
}

/// Products of a query with a vector of keys; lanes behind key `last` repeat its.
///
/// # Safety
/// `keys` holds rows `0 ..= last` of `head_dim` numbers, `dim` apart, `query` as many.
#[inline(always)]
unsafe fn products<S: Simd>(s: S, query: &[f32], keys: *const f32, dim: usize, head_dim: usize, last: usize) -> S::F {
    let mut sums = [s.splat(0.0); MAX_LANES];
    vectors(
        s,
        head_dim,
        #[inline(always)]
        |at, n| {
            let x = s.load(&query[at..at + n]);
            for (row, sum) in sums.iter_mut().enumerate().take(S::LANES) {
                // SAFETY: the caller's promise.
                let key = unsafe {
                    let key = keys.add(row.min(last) * dim + at);
                    if n == S::LANES { s.load_at(key) } else { s.load_first(key, n) }
                };
                *sum = s.fma(x, key, *sum);
            }
        },
    );
    s.sums(sums)
}
