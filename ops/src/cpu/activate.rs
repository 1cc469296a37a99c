//! Activations, element by element.

use super::{
    context::Context,
    parts::Parts,
    shared::math,
    simd::{Kernel, Simd, vectors},
};
use crate::op::{Activate, Activation};

/// Multiply-adds that an element costs at most, about.
const WORK: usize = 16;

/// A row is a piece; without channels there is one.
pub(super) fn parts(op: &Activate) -> Parts {
    let width = op.affine.map_or(op.len, |(_, channels)| channels);
    Parts::rows(op.len / width, width)
}

pub(super) fn run(op: &Activate, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, y) = unsafe { (cx.read::<f32>(op.x), cx.write::<f32>(op.y)) };
    // SAFETY: declared access.
    let affine = op.affine.map(|(table, channels)| unsafe { cx.read::<f32>(table) }.split_at(channels));
    // Rows end where the affine part's channels begin anew.
    let width = op.affine.map_or(op.len, |(_, channels)| channels);
    let level = cx.level;
    cx.for_rows_of(&parts(op), &mut y[..op.len], (width, WORK * width), |first, y| {
        level.run(Activated { activation: op.activation, x: &x[first * width..], y, width, affine });
    });
}

struct Activated<'a> {
    activation: Activation,
    x: &'a [f32],
    y: &'a mut [f32],
    width: usize,
    affine: Option<(&'a [f32], &'a [f32])>,
}

impl Kernel for Activated<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (x, y) in self.x.chunks_exact(self.width).zip(self.y.chunks_exact_mut(self.width)) {
            vectors(
                s,
                self.width,
                #[inline(always)]
                |at, n| {
                    let mut value = math::activate(s, self.activation, s.load(&x[at..at + n]));
                    if let Some((scale, shift)) = self.affine {
                        value = s.fma(value, s.load(&scale[at..at + n]), s.load(&shift[at..at + n]));
                    }
                    s.store(&mut y[at..at + n], value);
                },
            );
        }
    }
}
