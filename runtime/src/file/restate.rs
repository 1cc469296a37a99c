//! The same weights under another configuration.

use super::{FileError, ModelFile, PartialFile, TensorSpec, Writer};
use crate::model::Network;
use std::path::Path;

/// Writes the tensors of `model`, bit by bit, to `path` under another configuration of the same network.
///
/// # Errors
/// `Config`, `Tensors` where the configuration wants other ones, `Io`.
pub fn restate<C: Network>(model: &ModelFile<'_, C>, config: &C, path: impl AsRef<Path>) -> Result<(), FileError> {
    let spec = |(name, view): (&str, causeway_ops::quant::TensorView<'_>)| TensorSpec {
        name: name.to_owned(),
        dtype: view.dtype,
        shape: view.shape.to_vec(),
    };
    let specs: Vec<TensorSpec> = model.tensors().map(spec).collect();
    let mut writer = Writer::new(PartialFile::create(path)?, config, specs)?;
    for (name, view) in model.tensors() {
        writer.put_view(name, &view)?;
    }
    if !model.tokenizer().is_empty() {
        writer.put_tokenizer(model.tokenizer())?;
    }
    writer.finish()?.commit()
}
