//! LayerNorm over the features of a row.

use super::{
    context::Context,
    parts::Parts,
    simd::{Kernel, Simd, vectors},
};
use crate::op::{LayerNorm, Scale};

/// Vector operations an element, about, for the choice whether to use threads.
const WORK: usize = 4;

/// A row is a piece.
pub(super) fn parts(op: &LayerNorm) -> Parts {
    Parts::rows(op.rows, op.dim)
}

pub(super) fn run(op: &LayerNorm, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, y) = unsafe { (cx.read::<f32>(op.x), cx.write::<f32>(op.y)) };
    let (level, dim) = (cx.level, op.dim);
    let scale = match op.scale {
        Scale::Modulation { modulation, vectors, shift, scale } => {
            // SAFETY: declared access.
            let m = unsafe { cx.read::<f32>(modulation) };
            RowScale { one: 1.0, scale: &m[scale * dim..], shift: &m[shift * dim..], frame: vectors * dim }
        }
        Scale::Affine { weight, bias } => {
            RowScale { one: 0.0, scale: cx.vector(weight), shift: cx.vector(bias), frame: 0 }
        }
    };
    cx.for_rows_of(&parts(op), &mut y[..op.rows * dim], (dim, WORK * dim), |first, y| {
        level.run(Layer { op, x: &x[first * dim..], y, first, scale });
    });
}

/// `y * (one + scale) + shift`, both vectors `frame` further for each frame.
#[derive(Clone, Copy)]
struct RowScale<'a> {
    one: f32,
    scale: &'a [f32],
    shift: &'a [f32],
    frame: usize,
}

struct Layer<'a> {
    op: &'a LayerNorm,
    x: &'a [f32],
    y: &'a mut [f32],
    first: usize,
    scale: RowScale<'a>,
}

impl Kernel for Layer<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let dim = self.op.dim;
        for (row, (x, y)) in self.x.chunks_exact(dim).zip(self.y.chunks_exact_mut(dim)).enumerate() {
            let mut sum = s.splat(0.0);
            vectors(
                s,
                dim,
                #[inline(always)]
                |at, n| sum = s.add(sum, s.load(&x[at..at + n])),
            );
            let mean = s.splat(s.sum(sum) / dim as f32);
            let mut square = s.splat(0.0);
            vectors(
                s,
                dim,
                #[inline(always)]
                |at, n| {
                    let y = &mut y[at..at + n];
                    s.store(y, s.sub(s.load(&x[at..at + n]), mean));
                    // Loaded again, because lanes beyond the row are zero then.
                    let d = s.load(y);
                    square = s.fma(d, d, square);
                },
            );
            let inverse = s.splat(1.0 / s.sqrt(s.sum(square) / dim as f32 + self.op.eps));
            let at = (self.first + row) / self.op.rows_per_frame * self.scale.frame;
            let (scale, shift) = (&self.scale.scale[at..at + dim], &self.scale.shift[at..at + dim]);
            let one = s.splat(self.scale.one);
            vectors(
                s,
                dim,
                #[inline(always)]
                |at, n| {
                    let y = &mut y[at..at + n];
                    let scale = s.mul(inverse, s.add(one, s.load(&scale[at..at + n])));
                    s.store(y, s.fma(s.load(y), scale, s.load(&shift[at..at + n])));
                },
            );
        }
    }
}
