//! Weighted sums of embedding rows.

use super::context::Context;
use crate::op::Embed;

pub(super) fn run(op: &Embed, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (mix, y) = unsafe { (cx.read::<f32>(op.mix), cx.write::<f32>(op.y)) };
    let y = &mut y[..op.len];
    y.fill(0.0);
    for (&mix, row) in mix.iter().zip(cx.vector(op.weight).chunks_exact(op.len)).take(op.entries) {
        if mix != 0.0 {
            for (y, x) in y.iter_mut().zip(row) {
                *y += mix * x;
            }
        }
    }
}
