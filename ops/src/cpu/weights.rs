//! Weights in the layout the kernels compute with, prepared once.

use alloc::{format, string::String, vec::Vec};

use super::{block::Block, isa::Isa};
use crate::{
    backend::BackendError,
    plan::{Plan, Weight},
    quant::{TensorView, WeightSource},
};

/// A weight ready for its kernel.
pub(crate) enum Prepared {
    /// Plain `f32`, row after row.
    Vector(Block, usize),
}

impl Prepared {
    /// Plain numbers; empty for a matrix, which no plan that passed its checks asks for.
    pub(crate) fn vector(&self) -> &[f32] {
        match self {
            Prepared::Vector(block, len) => &block.as_slice()[..*len],
        }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Prepared::Vector(block, _) => block.bytes(),
        }
    }
}

/// Finds a weight and checks that its shape and byte counts fit.
pub(crate) fn find<'a>(weight: &Weight, source: &'a dyn WeightSource) -> Result<TensorView<'a>, BackendError> {
    let error = |what: String| BackendError::Weight { name: weight.name.clone(), what };
    let view = source.tensor(&weight.name).ok_or_else(|| error("is missing".into()))?;
    let len = weight.shape.iter().product();
    if view.len() != len || view.shape.first() != weight.shape.first() {
        return Err(error(format!("has shape {:?}, the plan needs {:?}", view.shape, weight.shape)));
    }
    let scales = view.scales.map_or(0, <[u8]>::len);
    if view.dtype.data_bytes(len) != Some(view.data.len()) || view.dtype.scale_bytes(len) != scales {
        return Err(error(format!("has {} + {scales} bytes, which do not fit {}", view.data.len(), view.dtype)));
    }
    Ok(view)
}

/// Bytes that [`prepare`] allocates.
pub(crate) fn bytes(_weight: &Weight, view: &TensorView<'_>, _isa: Isa) -> usize {
    Block::bytes_for(view.len())
}

/// Brings one weight into its kernel's layout.
pub(crate) fn prepare(_weight: &Weight, view: &TensorView<'_>, _isa: Isa) -> Prepared {
    let mut block = Block::zeroed(view.len());
    for (row, values) in block.as_mut_slice()[..view.len()].chunks_exact_mut(view.cols().max(1)).enumerate() {
        view.row(row, values);
    }
    Prepared::Vector(block, view.len())
}

/// Prepares all weights of a plan.
pub(crate) fn prepare_all(plan: &Plan, source: &dyn WeightSource, isa: Isa) -> Result<Vec<Prepared>, BackendError> {
    plan.weights.iter().map(|weight| Ok(prepare(weight, &find(weight, source)?, isa))).collect()
}
