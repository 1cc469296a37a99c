//! Modulation vectors: a few rows of sums.

use super::context::Context;
use crate::op::Modulation;

pub(super) fn run(op: &Modulation, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, y) = unsafe { (cx.read::<f32>(op.x), cx.write::<f32>(op.y)) };
    let weight = cx.vector(op.weight);
    let row = op.vectors * op.dim;
    for (frame, y) in y.chunks_exact_mut(row).take(op.frames).enumerate() {
        for (vector, y) in y.chunks_exact_mut(op.dim).enumerate() {
            let from = if op.broadcast { frame * op.dim } else { frame * row + vector * op.dim };
            let offset = &weight[vector * op.dim..];
            for ((y, x), offset) in y.iter_mut().zip(&x[from..]).zip(offset) {
                *y = x + offset;
            }
        }
    }
}
