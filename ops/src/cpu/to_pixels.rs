//! Channels to RGBA8 pixels.

use super::context::Context;
use crate::op::ToPixels;

pub(super) fn run(op: &ToPixels, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, y) = unsafe { (cx.read::<f32>(op.x), cx.write::<u32>(op.y)) };
    let (p, channels) = (op.patch, 3 * op.patch * op.patch);
    let byte = |value: f32| (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u32;
    // One row of the input makes p rows of pixels.
    let rows = y.chunks_exact_mut(op.width * p * p).zip(x.chunks_exact(op.width * channels));
    for (y, x) in rows.take(op.height) {
        for (dy, y) in y.chunks_exact_mut(op.width * p).enumerate() {
            for (y, cell) in y.chunks_exact_mut(p).zip(x.chunks_exact(channels)) {
                let [red, green, blue] = [0, 1, 2].map(|c| &cell[(c * p + dy) * p..][..p]);
                for (((y, red), green), blue) in y.iter_mut().zip(red).zip(green).zip(blue) {
                    *y = byte(*red) | byte(*green) << 8 | byte(*blue) << 16 | 0xff00_0000;
                }
            }
        }
    }
}
