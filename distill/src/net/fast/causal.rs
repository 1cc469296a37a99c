//! Self-attention over a clean window and noisy copies of it (`mask::Causal`), and its gradient.
//!
//! Scores are taken tile by tile and not kept: the gradient takes them again, which is one product in seven, so that memory
//! grows with queries and keys and not with their product.

use std::ops::Range;

use causeway_runtime::config::DitConfig;

use super::attend::{Attend, Trained, Turns};
use super::kernels::Kernels;
use super::linalg::{Router, View, add, mean_rows, softmax_back, wide};
use crate::net::mask::{Best, Ring, Tile};

/// Attention over [clean frames | noisy copies], all of the same length, positions 0.. in each.
pub struct Causal {
    batch: usize,
    frames: usize,
    copies: usize,
    tokens: usize,
    heads: usize,
    dim: usize,
    ring: Ring,
    route: Best,
    tiles: Vec<Tile>,
    turns: Turns,
    /// Queries as the sink sees them, where that is another place.
    behind_sink: Option<Turns>,
    saved: Vec<Option<Saved>>,
    keep: bool,
}

/// What a layer's gradient needs: rotated and scaled q, the same as the sink sees it, rotated k, and v.
struct Saved {
    q: Vec<f32>,
    far: Option<Vec<f32>>,
    k: Vec<f32>,
    v: Vec<f32>,
    plain: Option<Plain>,
}

/// What ranks frames where that is not their logits: queries [B, N, dim] and means of each clean frame's keys [B, F, dim], not rotated.
struct Plain {
    q: Vec<f32>,
    means: Vec<f32>,
}

/// One head of one window: where it begins, and rows of a tile's frames in all copies one after the other.
struct Head<'a> {
    all: &'a Causal,
    tile: &'a Tile,
    at: usize,
}

impl Causal {
    /// For `batch` windows of `frames` frames with noisy `copies`, which see what `ring` holds, of that a query the `route` best
    /// frames; `keep` saves what [`Self::backward`] needs.
    pub fn new(c: &DitConfig, [batch, frames, copies]: [usize; 3], ring: Ring, route: Best, keep: bool) -> Self {
        let (tokens, all) = (c.tokens_per_frame(), 1 + copies);
        let turns =
            |at: &dyn Fn(usize) -> usize| Turns::new(c, &(0..all * frames).map(|f| at(f % frames)).collect::<Vec<_>>());
        let behind_sink = ring.moves_sink(frames).then(|| turns(&|f| ring.behind_sink(f)));
        let (tiles, turns) = (ring.tiles(frames, all * tokens), turns(&|f| f));
        let (heads, dim, saved) = (c.heads, c.dim, Vec::new());
        Self { batch, frames, copies, tokens, heads, dim, ring, route, tiles, turns, behind_sink, saved, keep }
    }

    /// Rows of a tile, and scores of a row.
    fn sizes(&self, tile: &Tile) -> (usize, usize) {
        ((1 + self.copies) * tile.frames.len() * self.tokens, (tile.columns() + 1) * self.tokens)
    }

    /// Room for `f` of the largest tile.
    fn room(&self, f: impl Fn(usize, usize) -> usize) -> Vec<f32> {
        let most = self.tiles.iter().map(|tile| self.sizes(tile)).map(|(rows, width)| f(rows, width)).max();
        vec![0.0; most.unwrap_or_default()]
    }

    /// Means of the keys `k` of each clean frame, [B, F, dim].
    fn means(&self, k: &[f32]) -> Vec<f32> {
        let row = self.tokens * self.dim;
        let clean = k.chunks_exact((1 + self.copies) * self.frames * row).map(|window| &window[..self.frames * row]);
        clean.flat_map(|clean| clean.chunks_exact(row).flat_map(|frame| mean_rows(frame, self.dim))).collect()
    }

    /// All tiles of all heads of all windows.
    fn parts(&self) -> impl Iterator<Item = Head<'_>> {
        let (d, window) = (self.dim / self.heads, (1 + self.copies) * self.frames * self.tokens * self.dim);
        let heads = (0..self.batch * self.heads).map(move |i| i / self.heads * window + i % self.heads * d);
        heads.flat_map(move |at| self.tiles.iter().map(move |tile| Head { all: self, tile, at }))
    }
}

impl Head<'_> {
    /// Where the rows of each frame of the tile, copy by copy, begin in arrays [B, N, dim].
    fn places(&self) -> impl Iterator<Item = usize> + use<'_> {
        let row = self.all.tokens * self.all.dim;
        let copy =
            move |copy: usize| self.tile.frames.clone().map(move |f| self.at + (copy * self.all.frames + f) * row);
        (0..=self.all.copies).flat_map(copy)
    }

    /// The tile's rows of `x`, packed.
    fn pack(&self, x: &[f32], packed: &mut [f32]) {
        let (s, dim) = (self.all.tokens, self.all.dim);
        let d = dim / self.all.heads;
        for (at, rows) in self.places().zip(packed.chunks_exact_mut(s * d)) {
            rows.chunks_exact_mut(d).enumerate().for_each(|(i, row)| row.copy_from_slice(&x[at + i * dim..][..d]));
        }
    }

    /// The inverse of [`Self::pack`].
    fn unpack(&self, packed: &[f32], x: &mut [f32]) {
        let (s, dim) = (self.all.tokens, self.all.dim);
        let d = dim / self.all.heads;
        for (at, rows) in self.places().zip(packed.chunks_exact(s * d)) {
            rows.chunks_exact(d).enumerate().for_each(|(i, row)| x[at + i * dim..][..d].copy_from_slice(row));
        }
    }

    /// History in two runs: where the first element lies in arrays [B, N, dim], its columns of scores, and whether it is the sink.
    fn history(&self) -> impl Iterator<Item = (usize, Range<usize>, bool)> + use<> {
        let (tile, s, row) = (self.tile, self.all.tokens, self.all.tokens * self.all.dim);
        let (sink, all) = (tile.sink * s, tile.columns() * s);
        let runs = [(self.at, 0..sink, true), (self.at + tile.past.start * row, sink..all, false)];
        runs.into_iter().filter(|run| !run.1.is_empty())
    }

    /// What ranks the tile's history for each of its rows: [rows, frames].
    fn ranks(&self, kernels: Kernels, plain: &Plain) -> Vec<f32> {
        let (all, tile) = (self.all, self.tile);
        let (dim, d, columns) = (all.dim, all.dim / all.heads, tile.columns());
        let (rows, _) = all.sizes(tile);
        let window = (1 + all.copies) * all.frames * all.tokens * dim;
        let (mut q, mut ranks) = (vec![0.0; rows * d], vec![0.0; rows * columns]);
        self.pack(&plain.q, &mut q);
        for (to, frames) in [(0, 0..tile.sink), (tile.sink, tile.past.clone())] {
            if !frames.is_empty() {
                let at = (self.at / window * all.frames + frames.start) * dim + self.at % window;
                let (q, means) = (View(&q, d, 1), View(&plain.means[at..], dim, 1).t());
                kernels.product(false, [rows, d, frames.len()], q, means, &mut ranks[to..], columns);
            }
        }
        ranks
    }

    /// Attention weights of packed queries `q` (`far` as the sink sees them): for each row those of history, then those of its own
    /// frame.
    fn weights(&self, kernels: Kernels, [q, far]: [&[f32]; 2], k: &[f32], plain: Option<&Plain>, p: &mut [f32]) {
        let (all, tile) = (self.all, self.tile);
        let (s, dim, d) = (all.tokens, all.dim, all.dim / all.heads);
        let (rows, width) = all.sizes(tile);
        for (at, columns, sink) in self.history() {
            let q = if sink && !far.is_empty() { far } else { q };
            let keys = View(&k[at..], dim, 1).t();
            kernels.product(false, [rows, d, columns.len()], View(q, d, 1), keys, &mut p[columns.start..], width);
        }
        let past = width - s;
        for (i, at) in self.places().enumerate() {
            let (q, keys) = (View(&q[i * s * d..], d, 1), View(&k[at..], dim, 1).t());
            kernels.product(false, [s, d, s], q, keys, &mut p[i * s * width + past..], width);
        }
        let (mut router, columns) = (Router::new(all.route), tile.columns());
        let (ranks, mut ranked) = (plain.map_or_else(Vec::new, |plain| self.ranks(kernels, plain)), Vec::new());
        wide(
            #[inline(always)]
            || {
                for (i, row) in p[..rows * width].chunks_exact_mut(width).enumerate() {
                    let (sink, seen) = all.ring.seen(tile, tile.frames.start + i / s % tile.frames.len());
                    let (sink, seen) = (sink * s, seen.start * s..seen.end * s);
                    // Bring what is seen together, so that softmax is one run; then put it back.
                    let known = sink + seen.len();
                    row.copy_within(seen.clone(), sink);
                    row.copy_within(past.., known);
                    let ranked: &[f32] = match ranks.get(i * columns..(i + 1) * columns) {
                        Some(ranks) => {
                            ranked.clear();
                            ranked.extend_from_slice(&ranks[..sink / s]);
                            ranked.extend_from_slice(&ranks[seen.start / s..seen.end / s]);
                            &ranked
                        }
                        None => &[],
                    };
                    router.softmax(kernels, &mut row[..known + s], s, ranked);
                    row.copy_within(known..known + s, past);
                    row.copy_within(sink..known, seen.start);
                    row[sink..seen.start].fill(0.0);
                    row[seen.end..past].fill(0.0);
                }
            },
        );
    }
}

impl Attend for Causal {
    fn forward(&mut self, kernels: Kernels, _: usize, mut q: Vec<f32>, mut k: Vec<f32>, v: Vec<f32>) -> Vec<f32> {
        let (s, dim, d) = (self.tokens, self.dim, self.dim / self.heads);
        let scale = 1.0 / (d as f32).sqrt();
        let plain = self.route.apart().then(|| Plain { means: self.means(&k), q: q.clone() });
        let far = self.behind_sink.as_ref().map(|turns| {
            let mut far = q.clone();
            turns.apply(&mut far, dim, scale, false);
            far
        });
        self.turns.apply(&mut q, dim, scale, false);
        self.turns.apply(&mut k, dim, 1.0, false);
        let (mut p, mut rows_q, mut rows_far) =
            (self.room(|rows, width| rows * width), self.room(|rows, _| rows * d), Vec::new());
        let (mut rows_out, mut out) = (rows_q.clone(), vec![0.0; q.len()]);
        if far.is_some() {
            rows_far.clone_from(&rows_q);
        }
        for head in self.parts() {
            let (rows, width) = self.sizes(head.tile);
            head.pack(&q, &mut rows_q);
            if let Some(far) = &far {
                head.pack(far, &mut rows_far);
            }
            head.weights(kernels, [&rows_q, &rows_far], &k, plain.as_ref(), &mut p);
            rows_out[..rows * d].fill(0.0);
            for (at, columns, _) in head.history() {
                let weights = View(&p[columns.start..], width, 1);
                kernels.product(true, [rows, columns.len(), d], weights, View(&v[at..], dim, 1), &mut rows_out, d);
            }
            for (i, at) in head.places().enumerate() {
                let weights = View(&p[i * s * width + width - s..], width, 1);
                kernels.product(true, [s, s, d], weights, View(&v[at..], dim, 1), &mut rows_out[i * s * d..], d);
            }
            head.unpack(&rows_out, &mut out);
        }
        if self.keep {
            self.saved.push(Some(Saved { q, far, k, v, plain }));
        }
        out
    }
}

impl Trained for Causal {
    fn backward(&mut self, kernels: Kernels, layer: usize, d_out: &[f32]) -> [Vec<f32>; 3] {
        let (s, dim, d) = (self.tokens, self.dim, self.dim / self.heads);
        let Some(Saved { q, far, k, v, plain }) = self.saved[layer].take() else {
            panic!("the pass was run without keeping what its gradient needs");
        };
        let (mut dq, mut dk, mut dv) = (vec![0.0; q.len()], vec![0.0; q.len()], vec![0.0; q.len()]);
        let mut d_far = vec![0.0; far.as_ref().map_or(0, Vec::len)];
        let (mut p, mut rows_q) = (self.room(|rows, width| rows * width), self.room(|rows, _| rows * d));
        let (mut ds, mut go, mut rows_dq) = (p.clone(), rows_q.clone(), rows_q.clone());
        let (mut rows_far, mut rows_d_far) = match far {
            Some(_) => (rows_q.clone(), rows_q.clone()),
            None => (Vec::new(), Vec::new()),
        };
        for head in self.parts() {
            let (rows, width) = self.sizes(head.tile);
            head.pack(&q, &mut rows_q);
            head.pack(d_out, &mut go);
            if let Some(far) = &far {
                head.pack(far, &mut rows_far);
            }
            head.weights(kernels, [&rows_q, &rows_far], &k, plain.as_ref(), &mut p);
            let past = width - s;
            for (at, columns, _) in head.history() {
                let (first, n) = (columns.start, columns.len());
                kernels.product(
                    false,
                    [rows, d, n],
                    View(&go, d, 1),
                    View(&v[at..], dim, 1).t(),
                    &mut ds[first..],
                    width,
                );
                kernels.product(
                    true,
                    [n, rows, d],
                    View(&p[first..], width, 1).t(),
                    View(&go, d, 1),
                    &mut dv[at..],
                    dim,
                );
            }
            for (i, at) in head.places().enumerate() {
                let (go, own) = (View(&go[i * s * d..], d, 1), i * s * width + past);
                kernels.product(false, [s, d, s], go, View(&v[at..], dim, 1).t(), &mut ds[own..], width);
                kernels.product(true, [s, s, d], View(&p[own..], width, 1).t(), go, &mut dv[at..], dim);
            }
            wide(
                #[inline(always)]
                || {
                    let all = rows * width;
                    for (p, ds) in p[..all].chunks_exact(width).zip(ds[..all].chunks_exact_mut(width)) {
                        softmax_back(p, ds);
                    }
                },
            );
            rows_dq[..rows * d].fill(0.0);
            rows_d_far.iter_mut().for_each(|x| *x = 0.0);
            for (at, columns, sink) in head.history() {
                let (n, ds) = (columns.len(), View(&ds[columns.start..], width, 1));
                let moved = sink && far.is_some();
                let (q, dq) = if moved { (&rows_far, &mut rows_d_far) } else { (&rows_q, &mut rows_dq) };
                kernels.product(true, [rows, n, d], ds, View(&k[at..], dim, 1), dq, d);
                kernels.product(true, [n, rows, d], ds.t(), View(q, d, 1), &mut dk[at..], dim);
            }
            for (i, at) in head.places().enumerate() {
                let ds = View(&ds[i * s * width + past..], width, 1);
                kernels.product(true, [s, s, d], ds, View(&k[at..], dim, 1), &mut rows_dq[i * s * d..], d);
                kernels.product(true, [s, s, d], ds.t(), View(&rows_q[i * s * d..], d, 1), &mut dk[at..], dim);
            }
            head.unpack(&rows_dq, &mut dq);
            if far.is_some() {
                head.unpack(&rows_d_far, &mut d_far);
            }
        }
        let scale = 1.0 / (d as f32).sqrt();
        self.turns.apply(&mut dq, dim, scale, true);
        self.turns.apply(&mut dk, dim, 1.0, true);
        if let Some(turns) = &self.behind_sink {
            turns.apply(&mut d_far, dim, scale, true);
            add(&mut dq, &d_far);
        }
        [dq, dk, dv]
    }
}
