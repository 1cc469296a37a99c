//! Streams a checkpoint into a model file. No tensor is ever whole in memory, LoRA factors apart.

use std::io::Write;

use causeway_ops::quant::DType;

use super::{Import, ImportError};
use crate::config::ModelConfig;
use crate::file::{TensorSpec, Writer, expected_tensors};

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
        mut choose: impl FnMut(&str, &[usize]) -> DType,
    ) -> Result<W, ImportError> {
        let specs: Vec<TensorSpec> = expected_tensors(config)
            .into_iter()
            .map(|(name, shape)| TensorSpec { dtype: choose(&name, &shape), name, shape })
            .collect();
        let mut writer = Writer::new(sink, config, specs.clone())?;
        for spec in &specs {
            let name = spec.name.trim_start_matches("dit.");
            let Some(entry) = self.found.get(name).map(|&index| &self.checkpoint.entries()[index]) else {
                return Err(ImportError::Network(format!("missing: {name}")));
            };
            let updates =
                self.loras.iter().filter_map(|lora| lora.update(name).transpose()).collect::<Result<Vec<_>, _>>()?;
            writer.put_with(&spec.name, |start, values| {
                self.checkpoint.read(entry, start, values)?;
                updates.iter().for_each(|update| update.add(start, values));
                Ok::<(), ImportError>(())
            })?;
        }
        Ok(writer.finish()?)
    }
}
