//! What self-attention is to the denoiser, and the rotation that all kinds of it share.

use causeway_runtime::config::DitConfig;

use super::kernels::Kernels;
use super::lanes::wide;
use crate::net::rope;

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
    /// The attended values, by products of `kernels`.
    fn forward(&mut self, kernels: Kernels, layer: usize, q: Vec<f32>, k: Vec<f32>, v: Vec<f32>) -> Vec<f32>;
}

/// Attention that has a gradient.
pub trait Trained: Attend {
    /// Gradients of q, k, v of `layer` from that of its result. Each layer's can be asked for once.
    fn backward(&mut self, kernels: Kernels, layer: usize, d_out: &[f32]) -> [Vec<f32>; 3];
}
