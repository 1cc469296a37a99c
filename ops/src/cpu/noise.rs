//! A chunk's first noise.

use super::{context::Context, parts::Parts};
use crate::{op::Noise, philox};

/// Four normal numbers are a piece; they take about as long as so many operations.
pub(super) fn parts(op: &Noise) -> Parts {
    Parts::of(op.frames * op.len / 4, 4000)
}

pub(super) fn run(op: &Noise, cx: &Context<'_>) {
    // SAFETY: declared access.
    let y = unsafe { cx.write::<f32>(op.y) };
    let (quads, wanted) = (op.len / 4, cx.pieces(&parts(op)));
    for (at, y) in y.as_chunks_mut::<4>().0[wanted.clone()].iter_mut().enumerate() {
        let at = wanted.start + at;
        let frame = cx.params.frame.wrapping_add((at / quads) as u32);
        *y = philox::normal4(cx.params.seed, frame, 0, (at % quads) as u32);
    }
}
