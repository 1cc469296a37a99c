//! A chunk's first noise.

use super::context::Context;
use crate::{op::Noise, philox};

pub(super) fn run(op: &Noise, cx: &Context<'_>) {
    // SAFETY: declared access.
    let y = unsafe { cx.write::<f32>(op.y) };
    for (f, y) in y.chunks_exact_mut(op.len).take(op.frames).enumerate() {
        for (quad, y) in y.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            *y = philox::normal4(cx.params.seed, cx.params.frame + f as u32, 0, quad as u32);
        }
    }
}
