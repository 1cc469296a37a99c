//! Converts a model to another weight type.

use super::writer::specs;
use super::{FileError, ModelFile, PartialFile, Sink, Writer};
use crate::model::Network;
use causeway_ops::quant::{DType, WeightSource};
use std::path::Path;

/// Writes `model` to `path` with the matrices of its blocks as `target` and all else as `F16` (as `F32` if `target`
/// is). Tensors that already have their type are copied bit by bit.
///
/// # Errors
/// `TooLargeForF16` where a plain tensor does not fit, `Io`.
pub fn quantize<C: Network>(model: &ModelFile<'_, C>, target: DType, path: impl AsRef<Path>) -> Result<(), FileError> {
    quantize_to(model, target, PartialFile::create(path)?)?.commit()
}

/// As [`quantize`], to any sink.
///
/// # Errors
/// As [`quantize`].
pub fn quantize_to<W: Sink, C: Network>(model: &ModelFile<'_, C>, target: DType, sink: W) -> Result<W, FileError> {
    let specs = specs(model.config(), target)?;
    let mut writer = Writer::new(sink, model.config(), specs.clone())?;
    for spec in &specs {
        if let Some(view) = model.tensor(&spec.name) {
            writer.put_view(&spec.name, &view)?;
        }
    }
    if !model.tokenizer().is_empty() {
        writer.put_tokenizer(model.tokenizer())?;
    }
    writer.finish()
}
