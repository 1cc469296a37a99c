//! From a step to dispatches: kernel, buffers, constants, workgroups.

use std::ops::Range;

use causeway_shaders::{self as shaders, Kernel};

#[cfg(feature = "matrix-game")]
use crate::op::TemporalAttention;
#[cfg(feature = "waypoint")]
use crate::op::{Modulated, RmsNorm};

use super::{
    arena::{self, MOST_FRAMES},
    choice::Shape,
    device::Gpu,
    fusion::Step,
    job::{Job, Source, rows, unsupported},
    tier::Tier,
    tiles::{WIDE_ROWS, is_broad, is_wide, skinny_tiles, spans, square_tiles, tiles},
    weights::GpuWeight,
};
use crate::{
    backend::BackendError,
    buffer::{BufferId, WeightId, WeightRole},
    kv::Kv,
    op::{
        Activate, Attention, Commit, Conv2d, CrossAttention, Gate, LayerNorm, Linear, Offsets, Op, Operator, Prefer,
        RmsNormRope, Route, Scale, Solve,
    },
    quant::{BLOCK, DType},
};

/// Lowers what is done at a node: at most as many dispatches as it does nodes, and one more where its rows are quantised, and for each of its
/// layers whose depth is shared.
pub(super) fn lower(step: &Step<'_>, weights: &[GpuWeight], gpu: &Gpu) -> Result<Vec<Job>, BackendError> {
    let mut jobs = match step {
        Step::Later => Vec::new(),
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
        Step::FeedForward { up, down, rows } => {
            return Ok(feed_forward(up, down, *rows, weights, gpu)?.into_iter().flatten().collect());
        }
    };
    // All layers of a step read the same rows.
    if jobs.iter().any(|job| job.sources.contains(&Some(Source::Codes)))
        && let Some((x, rows, blocks)) = step.rows_in_blocks()
    {
        jobs.insert(0, quantise(x, 0..rows * blocks));
    }
    jobs.into_iter().map(Job::finish).collect()
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
        Step::Later | Step::Norms(_) | Step::FeedForward { .. } => 0,
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

/// A layer and the one that reads its output, so many rows at a time: the jobs of each range. What is between them is in no other's.
fn feed_forward(
    up: &Linear,
    down: &Linear,
    rows: usize,
    weights: &[GpuWeight],
    gpu: &Gpu,
) -> Result<Vec<Vec<Job>>, BackendError> {
    let range = |first: usize| {
        let rows = rows.min(up.rows - first);
        // Ranges begin with a frame.
        let gate =
            down.gate.map(|gate| Gate { index: gate.index + first / gate.rows_per_frame * gate.vectors, ..gate });
        let (up, down) = (Linear { rows, ..up.clone() }, Linear { rows, gate, ..down.clone() });
        let mut all = Vec::new();
        for (layer, id, columns) in [(&up, up.x, up.inputs), (&down, down.y, down.outputs)] {
            let mut jobs = linear(&[layer], None, weights, gpu)?;
            if jobs.iter().any(|job| job.sources.contains(&Some(Source::Codes))) {
                jobs.insert(0, quantise(layer.x, 0..rows * layer.inputs / BLOCK));
            }
            all.extend(jobs.into_iter().map(|job| job.starting(id, first * columns)));
        }
        all.into_iter().map(Job::finish).collect()
    };
    (0..up.rows).step_by(rows).map(range).collect()
}

/// Makes codes of some blocks.
fn quantise(x: BufferId, blocks: Range<usize>) -> Job {
    Job::items(&shaders::QUANTISE, blocks.len())
        .buffer("x", x)
        .bind("codes", Source::Codes)
        .bind("code_scales", Source::CodeScales)
        .set("first", blocks.start)
        .set("end", blocks.end)
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
        Op::LayerNorm(op) => layer_norm(op),
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
        Op::RmsNorm(op) => bare_norm(op),
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

/// Whether the layers' weights lie one after the other, as those of one layer do.
fn adjacent(layers: &[&Linear], weights: &[GpuWeight]) -> bool {
    let [first, rest @ ..] = layers else { return false };
    let follows = |a: &GpuWeight, b: &GpuWeight, by: usize| {
        a.joint.is_some() && a.joint == b.joint && a.dtype == b.dtype && b.first == a.first + by
    };
    let weight = |id: WeightId| &weights[id.0 as usize];
    (1..).zip(rest).all(|(i, layer)| {
        let by = i * first.outputs;
        let biases = first.bias.zip(layer.bias);
        follows(weight(first.weight), weight(layer.weight), by)
            && biases.is_none_or(|(a, b)| follows(weight(a), weight(b), by))
    })
}

/// In how many parts workgroups take the depth of a linear layer without a norm, and how long these are.
pub(super) fn spans_of(shape: Shape, gpu: &Gpu) -> (usize, usize) {
    let Shape::Linear { rows, inputs, outputs, .. } = shape else { return (1, 0) };
    let side = match gpu.choice.of(shape) {
        Tier::Cooperative if is_broad(edge(gpu), rows, outputs) => 128,
        Tier::Half | Tier::Cooperative => 64,
        Tier::Portable | Tier::Dot4 if is_wide(rows, outputs) && inputs.is_multiple_of(4) => 64,
        Tier::Portable | Tier::Dot4 => return (1, inputs),
    };
    spans(rows.div_ceil(side) * outputs.div_ceil(side), inputs)
}

/// Layers of one input, whose weights are adjacent and whose outputs are parts of a joint, perhaps of its norm.
fn linear(
    layers: &[&Linear],
    norm: Option<&LayerNorm>,
    weights: &[GpuWeight],
    gpu: &Gpu,
) -> Result<Vec<Job>, BackendError> {
    let op = layers[0];
    let weight = &weights[op.weight.0 as usize];
    if weight.role != WeightRole::Matrix {
        return Err(unsupported("linear", "its weight is not declared as a matrix"));
    }
    let (rows, columns) = (op.rows, layers.len() * op.outputs);
    let shape = Shape::Linear { rows, inputs: op.inputs, outputs: columns, dtype: weight.dtype };
    let tier = match gpu.choice.of(shape) {
        // Norms are done on the way by layers that are small.
        Tier::Half | Tier::Cooperative if norm.is_some() && gpu.choice.has(Tier::Dot4) => Tier::Dot4,
        tier => tier,
    };
    let job = match (weight.dtype, norm) {
        (DType::Q8 | DType::Q4, _) if tier == Tier::Dot4 => dot4(weight.dtype, norm.is_some(), rows, columns),
        (dtype, None) if tier == Tier::Half => square_tiles(
            by_dtype(dtype, [&shaders::LINEAR_HALF_F16, &shaders::LINEAR_HALF_Q8, &shaders::LINEAR_HALF_Q4]),
            64,
            rows,
            columns,
        ),
        (dtype, None) if tier == Tier::Cooperative => matrices(dtype, gpu, rows, columns),
        (DType::F32, Some(_)) => skinny_tiles(&shaders::LINEAR_F32_NORM, rows, columns),
        (DType::F16, Some(_)) => skinny_tiles(&shaders::LINEAR_F16_NORM, rows, columns),
        (DType::Q8, Some(_)) => skinny_tiles(&shaders::LINEAR_Q8_NORM, rows, columns),
        (DType::Q4, Some(_)) => skinny_tiles(&shaders::LINEAR_Q4_NORM, rows, columns),
        (DType::F32, None) if !op.inputs.is_multiple_of(4) => skinny_tiles(&shaders::LINEAR_F32_SCALAR, rows, columns),
        (DType::F16, None) if !op.inputs.is_multiple_of(4) => skinny_tiles(&shaders::LINEAR_F16_SCALAR, rows, columns),
        (DType::F32, None) => tiles(&shaders::LINEAR_F32_WIDE, &shaders::LINEAR_F32_SKINNY, rows, columns),
        (DType::F16, None) => tiles(&shaders::LINEAR_F16_WIDE, &shaders::LINEAR_F16_SKINNY, rows, columns),
        (DType::Q8, None) => tiles(&shaders::LINEAR_Q8_WIDE, &shaders::LINEAR_Q8_SKINNY, rows, columns),
        (DType::Q4, None) => tiles(&shaders::LINEAR_Q4_WIDE, &shaders::LINEAR_Q4_SKINNY, rows, columns),
    };
    let job = if weight.scales.is_some() { job.bind("scales", Source::Scales(op.weight)) } else { job };
    let job = job
        .weight("weight", op.weight)
        .set("first", weight.first)
        .set("rows", op.rows)
        .set("inputs", op.inputs)
        .set("outputs", columns)
        .set("stride", op.inputs.next_multiple_of(4));
    let first_bias = op.bias.map_or(0, |bias| weights[bias.0 as usize].first);
    let Some(norm) = norm else {
        let job = input(job, op.x);
        let (count, span) = spans_of(shape, gpu);
        if count > 1 {
            // Sums of all parts, as they are; then all that a layer does with a sum.
            let part = job.deep(count).set("span", span).set("span_step", rows * columns);
            let part = part.bind("y", Source::Sums).set("part", columns).set("rows_per_frame", 1usize);
            let sum = Job::items(&shaders::LINEAR_SUM, rows * columns)
                .bind("sums", Source::Sums)
                .set("spans", count)
                .set("rows", rows)
                .set("outputs", columns);
            return Ok(vec![part, gated(finished(sum, op, layers.len(), first_bias), op)]);
        }
        let in_tiles = job.kernel.constants.iter().any(|constant| constant.name == "span");
        let job = if in_tiles { job.set("span", op.inputs.next_multiple_of(64)).rows_along(1) } else { job };
        return Ok(vec![gated(finished(job, op, layers.len(), first_bias), op)]);
    };
    // A layer with a norm has no gate, whose place in the kernel the shift takes.
    let job = scaled(job, norm).buffer("x", norm.x).set("eps", norm.eps);
    Ok(vec![finished(job, op, layers.len(), first_bias)])
}

/// What becomes of the sums of `count` layers like this one, but for a gate.
fn finished(job: Job, op: &Linear, count: usize, first_bias: usize) -> Job {
    job.maybe("bias", "has_bias", op.bias.map(Source::Weight))
        .set("first_bias", first_bias)
        .bind("y", Source::Joint(op.y, count))
        .set("part", op.outputs)
        .set("part_step", if count > 1 { arena::step(op.rows * op.outputs) } else { 0 })
        .set("activation", op.activation)
        .set("residual", op.residual)
}

/// The gate of a layer, if it has one.
fn gated(job: Job, op: &Linear) -> Job {
    let gate = op.gate;
    job.maybe("modulation", "has_gate", gate.map(|gate| Source::Buffer(gate.modulation)))
        .set("rows_per_frame", gate.map_or(1, |gate| gate.rows_per_frame))
        .set("gate_stride", gate.map_or(0, |gate| gate.vectors * op.outputs))
        .set("gate_offset", gate.map_or(0, |gate| gate.index * op.outputs))
}

/// The one of kernels for f16, q8 and q4.
fn by_dtype(dtype: DType, [f16, q8, q4]: [&'static Kernel; 3]) -> &'static Kernel {
    match dtype {
        DType::Q8 => q8,
        DType::Q4 => q4,
        _ => f16,
    }
}

/// The kernel that multiplies matrices of a few rows and columns at once.
fn matrices(dtype: DType, gpu: &Gpu, rows: usize, columns: usize) -> Job {
    let (small, broad) = (
        [&shaders::LINEAR_MATRICES_F16, &shaders::LINEAR_MATRICES_Q8, &shaders::LINEAR_MATRICES_Q4],
        [&shaders::LINEAR_MATRICES_F16_BROAD, &shaders::LINEAR_MATRICES_Q8_BROAD, &shaders::LINEAR_MATRICES_Q4_BROAD],
    );
    if is_broad(edge(gpu), rows, columns) {
        square_tiles(by_dtype(dtype, broad), 128, rows, columns)
    } else {
        square_tiles(by_dtype(dtype, small), 64, rows, columns)
    }
}

/// Rows of the device's cooperative matrices.
fn edge(gpu: &Gpu) -> usize {
    gpu.pipelines.target().0.edge as usize
}

/// The kernel that multiplies bytes.
fn dot4(dtype: DType, normed: bool, rows: usize, columns: usize) -> Job {
    let [wide, skinny, norm] = if dtype == DType::Q8 {
        [&shaders::LINEAR_DOT4_Q8_WIDE, &shaders::LINEAR_DOT4_Q8_SKINNY, &shaders::LINEAR_DOT4_Q8_NORM]
    } else {
        [&shaders::LINEAR_DOT4_Q4_WIDE, &shaders::LINEAR_DOT4_Q4_SKINNY, &shaders::LINEAR_DOT4_Q4_NORM]
    };
    if normed { skinny_tiles(norm, rows, columns) } else { tiles(wide, skinny, rows, columns) }
}

/// Binds the rows that a linear layer reads: numbers, or bytes that were made of them.
fn input(job: Job, x: BufferId) -> Job {
    if job.kernel.bindings.iter().any(|binding| binding.name == "codes") {
        return job.bind("codes", Source::Codes).bind("code_scales", Source::CodeScales);
    }
    job.buffer("x", x)
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
        Tier::Cooperative => 4 * edge(gpu),
        _ => 16,
    }
}

/// Names of a kernel's permutations for heads of 32, 64 and 128.
macro_rules! heads {
    ($a:ident, $b:ident, $c:ident) => {
        [&shaders::$a, &shaders::$b, &shaders::$c]
    };
}

fn attention_shape(op: &Attention) -> Shape {
    let keys = (op.max_history + op.chunk) * op.tokens;
    Shape::Attention { rows: op.rows(), keys, heads: op.heads, head_dim: op.head_dim, kv: op.kv }
}

fn cross_attention_shape(op: &CrossAttention) -> Shape {
    Shape::CrossAttention { rows: op.rows, keys: op.context, heads: op.heads, head_dim: op.head_dim }
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
        step => step.matrices().flat_map(|id| step.shapes(dtype(id))).collect(),
    }
}

fn attention(op: &Attention, gpu: &Gpu) -> Result<Job, BackendError> {
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
fn temporal_attention(op: &TemporalAttention) -> Result<Job, BackendError> {
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

fn cross_attention(op: &CrossAttention, norm: Option<&RmsNormRope>, gpu: &Gpu) -> Result<Job, BackendError> {
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

fn route(op: &Route) -> Result<Job, BackendError> {
    fit_frames("route", op.max_history + op.chunk)?;
    let groups = [(op.chunk * op.tokens).div_ceil(ROUTED), op.heads, 1];
    Ok(Job::new(&shaders::ROUTE, groups)
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
        .set("force_recent", op.force_recent))
}

/// Pairs of a head that prefer.wgsl has room for.
const SUMMED: usize = 64;

fn prefer(op: &Prefer) -> Result<Job, BackendError> {
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
    Ok(match op.routes {
        Some((routes, k)) => job.buffer("routes", routes).set("k", k),
        None => job,
    })
}

fn commit(op: &Commit) -> Result<Job, BackendError> {
    fit_frames("commit", op.max_history + op.chunk)?;
    let kernel = match op.kv {
        Kv::F32 => &shaders::COMMIT,
        Kv::F16 => &shaders::COMMIT_F16,
        Kv::Q8 => &shaders::COMMIT_Q8,
    };
    // As commit.wgsl divides the work: tokens that are stored, features that are averaged.
    Ok(Job::new(kernel, [op.heads, op.chunk, op.tokens.div_ceil(64) + op.head_dim.div_ceil(8)])
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
        .set("max_history", op.max_history))
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

fn layer_norm(op: &LayerNorm) -> Job {
    let kernel = if op.dim.is_multiple_of(4) { &shaders::LAYER_NORM } else { &shaders::LAYER_NORM_SCALAR };
    scaled(Job::new(kernel, rows(op.rows)), op)
        .buffer("x", op.x)
        .buffer("y", op.y)
        .set("rows", op.rows)
        .set("dim", op.dim)
        .set("eps", op.eps)
}

/// What scales and shifts the rows of a norm.
fn scaled(job: Job, op: &LayerNorm) -> Job {
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
fn bare_norm(op: &RmsNorm) -> Job {
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

fn rms_norm_rope(op: &RmsNormRope) -> Job {
    let kernel = if op.dim.is_multiple_of(2) { &shaders::RMS_NORM_ROPE } else { &shaders::RMS_NORM_ROPE_SCALAR };
    rms_norm(Job::new(kernel, rows(op.rows)).buffer("x", op.x), op)
}

fn norms_of_two([a, b]: &[&RmsNormRope; 2]) -> Job {
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
