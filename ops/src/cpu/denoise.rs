//! A sampler update.

use super::context::Context;
use crate::{op::Denoise, philox};

pub(super) fn run(op: &Denoise, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (v, x) = unsafe { (cx.read::<f32>(op.v), cx.write::<f32>(op.x)) };
    let next = cx.params.next_sigma;
    // x0 = kept x + taken v.
    let (kept, taken) = if op.clean { (0.0, 1.0) } else { (1.0, -cx.params.sigma) };
    for (f, (x, v)) in x.chunks_exact_mut(op.len).zip(v.chunks_exact(op.len)).take(op.frames).enumerate() {
        let quads = x.as_chunks_mut::<4>().0.iter_mut().zip(v.as_chunks::<4>().0);
        for (quad, (x, v)) in quads.enumerate() {
            let noise = if next > 0.0 {
                philox::normal4(cx.params.seed, cx.params.frame + f as u32, cx.params.step + 1, quad as u32)
            } else {
                [0.0; 4]
            };
            for i in 0..4 {
                let clean = kept * x[i] + taken * v[i];
                x[i] = (1.0 - next) * clean + next * noise[i];
            }
        }
    }
}
