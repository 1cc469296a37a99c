//! Channels to RGBA8 pixels.

use super::context::Context;
use crate::op::ToPixels;

pub(super) fn run(op: &ToPixels, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, y) = unsafe { (cx.read::<f32>(op.x), cx.write::<u32>(op.y)) };
    let (x, black, scale) = (&x[op.x_offset..], op.black, op.scale());
    if black == 0.0 { pack(op, x, y, |value| value) } else { pack(op, x, y, |value| (value - black) * scale) }
}

/// Packs what `level` makes of values: what is black becomes 0, what is white 1.
fn pack(op: &ToPixels, x: &[f32], y: &mut [u32], level: impl Fn(f32) -> f32) {
    let byte = |value: f32| (level(value).clamp(0.0, 1.0) * 255.0 + 0.5) as u32;
    let (p, channels) = (op.patch, 3 * op.patch * op.patch);
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
