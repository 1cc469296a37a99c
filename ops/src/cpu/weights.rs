//! Weights in the layout the kernels compute with, prepared once.

use alloc::{vec, vec::Vec};

use super::{block::Block, isa::Isa, shared::gemm, simd::Level};
use crate::{
    backend::{BackendError, find_weight},
    buffer::{Weight, WeightRole},
    plan::Plan,
    quant::{self, DType, Row, TensorView, WeightSource},
    stored::ReadError,
};

/// All weights of a plan, prepared once; backends of plans that name the same ones share them.
pub struct CpuWeights {
    names: Vec<Weight>,
    pub(crate) prepared: Vec<Prepared>,
    pub(crate) level: Level,
    /// Bytes that they take.
    pub(crate) bytes: usize,
}

impl CpuWeights {
    /// Whether a backend of `plan` can use them that computes with `isa`, or the fastest if None.
    pub fn fit(&self, plan: &Plan, isa: Option<Isa>) -> bool {
        self.names == plan.weights && self.level.isa() == isa.unwrap_or_else(Isa::best)
    }
}

/// A weight ready for its kernel.
pub(crate) enum Prepared {
    /// Plain `f32`, row after row.
    Vector(Block, usize),
    /// A matrix or convolution in panels of `f32`.
    Panels(Panels),
    /// A matrix of the file's `F16` in panels of the same, half as large.
    Halves(Panels),
    /// A quantised matrix in panels of bytes.
    Bytes(BytePanels),
}

impl Prepared {
    /// Plain numbers; empty for a matrix, which no plan that passed its checks asks for.
    pub(crate) fn vector(&self) -> &[f32] {
        match self {
            Prepared::Vector(block, len) => &block.as_slice()[..*len],
            _ => &[],
        }
    }
}

/// Panels of one or two vectors of columns (see [`gemm`]), as `f32` or half precision: term by term the weights of these columns. Columns beyond the last
/// one are zero.
pub(crate) struct Panels {
    block: Block,
    outputs: usize,
    terms: usize,
}

impl Panels {
    /// The panel that begins at `column`, and its vectors.
    pub(crate) fn at<E: bytemuck::Pod>(&self, column: usize, lanes: usize) -> (&[E], usize) {
        let vectors = gemm::vectors_at(column, self.outputs, lanes);
        (&self.block.as_slice()[column * self.terms..][..vectors * lanes * self.terms], vectors)
    }
}

/// Words of a block of one column of [`BytePanels`]: 32 bytes and the scale.
pub(crate) const COLUMN_WORDS: usize = quant::BLOCK / 4 + 1;

/// Panels of bytes: block by block of 32 terms first the bytes, four adjacent terms of each column in turn, then each column's
/// scale.
pub(crate) struct BytePanels {
    block: Block,
    outputs: usize,
    blocks: usize,
    /// A weight is (byte - offset) * scale.
    pub(crate) offset: i32,
}

impl BytePanels {
    /// The panel that begins at `column`, and its vectors.
    pub(crate) fn at(&self, column: usize, lanes: usize) -> (&[u32], usize) {
        let vectors = gemm::vectors_at(column, self.outputs, lanes);
        let words = self.blocks * COLUMN_WORDS;
        (&self.block.as_slice()[column * words..][..vectors * lanes * words], vectors)
    }
}

/// Whether a weight is kept as bytes.
pub(crate) fn as_bytes(weight: &Weight, view: &TensorView<'_>) -> bool {
    weight.role == WeightRole::Matrix && view.dtype.is_quantised() && view.cols().is_multiple_of(quant::BLOCK)
}

/// Whether a weight is kept in half precision.
fn as_halves(weight: &Weight, view: &TensorView<'_>) -> bool {
    weight.role == WeightRole::Matrix && view.dtype == DType::F16
}

/// Words that [`prepare`] allocates.
fn words(weight: &Weight, view: &TensorView<'_>, lanes: usize) -> usize {
    let padded = view.rows().next_multiple_of(lanes);
    if weight.role == WeightRole::Vector {
        view.len()
    } else if as_bytes(weight, view) {
        padded * (view.cols() / quant::BLOCK) * COLUMN_WORDS
    } else if as_halves(weight, view) {
        // Lanes are even.
        padded * view.cols() / 2
    } else {
        padded * view.cols()
    }
}

/// Bytes that [`prepare`] allocates.
pub(crate) fn bytes(weight: &Weight, view: &TensorView<'_>, level: Level) -> usize {
    Block::bytes_for(words(weight, view, level.lanes()))
}

/// Bytes of what [`CpuWeights`] knows of its weights, shared as it is.
pub(crate) fn book(plan: &Plan) -> usize {
    let one = |weight: &Weight| {
        size_of::<Weight>() + weight.name.len() + size_of_val(&weight.shape[..]) + size_of::<Prepared>()
    };
    // An `Arc` has two counters.
    plan.weights.iter().map(one).sum::<usize>() + size_of::<CpuWeights>() + 2 * size_of::<usize>()
}

/// Brings one weight into its kernel's layout.
fn prepare(weight: &Weight, view: &TensorView<'_>, level: Level) -> Result<Prepared, BackendError> {
    let mut block = Block::zeroed(words(weight, view, level.lanes()))?;
    let prepared = match weight.role {
        WeightRole::Vector => {
            let cols = view.cols();
            let values = &mut block.as_mut_slice()[..view.len()];
            view.each_row(|at, row| row.decode(&mut values[at * cols..][..cols]))
                .map(|()| Prepared::Vector(block, view.len()))
        }
        _ if as_bytes(weight, view) => pack_bytes(view, level.lanes(), block),
        _ if as_halves(weight, view) => {
            let bits = |row: Row<'_>, out: &mut [u16]| {
                out.iter_mut().zip(row.data.as_chunks::<2>().0).for_each(|(x, bytes)| *x = u16::from_le_bytes(*bytes));
            };
            pack(weight, view, level.lanes(), block, bits).map(Prepared::Halves)
        }
        _ => pack(weight, view, level.lanes(), block, |row, out: &mut [f32]| row.decode(out)).map(Prepared::Panels),
    };
    prepared.map_err(|error| BackendError::unread(&weight.name, error))
}

/// Packs rows that `read(row, values)` decodes.
fn pack<E: bytemuck::Pod>(
    weight: &Weight,
    view: &TensorView<'_>,
    lanes: usize,
    mut block: Block,
    read: impl Fn(Row<'_>, &mut [E]),
) -> Result<Panels, ReadError> {
    let (outputs, terms) = (view.rows(), view.cols());
    // A convolution's terms run over its window first and channels last, like the pixels it reads.
    let window = if weight.role == WeightRole::Conv { weight.shape[2..].iter().product() } else { 1 };
    let channels = terms / window;
    let mut values = vec![E::zeroed(); terms];
    let words = block.as_mut_slice::<E>();
    view.each_row(|output, row| {
        read(row, &mut values);
        let (first, width) = panel_of(output, outputs, lanes);
        let panel = &mut words[first * terms..][..width * terms];
        for (at, value) in values.iter().enumerate() {
            let term = at % window * channels + at / window;
            panel[term * width + output - first] = *value;
        }
    })?;
    Ok(Panels { block, outputs, terms })
}

fn pack_bytes(view: &TensorView<'_>, lanes: usize, mut block: Block) -> Result<Prepared, ReadError> {
    let (outputs, blocks) = (view.rows(), view.cols() / quant::BLOCK);
    let offset = if view.dtype == DType::Q4 { 8 } else { 128 };
    let words = block.as_mut_slice::<u32>();
    view.each_row(|output, row| {
        // Codes are signed bytes, or pairs of nibbles that are unsigned already.
        let byte = |at: usize| match row.dtype {
            DType::Q4 => row.data[at / 2] >> (at % 2 * 4) & 15,
            _ => row.data[at] ^ 128,
        };
        let (first, width) = panel_of(output, outputs, lanes);
        for (index, scale) in row.scales.as_chunks::<2>().0.iter().enumerate() {
            let block = &mut words[(first * blocks + index * width) * COLUMN_WORDS..][..width * COLUMN_WORDS];
            for four in 0..quant::BLOCK / 4 {
                let bytes = core::array::from_fn(|i| byte(index * quant::BLOCK + 4 * four + i));
                block[four * width + output - first] = u32::from_le_bytes(bytes);
            }
            block[quant::BLOCK / 4 * width + output - first] = half::f16::from_le_bytes(*scale).to_f32().to_bits();
        }
    })?;
    Ok(Prepared::Bytes(BytePanels { block, outputs, blocks, offset }))
}

/// First column and width of the panel that holds a column.
fn panel_of(column: usize, columns: usize, lanes: usize) -> (usize, usize) {
    let first = column / (gemm::VECTORS * lanes) * gemm::VECTORS * lanes;
    (first, gemm::vectors_at(first, columns, lanes) * lanes)
}

/// Prepares all weights of a plan.
pub(crate) fn prepare_all(plan: &Plan, source: &dyn WeightSource, level: Level) -> Result<CpuWeights, BackendError> {
    let mut loaded = CpuWeights {
        names: plan.weights.clone(),
        prepared: Vec::with_capacity(plan.weights.len()),
        level,
        bytes: book(plan),
    };
    for weight in &plan.weights {
        let view = find_weight(weight, source)?;
        loaded.bytes += bytes(weight, &view, level);
        loaded.prepared.push(prepare(weight, &view, level)?);
    }
    Ok(loaded)
}
