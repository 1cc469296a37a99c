//! The heart of attention: one tile of queries of one head against runs of keys and values.
//!
//! Scores are a product of rows of keys with the transposed queries, one query a lane, so the softmax goes lane by lane; sums
//! of values are a product of the scores with rows of values. Keys and values are read where they lie. The softmax is online
//! (Milakov and Gimelshein, 2018): sums so far shrink whenever a larger score turns up, so scratch does not grow with the
//! history.

use core::ops::Range;

use super::{
    gemm::{self, Finish, Left, Right, VECTORS},
    math,
    single::{Rows, Single},
    source::{Added, KEYS, Source},
    span::Span,
};
use crate::{
    cpu::{
        simd::{Kernel, Level, MAX_LANES, Simd, vectors},
        split::Split,
    },
    kv::Kv,
};

/// Added to scores of keys that a query does not see. Their weight is exactly zero once the query has seen any other.
const UNSEEN: f32 = -1e30;

/// What scores are multiplied with, so that their spread does not grow with the features of a head.
pub(crate) fn inverse_root(head_dim: usize) -> f32 {
    libm::sqrtf(head_dim as f32).recip()
}

/// Queries of a full tile where there are `queries` in a row.
pub(crate) fn tile_width(queries: usize, level: Level) -> usize {
    gemm::vectors_at(0, queries, level.lanes()) * level.lanes()
}

/// A source that at most one in so many of a tile's lanes sees is taken query by query: a score alone costs about twice what it
/// does in a full tile.
const FEW: usize = 2;

/// Words of scratch of a tile: transposed queries twice, sums, a query's turn and the query turned, scores, and a copy of values
/// that are not whole vectors.
pub(crate) fn tile_words(queries: usize, head_dim: usize, level: Level) -> usize {
    let width = tile_width(queries, level);
    let padded = head_dim.next_multiple_of(level.lanes());
    width * (2 * head_dim + padded + KEYS) + 2 * padded + if padded == head_dim { 0 } else { KEYS * padded }
}

/// Operations of a tile of `width` queries, with all of its lanes.
pub(crate) fn tile_flops(width: usize, keys: usize, head_dim: usize) -> u64 {
    4 * width as u64 * keys as u64 * head_dim as u64
}

/// Words of what a tile keeps between two spans of its keys: sums, then largest scores and sums of weights.
pub(crate) fn kept_words(queries: usize, head_dim: usize, level: Level) -> usize {
    tile_width(queries, level) * head_dim.next_multiple_of(level.lanes()) + 2 * VECTORS * MAX_LANES
}

/// Words for as many unpacked keys and values of a ring as are taken at a time; none where the ring can be read as it is.
pub(crate) fn unpacked_words(kv: Kv, head_dim: usize) -> usize {
    if kv == Kv::F32 { 0 } else { 2 * KEYS * head_dim }
}

/// Queries of a tile, and where their outputs go.
pub(crate) struct Tile<'a> {
    /// All queries.
    pub(crate) q: &'a [f32],
    /// All outputs.
    pub(crate) y: &'a Split<'a, f32>,
    /// First feature of the first query in both.
    pub(crate) at: usize,
    /// Queries, `dim` apart.
    pub(crate) queries: usize,
    pub(crate) head_dim: usize,
    pub(crate) dim: usize,
    /// Multiplies scores.
    pub(crate) scale: f32,
    /// [`unpacked_words`] words.
    pub(crate) unpacked: &'a mut [f32],
    /// [`tile_words`] words.
    pub(crate) scratch: &'a mut [f32],
}

/// A tile's attention. Every query must see the first source.
pub(crate) struct Attend<'a, 'b> {
    pub(crate) tile: Tile<'a>,
    pub(crate) sources: &'b mut dyn Iterator<Item = Source<'a>>,
    /// If these are not all sources: which they are.
    pub(crate) span: Option<Span<'a>>,
}

impl Kernel for Attend<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match gemm::vectors_at(0, self.tile.queries, S::LANES) {
            1 => self.attend::<S, 1>(s),
            _ => self.attend::<S, 2>(s),
        }
    }
}

impl Attend<'_, '_> {
    #[inline(always)]
    fn attend<S: Simd, const V: usize>(self, s: S) {
        let mut tile = self.tile;
        let unpacked = core::mem::take(&mut tile.unpacked);
        let d = tile.head_dim;
        let last = self.span.as_ref().is_none_or(|span| span.runs.end == span.all);
        let mut state = State::<S, V>::new(s, tile, self.span);
        for source in self.sources {
            let most = if source.kv == Kv::F32 { source.rows.max(1) } else { KEYS };
            for first in (0..source.rows).step_by(most) {
                let source = if source.kv == Kv::F32 { source } else { source.unpack(first, d, unpacked) };
                // Numbers are added to whole tiles only.
                if source.added.is_none() && source.mask.count_ones() as usize * FEW <= V * S::LANES {
                    state.absorb_singly(source);
                    continue;
                }
                if let Some((own, key)) = source.turn {
                    state.turn(own, key);
                }
                state.absorb(source);
            }
        }
        if last {
            state.finish();
        } else {
            state.keep();
        }
    }
}

impl Source<'_> {
    /// Up to `KEYS` rows from row `first` on, with nothing added, as plain numbers in `out`.
    #[inline(always)]
    fn unpack<'a>(&'a self, first: usize, head_dim: usize, out: &'a mut [f32]) -> Source<'a> {
        let rows = KEYS.min(self.rows - first);
        let (keys, values) = out.split_at_mut(KEYS * head_dim);
        let words = self.kv.row_words(head_dim);
        for (from, to) in [(self.keys, &mut *keys), (self.values, &mut *values)] {
            for (row, out) in to.chunks_exact_mut(head_dim).enumerate().take(rows) {
                let row = &from[(first + row) * self.step..][..words];
                self.kv.unpack(bytemuck::cast_slice(row), out);
            }
        }
        Source { keys, values, kv: Kv::F32, step: head_dim, rows, ..*self }
    }
}

/// A tile's softmax so far. Matrices of `V` vectors a row have a lane for each query.
struct State<'a, S: Simd, const V: usize> {
    s: S,
    /// The tile's queries as they came, `dim` apart.
    rows: &'a [f32],
    y: &'a Split<'a, f32>,
    at: usize,
    queries: usize,
    head_dim: usize,
    dim: usize,
    scale: f32,
    /// Queries times `scale` [head_dim, V].
    q: &'a mut [f32],
    /// The same, turned for the source at hand.
    turned: &'a mut [f32],
    /// Scores, then weights [KEYS, V].
    scores: &'a mut [f32],
    /// Sums of values, a row of whole vectors for each query.
    sums: &'a mut [f32],
    /// The scale in all directions: what a query alone is turned by [head_dim / 2, 2]; then the query turned.
    alone: &'a mut [f32],
    /// Values in whole vectors, where they do not come that way.
    copy: &'a mut [f32],
    /// Largest score so far of each query.
    top: [f32; VECTORS * MAX_LANES],
    /// Sum of weights relative to it.
    total: [f32; VECTORS * MAX_LANES],
    /// Where these two go if there are keys left for another time.
    rest: &'a mut [f32],
}

impl<'a, S: Simd, const V: usize> State<'a, S, V> {
    #[inline(always)]
    fn new(s: S, tile: Tile<'a>, span: Option<Span<'a>>) -> Self {
        let (width, d) = (V * S::LANES, tile.head_dim);
        let (q, rest) = tile.scratch.split_at_mut(d * width);
        let (turned, rest) = rest.split_at_mut(d * width);
        let (scores, rest) = rest.split_at_mut(KEYS * width);
        let padded = d.next_multiple_of(S::LANES);
        let (sums, rest) = rest.split_at_mut(width * padded);
        let (alone, copy) = rest.split_at_mut(2 * padded);
        let (mut top, mut total) = ([f32::MIN; VECTORS * MAX_LANES], [0.0; VECTORS * MAX_LANES]);
        let (sums, rest) = match span {
            Some(span) => {
                let (sums, rest) = span.kept.split_at_mut(width * padded);
                if span.runs.start == 0 {
                    sums.fill(0.0);
                } else {
                    top.copy_from_slice(&rest[..VECTORS * MAX_LANES]);
                    total.copy_from_slice(&rest[VECTORS * MAX_LANES..][..VECTORS * MAX_LANES]);
                }
                (sums, rest)
            }
            None => {
                sums.fill(0.0);
                (sums, &mut [][..])
            }
        };
        // Lanes without a query repeat the last one; nobody reads them.
        let rows = &tile.q[tile.at..];
        let row = |lane: usize| &rows[lane.min(tile.queries - 1) * tile.dim..][..d];
        let scale = tile.scale;
        alone[..d].as_chunks_mut::<2>().0.fill([scale, 0.0]);
        for lane in (0..width).step_by(4) {
            let rows = [row(lane), row(lane + 1), row(lane + 2), row(lane + 3)];
            for (c, q) in q.chunks_exact_mut(width).enumerate() {
                q[lane..lane + 4].copy_from_slice(&[rows[0][c], rows[1][c], rows[2][c], rows[3][c]].map(|x| x * scale));
            }
        }
        turned.copy_from_slice(q);
        let Tile { y, at, queries, head_dim, dim, .. } = tile;
        Self { s, rows, y, at, queries, head_dim, dim, scale, q, turned, scores, sums, alone, copy, top, total, rest }
    }

    /// Leaves everything for the keys to come; the sums lie where they are kept already.
    #[inline(always)]
    fn keep(self) {
        let (top, total) = self.rest.split_at_mut(VECTORS * MAX_LANES);
        top.copy_from_slice(&self.top);
        total[..VECTORS * MAX_LANES].copy_from_slice(&self.total);
    }

    /// Turns the queries' leading pairs by conj(key) * own.
    #[inline(always)]
    fn turn(&mut self, own: &[f32], key: &[f32]) {
        let (s, lanes) = (self.s, S::LANES);
        let pairs = self.q.chunks_exact(2 * V * lanes).zip(self.turned.chunks_exact_mut(2 * V * lanes));
        let turns = own.as_chunks::<2>().0.iter().zip(key.as_chunks::<2>().0);
        for ((q, turned), ([co, so], [ck, sk])) in pairs.zip(turns) {
            let (cos, sin) = (s.splat(ck * co + sk * so), s.splat(ck * so - sk * co));
            let (re, im) = q.split_at(V * lanes);
            let (out_re, out_im) = turned.split_at_mut(V * lanes);
            for v in 0..V {
                let span = v * lanes..(v + 1) * lanes;
                let (re, im) = (s.load(&re[span.clone()]), s.load(&im[span.clone()]));
                s.store(&mut out_re[span.clone()], s.sub(s.mul(re, cos), s.mul(im, sin)));
                s.store(&mut out_im[span], s.fma(re, sin, s.mul(im, cos)));
            }
        }
    }

    /// Takes a source into the softmax.
    #[inline(always)]
    fn absorb(&mut self, source: Source<'_>) {
        let (s, dim, d, width) = (self.s, source.step, self.head_dim, V * S::LANES);
        let padded = d.next_multiple_of(S::LANES);
        let unseen = self.unseen(source.mask);
        for first in (0..source.rows).step_by(KEYS) {
            let rows = KEYS.min(source.rows - first);
            let keys = Left::rows(&source.keys[first * dim..], rows, dim, d);
            let top = core::array::from_fn(|v| s.load(&self.top[v * S::LANES..]));
            let mut scores = Scores { scores: &mut *self.scores, unseen: &unseen, top };
            gemm::multiply::<S, V>(s, keys, self.turned, &mut scores);
            let mut top = scores.top;
            if let Some(added) = source.added {
                top = self.add(added, first..first + rows, source.rows);
            }
            let shrink = self.weigh(rows, top);
            let values = &source.values[first * dim..];
            let values = if padded == d {
                Right { data: values, step: dim }
            } else {
                for (copy, values) in self.copy.chunks_exact_mut(padded).zip(values.chunks(dim)).take(rows) {
                    copy[..d].copy_from_slice(&values[..d]);
                }
                Right { data: &*self.copy, step: padded }
            };
            for column in (0..padded).step_by(VECTORS * S::LANES) {
                let weights = Left {
                    data: &*self.scores,
                    rows: self.queries,
                    row_step: 1,
                    segments: 1,
                    segment_step: 0,
                    terms: rows,
                    term_step: width,
                };
                let values = Right { data: &values.data[column..], step: values.step };
                let mut sums = Sums { sums: &mut self.sums[column..], step: padded, shrink: &shrink };
                match gemm::vectors_at(column, padded, S::LANES) {
                    1 => gemm::multiply_with::<S, 1>(s, weights, values, &mut sums),
                    _ => gemm::multiply_with::<S, 2>(s, weights, values, &mut sums),
                }
            }
        }
    }

    /// Takes a source into the softmax of each query that sees it, one at a time.
    #[inline(always)]
    fn absorb_singly(&mut self, source: Source<'_>) {
        let (s, d) = (self.s, self.head_dim);
        let padded = d.next_multiple_of(S::LANES);
        let (turn, turned) = self.alone.split_at_mut(padded);
        if let Some((own, key)) = source.turn {
            let scale = self.scale;
            let turns = own.as_chunks::<2>().0.iter().zip(key.as_chunks::<2>().0);
            for (turn, ([co, so], [ck, sk])) in turn.as_chunks_mut::<2>().0.iter_mut().zip(turns) {
                *turn = [(ck * co + sk * so) * scale, (ck * so - sk * co) * scale];
            }
        }
        let rows = Rows { keys: source.keys, values: source.values, rows: source.rows, dim: source.step, head_dim: d };
        let mut left = source.mask;
        while left != 0 {
            let query = left.trailing_zeros() as usize;
            left &= left - 1;
            let row = &self.rows[query * self.dim..][..d];
            vectors(
                s,
                d,
                #[inline(always)]
                |at, n| s.store(&mut turned[at..at + n], s.turn(s.load(&row[at..at + n]), s.load(&turn[at..at + n]))),
            );
            let sums = &mut self.sums[query * padded..][..padded];
            let mut single = Single { sums, top: &mut self.top[query], total: &mut self.total[query] };
            single.absorb(s, turned, rows, &mut self.scores[..KEYS]);
        }
    }

    /// Adds to the scores of some of `count` keys; returns the new largest ones.
    #[inline(always)]
    fn add(&mut self, added: Added<'_>, keys: Range<usize>, count: usize) -> [S::F; V] {
        let s = self.s;
        let mut top: [S::F; V] = core::array::from_fn(|v| s.load(&self.top[v * S::LANES..]));
        for (row, key) in self.scores.chunks_exact_mut(V * S::LANES).zip(keys) {
            for v in 0..V {
                let score = &mut row[v * S::LANES..(v + 1) * S::LANES];
                let number = match added {
                    Added::Rows(numbers) => s.splat(numbers[key]),
                    Added::Distances(numbers) => s.load(&numbers[count - 1 - key + v * S::LANES..]),
                };
                let sum = s.add(s.load(score), number);
                top[v] = s.max(top[v], sum);
                s.store(score, sum);
            }
        }
        top
    }

    /// What is added to scores so that queries outside `mask` do not see them.
    #[inline(always)]
    fn unseen(&self, mask: u32) -> [S::F; V] {
        let mut unseen = [self.s.splat(0.0); V];
        if mask != u32::MAX {
            for (v, unseen) in unseen.iter_mut().enumerate() {
                let lanes: [f32; MAX_LANES] =
                    core::array::from_fn(|lane| if mask >> (v * S::LANES + lane) & 1 == 1 { 0.0 } else { UNSEEN });
                *unseen = self.s.load(&lanes[..S::LANES]);
            }
        }
        unseen
    }

    /// Turns the scores of `rows` keys into weights relative to `top`, the new largest score; returns what earlier sums shrink by.
    #[inline(always)]
    fn weigh(&mut self, rows: usize, top: [S::F; V]) -> [f32; VECTORS * MAX_LANES] {
        let s = self.s;
        let mut shrink = [0.0; VECTORS * MAX_LANES];
        for v in 0..V {
            let lanes = v * S::LANES..(v + 1) * S::LANES;
            let factor = math::exp(s, s.sub(s.load(&self.top[lanes.clone()]), top[v]));
            s.store(&mut shrink[lanes.clone()], factor);
            let mut total = s.mul(s.load(&self.total[lanes.clone()]), factor);
            for row in self.scores.chunks_exact_mut(V * S::LANES).take(rows) {
                let scores = &mut row[v * S::LANES..(v + 1) * S::LANES];
                let weight = math::exp(s, s.sub(s.load(scores), top[v]));
                total = s.add(total, weight);
                s.store(scores, weight);
            }
            s.store(&mut self.total[lanes.clone()], total);
            s.store(&mut self.top[lanes], top[v]);
        }
        shrink
    }

    /// Divides by the sum of weights and stores the outputs.
    #[inline(always)]
    fn finish(self) {
        let (s, d) = (self.s, self.head_dim);
        let rows = self.sums.chunks_exact(d.next_multiple_of(S::LANES)).zip(self.total).take(self.queries);
        for (query, (sums, total)) in rows.enumerate() {
            // SAFETY: a query's head belongs to one tile.
            let y = unsafe { self.y.part(self.at + query * self.dim, d) };
            let inverse = s.splat(1.0 / total);
            vectors(
                s,
                d,
                #[inline(always)]
                |at, n| s.store(&mut y[at..at + n], s.mul(s.load(&sums[at..at + n]), inverse)),
            );
        }
    }
}

/// Stores scores and tracks the largest.
struct Scores<'a, F, const V: usize> {
    scores: &'a mut [f32],
    /// Added to them.
    unseen: &'a [F; V],
    top: [F; V],
}

impl<S: Simd, const V: usize> Finish<S, V> for Scores<'_, S::F, V> {
    #[inline(always)]
    fn take<const R: usize>(&mut self, s: S, row: usize, sums: &[[S::F; V]; R]) {
        let rows = self.scores[row * V * S::LANES..].chunks_exact_mut(V * S::LANES);
        for (row, sums) in rows.zip(sums) {
            for v in 0..V {
                let score = s.add(sums[v], self.unseen[v]);
                self.top[v] = s.max(self.top[v], score);
                s.store(&mut row[v * S::LANES..(v + 1) * S::LANES], score);
            }
        }
    }
}

/// Shrinks the sums of values so far and adds new ones.
struct Sums<'a> {
    sums: &'a mut [f32],
    /// Distance of rows.
    step: usize,
    /// For each row.
    shrink: &'a [f32],
}

impl<S: Simd, const V: usize> Finish<S, V> for Sums<'_> {
    #[inline(always)]
    fn take<const R: usize>(&mut self, s: S, row: usize, sums: &[[S::F; V]; R]) {
        for (r, sums) in sums.iter().enumerate() {
            let shrink = s.splat(self.shrink[row + r]);
            let old = &mut self.sums[(row + r) * self.step..][..V * S::LANES];
            for (old, sum) in old.chunks_exact_mut(S::LANES).zip(sums) {
                s.store(old, s.fma(s.load(old), shrink, *sum));
            }
        }
    }
}
