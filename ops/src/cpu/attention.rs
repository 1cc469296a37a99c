//! Attention over history and chunk, and over a context.
//!
//! A piece of work is a tile of queries of one head, one query a lane: scores are a product of rows of keys with the transposed
//! queries, the softmax is lane by lane, and outputs are a product of columns of values with the scores. Keys and values
//! are read where they lie. The softmax is online (Milakov and Gimelshein, 2018): sums so far shrink whenever a larger
//! score turns up, so scratch does not grow with the history.

use super::{
    Context,
    context::Split,
    math,
    scratch::Need,
    simd::{Kernel, Level, Simd},
    tile::{self, Finish, Left},
};
use crate::op::{Attention, Commit, CrossAttention};

/// Keys whose scores are held at a time.
const KEYS: usize = 128;

/// Added to scores of keys that a query does not see. Their weight is exactly zero once the query has seen any other.
const UNSEEN: f32 = -1e30;

/// Vectors of queries in a tile.
fn vectors(queries: usize, lanes: usize) -> usize {
    tile::vectors_at(0, queries, lanes)
}

/// Scratch of a tile: queries, rotated queries and outputs, scores.
fn tile_words(queries: usize, head_dim: usize, level: Level) -> usize {
    vectors(queries, level.lanes()) * level.lanes() * (3 * head_dim + KEYS)
}

pub(crate) fn need(op: &Attention, level: Level) -> Need {
    // Routes of a tile as one mask of queries a history frame.
    Need { shared: 0, piece: tile_words(op.tokens, op.head_dim, level) + op.max_history }
}

pub(crate) fn cross_need(op: &CrossAttention, level: Level) -> Need {
    Need { shared: 0, piece: tile_words(op.rows, op.head_dim, level) }
}

/// Rows of keys and values of one frame and head.
struct Frame<'a> {
    keys: &'a [f32],
    values: &'a [f32],
    rows: usize,
}

/// The queries of a tile and where they lie.
struct Tile<'a> {
    /// From the first query's first feature on.
    q: &'a [f32],
    y: &'a Split<'a, f32>,
    /// Offset of the first query in q and y.
    at: usize,
    queries: usize,
    head_dim: usize,
    /// Features of a row.
    dim: usize,
    scratch: &'a mut [f32],
}

pub(crate) fn attention(op: &Attention, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let [q, k, v, ring_k, ring_v, rotations] =
        [op.q, op.k, op.v, op.ring_k, op.ring_v, op.rotations].map(|id| unsafe { cx.read::<f32>(id) });
    // SAFETY: declared accesses.
    let (frames, y) = unsafe { (cx.read::<u32>(op.frames), cx.write::<f32>(op.y)) };
    // SAFETY: declared access.
    let routes = op.routes.map(|(id, k)| (unsafe { cx.read::<u32>(id) }, k));
    let history = (cx.params.history as usize).min(op.max_history);
    let (dim, level, scratch) = (op.dim(), cx.level, cx.scratch);
    let y = Split::new(&mut y[..op.rows() * dim]);
    let width = vectors(op.tokens, level.lanes()) * level.lanes();
    let tiles = op.tokens.div_ceil(width);
    let visible = routes.map_or(history, |(_, k)| history.min(k)) + op.chunk;
    let work = 2 * op.rows() * visible * op.tokens * dim;
    cx.for_each(op.chunk * tiles * op.heads, work, |piece| {
        let (head, f, tile) = (piece % op.heads, piece / op.heads / tiles, piece / op.heads % tiles);
        let row = f * op.tokens + tile * width;
        let mut loan = scratch.lend();
        let (masks, scratch) = loan.as_mut_slice::<u32>().split_at_mut(op.max_history);
        let tile = Tile {
            q,
            y: &y,
            at: row * dim + head * op.head_dim,
            queries: width.min(op.tokens - tile * width),
            head_dim: op.head_dim,
            dim,
            scratch: bytemuck::cast_slice_mut(scratch),
        };
        let masks = &mut masks[..history];
        masks.fill(if routes.is_some() { 0 } else { u32::MAX });
        if let Some((routes, k)) = routes {
            for query in 0..tile.queries {
                let route = &routes[((row + query) * op.heads + head) * k..][..k];
                route.iter().for_each(|&j| {
                    if let Some(mask) = masks.get_mut(j as usize) {
                        *mask |= 1 << query;
                    }
                });
            }
        }
        let turns = |row: usize| &rotations[row * op.temporal_pairs * 2..][..op.temporal_pairs * 2];
        let frame = |keys: &'_ [f32], at: usize| at * op.tokens * dim + head * op.head_dim..keys.len();
        level.run(History {
            tile,
            own: turns(op.max_history + f),
            turns,
            // The chunk's own frames come first, so that every query has seen a key before it meets one it does not see.
            frames: (0..op.chunk)
                .map(|own| (op.max_history + own, &k[frame(k, own)], &v[frame(v, own)], u32::MAX))
                .chain(masks.iter().enumerate().filter(|(_, mask)| **mask != 0).map(|(j, mask)| {
                    let slot = (frames[j] as usize).min(op.slots - 1);
                    (j, &ring_k[frame(ring_k, slot)], &ring_v[frame(ring_v, slot)], *mask)
                })),
            tokens: op.tokens,
        });
    });
}

/// Self-attention of a tile over frames (row of the rotations, keys, values, queries that see it).
struct History<'a, T, F> {
    tile: Tile<'a>,
    own: &'a [f32],
    turns: T,
    frames: F,
    tokens: usize,
}

impl<'a, T, F> Kernel for History<'a, T, F>
where
    T: Fn(usize) -> &'a [f32],
    F: Iterator<Item = (usize, &'a [f32], &'a [f32], u32)>,
{
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match vectors(self.tile.queries, S::LANES) {
            1 => self.attend::<S, 1>(s),
            _ => self.attend::<S, 2>(s),
        }
    }
}

impl<'a, T, F> History<'a, T, F>
where
    T: Fn(usize) -> &'a [f32],
    F: Iterator<Item = (usize, &'a [f32], &'a [f32], u32)>,
{
    #[inline(always)]
    fn attend<S: Simd, const V: usize>(self, s: S) {
        let mut state = State::<S, V>::new(s, self.tile);
        for (row, keys, values, mask) in self.frames {
            state.turn(self.own, (self.turns)(row));
            state.absorb(Frame { keys, values, rows: self.tokens }, mask);
        }
        state.finish();
    }
}

pub(crate) fn cross_attention(op: &CrossAttention, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let [q, k, v] = [op.q, op.k, op.v].map(|id| unsafe { cx.read::<f32>(id) });
    // SAFETY: declared access.
    let y = unsafe { cx.write::<f32>(op.y) };
    let dim = op.heads * op.head_dim;
    let (level, scratch) = (cx.level, cx.scratch);
    let y = Split::new(&mut y[..op.rows * dim]);
    let width = vectors(op.rows, level.lanes()) * level.lanes();
    cx.for_each(op.rows.div_ceil(width) * op.heads, 2 * op.rows * op.context * dim, |piece| {
        let (head, row) = (piece % op.heads, piece / op.heads * width);
        let mut loan = scratch.lend();
        let tile = Tile {
            q,
            y: &y,
            at: row * dim + head * op.head_dim,
            queries: width.min(op.rows - row),
            head_dim: op.head_dim,
            dim,
            scratch: loan.as_mut_slice(),
        };
        let from = head * op.head_dim;
        level.run(Rows { tile, frame: Frame { keys: &k[from..], values: &v[from..], rows: op.context } });
    });
}

/// Attention of a tile over one run of rows.
struct Rows<'a> {
    tile: Tile<'a>,
    frame: Frame<'a>,
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match vectors(self.tile.queries, S::LANES) {
            1 => self.attend::<S, 1>(s),
            _ => self.attend::<S, 2>(s),
        }
    }
}

impl Rows<'_> {
    #[inline(always)]
    fn attend<S: Simd, const V: usize>(self, s: S) {
        let mut state = State::<S, V>::new(s, self.tile);
        state.absorb(self.frame, u32::MAX);
        state.finish();
    }
}

/// A tile's softmax so far. All matrices are transposed: a row of `V` vectors holds one feature or key for all queries.
struct State<'a, S: Simd, const V: usize> {
    s: S,
    y: &'a Split<'a, f32>,
    at: usize,
    queries: usize,
    head_dim: usize,
    dim: usize,
    /// Queries divided by sqrt(head_dim) [head_dim].
    q: &'a mut [f32],
    /// The same, turned for the frame at hand.
    turned: &'a mut [f32],
    /// Sums of values [head_dim].
    sums: &'a mut [f32],
    /// Scores, then weights [KEYS].
    scores: &'a mut [f32],
    /// Largest score so far.
    top: [S::F; V],
    /// Sum of weights relative to it.
    total: [S::F; V],
}

impl<'a, S: Simd, const V: usize> State<'a, S, V> {
    #[inline(always)]
    fn new(s: S, tile: Tile<'a>) -> Self {
        let width = V * S::LANES;
        let (q, rest) = tile.scratch.split_at_mut(tile.head_dim * width);
        let (turned, rest) = rest.split_at_mut(tile.head_dim * width);
        let (sums, rest) = rest.split_at_mut(tile.head_dim * width);
        q.fill(0.0);
        sums.fill(0.0);
        let scale = 1.0 / libm::sqrtf(tile.head_dim as f32);
        for query in 0..tile.queries {
            let row = &tile.q[tile.at + query * tile.dim..][..tile.head_dim];
            for (x, q) in row.iter().zip(q[query..].iter_mut().step_by(width)) {
                *q = x * scale;
            }
        }
        turned.copy_from_slice(q);
        Self {
            s,
            y: tile.y,
            at: tile.at,
            queries: tile.queries,
            head_dim: tile.head_dim,
            dim: tile.dim,
            q,
            turned,
            sums,
            scores: &mut rest[..KEYS * width],
            top: [s.splat(f32::MIN); V],
            total: [s.splat(0.0); V],
        }
    }

    /// Turns the queries' leading pairs by conj(key) * own, both as (cos, sin).
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
                let (re, im) = (s.load(&re[v * lanes..]), s.load(&im[v * lanes..]));
                s.store(&mut out_re[v * lanes..], s.sub(s.mul(re, cos), s.mul(im, sin)));
                s.store(&mut out_im[v * lanes..], s.fma(re, sin, s.mul(im, cos)));
            }
        }
    }

    /// Takes keys and values into the softmax of the queries in `mask`.
    #[inline(always)]
    fn absorb(&mut self, frame: Frame<'_>, mask: u32) {
        let (s, dim) = (self.s, self.dim);
        let mut unseen = [s.splat(0.0); V];
        if mask != u32::MAX {
            for (v, unseen) in unseen.iter_mut().enumerate() {
                let lanes: [f32; super::simd::MAX_LANES] =
                    core::array::from_fn(|lane| if mask >> (v * S::LANES + lane) & 1 == 1 { 0.0 } else { UNSEEN });
                *unseen = s.load(&lanes);
            }
        }
        for (first, rows) in (0..frame.rows).step_by(KEYS).map(|first| (first, KEYS.min(frame.rows - first))) {
            let keys = Left::rows(&frame.keys[first * dim..], rows, dim, self.head_dim);
            let mut scores = Scores { scores: &mut *self.scores, unseen: &unseen, top: self.top };
            tile::multiply::<S, V>(s, keys, self.turned, &mut scores);
            let top = scores.top;
            let mut shrink = [s.splat(0.0); V];
            for v in 0..V {
                shrink[v] = math::exp(s, s.sub(self.top[v], top[v]));
                self.total[v] = s.mul(self.total[v], shrink[v]);
            }
            self.top = top;
            for row in self.scores.chunks_exact_mut(V * S::LANES).take(rows) {
                for (v, scores) in row.chunks_exact_mut(S::LANES).enumerate() {
                    let weight = math::exp(s, s.sub(s.load(scores), top[v]));
                    self.total[v] = s.add(self.total[v], weight);
                    s.store(scores, weight);
                }
            }
            let values = Left {
                data: &frame.values[first * dim..],
                rows: self.head_dim,
                row_step: 1,
                segments: 1,
                segment_step: 0,
                terms: rows,
                term_step: dim,
            };
            tile::multiply::<S, V>(s, values, self.scores, &mut Sums { sums: &mut *self.sums, shrink: &shrink });
        }
    }

    /// Divides by the sum of weights and stores the outputs.
    #[inline(always)]
    fn finish(self) {
        let (s, lanes) = (self.s, S::LANES);
        for row in self.sums.chunks_exact_mut(V * lanes) {
            for (v, sums) in row.chunks_exact_mut(lanes).enumerate() {
                s.store(sums, s.div(s.load(sums), self.total[v]));
            }
        }
        for query in 0..self.queries {
            // SAFETY: each query's head is one tile's.
            let y = unsafe { self.y.part(self.at + query * self.dim, self.head_dim) };
            for (y, sum) in y.iter_mut().zip(self.sums[query..].iter().step_by(V * lanes)) {
                *y = *sum;
            }
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
struct Sums<'a, F, const V: usize> {
    sums: &'a mut [f32],
    shrink: &'a [F; V],
}

impl<S: Simd, const V: usize> Finish<S, V> for Sums<'_, S::F, V> {
    #[inline(always)]
    fn take<const R: usize>(&mut self, s: S, row: usize, sums: &[[S::F; V]; R]) {
        let rows = self.sums[row * V * S::LANES..].chunks_exact_mut(V * S::LANES);
        for (row, sums) in rows.zip(sums) {
            for v in 0..V {
                let old = &mut row[v * S::LANES..(v + 1) * S::LANES];
                let sum = s.fma(s.load(old), self.shrink[v], sums[v]);
                s.store(old, sum);
            }
        }
    }
}

pub(crate) fn commit(op: &Commit, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (k, v, frames) = unsafe { (cx.read::<f32>(op.k), cx.read::<f32>(op.v), cx.read::<u32>(op.frames)) };
    // SAFETY: declared accesses.
    let [ring_k, ring_v, means] = [op.ring_k, op.ring_v, op.means].map(|id| unsafe { cx.write::<f32>(id) });
    let frame = op.tokens * op.dim;
    for f in 0..op.chunk {
        let slot = (frames[op.max_history + f] as usize).min(op.slots - 1);
        let (k, v) = (&k[f * frame..][..frame], &v[f * frame..][..frame]);
        ring_k[slot * frame..][..frame].copy_from_slice(k);
        ring_v[slot * frame..][..frame].copy_from_slice(v);
        let mean = &mut means[slot * op.dim..][..op.dim];
        mean.fill(0.0);
        for row in k.chunks_exact(op.dim) {
            mean.iter_mut().zip(row).for_each(|(mean, k)| *mean += k);
        }
        mean.iter_mut().for_each(|mean| *mean /= op.tokens as f32);
    }
}
