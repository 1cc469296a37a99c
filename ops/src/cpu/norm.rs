//! Normalisations over the features of a row.

use super::{
    Context, math,
    simd::{Kernel, Simd, vectors},
};
use crate::op::{ChannelNorm, Grid, LayerNorm, RmsNormRope, Scale};

/// Vector operations an element, about, for the choice whether to use threads.
const WORK: usize = 4;

pub(crate) fn layer_norm(op: &LayerNorm, cx: &Context<'_>) {
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
    cx.for_rows(&mut y[..op.rows * dim], dim, WORK * dim, |first, y| {
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

pub(crate) fn rms_norm_rope(op: &RmsNormRope, cx: &Context<'_>) {
    // SAFETY: declared access.
    let x = unsafe { cx.write::<f32>(op.x) };
    // SAFETY: declared access.
    let grid = op.grid.map(|grid| (grid, unsafe { cx.read::<f32>(grid.table) }));
    let (level, weight) = (cx.level, cx.vector(op.weight));
    cx.for_rows(&mut x[..op.rows * op.dim], op.dim, WORK * op.dim, |first, x| {
        level.run(Rms { op, x, first, weight, grid });
    });
}

struct Rms<'a> {
    op: &'a RmsNormRope,
    x: &'a mut [f32],
    first: usize,
    weight: &'a [f32],
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
                    s.store(x, s.mul(s.mul(s.load(x), inverse), s.load(&self.weight[at..at + n])));
                },
            );
            if let Some((grid, table)) = &self.grid {
                let head_dim = dim / grid.heads;
                let numbers = head_dim - 2 * grid.temporal_pairs;
                let turns = &table[(self.first + row) % grid.tokens * numbers..][..numbers];
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

/// The smallest mean square that a row is divided by.
const SMALLEST: f32 = 1e-30;

pub(crate) fn channel_norm(op: &ChannelNorm, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, y) = unsafe { (cx.read::<f32>(op.x), cx.write::<f32>(op.y)) };
    let (level, weight, dim) = (cx.level, cx.vector(op.weight), op.dim);
    cx.for_rows(&mut y[..op.rows * dim], dim, 2 * WORK * dim, |first, y| {
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
