//! On the way from one vector to another: few operations beside what is read and written.

use super::context::Context;
use crate::op::Lerp;

pub(super) fn run(op: &Lerp, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, y) = unsafe { (cx.read::<f32>(op.x), cx.write::<f32>(op.y)) };
    let share = cx.vector(op.weight)[0];
    for (y, x) in y[..op.len].iter_mut().zip(x) {
        *y += share * (x - *y);
    }
}
