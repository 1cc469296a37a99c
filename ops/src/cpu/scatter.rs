//! Copies of rows to where a table says.

use super::context::Context;
use crate::op::Scatter;

pub(super) fn run(op: &Scatter, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, table, y) = unsafe { (cx.read::<u32>(op.x), cx.read::<u32>(op.table), cx.write::<u32>(op.y)) };
    let y = &mut y[..op.slots * op.len];
    for (x, &slot) in x[op.x_offset..].chunks_exact(op.len).zip(&table[op.offset..][..op.rows]) {
        if let Some(row) = y.chunks_exact_mut(op.len).nth(slot as usize) {
            row.copy_from_slice(x);
        }
    }
}
