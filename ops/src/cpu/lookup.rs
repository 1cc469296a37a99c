//! Copies of a table's row.

use super::context::Context;
use crate::op::Lookup;

pub(super) fn run(op: &Lookup, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (table, y) = unsafe { (cx.read::<f32>(op.table), cx.write::<f32>(op.y)) };
    let row = (cx.params.level as usize).min(op.rows - 1);
    for y in y.chunks_exact_mut(op.len).take(op.frames) {
        y.copy_from_slice(&table[row * op.len..][..op.len]);
    }
}
