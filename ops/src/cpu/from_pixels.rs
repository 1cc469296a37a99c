//! RGBA8 pixels to channels.

use super::context::Context;
use crate::op::FromPixels;

pub(super) fn run(op: &FromPixels, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, y) = unsafe { (cx.read::<u32>(op.x), cx.write::<f32>(op.y)) };
    let (p, width, black) = (op.patch, op.width * op.patch, op.black);
    for (row, x) in x.chunks_exact(width).take(op.height * p).enumerate() {
        for (column, &pixel) in x.iter().enumerate() {
            let cell = &mut y[((row / p) * op.width + column / p) * 3 * p * p..][..3 * p * p];
            for c in 0..3 {
                cell[(c * p + row % p) * p + column % p] =
                    (pixel >> (8 * c) & 255) as f32 / 255.0 * (1.0 - black) + black;
            }
        }
    }
}
