//! Attention of every kind, and what goes on around its ring: routes, preferences, commits.

use causeway_shaders::{self as shaders, Kernel};

#[cfg(feature = "matrix-game")]
use crate::{gpu::job::rows, op::TemporalAttention};

use crate::{
    backend::BackendError,
    buffer::BufferId,
    gpu::{
        arena::MOST_FRAMES,
        choice::Shape,
        device::Gpu,
        job::{Job, unsupported},
        tier::Tier,
    },
    kv::Kv,
    op::{Attention, Commit, CrossAttention, Offsets, Prefer, RmsNormRope, Route},
};

/// The first of `kernels`, for heads of 32, 64 and 128, that holds a head.
fn fit_head(name: &str, kernels: [&'static Kernel; 3], head_dim: usize) -> Result<&'static Kernel, BackendError> {
    match head_dim {
        odd if odd % 2 == 1 => Err(unsupported(name, &format!("heads of {odd} features, an odd number"))),
        0..=32 => Ok(kernels[0]),
        33..=64 => Ok(kernels[1]),
        65..=128 => Ok(kernels[2]),
        _ => Err(unsupported(name, &format!("heads of {head_dim} features, more than 128"))),
    }
}

fn fit_frames(name: &str, frames: usize) -> Result<(), BackendError> {
    if frames <= MOST_FRAMES {
        return Ok(());
    }
    Err(unsupported(name, &format!("{frames} visible frames, more than {MOST_FRAMES}")))
}

fn inverse_root(head_dim: usize) -> f32 {
    1.0 / (head_dim as f32).sqrt()
}

/// Queries that a workgroup of flash.wgsl takes, or of its form for a tier.
fn queries(tier: Tier, gpu: &Gpu) -> usize {
    match tier {
        Tier::Half => 64,
        Tier::Cooperative => 4 * gpu.edge(),
        _ => 16,
    }
}

/// Names of a kernel's permutations for heads of 32, 64 and 128.
macro_rules! heads {
    ($a:ident, $b:ident, $c:ident) => {
        [&shaders::$a, &shaders::$b, &shaders::$c]
    };
}

pub(super) fn attention_shape(op: &Attention) -> Shape {
    let keys = (op.max_history + op.chunk) * op.tokens;
    Shape::Attention { rows: op.rows(), keys, heads: op.heads, head_dim: op.head_dim, kv: op.kv }
}

pub(super) fn cross_attention_shape(op: &CrossAttention) -> Shape {
    Shape::CrossAttention { rows: op.rows, keys: op.context, heads: op.heads, head_dim: op.head_dim }
}

pub(super) fn attention(op: &Attention, gpu: &Gpu) -> Result<Job, BackendError> {
    let tier = gpu.choice.of(attention_shape(op));
    let kernels = match (tier, op.kv) {
        (Tier::Half, Kv::F32) => heads!(ATTENTION_HALF_32, ATTENTION_HALF_64, ATTENTION_HALF_128),
        (Tier::Half, Kv::F16) => heads!(ATTENTION_HALF_32_F16, ATTENTION_HALF_64_F16, ATTENTION_HALF_128_F16),
        (Tier::Half, Kv::Q8) => heads!(ATTENTION_HALF_32_Q8, ATTENTION_HALF_64_Q8, ATTENTION_HALF_128_Q8),
        (Tier::Cooperative, Kv::F32) => heads!(ATTENTION_MATRICES_32, ATTENTION_MATRICES_64, ATTENTION_MATRICES_128),
        (Tier::Cooperative, Kv::F16) => {
            heads!(ATTENTION_MATRICES_32_F16, ATTENTION_MATRICES_64_F16, ATTENTION_MATRICES_128_F16)
        }
        (Tier::Cooperative, Kv::Q8) => {
            heads!(ATTENTION_MATRICES_32_Q8, ATTENTION_MATRICES_64_Q8, ATTENTION_MATRICES_128_Q8)
        }
        (_, Kv::F32) => heads!(ATTENTION_32, ATTENTION_64, ATTENTION_128),
        (_, Kv::F16) => heads!(ATTENTION_32_F16, ATTENTION_64_F16, ATTENTION_128_F16),
        (_, Kv::Q8) => heads!(ATTENTION_32_Q8, ATTENTION_64_Q8, ATTENTION_128_Q8),
    };
    let kernel = fit_head("attention", kernels, op.head_dim)?;
    fit_frames("attention", op.max_history + op.chunk)?;
    let job = Job::new(kernel, [op.rows().div_ceil(queries(tier, gpu)), op.heads, 1])
        .rows_along(0)
        .buffer("q", op.q)
        .buffer("k", op.k)
        .buffer("v", op.v)
        .buffer("ring_k", op.ring_k)
        .buffer("ring_v", op.ring_v)
        .buffer("frames", op.frames)
        .buffer("rotations", op.rotations)
        .buffer("y", op.y)
        .set("rows", op.rows())
        .set("chunk", op.chunk)
        .set("tokens", op.tokens)
        .set("queries_per_frame", op.queries())
        .set("heads", op.heads)
        .set("head_dim", op.head_dim)
        .set("temporal_pairs", op.temporal_pairs)
        .set("slots", op.slots)
        .set("max_history", op.max_history)
        .set("ring", op.group)
        .set("scale", inverse_root(op.head_dim));
    Ok(match op.routes {
        Some((routes, k)) => job.buffer("routes", routes).set("k", k),
        None => job,
    })
}

/// Lanes of temporal_attention.wgsl, each with the scores of one head of one query, and the frames that it has room for.
#[cfg(feature = "matrix-game")]
const SCORED: (usize, usize) = (64, 48);

#[cfg(feature = "matrix-game")]
pub(super) fn temporal_attention(op: &TemporalAttention) -> Result<Job, BackendError> {
    let kernel = match op.kv {
        Kv::F32 => &shaders::TEMPORAL_ATTENTION,
        Kv::F16 => &shaders::TEMPORAL_ATTENTION_F16,
        Kv::Q8 => &shaders::TEMPORAL_ATTENTION_Q8,
    };
    let (visible, (lanes, most)) = (op.max_history + op.chunk, SCORED);
    if visible > most {
        return Err(unsupported("temporal_attention", &format!("{visible} visible frames, more than {most}")));
    }
    Ok(Job::new(kernel, rows((op.rows() * op.heads).div_ceil(lanes)))
        .buffer("q", op.q)
        .buffer("k", op.k)
        .buffer("v", op.v)
        .buffer("ring_k", op.ring_k)
        .buffer("ring_v", op.ring_v)
        .buffer("frames", op.frames)
        .buffer("rotations", op.rotations)
        .buffer("y", op.y)
        .set("rows", op.rows())
        .set("chunk", op.chunk)
        .set("tokens", op.tokens)
        .set("keys", op.keys)
        .set("heads", op.heads)
        .set("head_dim", op.head_dim)
        .set("temporal_pairs", op.temporal_pairs)
        .set("slots", op.slots)
        .set("max_history", op.max_history)
        .set("ring", op.group)
        .set("scale", inverse_root(op.head_dim)))
}

pub(super) fn cross_attention(op: &CrossAttention, norm: Option<&RmsNormRope>, gpu: &Gpu) -> Result<Job, BackendError> {
    let tier = gpu.choice.of(cross_attention_shape(op));
    let kernels = match (tier, norm) {
        (Tier::Half, None) => heads!(CROSS_ATTENTION_HALF_32, CROSS_ATTENTION_HALF_64, CROSS_ATTENTION_HALF_128),
        (Tier::Half, Some(_)) => {
            heads!(CROSS_ATTENTION_HALF_32_NORM, CROSS_ATTENTION_HALF_64_NORM, CROSS_ATTENTION_HALF_128_NORM)
        }
        (Tier::Cooperative, None) => {
            heads!(CROSS_ATTENTION_MATRICES_32, CROSS_ATTENTION_MATRICES_64, CROSS_ATTENTION_MATRICES_128)
        }
        (Tier::Cooperative, Some(_)) => heads!(
            CROSS_ATTENTION_MATRICES_32_NORM,
            CROSS_ATTENTION_MATRICES_64_NORM,
            CROSS_ATTENTION_MATRICES_128_NORM
        ),
        (_, None) => heads!(CROSS_ATTENTION_32, CROSS_ATTENTION_64, CROSS_ATTENTION_128),
        (_, Some(_)) => heads!(CROSS_ATTENTION_32_NORM, CROSS_ATTENTION_64_NORM, CROSS_ATTENTION_128_NORM),
    };
    // Larger heads have a kernel of their own, with tiles of 4 queries.
    let job = if (129..=512).contains(&op.head_dim) && op.head_dim.is_multiple_of(4) {
        Job::new(&shaders::CROSS_ATTENTION_BROAD, [op.rows.div_ceil(4), op.heads, 1])
    } else {
        let kernel = fit_head("cross_attention", kernels, op.head_dim)?;
        Job::new(kernel, [op.rows.div_ceil(queries(tier, gpu)), op.heads, 1]).rows_along(0)
    };
    let job = match norm.and_then(|norm| Some((norm.weight?, norm.eps))) {
        Some((weight, eps)) => job.weight("weight", weight).set("eps", eps),
        None => job,
    };
    let job = match op.offsets {
        Some(Offsets::Rows(id)) => job.buffer("offsets", id).set("row_offsets", true),
        Some(Offsets::Distances(id)) => job.buffer("offsets", id).set("distance_offsets", true),
        None => job,
    };
    Ok(job
        .buffer("q", op.q)
        .buffer("k", op.k)
        .buffer("v", op.v)
        .buffer("y", op.y)
        .set("rows", op.rows)
        .set("context", op.context)
        .set("heads", op.heads)
        .set("head_dim", op.head_dim)
        .set("scale", if op.scaled { inverse_root(op.head_dim) } else { 1.0 }))
}

/// Queries that a workgroup of route.wgsl takes.
const ROUTED: usize = 4;

pub(super) fn route(op: &Route) -> Result<Job, BackendError> {
    fit_frames("route", op.max_history + op.chunk)?;
    let groups = [(op.chunk * op.tokens).div_ceil(ROUTED), op.heads, 1];
    let job = Job::new(&shaders::ROUTE, groups)
        .set("rows", op.chunk * op.tokens)
        .buffer("q", op.q)
        .buffer("means", op.means)
        .buffer("frames", op.frames)
        .buffer("rotations", op.rotations)
        .buffer("routes", op.routes)
        .set("tokens", op.tokens)
        .set("heads", op.heads)
        .set("head_dim", op.head_dim)
        .set("temporal_pairs", op.temporal_pairs)
        .set("slots", op.slots)
        .set("max_history", op.max_history)
        .set("ring", op.group)
        .set("k", op.k)
        .set("force_sink", op.force_sink)
        .set("force_recent", op.force_recent);
    Ok(plain(job, op.plain))
}

/// The rotations that plain descriptors are without, where means are such.
fn plain(job: Job, table: Option<BufferId>) -> Job {
    match table {
        Some(table) => job.buffer("spatial", table).set("plain", true),
        None => job,
    }
}

/// Pairs of a head that prefer.wgsl has room for.
const SUMMED: usize = 64;

pub(super) fn prefer(op: &Prefer) -> Result<Job, BackendError> {
    fit_frames("prefer", op.max_history + op.chunk)?;
    if op.head_dim > 2 * SUMMED {
        return Err(unsupported("prefer", &format!("heads of {}, more than {}", op.head_dim, 2 * SUMMED)));
    }
    let job = Job::new(&shaders::PREFER, [op.heads, 1, 1])
        .set("rows", op.chunk * op.tokens)
        .buffer("q", op.q)
        .buffer("means", op.means)
        .buffer("frames", op.frames)
        .buffer("rotations", op.rotations)
        .buffer("y", op.y)
        .set("y_offset", op.y_offset)
        .set("tokens", op.tokens)
        .set("heads", op.heads)
        .set("head_dim", op.head_dim)
        .set("temporal_pairs", op.temporal_pairs)
        .set("slots", op.slots)
        .set("max_history", op.max_history)
        .set("ring", op.group)
        .set("stride", op.stride())
        .set("every", op.every);
    let job = plain(job, op.plain);
    Ok(match op.routes {
        Some((routes, k)) => job.buffer("routes", routes).set("k", k),
        None => job,
    })
}

pub(super) fn commit(op: &Commit) -> Result<Job, BackendError> {
    fit_frames("commit", op.max_history + op.chunk)?;
    let kernel = match op.kv {
        Kv::F32 => &shaders::COMMIT,
        Kv::F16 => &shaders::COMMIT_F16,
        Kv::Q8 => &shaders::COMMIT_Q8,
    };
    // As commit.wgsl divides the work: tokens that are stored, features that are averaged.
    let job = Job::new(kernel, [op.heads, op.chunk, op.tokens.div_ceil(64) + op.head_dim.div_ceil(8)])
        .buffer("k", op.k)
        .buffer("v", op.v)
        .buffer("frames", op.frames)
        .buffer("ring_k", op.ring_k)
        .buffer("ring_v", op.ring_v)
        .buffer("means", op.means)
        .set("tokens", op.tokens)
        .set("heads", op.heads)
        .set("head_dim", op.head_dim)
        .set("slots", op.slots)
        .set("max_history", op.max_history)
        .set("first_pair", op.plain.map_or(0, |(_, first)| first));
    Ok(plain(job, op.plain.map(|(table, _)| table)))
}
