//! Rows side by side.

use super::{context::Context, parts::Parts};
use crate::op::Join;

/// A row is a piece.
pub(super) fn parts(op: &Join) -> Parts {
    Parts::rows(op.rows, op.width())
}

pub(super) fn run(op: &Join, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, z, y) = unsafe { (cx.read::<f32>(op.x), cx.read::<f32>(op.z), cx.write::<f32>(op.y)) };
    let ([first, second], width) = (op.widths, op.width());
    cx.for_rows_of(&parts(op), &mut y[..op.rows * width], (width, width), |from, y| {
        for (row, y) in (from..).zip(y.chunks_exact_mut(width)) {
            let (left, right) = y.split_at_mut(first);
            left.copy_from_slice(&x[row * first..][..first]);
            right.copy_from_slice(&z[row / op.every * second..][..second]);
        }
    });
}
