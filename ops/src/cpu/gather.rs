//! Copies of rows that a table names.

use super::context::Context;
use crate::op::Gather;

pub(super) fn run(op: &Gather, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, table, y) = unsafe { (cx.read::<u32>(op.x), cx.read::<u32>(op.table), cx.write::<u32>(op.y)) };
    let x = &x[..op.slots * op.len];
    for (y, &slot) in y.chunks_exact_mut(op.len).zip(&table[op.offset..][..op.rows]) {
        // A table is the host's: what it says is looked at before it is followed.
        if let Some(row) = x.chunks_exact(op.len).nth(slot as usize) {
            y.copy_from_slice(row);
        }
    }
}
