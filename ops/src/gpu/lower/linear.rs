//! Linear layers: the kernel of a shape, layers that are done together, rows as bytes, depths that are shared, ranges of rows.

use std::ops::Range;

use causeway_shaders::{self as shaders, Kernel};

use super::norm::scaled;
use crate::{
    backend::BackendError,
    buffer::{BufferId, WeightId, WeightRole},
    gpu::{
        arena,
        choice::Shape,
        device::Gpu,
        job::{Job, Source, unsupported},
        tier::Tier,
        tiles::{is_broad, is_wide, skinny_tiles, spans, square_tiles, tiles},
        weights::GpuWeight,
    },
    op::{Gate, LayerNorm, Linear},
    quant::{BLOCK, DType},
};

/// A layer and the one that reads its output, so many rows at a time: the jobs of each range. What is between them is in no other's.
pub(super) fn feed_forward(
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
            quantise_first(&mut jobs, layer.x, rows * layer.inputs / BLOCK);
            all.extend(jobs.into_iter().map(|job| job.starting(id, first * columns)));
        }
        all.into_iter().map(Job::finish).collect()
    };
    (0..up.rows).step_by(rows).map(range).collect()
}

/// Makes codes of so many blocks before the jobs, if any of them reads codes.
pub(super) fn quantise_first(jobs: &mut Vec<Job>, x: BufferId, blocks: usize) {
    if jobs.iter().any(|job| job.sources.contains(&Some(Source::Codes))) {
        jobs.insert(0, quantise(x, 0..blocks));
    }
}

/// Makes codes of some blocks.
pub(super) fn quantise(x: BufferId, blocks: Range<usize>) -> Job {
    Job::items(&shaders::QUANTISE, blocks.len())
        .buffer("x", x)
        .bind("codes", Source::Codes)
        .bind("code_scales", Source::CodeScales)
        .set("first", blocks.start)
        .set("end", blocks.end)
}

/// Whether the layers' weights lie one after the other, as those of one layer do.
pub(super) fn adjacent(layers: &[&Linear], weights: &[GpuWeight]) -> bool {
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
pub(in crate::gpu) fn spans_of(shape: Shape, gpu: &Gpu) -> (usize, usize) {
    let Shape::Linear { rows, inputs, outputs, .. } = shape else { return (1, 0) };
    let side = match gpu.choice.of(shape) {
        Tier::Cooperative if is_broad(gpu.edge(), rows, outputs) => 128,
        Tier::Half | Tier::Cooperative => 64,
        Tier::Portable | Tier::Dot4 if is_wide(rows, outputs) && inputs.is_multiple_of(4) => 64,
        Tier::Portable | Tier::Dot4 => return (1, inputs),
    };
    spans(rows.div_ceil(side) * outputs.div_ceil(side), inputs)
}

/// Layers of one input, whose weights are adjacent and whose outputs are parts of a joint, perhaps of its norm.
pub(super) fn linear(
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
    if is_broad(gpu.edge(), rows, columns) {
        square_tiles(by_dtype(dtype, broad), 128, rows, columns)
    } else {
        square_tiles(by_dtype(dtype, small), 64, rows, columns)
    }
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
