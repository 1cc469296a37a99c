//! The timestep sinusoid, computed in double precision.

use super::context::Context;
use crate::op::Timestep;

pub(super) fn run(op: &Timestep, cx: &Context<'_>) {
    // SAFETY: declared access.
    let y = unsafe { cx.write::<f32>(op.y) };
    let half = op.features / 2;
    for i in 0..half {
        let frequency = libm::pow(10_000.0, -(i as f64) / half as f64);
        let angle = f64::from(cx.params.timestep) * frequency;
        let (sin, cos) = libm::sincos(angle);
        for frame in 0..op.frames {
            y[frame * op.features + i] = cos as f32;
            y[frame * op.features + half + i] = sin as f32;
        }
    }
}
