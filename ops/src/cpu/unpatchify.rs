//! Patch rows to latents.

use super::context::Context;
use crate::op::Unpatchify;

pub(super) fn run(op: &Unpatchify, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, y) = unsafe { (cx.read::<f32>(op.x), cx.write::<f32>(op.y)) };
    let [ph, pw] = op.patch;
    let (rows, columns) = (op.height / ph, op.width / pw);
    let frame = op.height * op.width;
    for (token, x) in x.chunks_exact(ph * pw * op.channels).take(op.frames * rows * columns).enumerate() {
        let (f, i, j) = (token / (rows * columns), token / columns % rows, token % columns);
        for (at, x) in x.chunks_exact(op.channels).enumerate() {
            let pixel = f * frame + (i * ph + at / pw) * op.width + j * pw + at % pw;
            y[pixel * op.channels..][..op.channels].copy_from_slice(x);
        }
    }
}
