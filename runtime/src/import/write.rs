//! Streams tensors into a model file. None is ever whole in memory.

use causeway_ops::{quant::DType, stored::Bytes};

use super::ImportError;
use crate::file::{Sink, TensorSpec, Writer};
use crate::model::Network;

/// Writes a model file, asking `read(name, start, values)` for each tensor's values from `start` on, a slab at a time; the tokenizer
/// that the configuration announces comes last.
pub(super) fn stream<W: Sink, C: Network>(
    sink: W,
    config: &C,
    tokenizer: &[u8],
    mut choose: impl FnMut(&str, &[usize]) -> DType,
    mut read: impl FnMut(&str, usize, &mut [f32]) -> Result<(), ImportError>,
) -> Result<W, ImportError> {
    let specs: Vec<TensorSpec> = config
        .tensors()
        .into_iter()
        .map(|(name, shape)| TensorSpec { dtype: choose(&name, &shape), name, shape })
        .collect();
    let mut writer = Writer::new(sink, config, specs.clone())?;
    for TensorSpec { name, .. } in &specs {
        writer.put_with(name, |start, values| read(name, start, values))?;
    }
    if !tokenizer.is_empty() {
        writer.put_tokenizer(Bytes::Here(tokenizer))?;
    }
    Ok(writer.finish()?)
}
