//! Rows that drop their oldest frame and take a new one.

use super::context::Context;
use crate::op::Remember;

pub(super) fn run(op: &Remember, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, y) = unsafe { (cx.read::<u32>(op.x), cx.write::<u32>(op.y)) };
    let memory = op.depth * op.channels;
    cx.for_rows(&mut y[..op.rows * memory], memory, memory, |first, y| {
        for (x, y) in x[first * op.channels..].chunks_exact(op.channels).zip(y.chunks_exact_mut(memory)) {
            y.copy_within(op.channels.., 0);
            y[memory - op.channels..].copy_from_slice(x);
        }
    });
}
