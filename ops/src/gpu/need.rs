//! What a backend takes in memory, known before anything is allocated.

use super::{
    arena::{Content, Places},
    choice::Shape,
    device::Gpu,
    fusion::{Fusion, Step},
    lower, readback,
    tier::Tier,
    timing, weights,
};
use crate::{
    backend::{BackendError, Memory, find_weight},
    buffer::{BufferKind, WeightId},
    plan::Plan,
    quant::{self, DType, WeightSource},
};

/// Uniform ranges begin at multiples of this many bytes.
pub(super) const UNIFORM_ALIGN: usize = 256;

/// Pieces in which states are copied to the host.
const PIECE_BYTES: usize = 1 << 20;

/// Exact bytes that a [`GpuBackend`](super::GpuBackend) of `plan` holds in buffers, without allocating them.
///
/// # Errors
/// A weight is missing or has another shape.
pub fn memory(gpu: &Gpu, plan: &Plan, source: &dyn WeightSource) -> Result<Memory, BackendError> {
    let weights = weights::bytes(plan, source)?;
    let dtype = |id| find_weight(plan.weight(id), source).map_or(DType::F32, |view| view.dtype);
    Ok(Memory { weights, ..beside(gpu, plan, &dtype) })
}

/// What waits for the next dispatch of a node, at most, and how many dispatches there may be for that.
#[derive(Clone, Copy, Default)]
pub(super) struct Between {
    /// Blocks of codes, with a scale each.
    blocks: usize,
    /// Sums over parts of a depth.
    sums: usize,
    pub(super) dispatches: usize,
}

impl Between {
    /// `dtype` is that of a weight.
    pub(super) fn new(gpu: &Gpu, fusion: &Fusion<'_>, dtype: &dyn Fn(WeightId) -> DType) -> Self {
        let mut all = Self::default();
        for step in fusion.passes.iter().flatten() {
            if let Step::FeedForward { up, down, rows } = step {
                // The last range may be shorter.
                let lengths = [*rows, (up.rows - 1) % rows + 1];
                for (layer, rows) in [up, down].into_iter().flat_map(|layer| lengths.map(|rows| (layer, rows))) {
                    let (inputs, outputs, dtype) = (layer.inputs, layer.outputs, dtype(layer.weight));
                    let shape = Shape::Linear { rows, inputs, outputs, dtype };
                    if gpu.choice.of(shape) == Tier::Dot4 {
                        all.blocks = all.blocks.max(rows * inputs / quant::BLOCK);
                    }
                    let (count, _) = lower::spans_of(shape, gpu);
                    all.sums = all.sums.max(if count > 1 { count * rows * outputs } else { 0 });
                }
                // Quantised, multiplied and added up twice; all of it once more in parts.
                all.dispatches += 12 * up.rows.div_ceil(*rows);
                continue;
            }
            let layers = step.parts().iter();
            let shapes = layers.flat_map(|layer| layer.matrices().flat_map(|id| layer.shapes(dtype(id))));
            let shapes: Vec<Shape> = shapes.collect();
            let quantised = shapes.iter().any(|&shape| gpu.choice.of(shape) == Tier::Dot4);
            if let Some((_, rows, blocks)) = step.rows_in_blocks().filter(|_| quantised) {
                all.blocks = all.blocks.max(rows * blocks);
                all.dispatches += 1;
            }
            let normed = matches!(step, Step::Linears { norm: Some(_), .. });
            let sums = |shape: &Shape| match (lower::spans_of(*shape, gpu), shape) {
                ((count @ 2.., _), Shape::Linear { rows, outputs, .. }) if !normed => count * rows * outputs,
                _ => 0,
            };
            let sums = shapes.iter().map(sums).max().unwrap_or(0);
            all.sums = all.sums.max(sums);
            let cut = step.parts().iter().any(|layer| lower::most_parts(layer) > 1);
            for layer in step.parts() {
                let count = layer.matrices().count();
                all.dispatches += if sums > 0 { count } else { 0 };
                // In parts each layer is once more, and each part may have a norm and rows to quantise.
                all.dispatches += if cut { 3 * lower::most_parts(layer).max(count) + count } else { 0 };
            }
        }
        all
    }

    /// Bytes of codes, of their scales, of sums.
    pub(super) fn bytes(self) -> [usize; 3] {
        [self.blocks * quant::BLOCK, self.blocks * size_of::<f32>(), self.sums * size_of::<f32>()]
    }
}

/// The same without the weights, of which `dtype` tells the types.
pub(super) fn beside(gpu: &Gpu, plan: &Plan, dtype: &dyn Fn(WeightId) -> DType) -> Memory {
    let fusion = Fusion::new(plan, gpu.keeps_halves());
    let places = Places::new(plan, &fusion);
    let between = Between::new(gpu, &fusion, dtype);
    let nodes: usize = plan.passes.iter().map(|pass| pass.nodes.len()).sum();
    let [reading, waiting] = staging_bytes(plan, &places);
    Memory {
        weights: 0,
        state: places.bytes(Content::State) as usize,
        activations: (places.bytes(Content::Activation) + places.bytes(Content::Constant)) as usize,
        overhead: ((nodes + between.dispatches).max(1) + 2) * UNIFORM_ALIGN
            + between.bytes().iter().sum::<usize>()
            + reading
            + waiting
            + 2 * readback::HEAD
            + timing::BYTES,
    }
}

/// Capacity of both stagings: the largest output, and what calls that wait use besides.
pub(super) fn staging_bytes(plan: &Plan, places: &Places) -> [usize; 2] {
    let outputs = plan.buffers.iter().filter(|buffer| buffer.kind == BufferKind::Output);
    let reading = outputs.map(|buffer| 4 * buffer.len).max().unwrap_or(4);
    let largest = places.places.iter().map(|place| place.1 as usize).max().unwrap_or(4);
    [reading, reading.max(largest.min(PIECE_BYTES))]
}

/// Refuses what is more than the cap, and buffers that the device cannot hold.
pub(super) fn check(gpu: &Gpu, plan: &Plan, memory: Memory, memory_cap: Option<usize>) -> Result<(), BackendError> {
    gpu.faults.check()?;
    if let Some(cap) = memory_cap.filter(|&cap| cap < memory.total()) {
        return Err(BackendError::MemoryCap { needed: memory.total(), cap });
    }
    let most = gpu.device.limits().max_storage_buffer_binding_size;
    match Places::new(plan, &Fusion::new(plan, gpu.keeps_halves())).places.iter().find(|place| place.1 > most) {
        Some((_, bytes)) => {
            Err(BackendError::Unsupported(format!("a buffer of {bytes} bytes, it takes at most {most}")))
        }
        None => Ok(()),
    }
}
