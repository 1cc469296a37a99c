//! Self-attention over a doubled window (see `mask`) or over a cache, with the gradient of the former; [`Sequence`](super::sequence)
//! has the other arrangements.

use causeway_runtime::config::DitConfig;

use super::linalg::{View, keep_best, product, softmax, softmax_back, wide};
use super::sequence::Sequence;
use crate::mask::Mask;
use crate::rope;

/// cos and sin of every dimension of a head, for every token.
pub(super) struct Turns {
    cos: Vec<f32>,
    sin: Vec<f32>,
    d: usize,
}

impl Turns {
    pub(super) fn new(c: &DitConfig, positions: &[usize]) -> Self {
        let angles = rope::angles(c, positions);
        let (cos, sin) = (angles.iter().map(|a| a.cos()).collect(), angles.iter().map(|a| a.sin()).collect());
        Self { cos, sin, d: c.head_dim() }
    }

    /// Rotates all heads of all rows of `x` in place and scales them; `back` turns the other way (the gradient).
    pub(super) fn apply(&self, x: &mut [f32], dim: usize, scale: f32, back: bool) {
        let (d, tokens) = (self.d, self.cos.len() / self.d);
        let sign = if back { -1.0 } else { 1.0 };
        wide(
            #[inline(always)]
            || {
                for (i, row) in x.chunks_exact_mut(dim).enumerate() {
                    let at = (i % tokens) * d;
                    let (cos, sin) = (&self.cos[at..at + d], &self.sin[at..at + d]);
                    for head in row.chunks_exact_mut(d) {
                        for ((pair, cos), sin) in
                            head.chunks_exact_mut(2).zip(cos.chunks_exact(2)).zip(sin.chunks_exact(2))
                        {
                            let (a, b, s) = (pair[0], pair[1], sin[0] * sign);
                            pair[0] = (a * cos[0] - b * s) * scale;
                            pair[1] = (a * s + b * cos[0]) * scale;
                        }
                    }
                }
            },
        );
    }
}

/// Attention of a network's layers; `q`, `k` normalised but not rotated, all [B * N, dim].
pub trait Attend {
    /// The attended values.
    fn forward(&mut self, layer: usize, q: Vec<f32>, k: Vec<f32>, v: Vec<f32>) -> Vec<f32>;
}

/// Attention that has a gradient.
pub trait Trained: Attend {
    /// Gradients of q, k, v of `layer` from that of its result. Each layer's can be asked for once.
    fn backward(&mut self, layer: usize, d_out: &[f32]) -> [Vec<f32>; 3];
}

/// The attention of `mask` over `batch` inputs of `frames` frames; `keep` saves what the gradient needs.
pub fn masked(mask: Mask, c: &DitConfig, batch: usize, frames: usize, keep: bool) -> Box<dyn Trained> {
    match mask {
        Mask::TeacherForcing { route } => Box::new(Doubled::new(c, batch, mask.window(frames), route, keep)),
        Mask::Causal => Box::new(Sequence::new(c, batch, frames, true, keep)),
        Mask::Full => Box::new(Sequence::new(c, batch, frames, false, keep)),
    }
}

/// What a layer's gradient needs: rotated and scaled q, rotated k, v, and the softmax.
pub(super) struct Saved {
    pub q: Vec<f32>,
    pub k: Vec<f32>,
    pub v: Vec<f32>,
    pub weights: Vec<f32>,
}

/// Attention over [clean frames | noisy frames] as `mask::Doubled`.
pub struct Doubled {
    batch: usize,
    frames: usize,
    tokens: usize,
    heads: usize,
    dim: usize,
    route: usize,
    turns: Turns,
    saved: Vec<Option<Saved>>,
    keep: bool,
}

impl Doubled {
    /// For `batch` windows of `frames` frames, of which a query sees the `route` best (0 for all); `keep` saves what
    /// [`Self::backward`] needs.
    pub fn new(c: &DitConfig, batch: usize, frames: usize, route: usize, keep: bool) -> Self {
        let positions: Vec<usize> = (0..frames).chain(0..frames).collect();
        let turns = Turns::new(c, &positions);
        let (tokens, saved) = (c.tokens_per_frame(), Vec::new());
        Self { batch, frames, tokens, heads: c.heads, dim: c.dim, route, turns, saved, keep }
    }

    fn sizes(&self) -> (usize, usize, usize, usize) {
        let half = self.frames * self.tokens;
        (self.tokens, half, half + self.tokens, self.dim / self.heads)
    }

    /// Calls `f(first row, first column)` for each head of each window.
    fn heads(&self, mut f: impl FnMut(usize, usize, usize)) {
        let (_, half, ..) = self.sizes();
        for b in 0..self.batch {
            for h in 0..self.heads {
                f(b * self.heads + h, b * 2 * half * self.dim + h * (self.dim / self.heads), h);
            }
        }
    }
}

impl Trained for Doubled {
    fn backward(&mut self, layer: usize, d_out: &[f32]) -> [Vec<f32>; 3] {
        let (s, half, width, d) = self.sizes();
        let (dim, frames) = (self.dim, self.frames);
        let Some(Saved { q, k, v, weights }) = self.saved[layer].take() else {
            panic!("the pass was run without keeping what its gradient needs");
        };
        let (mut dq, mut dk, mut dv) = (vec![0.0; q.len()], vec![0.0; q.len()], vec![0.0; q.len()]);
        let mut ds = vec![0.0; 2 * half * width];
        self.heads(|index, at, _| {
            let p = &weights[index * 2 * half * width..(index + 1) * 2 * half * width];
            let go = View(&d_out[at..], dim, 1);
            product(false, [2 * half, d, half], go, View(&v[at..], dim, 1).t(), &mut ds, width);
            product(true, [half, 2 * half, d], View(p, width, 1).t(), go, &mut dv[at..], dim);
            for g in 0..2 * frames {
                let (own, row) = (at + g * s * dim, g * s * width + half);
                let go = View(&d_out[own..], dim, 1);
                product(false, [s, d, s], go, View(&v[own..], dim, 1).t(), &mut ds[row..], width);
                product(true, [s, s, d], View(&p[row..], width, 1).t(), go, &mut dv[own..], dim);
            }
            wide(
                #[inline(always)]
                || {
                    for (p, ds) in p.chunks_exact(width).zip(ds.chunks_exact_mut(width)) {
                        softmax_back(p, ds);
                    }
                },
            );
            let qs = View(&q[at..], dim, 1);
            product(true, [2 * half, half, d], View(&ds, width, 1), View(&k[at..], dim, 1), &mut dq[at..], dim);
            product(true, [half, 2 * half, d], View(&ds, width, 1).t(), qs, &mut dk[at..], dim);
            for g in 0..2 * frames {
                let (own, row) = (at + g * s * dim, g * s * width + half);
                let ds = View(&ds[row..], width, 1);
                product(true, [s, s, d], ds, View(&k[own..], dim, 1), &mut dq[own..], dim);
                product(true, [s, s, d], ds.t(), View(&q[own..], dim, 1), &mut dk[own..], dim);
            }
        });
        self.turns.apply(&mut dq, dim, 1.0 / (d as f32).sqrt(), true);
        self.turns.apply(&mut dk, dim, 1.0, true);
        [dq, dk, dv]
    }
}

impl Attend for Doubled {
    fn forward(&mut self, _: usize, mut q: Vec<f32>, mut k: Vec<f32>, v: Vec<f32>) -> Vec<f32> {
        let (s, half, width, d) = self.sizes();
        let (dim, frames, route, one) = (self.dim, self.frames, self.route, 2 * half * width);
        self.turns.apply(&mut q, dim, 1.0 / (d as f32).sqrt(), false);
        self.turns.apply(&mut k, dim, 1.0, false);
        let mut weights = vec![0.0; if self.keep { self.batch * self.heads * one } else { one }];
        let mut out = vec![0.0; q.len()];
        self.heads(|index, at, _| {
            let from = if self.keep { index * one } else { 0 };
            let p = &mut weights[from..from + one];
            product(false, [2 * half, d, half], View(&q[at..], dim, 1), View(&k[at..], dim, 1).t(), p, width);
            for g in 0..2 * frames {
                let own = at + g * s * dim;
                let keys = View(&k[own..], dim, 1).t();
                product(false, [s, d, s], View(&q[own..], dim, 1), keys, &mut p[g * s * width + half..], width);
            }
            wide(
                #[inline(always)]
                || {
                    for (i, row) in p.chunks_exact_mut(width).enumerate() {
                        // Bring what is seen together, so that softmax is one run; then put it back.
                        let past = (i / s) % frames * s;
                        keep_best(&mut row[..past], s, route);
                        row.copy_within(half..width, past);
                        softmax(&mut row[..past + s]);
                        row.copy_within(past..past + s, half);
                        row[past..half].fill(0.0);
                    }
                },
            );
            product(false, [2 * half, half, d], View(p, width, 1), View(&v[at..], dim, 1), &mut out[at..], dim);
            for g in 0..2 * frames {
                let own = at + g * s * dim;
                let weights = View(&p[g * s * width + half..], width, 1);
                product(true, [s, s, d], weights, View(&v[own..], dim, 1), &mut out[own..], dim);
            }
        });
        if self.keep {
            self.saved.push(Some(Saved { q, k, v, weights }));
        }
        out
    }
}

/// Keys (not rotated) and values [B * S, dim] of one frame in one layer.
pub type Kv = (Vec<f32>, Vec<f32>);

/// One frame's tokens over the frames of a cache and themselves, compact positions.
pub struct Cached<'a> {
    history: &'a [Vec<Kv>],
    heads: usize,
    dim: usize,
    tokens: usize,
    route: usize,
    turns: Vec<Turns>,
    /// Keys and values of the frame itself, a pair a layer, for a commit.
    pub staged: Vec<Kv>,
}

impl<'a> Cached<'a> {
    /// Over the `route` best frames (0 for all) of `history`, oldest first; each holds one pair a layer.
    pub fn new(c: &DitConfig, history: &'a [Vec<Kv>], route: usize) -> Self {
        let turns = (0..=history.len()).map(|p| Turns::new(c, &[p])).collect();
        let tokens = c.tokens_per_frame();
        Self { history, heads: c.heads, dim: c.dim, tokens, route, turns, staged: Vec::new() }
    }
}

impl Attend for Cached<'_> {
    fn forward(&mut self, layer: usize, mut q: Vec<f32>, k: Vec<f32>, v: Vec<f32>) -> Vec<f32> {
        let (s, dim, n, route) = (self.tokens, self.dim, self.history.len(), self.route);
        let (d, width) = (dim / self.heads, (n + 1) * s);
        self.turns[n].apply(&mut q, dim, 1.0 / (d as f32).sqrt(), false);
        let past = self.history.iter().map(|frame| (&frame[layer].0, &frame[layer].1));
        let frames: Vec<(Vec<f32>, &Vec<f32>)> = past
            .chain([(&k, &v)])
            .zip(&self.turns)
            .map(|((k, v), turns)| {
                let mut k = k.clone();
                turns.apply(&mut k, dim, 1.0, false);
                (k, v)
            })
            .collect();
        let (mut out, mut p) = (vec![0.0; q.len()], vec![0.0; s * width]);
        for b in 0..q.len() / (s * dim) {
            for h in 0..self.heads {
                let at = b * s * dim + h * d;
                for (f, (k, _)) in frames.iter().enumerate() {
                    let keys = View(&k[at..], dim, 1).t();
                    product(false, [s, d, s], View(&q[at..], dim, 1), keys, &mut p[f * s..], width);
                }
                wide(
                    #[inline(always)]
                    || {
                        for row in p.chunks_exact_mut(width) {
                            keep_best(&mut row[..n * s], s, route);
                            softmax(row);
                        }
                    },
                );
                for (f, (_, v)) in frames.iter().enumerate() {
                    let weights = View(&p[f * s..], width, 1);
                    product(true, [s, s, d], weights, View(&v[at..], dim, 1), &mut out[at..], dim);
                }
            }
        }
        drop(frames);
        self.staged.push((k, v));
        out
    }
}
