//! Norms of rows.

use causeway_shaders as shaders;

#[cfg(feature = "waypoint")]
use crate::op::{Modulated, RmsNorm};

use crate::{
    gpu::{
        arena,
        job::{Job, Source, rows},
    },
    op::{LayerNorm, RmsNormRope, Scale},
};

pub(super) fn layer_norm(op: &LayerNorm) -> Job {
    let kernel = if op.dim.is_multiple_of(4) { &shaders::LAYER_NORM } else { &shaders::LAYER_NORM_SCALAR };
    scaled(Job::new(kernel, rows(op.rows)), op)
        .buffer("x", op.x)
        .buffer("y", op.y)
        .set("rows", op.rows)
        .set("dim", op.dim)
        .set("eps", op.eps)
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
pub(super) fn bare_norm(op: &RmsNorm) -> Job {
    let job = Job::new(&shaders::RMS_NORM, rows(op.rows))
        .buffer("x", op.x)
        .buffer("y", op.y)
        .set("rows", op.rows)
        .set("dim", op.dim)
        .set("eps", op.eps);
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
