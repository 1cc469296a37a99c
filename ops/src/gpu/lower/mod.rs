//! From a step to dispatches: kernel, buffers, constants, workgroups.

mod attention;
mod linear;
mod norm;

use std::ops::Range;

use causeway_shaders as shaders;

#[cfg(feature = "matrix-game")]
use self::attention::temporal_attention;
pub(super) use self::linear::spans_of;
#[cfg(feature = "waypoint")]
use self::norm::bare_norm;
use self::{
    attention::{attention, attention_shape, commit, cross_attention, cross_attention_shape, prefer, route},
    linear::{adjacent, feed_forward, linear, quantise, quantise_first},
    norm::{layer_norm, norm, norms_of_two, rms_norm_rope},
};
use super::{
    choice::Shape,
    device::Gpu,
    fusion::{Norm, Step},
    job::{Job, Source, rows, unsupported},
    tier::Tier,
    tiles::{WIDE_ROWS, skinny_tiles, square_tiles, tiles},
    weights::GpuWeight,
};
use crate::{
    backend::BackendError,
    buffer::WeightId,
    op::{Activate, Conv2d, Linear, Op, Operator, Solve},
    quant::{BLOCK, DType},
};

/// Lowers what is done at a node: at most as many dispatches as it does nodes, and one more where its rows are quantised, and for each of its
/// layers whose depth is shared.
pub(super) fn lower(step: &Step<'_>, weights: &[GpuWeight], gpu: &Gpu) -> Result<Vec<Job>, BackendError> {
    if let Step::FeedForward { up, down, rows } = step {
        return Ok(feed_forward(up, down, *rows, weights, gpu)?.into_iter().flatten().collect());
    }
    let mut jobs = Vec::new();
    for part in step.parts() {
        jobs.extend(plainly(part, weights, gpu)?);
    }
    if let Step::Normed { norm, .. } = step {
        let before = Normed::new(norm, &jobs).before(&jobs, 0..norm.rows, true);
        jobs.splice(0..0, before);
    } else if let Some((x, rows, blocks)) = step.rows_in_blocks() {
        // All layers of a step read the same rows.
        quantise_first(&mut jobs, x, rows * blocks);
    }
    jobs.into_iter().map(Job::finish).collect()
}

/// A norm whose readers are lowered.
struct Normed<'a> {
    norm: &'a Norm<'a>,
    /// All readers read bytes.
    codes: bool,
}

impl<'a> Normed<'a> {
    fn new(norm: &'a Norm<'a>, readers: &[Job]) -> Self {
        let plain = readers.iter().any(|job| job.sources.contains(&Some(Source::Buffer(norm.y))));
        Self { norm, codes: !plain }
    }

    /// What must be done before some jobs that read these rows, if the first of all jobs is among them or not.
    fn before(&self, jobs: &[Job], rows: Range<usize>, first: bool) -> Vec<Job> {
        let Norm { op, y, dim, .. } = *self.norm;
        if self.codes {
            return norm(op, rows, true).into_iter().collect();
        }
        let mut before: Vec<Job> = norm(op, 0..self.norm.rows, false).into_iter().filter(|_| first).collect();
        if jobs.iter().any(|job| job.sources.contains(&Some(Source::Codes))) {
            let blocks = dim / BLOCK;
            before.push(quantise(y, rows.start * blocks..rows.end * blocks));
        }
        before
    }

    /// The jobs of each part of the node, if any of its layers is long. What is made of rows but their bytes stays from part to part.
    fn parts(&self, layers: &[Step<'_>], weights: &[GpuWeight], gpu: &Gpu) -> Result<Vec<Vec<Job>>, BackendError> {
        let (mut all, mut cut) = (Vec::new(), false);
        for layer in layers {
            let jobs = plainly(layer, weights, gpu)?;
            let parts = if let [job] = &jobs[..] { job.parts(most_parts(layer)) } else { Vec::new() };
            cut |= !parts.is_empty();
            let mut with_rows = |rows: Range<usize>, jobs: Vec<Job>| {
                let before = self.before(&jobs, rows, all.is_empty());
                all.push(before.into_iter().chain(jobs).map(Job::finish).collect::<Result<Vec<_>, _>>()?);
                Ok::<_, BackendError>(())
            };
            if parts.is_empty() {
                with_rows(0..self.norm.rows, jobs)?;
            } else {
                for (tiles, job) in parts {
                    with_rows(tiles.start * WIDE_ROWS..self.norm.rows.min(tiles.end * WIDE_ROWS), vec![job])?;
                }
            }
        }
        Ok(if cut { all } else { Vec::new() })
    }
}

/// Lowers what is done at a node, but for what makes bytes of its rows.
fn plainly(step: &Step<'_>, weights: &[GpuWeight], gpu: &Gpu) -> Result<Vec<Job>, BackendError> {
    Ok(match step {
        // These are made of others.
        Step::Later | Step::FeedForward { .. } | Step::Normed { .. } => Vec::new(),
        Step::Plain(Op::Linear(layer)) => linear(&[layer], None, weights, gpu)?,
        Step::Plain(op) => vec![plain(op, gpu)?],
        Step::Linears { norm, layers } if adjacent(layers, weights) => linear(layers, *norm, weights, gpu)?,
        // Weights of different types.
        Step::Linears { norm, layers } => {
            let each = layers.iter().map(|layer| linear(&[layer], *norm, weights, gpu));
            each.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect()
        }
        Step::Norms(norms) => vec![norms_of_two(norms)],
        Step::CrossAttention { norm, op } => vec![cross_attention(op, Some(norm), gpu)?],
    })
}

/// Work of a part of a node that is long, and most parts of one.
const PART_FLOPS: u64 = 1_000_000_000;
const MOST_PARTS: usize = 64;

/// In how many parts a step is done at most: one has the work of some microseconds to some hundred, by the GPU.
pub(super) fn most_parts(step: &Step<'_>) -> usize {
    let flops = match step {
        Step::Plain(op) => op.cost().flops,
        Step::CrossAttention { op, .. } => op.cost().flops,
        Step::Linears { layers, .. } => layers.iter().map(|layer| layer.cost().flops).sum(),
        Step::Later | Step::Norms(_) | Step::FeedForward { .. } | Step::Normed { .. } => 0,
    };
    usize::try_from(flops / PART_FLOPS).map_or(MOST_PARTS, |count| count.min(MOST_PARTS))
}

/// What [`lower`] gave for a step, in parts, if the step is long enough and its rows can be made apart. A part quantises its own rows: a
/// snapshot between two parts does not hold what others left behind.
pub(super) fn parts(
    step: &Step<'_>,
    jobs: &[Job],
    weights: &[GpuWeight],
    gpu: &Gpu,
) -> Result<Vec<Vec<Job>>, BackendError> {
    if let Step::FeedForward { up, down, rows } = step {
        return feed_forward(up, down, *rows, weights, gpu);
    }
    if let Step::Normed { norm, layers } = step {
        return Normed::new(norm, jobs).parts(layers, weights, gpu);
    }
    let most = most_parts(step);
    match (jobs, step.rows_in_blocks()) {
        ([job], _) => job.parts(most).into_iter().map(|(_, job)| Ok(vec![job.finish()?])).collect(),
        ([first, job], Some((x, rows, blocks))) if first.kernel.name == shaders::QUANTISE.name => {
            let with_rows = |(tiles, job): (Range<usize>, Job)| {
                let rows = tiles.start * WIDE_ROWS..rows.min(tiles.end * WIDE_ROWS);
                Ok(vec![quantise(x, rows.start * blocks..rows.end * blocks).finish()?, job.finish()?])
            };
            job.parts(most).into_iter().map(with_rows).collect()
        }
        _ => Ok(Vec::new()),
    }
}

/// Lowers an operator that is no linear layer by itself.
fn plain(op: &Op, gpu: &Gpu) -> Result<Job, BackendError> {
    Ok(match op {
        Op::Activate(op) => activate(op),
        #[cfg(feature = "waypoint")]
        Op::Add(op) => Job::items(&shaders::ADD, op.rows * op.dim)
            .buffer("x", op.x)
            .buffer("z", op.z)
            .buffer("y", op.y)
            .set("rows", op.rows)
            .set("dim", op.dim)
            .set("every", op.every)
            .set("activation", op.activation),
        Op::Attention(op) => attention(op, gpu)?,
        Op::ChannelNorm(op) => Job::new(&shaders::CHANNEL_NORM, rows(op.rows))
            .buffer("x", op.x)
            .weight("weight", op.weight)
            .buffer("y", op.y)
            .set("rows", op.rows)
            .set("dim", op.dim)
            .set("activation", op.activation),
        Op::Commit(op) => commit(op)?,
        Op::Conv2d(op) => conv2d(op, gpu),
        Op::Copy(op) => Job::items(&shaders::COPY, op.len)
            .buffer("x", op.x)
            .buffer("y", op.y)
            .set("len", op.len)
            .set("x_offset", op.x_offset)
            .set("y_offset", op.y_offset),
        Op::CrossAttention(op) => cross_attention(op, None, gpu)?,
        Op::Embed(op) => Job::items(&shaders::EMBED, op.len)
            .buffer("mix", op.mix)
            .weight("weight", op.weight)
            .buffer("y", op.y)
            .set("entries", op.entries)
            .set("len", op.len),
        Op::FromPixels(op) => Job::items(&shaders::FROM_PIXELS, op.height * op.width * op.patch * op.patch)
            .buffer("x", op.x)
            .buffer("y", op.y)
            .set("height", op.height)
            .set("width", op.width)
            .set("patch_size", op.patch)
            .set("black", op.black),
        Op::Gather(op) => Job::items(&shaders::GATHER, op.rows * op.len)
            .buffer("x", op.x)
            .buffer("table", op.table)
            .buffer("y", op.y)
            .set("rows", op.rows)
            .set("slots", op.slots)
            .set("len", op.len)
            .set("offset", op.offset),
        #[cfg(feature = "matrix-game")]
        Op::Join(op) => Job::items(&shaders::JOIN, op.rows * op.width())
            .buffer("x", op.x)
            .buffer("z", op.z)
            .buffer("y", op.y)
            .set("rows", op.rows)
            .set("first", op.widths[0])
            .set("second", op.widths[1])
            .set("every", op.every),
        Op::LayerNorm(op) => layer_norm(op, 0..op.rows, false),
        #[cfg(feature = "waypoint")]
        Op::Lerp(op) => Job::items(&shaders::LERP, op.len)
            .buffer("x", op.x)
            .weight("weight", op.weight)
            .buffer("y", op.y)
            .set("len", op.len),
        Op::Linear(_) => return Err(unsupported("linear", "it is lowered with its weights")),
        Op::Lookup(op) => Job::items(&shaders::LOOKUP, op.frames * op.len)
            .buffer("table", op.table)
            .buffer("y", op.y)
            .set("rows", op.rows)
            .set("frames", op.frames)
            .set("len", op.len),
        Op::Modulation(op) => Job::items(&shaders::MODULATION, op.frames * op.vectors * op.dim)
            .buffer("x", op.x)
            .weight("weight", op.weight)
            .buffer("y", op.y)
            .set("frames", op.frames)
            .set("vectors", op.vectors)
            .set("dim", op.dim)
            .set("broadcast", op.broadcast),
        Op::Noise(op) => Job::items(&shaders::NOISE, op.frames * op.len / 4)
            .buffer("y", op.y)
            .set("frames", op.frames)
            .set("len", op.len),
        Op::Patchify(op) => Job::items(
            &shaders::PATCHIFY,
            op.frames * op.height * op.width * op.channels * (1 + usize::from(op.previous.is_some())),
        )
        .buffer("x", op.x)
        .maybe("previous", "has_previous", op.previous.map(Source::Buffer))
        .set("previous_step", if op.apart { op.height * op.width * op.channels } else { 0 })
        .buffer("y", op.y)
        .set("frames", op.frames)
        .set("height", op.height)
        .set("width", op.width)
        .set("channels", op.channels)
        .set("patch_height", op.patch[0])
        .set("patch_width", op.patch[1]),
        Op::Prefer(op) => prefer(op)?,
        Op::Remember(op) => Job::items(&shaders::REMEMBER, op.rows * op.channels)
            .buffer("x", op.x)
            .buffer("y", op.y)
            .set("len", op.rows * op.channels)
            .set("channels", op.channels)
            .set("depth", op.depth),
        #[cfg(feature = "waypoint")]
        Op::RmsNorm(op) => bare_norm(op, 0..op.rows, false),
        Op::RmsNormRope(op) => rms_norm_rope(op),
        Op::Route(op) => route(op)?,
        Op::Scatter(op) => Job::items(&shaders::SCATTER, op.rows * op.len)
            .buffer("x", op.x)
            .buffer("table", op.table)
            .buffer("y", op.y)
            .set("rows", op.rows)
            .set("slots", op.slots)
            .set("len", op.len)
            .set("offset", op.offset)
            .set("x_offset", op.x_offset),
        Op::Solve(op) => solve(op),
        #[cfg(feature = "matrix-game")]
        Op::TemporalAttention(op) => temporal_attention(op)?,
        Op::ToPixels(op) => Job::items(&shaders::TO_PIXELS, op.height * op.width * op.patch * op.patch)
            .buffer("x", op.x)
            .buffer("y", op.y)
            .set("height", op.height)
            .set("width", op.width)
            .set("patch_size", op.patch)
            .set("x_offset", op.x_offset)
            .set("black", op.black)
            .set("scale", op.scale()),
        Op::Unpatchify(op) => Job::items(&shaders::UNPATCHIFY, op.frames * op.height * op.width * op.channels)
            .buffer("x", op.x)
            .buffer("y", op.y)
            .set("frames", op.frames)
            .set("height", op.height)
            .set("width", op.width)
            .set("channels", op.channels)
            .set("patch_height", op.patch[0])
            .set("patch_width", op.patch[1]),
    })
}

fn activate(op: &Activate) -> Job {
    let job = Job::items(&shaders::ACTIVATE, op.len)
        .buffer("x", op.x)
        .buffer("y", op.y)
        .set("len", op.len)
        .set("activation", op.activation);
    match op.affine {
        Some((table, channels)) => job.buffer("affine", table).set("channels", channels),
        None => job,
    }
}

fn conv2d(op: &Conv2d, gpu: &Gpu) -> Job {
    let [height, width] = op.out_size();
    let channels2 = op.x2.map_or(0, |(_, channels)| channels);
    let (rows, outputs) = (height * width, op.outputs);
    let job = if op.channels.is_multiple_of(4) && channels2.is_multiple_of(4) {
        match gpu.choice.of(Shape::Conv { rows, outputs }) {
            Tier::Half => square_tiles(&shaders::CONV2D_HALF, 64, rows, outputs),
            _ => tiles(&shaders::CONV2D_WIDE, &shaders::CONV2D_SKINNY, rows, outputs),
        }
    } else {
        skinny_tiles(&shaders::CONV2D_SCALAR, height * width, op.outputs)
    };
    let job = match op.x2 {
        Some((x2, _)) => job.buffer("x2", x2),
        None => job,
    };
    job.rows_along(1)
        .buffer("x", op.x)
        .weight("weight", op.weight)
        .maybe("bias", "has_bias", op.bias.map(Source::Weight))
        .maybe("residual", "has_residual", op.residual.map(Source::Buffer))
        .buffer("y", op.y)
        .set("height", op.height)
        .set("width", op.width)
        .set("channels", op.channels)
        .set("channels2", channels2)
        .set("out_height", height)
        .set("out_width", width)
        .set("outputs", op.outputs)
        .set("kernel", op.kernel)
        .set("stride", op.stride)
        .set("padding", op.padding())
        .set("upsample", op.upsample)
        .set("activation", op.activation)
}

/// What a step computes of which a choice of tiers is to be made, if its weights have the types that `dtype` tells.
pub(super) fn shapes(step: &Step<'_>, dtype: &dyn Fn(WeightId) -> DType) -> Vec<Shape> {
    match step {
        Step::Plain(Op::Attention(op)) => vec![attention_shape(op)],
        Step::Plain(Op::CrossAttention(op)) => vec![cross_attention_shape(op)],
        Step::CrossAttention { op, .. } => vec![cross_attention_shape(op)],
        Step::FeedForward { up, down, rows } => {
            let shape = |layer: &Linear| {
                let (inputs, outputs, dtype) = (layer.inputs, layer.outputs, dtype(layer.weight));
                Shape::Linear { rows: *rows, inputs, outputs, dtype }
            };
            vec![shape(up), shape(down)]
        }
        // Norms on the way leave no choice.
        Step::Linears { norm: Some(_), .. } => Vec::new(),
        Step::Normed { layers, .. } => layers.iter().flat_map(|layer| shapes(layer, dtype)).collect(),
        step => step.matrices().flat_map(|id| step.shapes(dtype(id))).collect(),
    }
}

fn solve(op: &Solve) -> Job {
    let kernel = if op.past.is_some() { &shaders::SOLVE_PAST } else { &shaders::SOLVE };
    let job = Job::items(kernel, op.frames * op.len / 4)
        .buffer("x", op.x)
        .buffer("v", op.v)
        .maybe("negative", "has_negative", op.negative.map(Source::Buffer))
        .maybe("fresh", "has_fresh", op.fresh.map(Source::Buffer))
        .set("frames", op.frames)
        .set("len", op.len)
        .set("clean", op.clean);
    match op.past {
        Some([from, newer, older]) => job.buffer("start", from).buffer("newer", newer).buffer("older", older),
        None => job,
    }
}
