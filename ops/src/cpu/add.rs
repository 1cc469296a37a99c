//! Sums of rows, element by element.

use super::{
    context::Context,
    parts::Parts,
    shared::math,
    simd::{Kernel, Simd, vectors},
};
use crate::op::Add;

/// Multiply-adds that an element costs at most, about.
const WORK: usize = 16;

/// A row is a piece.
pub(super) fn parts(op: &Add) -> Parts {
    Parts::rows(op.rows, op.dim)
}

pub(super) fn run(op: &Add, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, z, y) = unsafe { (cx.read::<f32>(op.x), cx.read::<f32>(op.z), cx.write::<f32>(op.y)) };
    let (level, dim) = (cx.level, op.dim);
    cx.for_rows_of(&parts(op), &mut y[..op.rows * dim], (dim, WORK * dim), |first, y| {
        level.run(Sum { op, x: &x[first * dim..], z, y, first });
    });
}

struct Sum<'a> {
    op: &'a Add,
    x: &'a [f32],
    z: &'a [f32],
    y: &'a mut [f32],
    first: usize,
}

impl Kernel for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Add { dim, every, activation, .. } = *self.op;
        for (row, (x, y)) in (self.first..).zip(self.x.chunks_exact(dim).zip(self.y.chunks_exact_mut(dim))) {
            let z = &self.z[row / every * dim..][..dim];
            vectors(
                s,
                dim,
                #[inline(always)]
                |at, n| {
                    let sum = s.add(s.load(&x[at..at + n]), s.load(&z[at..at + n]));
                    s.store(&mut y[at..at + n], math::activate(s, activation, sum));
                },
            );
        }
    }
}
