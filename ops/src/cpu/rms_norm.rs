//! RMS norm over the features of a row, with or without a modulation.

use super::{
    context::Context,
    parts::Parts,
    simd::{Kernel, Simd, vectors},
};
use crate::op::{Modulated, RmsNorm};

/// Vector operations an element, about, for the choice whether to use threads.
const WORK: usize = 4;

/// A row is a piece.
pub(super) fn parts(op: &RmsNorm) -> Parts {
    Parts::rows(op.rows, op.dim)
}

pub(super) fn run(op: &RmsNorm, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, y) = unsafe { (cx.read::<f32>(op.x), cx.write::<f32>(op.y)) };
    // SAFETY: declared access.
    let modulated = op.modulated.map(|modulated| (modulated, unsafe { cx.read::<f32>(modulated.modulation) }));
    let (level, dim) = (cx.level, op.dim);
    cx.for_rows_of(&parts(op), &mut y[..op.rows * dim], (dim, WORK * dim), |first, y| {
        level.run(Norm { op, x: &x[first * dim..], y, first, modulated });
    });
}

struct Norm<'a> {
    op: &'a RmsNorm,
    x: &'a [f32],
    y: &'a mut [f32],
    first: usize,
    modulated: Option<(Modulated, &'a [f32])>,
}

impl Kernel for Norm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let dim = self.op.dim;
        for (row, (x, y)) in (self.first..).zip(self.x.chunks_exact(dim).zip(self.y.chunks_exact_mut(dim))) {
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
            let inverse = s.splat(1.0 / s.sqrt(s.sum(square) / dim as f32 + self.op.eps));
            // A row's scale and shift, or none of both.
            let [scale, shift] = match self.modulated {
                Some((m, vectors)) => {
                    let frame = &vectors[row / m.rows_per_frame * m.vectors * dim..];
                    [m.scale, m.shift].map(|vector| &frame[vector * dim..][..dim])
                }
                None => [&[][..]; 2],
            };
            let one = s.splat(1.0);
            vectors(
                s,
                dim,
                #[inline(always)]
                |at, n| {
                    let mut value = s.mul(s.load(&x[at..at + n]), inverse);
                    if !scale.is_empty() {
                        value = s.fma(value, s.add(one, s.load(&scale[at..at + n])), s.load(&shift[at..at + n]));
                    }
                    s.store(&mut y[at..at + n], value);
                },
            );
        }
    }
}
