//! Normalisations.

use super::Context;
use crate::op::{LayerNorm, RmsNormRope, Scale};

pub(crate) fn layer_norm(op: &LayerNorm, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, y) = unsafe { (cx.read::<f32>(op.x), cx.write::<f32>(op.y)) };
    let n = op.dim as f32;
    cx.for_rows(&mut y[..op.rows * op.dim], op.dim, op.dim, |first, rows| {
        for (row, y) in rows.chunks_exact_mut(op.dim).enumerate() {
            let row = first + row;
            let x = &x[row * op.dim..][..op.dim];
            let mean = x.iter().sum::<f32>() / n;
            let variance = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / n;
            let inverse = 1.0 / libm::sqrtf(variance + op.eps);
            for (y, x) in y.iter_mut().zip(x) {
                *y = (x - mean) * inverse;
            }
        }
    });
    for (row, y) in y.chunks_exact_mut(op.dim).take(op.rows).enumerate() {
        match op.scale {
            Scale::Modulation { modulation, vectors, shift, scale } => {
                // SAFETY: declared access.
                let m = unsafe { cx.read::<f32>(modulation) };
                let base = row / op.rows_per_frame * vectors;
                let (shift, scale) = (&m[(base + shift) * op.dim..], &m[(base + scale) * op.dim..]);
                for ((y, shift), scale) in y.iter_mut().zip(shift).zip(scale) {
                    *y = *y * (1.0 + scale) + shift;
                }
            }
            Scale::Affine { weight, bias } => {
                for ((y, weight), bias) in y.iter_mut().zip(cx.vector(weight)).zip(cx.vector(bias)) {
                    *y = *y * weight + bias;
                }
            }
        }
    }
}

pub(crate) fn rms_norm_rope(op: &RmsNormRope, cx: &Context<'_>) {
    // SAFETY: declared access.
    let x = unsafe { cx.write::<f32>(op.x) };
    let weight = cx.vector(op.weight);
    for (row, x) in x.chunks_exact_mut(op.dim).take(op.rows).enumerate() {
        let square = x.iter().map(|x| x * x).sum::<f32>() / op.dim as f32;
        let inverse = 1.0 / libm::sqrtf(square + op.eps);
        for (x, weight) in x.iter_mut().zip(weight) {
            *x = *x * inverse * weight;
        }
        if let Some(grid) = &op.grid {
            // SAFETY: declared access.
            let table = unsafe { cx.read::<f32>(grid.table) };
            let head_dim = op.dim / grid.heads;
            let turns = (head_dim / 2 - grid.temporal_pairs) * 2;
            let turns = &table[row % grid.tokens * turns..][..turns];
            for head in x.chunks_exact_mut(head_dim) {
                let spatial = &mut head[2 * grid.temporal_pairs..];
                for (pair, turn) in spatial.as_chunks_mut::<2>().0.iter_mut().zip(turns.as_chunks::<2>().0) {
                    let ([a, b], [cos, sin]) = (*pair, *turn);
                    *pair = [a * cos - b * sin, a * sin + b * cos];
                }
            }
        }
    }
}
