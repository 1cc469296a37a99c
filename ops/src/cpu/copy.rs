//! Copies of words, whatever they hold.

use super::context::Context;
use crate::op::Copy;

pub(super) fn run(op: &Copy, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, y) = unsafe { (cx.read::<u32>(op.x), cx.write::<u32>(op.y)) };
    y[op.y_offset..][..op.len].copy_from_slice(&x[op.x_offset..][..op.len]);
}
