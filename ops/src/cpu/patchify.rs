//! Latents to patch rows.

use super::context::Context;
use crate::op::Patchify;

pub(super) fn run(op: &Patchify, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, y) = unsafe { (cx.read::<f32>(op.x), cx.write::<f32>(op.y)) };
    // SAFETY: declared access.
    let previous = op.previous.map(|id| unsafe { cx.read::<f32>(id) });
    let [ph, pw] = op.patch;
    let (rows, columns) = (op.height / ph, op.width / pw);
    let frame = op.height * op.width * op.channels;
    let step = if op.apart { frame } else { 0 };
    for (token, y) in y.chunks_exact_mut(op.features()).take(op.frames * rows * columns).enumerate() {
        let (f, i, j) = (token / (rows * columns), token / columns % rows, token % columns);
        let sources = [Some(&x[f * frame..]), previous.map(|previous| &previous[f * step..])];
        for (source, y) in sources.into_iter().flatten().zip(y.chunks_exact_mut(op.channels * ph * pw)) {
            for dy in 0..ph {
                for dx in 0..pw {
                    let pixel = (i * ph + dy) * op.width + j * pw + dx;
                    for (c, x) in source[pixel * op.channels..][..op.channels].iter().enumerate() {
                        y[(c * ph + dy) * pw + dx] = *x;
                    }
                }
            }
        }
    }
}
