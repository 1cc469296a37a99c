//! Weights in the layout the kernels compute with, prepared once.

use alloc::{vec, vec::Vec};
use core::ops::Range;

use super::{
    block::Block,
    isa::Isa,
    shared::gemm,
    simd::{Level, PAIRED},
};
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

/// Words that a weight takes.
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

/// Bytes that a weight takes.
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

/// A weight on its way into its kernel's layout.
struct Packing {
    block: Block,
    /// Rows that are there.
    rows: usize,
}

impl Packing {
    fn new(weight: &Weight, view: &TensorView<'_>, level: Level) -> Result<Self, BackendError> {
        Ok(Self { block: Block::zeroed(words(weight, view, level.lanes()))?, rows: 0 })
    }

    /// Brings the next rows there, about so many bytes of them.
    fn step(&mut self, weight: &Weight, view: &TensorView<'_>, level: Level, bytes: usize) -> Result<(), BackendError> {
        let count = bytes / (4 * view.cols()).max(1);
        let rows = self.rows..view.rows().min(self.rows + count.max(1));
        self.rows = rows.end;
        let packed = match weight.role {
            WeightRole::Vector => {
                let cols = view.cols();
                let values = &mut self.block.as_mut_slice()[..view.len()];
                view.some_rows(rows, |at, row| row.decode(&mut values[at * cols..][..cols]))
            }
            _ if as_bytes(weight, view) => self.pack_bytes(view, level.lanes(), rows),
            _ if as_halves(weight, view) => {
                let bits = |row: Row<'_>, out: &mut [u16]| {
                    let bytes = row.data.as_chunks::<2>().0;
                    out.iter_mut().zip(bytes).for_each(|(x, bytes)| *x = u16::from_le_bytes(*bytes));
                };
                self.pack(weight, view, level.lanes(), rows, bits)
            }
            _ => self.pack(weight, view, level.lanes(), rows, |row, out: &mut [f32]| row.decode(out)),
        };
        packed.map_err(|error| BackendError::unread(&weight.name, error))
    }

    /// Packs rows that `read(row, values)` decodes.
    fn pack<E: bytemuck::Pod>(
        &mut self,
        weight: &Weight,
        view: &TensorView<'_>,
        lanes: usize,
        rows: Range<usize>,
        read: impl Fn(Row<'_>, &mut [E]),
    ) -> Result<(), ReadError> {
        let (outputs, terms) = (view.rows(), view.cols());
        // A convolution's terms run over its window first and channels last, like the pixels it reads.
        let window = if weight.role == WeightRole::Conv { weight.shape[2..].iter().product() } else { 1 };
        let channels = terms / window;
        let mut values = vec![E::zeroed(); terms];
        let words = self.block.as_mut_slice::<E>();
        view.some_rows(rows, |output, row| {
            read(row, &mut values);
            let (first, width) = panel_of(output, outputs, lanes);
            let panel = &mut words[first * terms..][..width * terms];
            for (at, value) in values.iter().enumerate() {
                let term = at % window * channels + at / window;
                panel[term * width + output - first] = *value;
            }
        })
    }

    fn pack_bytes(&mut self, view: &TensorView<'_>, lanes: usize, rows: Range<usize>) -> Result<(), ReadError> {
        let (outputs, blocks) = (view.rows(), view.cols() / quant::BLOCK);
        let words = self.block.as_mut_slice::<u32>();
        view.some_rows(rows, |output, row| {
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
                    put(&mut block[four * width..], output - first, u32::from_le_bytes(bytes));
                }
                block[quant::BLOCK / 4 * width + output - first] = half::f16::from_le_bytes(*scale).to_f32().to_bits();
            }
        })
    }

    /// The weight, of which all rows are there.
    fn prepared(self, weight: &Weight, view: &TensorView<'_>) -> Prepared {
        let (block, outputs, terms) = (self.block, view.rows(), view.cols());
        match weight.role {
            WeightRole::Vector => Prepared::Vector(block, view.len()),
            _ if as_bytes(weight, view) => {
                let offset = if view.dtype == DType::Q4 { 8 } else { 128 };
                Prepared::Bytes(BytePanels { block, outputs, blocks: terms / quant::BLOCK, offset })
            }
            _ if as_halves(weight, view) => Prepared::Halves(Panels { block, outputs, terms }),
            _ => Prepared::Panels(Panels { block, outputs, terms }),
        }
    }
}

/// Puts the four bytes of a column where kernels look for them.
fn put(words: &mut [u32], column: usize, bytes: u32) {
    if PAIRED {
        let halves = bytemuck::cast_slice_mut::<u32, u16>(words);
        let at = column / 4 * 8 + column % 4;
        (halves[at], halves[at + 4]) = (bytes as u16, (bytes >> 16) as u16);
    } else {
        words[column] = bytes;
    }
}

/// First column and width of the panel that holds a column.
fn panel_of(column: usize, columns: usize, lanes: usize) -> (usize, usize) {
    let first = column / (gemm::VECTORS * lanes) * gemm::VECTORS * lanes;
    (first, gemm::vectors_at(first, columns, lanes) * lanes)
}

/// All weights of a plan on their way.
pub(crate) struct Preparing {
    weights: CpuWeights,
    packing: Option<Packing>,
}

impl Preparing {
    /// None is there yet.
    pub(crate) fn new(plan: &Plan, level: Level) -> Self {
        let prepared = Vec::with_capacity(plan.weights.len());
        let weights = CpuWeights { names: plan.weights.clone(), prepared, level, bytes: book(plan) };
        Self { weights, packing: None }
    }

    /// Bytes that are there.
    pub(crate) fn bytes(&self) -> usize {
        self.weights.bytes
    }

    /// Prepares rows of the next weight, about so many bytes of them; whether all weights are there.
    pub(crate) fn step(&mut self, source: &dyn WeightSource, some: usize) -> Result<bool, BackendError> {
        let (at, level) = (self.weights.prepared.len(), self.weights.level);
        let Some(weight) = self.weights.names.get(at) else { return Ok(true) };
        let view = find_weight(weight, source)?;
        let packing = match &mut self.packing {
            Some(packing) => packing,
            none => none.insert(Packing::new(weight, &view, level)?),
        };
        packing.step(weight, &view, level, some)?;
        if packing.rows == view.rows()
            && let Some(packing) = self.packing.take()
        {
            let prepared = packing.prepared(weight, &view);
            self.weights.bytes += bytes(weight, &view, level);
            self.weights.prepared.push(prepared);
        }
        Ok(self.weights.prepared.len() == self.weights.names.len())
    }

    /// The weights, which are all there.
    pub(crate) fn finish(self) -> CpuWeights {
        self.weights
    }
}
