//! RMS norm over the features of a row, then the spatial part of RoPE.

use super::{
    context::Context,
    parts::Parts,
    simd::{Kernel, Simd, vectors},
};
use crate::op::{Grid, RmsNormRope};

/// Vector operations an element, about, for the choice whether to use threads.
const WORK: usize = 4;

/// A row is a piece.
pub(super) fn parts(op: &RmsNormRope) -> Parts {
    Parts::rows(op.rows, op.dim)
}

pub(super) fn run(op: &RmsNormRope, cx: &Context<'_>) {
    // SAFETY: declared access.
    let x = unsafe { cx.write::<f32>(op.x) };
    // SAFETY: declared access.
    let grid = op.grid.map(|grid| (grid, unsafe { cx.read::<f32>(grid.table) }));
    let (level, weight) = (cx.level, op.weight.map(|weight| cx.vector(weight)));
    cx.for_rows_of(&parts(op), &mut x[..op.rows * op.dim], (op.dim, WORK * op.dim), |first, x| {
        level.run(Rms { op, x, first, weight, grid });
    });
}

struct Rms<'a> {
    op: &'a RmsNormRope,
    x: &'a mut [f32],
    first: usize,
    weight: Option<&'a [f32]>,
    grid: Option<(Grid, &'a [f32])>,
}

impl Kernel for Rms<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let dim = self.op.dim;
        for (row, x) in self.x.chunks_exact_mut(dim).enumerate() {
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
            vectors(
                s,
                dim,
                #[inline(always)]
                |at, n| {
                    let x = &mut x[at..at + n];
                    let mut value = s.mul(s.load(x), inverse);
                    if let Some(weight) = self.weight {
                        value = s.mul(value, s.load(&weight[at..at + n]));
                    }
                    s.store(x, value);
                },
            );
            if let Some((grid, table)) = &self.grid {
                let head_dim = dim / grid.heads;
                let numbers = head_dim - 2 * grid.temporal_pairs;
                let turns = &table[(self.first + row) / grid.rows % grid.tokens * numbers..][..numbers];
                for head in x.chunks_exact_mut(head_dim) {
                    let spatial = &mut head[2 * grid.temporal_pairs..];
                    vectors(
                        s,
                        numbers,
                        #[inline(always)]
                        |at, n| {
                            let x = &mut spatial[at..at + n];
                            s.store(x, s.turn(s.load(x), s.load(&turns[at..at + n])));
                        },
                    );
                }
            }
        }
    }
}
