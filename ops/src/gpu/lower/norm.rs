//! Norms of rows.

use std::ops::Range;

use causeway_shaders::{self as shaders, Kernel};

#[cfg(feature = "waypoint")]
use crate::op::{Modulated, RmsNorm};

use crate::{
    buffer::BufferId,
    gpu::{
        arena,
        job::{Job, Source, rows},
    },
    op::{LayerNorm, Op, RmsNormRope, Scale},
};

/// Some rows of a norm, as codes or in its output; None of other operators.
pub(super) fn norm(op: &Op, some: Range<usize>, codes: bool) -> Option<Job> {
    match op {
        Op::LayerNorm(op) => Some(layer_norm(op, some, codes)),
        #[cfg(feature = "waypoint")]
        Op::RmsNorm(op) => Some(bare_norm(op, some, codes)),
        _ => None,
    }
}

/// The kernel of a row's length, or that which makes codes, for these rows.
fn of_rows(kernels: [&'static Kernel; 3], dim: usize, some: Range<usize>, y: BufferId, codes: bool) -> Job {
    let [quads, scalar, quantised] = kernels;
    let kernel = if codes {
        quantised
    } else if dim.is_multiple_of(4) {
        quads
    } else {
        scalar
    };
    let job = Job::new(kernel, rows(some.len())).set("first", some.start).set("end", some.end).set("dim", dim);
    if codes { job.bind("codes", Source::Codes).bind("code_scales", Source::CodeScales) } else { job.buffer("y", y) }
}

pub(super) fn layer_norm(op: &LayerNorm, some: Range<usize>, codes: bool) -> Job {
    let kernels = [&shaders::LAYER_NORM, &shaders::LAYER_NORM_SCALAR, &shaders::LAYER_NORM_CODES];
    scaled(of_rows(kernels, op.dim, some, op.y, codes), op).buffer("x", op.x).set("eps", op.eps)
}

/// What scales and shifts the rows of a norm.
pub(super) fn scaled(job: Job, op: &LayerNorm) -> Job {
    let job = job.set("rows_per_frame", op.rows_per_frame);
    match op.scale {
        Scale::Modulation { modulation, vectors, shift, scale } => job
            .buffer("scale", modulation)
            .buffer("shift", modulation)
            .set("scale_stride", vectors * op.dim)
            .set("scale_offset", scale * op.dim)
            .set("shift_offset", shift * op.dim)
            .set("one", 1.0),
        Scale::Affine { weight, bias } => job.weight("scale", weight).weight("shift", bias),
    }
}

#[cfg(feature = "waypoint")]
pub(super) fn bare_norm(op: &RmsNorm, some: Range<usize>, codes: bool) -> Job {
    let kernels = [&shaders::RMS_NORM, &shaders::RMS_NORM_SCALAR, &shaders::RMS_NORM_CODES];
    let job = of_rows(kernels, op.dim, some, op.y, codes).buffer("x", op.x).set("eps", op.eps);
    let Some(Modulated { modulation, vectors, scale, shift, rows_per_frame }) = op.modulated else { return job };
    job.buffer("modulation", modulation)
        .set("rows_per_frame", rows_per_frame)
        .set("stride", vectors * op.dim)
        .set("scale_offset", scale * op.dim)
        .set("shift_offset", shift * op.dim)
}

pub(super) fn rms_norm_rope(op: &RmsNormRope) -> Job {
    let kernel = if op.dim.is_multiple_of(2) { &shaders::RMS_NORM_ROPE } else { &shaders::RMS_NORM_ROPE_SCALAR };
    rms_norm(Job::new(kernel, rows(op.rows)).buffer("x", op.x), op)
}

pub(super) fn norms_of_two([a, b]: &[&RmsNormRope; 2]) -> Job {
    let [x, y, _] = rows(a.rows);
    let job = Job::new(&shaders::RMS_NORM_ROPE_TWO, [x, y, 2])
        .bind("x", Source::Joint(a.x, 2))
        .maybe("second", "weighted", b.weight.map(Source::Weight))
        .set("part_step", arena::step(a.rows * a.dim) / 2);
    rms_norm(job, a)
}

fn rms_norm(job: Job, op: &RmsNormRope) -> Job {
    let job = job.maybe("weight", "weighted", op.weight.map(Source::Weight));
    let job = job.set("rows", op.rows).set("dim", op.dim).set("eps", op.eps);
    match &op.grid {
        Some(grid) => job
            .buffer("rotations", grid.table)
            .set("tokens", grid.tokens)
            .set("rows_per_token", grid.rows)
            .set("pairs", op.dim / grid.heads / 2)
            .set("temporal_pairs", grid.temporal_pairs),
        None => {
            job.set("tokens", 1usize).set("rows_per_token", 1usize).set("pairs", 1usize).set("temporal_pairs", 1usize)
        }
    }
}
