//! Streams a checkpoint into a model file. No tensor is ever whole in memory, LoRA factors apart.

use std::io::Write;

use causeway_ops::quant::DType;

use super::{Import, ImportError};
use crate::config::{FileConfig, ModelConfig};
use crate::file::{TensorSpec, Writer};

impl Import {
    /// Writes the model file of `config` (one of [`Import::config`]) to `sink`; `choose` gives each tensor's type by its name and
    /// shape.
    ///
    /// # Errors
    /// `File` for a type that a tensor cannot have, or for values that are not finite or do not fit; `Tensor` and `Io` where
    /// the checkpoint cannot be read.
    pub fn write<W: Write>(
        &self,
        sink: W,
        config: &ModelConfig,
        choose: impl FnMut(&str, &[usize]) -> DType,
    ) -> Result<W, ImportError> {
        // The values of a tensor come in slabs; its LoRA product is made once.
        let mut updates = (String::new(), Vec::new());
        stream(sink, config, choose, |name, start, values| {
            let name = name.trim_start_matches("dit.");
            let Some(entry) = self.found.get(name).map(|&index| &self.checkpoint.entries()[index]) else {
                return Err(ImportError::Network(format!("missing: {name}")));
            };
            if updates.0 != name {
                let list = self.loras.iter().filter_map(|lora| lora.update(name).transpose());
                updates = (name.to_owned(), list.collect::<Result<Vec<_>, _>>()?);
            }
            self.checkpoint.read(entry, start, values)?;
            updates.1.iter().try_for_each(|update| update.add(start, values))
        })
    }
}

/// Writes a model file, asking `read(name, start, values)` for each tensor's values from `start` on, a slab at a time.
pub(super) fn stream<W: Write, C: FileConfig>(
    sink: W,
    config: &C,
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
    Ok(writer.finish()?)
}
