//! RMS norm over the channels of a pixel, and an activation.

use super::{
    context::Context,
    parts::Parts,
    shared::math,
    simd::{Kernel, Simd, vectors},
};
use crate::op::ChannelNorm;

/// Vector operations an element, about, for the choice whether to use threads.
const WORK: usize = 8;

/// The smallest mean square that a row is divided by.
const SMALLEST: f32 = 1e-30;

/// A row is a piece.
pub(super) fn parts(op: &ChannelNorm) -> Parts {
    Parts::rows(op.rows, op.dim)
}

pub(super) fn run(op: &ChannelNorm, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, y) = unsafe { (cx.read::<f32>(op.x), cx.write::<f32>(op.y)) };
    let (level, weight, dim) = (cx.level, cx.vector(op.weight), op.dim);
    cx.for_rows_of(&parts(op), &mut y[..op.rows * dim], (dim, WORK * dim), |first, y| {
        level.run(Channels { op, x: &x[first * dim..], y, weight });
    });
}

struct Channels<'a> {
    op: &'a ChannelNorm,
    x: &'a [f32],
    y: &'a mut [f32],
    weight: &'a [f32],
}

impl Kernel for Channels<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let dim = self.op.dim;
        for (x, y) in self.x.chunks_exact(dim).zip(self.y.chunks_exact_mut(dim)) {
            let mut square = s.splat(0.0);
            vectors(
                s,
                dim,
                #[inline(always)]
                |at, n| {
                    let x = s.load(&x[at..at + n]);
                    square = s.fma(x, x, square);
                },
            );
            let inverse = s.splat(1.0 / s.sqrt((s.sum(square) / dim as f32).max(SMALLEST)));
            vectors(
                s,
                dim,
                #[inline(always)]
                |at, n| {
                    let value = s.mul(s.mul(s.load(&x[at..at + n]), inverse), s.load(&self.weight[at..at + n]));
                    s.store(&mut y[at..at + n], math::activate(s, self.op.activation, value));
                },
            );
        }
    }
}
