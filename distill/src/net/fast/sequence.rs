//! Self-attention within one sequence of frames that all see each other (`mask::Sequence`), and its gradient.

use causeway_runtime::config::DitConfig;

use super::attend::{Attend, Trained, Turns};
use super::kernels::Kernels;
use super::linalg::{View, softmax_back, wide};

/// What a layer's gradient needs: rotated and scaled q, rotated k, v, and the softmax.
struct Saved {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    weights: Vec<f32>,
}

/// Attention over `frames` frames, positions 0.. .
pub struct Sequence {
    batch: usize,
    frames: usize,
    tokens: usize,
    heads: usize,
    dim: usize,
    turns: Turns,
    saved: Vec<Option<Saved>>,
    keep: bool,
}

impl Sequence {
    /// For `batch` sequences of `frames` frames; `keep` saves what the gradient needs.
    pub fn new(c: &DitConfig, batch: usize, frames: usize, keep: bool) -> Self {
        let turns = Turns::new(c, &(0..frames).collect::<Vec<_>>());
        let (tokens, saved) = (c.tokens_per_frame(), Vec::new());
        Self { batch, frames, tokens, heads: c.heads, dim: c.dim, turns, saved, keep }
    }

    /// Calls `f(number, first element)` for each head of each sequence.
    fn heads(&self, mut f: impl FnMut(usize, usize)) {
        let row = self.frames * self.tokens * self.dim;
        for b in 0..self.batch {
            for h in 0..self.heads {
                f(b * self.heads + h, b * row + h * (self.dim / self.heads));
            }
        }
    }
}

impl Attend for Sequence {
    fn forward(&mut self, kernels: Kernels, _: usize, mut q: Vec<f32>, mut k: Vec<f32>, v: Vec<f32>) -> Vec<f32> {
        let (dim, n) = (self.dim, self.frames * self.tokens);
        let d = dim / self.heads;
        self.turns.apply(&mut q, dim, 1.0 / (d as f32).sqrt(), false);
        self.turns.apply(&mut k, dim, 1.0, false);
        let mut weights = vec![0.0; if self.keep { self.batch * self.heads * n * n } else { n * n }];
        let mut out = vec![0.0; q.len()];
        self.heads(|index, at| {
            let from = if self.keep { index * n * n } else { 0 };
            let p = &mut weights[from..from + n * n];
            kernels.product(false, [n, d, n], View(&q[at..], dim, 1), View(&k[at..], dim, 1).t(), p, n);
            wide(
                #[inline(always)]
                || {
                    for row in p.chunks_exact_mut(n) {
                        kernels.softmax(row);
                    }
                },
            );
            kernels.product(false, [n, n, d], View(p, n, 1), View(&v[at..], dim, 1), &mut out[at..], dim);
        });
        if self.keep {
            self.saved.push(Some(Saved { q, k, v, weights }));
        }
        out
    }
}

impl Trained for Sequence {
    fn backward(&mut self, kernels: Kernels, layer: usize, d_out: &[f32]) -> [Vec<f32>; 3] {
        let (dim, n) = (self.dim, self.frames * self.tokens);
        let d = dim / self.heads;
        let Some(Saved { q, k, v, weights }) = self.saved[layer].take() else {
            panic!("the pass was run without keeping what its gradient needs");
        };
        let (mut dq, mut dk, mut dv) = (vec![0.0; q.len()], vec![0.0; q.len()], vec![0.0; q.len()]);
        let mut ds = vec![0.0; n * n];
        self.heads(|index, at| {
            let p = &weights[index * n * n..(index + 1) * n * n];
            let go = View(&d_out[at..], dim, 1);
            kernels.product(false, [n, d, n], go, View(&v[at..], dim, 1).t(), &mut ds, n);
            kernels.product(true, [n, n, d], View(p, n, 1).t(), go, &mut dv[at..], dim);
            wide(
                #[inline(always)]
                || {
                    for (p, ds) in p.chunks_exact(n).zip(ds.chunks_exact_mut(n)) {
                        softmax_back(p, ds);
                    }
                },
            );
            kernels.product(true, [n, n, d], View(&ds, n, 1), View(&k[at..], dim, 1), &mut dq[at..], dim);
            kernels.product(true, [n, n, d], View(&ds, n, 1).t(), View(&q[at..], dim, 1), &mut dk[at..], dim);
        });
        self.turns.apply(&mut dq, dim, 1.0 / (d as f32).sqrt(), true);
        self.turns.apply(&mut dk, dim, 1.0, true);
        [dq, dk, dv]
    }
}
