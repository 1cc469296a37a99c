//! Finds a decoder in a checkpoint and writes it as a model file.

use std::collections::BTreeMap;
use std::path::Path;

use causeway_ops::quant::DType;

use super::found::{Found, Source, listed};
use super::{names, taehv, vae};
use crate::config::{DecoderConfig, DecoderFamily, DecoderNetwork, FORMAT, FileConfig, Provenance};
use crate::file::{Sink, TensorSpec, Writer};
use crate::import::{Checkpoint, ImportError};
use crate::model::Network;

/// A decoder found in a checkpoint.
#[derive(Debug)]
pub struct DecoderImport {
    checkpoint: Checkpoint,
    names: BTreeMap<String, usize>,
    network: DecoderNetwork,
    sources: BTreeMap<String, Source>,
    unknown: Vec<String>,
}

impl DecoderImport {
    /// Opens a checkpoint and finds the decoder in the part under `key` (or the best wrapper), if it holds one at all.
    ///
    /// # Errors
    /// As [`Checkpoint::open`]; `Decoder` listing missing and misshapen tensors by name.
    pub fn find(path: impl AsRef<Path>, key: Option<&str>) -> Result<Option<Self>, ImportError> {
        Self::of(Checkpoint::open(path)?, key).map(Result::ok)
    }

    /// As [`Self::find`] in an opened checkpoint, which comes back where it holds no decoder.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn of(checkpoint: Checkpoint, key: Option<&str>) -> Result<Result<Self, Checkpoint>, ImportError> {
        let all: Vec<&str> = checkpoint.entries().iter().map(|entry| entry.name.as_str()).collect();
        let names = vae::original(names::original(&all, key, &names::ANCHORS)?);
        let found = Found { names: &names, entries: checkpoint.entries() };
        let network = match taehv::infer(&found)? {
            None => vae::infer(&found)?,
            found => found,
        };
        let Some(network) = network else { return Ok(Err(checkpoint)) };
        let mut import = Self { network, sources: BTreeMap::new(), unknown: Vec::new(), names, checkpoint };
        import.config("decoder", "", "", "").validate()?;
        import.compare()?;
        Ok(Ok(import))
    }

    /// The network.
    pub fn network(&self) -> &DecoderNetwork {
        &self.network
    }

    /// Tensors of the chosen part that the decoder does not use.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// The configuration of a file of the decoder.
    pub fn config(&self, name: &str, license: &str, credits: &str, command: &str) -> DecoderConfig {
        DecoderConfig {
            format: FORMAT,
            family: DecoderFamily::Decoder,
            name: name.to_owned(),
            codec: self.network.clone(),
            license: license.to_owned(),
            credits: credits.to_owned(),
            provenance: Provenance { command: command.to_owned(), ..Provenance::default() },
        }
    }

    /// Writes the model file of `config` (one of [`Self::config`]) to `sink`, all tensors as `dtype`.
    ///
    /// # Errors
    /// `File` for values that are not finite or do not fit; `Tensor` and `Io` where the checkpoint cannot be read.
    pub fn write<W: Sink>(&self, sink: W, config: &DecoderConfig, dtype: DType) -> Result<W, ImportError> {
        let specs = config.tensors().into_iter().map(|(name, shape)| TensorSpec { name, dtype, shape });
        let specs: Vec<TensorSpec> = specs.collect();
        let mut writer = Writer::new(sink, config, specs.clone())?;
        for spec in &specs {
            writer.put(&spec.name, &self.values(&self.sources[&spec.name])?)?;
        }
        Ok(writer.finish()?)
    }

    fn values(&self, source: &Source) -> Result<Vec<f32>, ImportError> {
        let entry = &self.checkpoint.entries()[self.names[&source.name]];
        let values = self.checkpoint.read_rows(entry, source.rows.clone())?;
        Ok(match entry.shape[..] {
            [_, inputs, 3, height, width] => vae::flatten_time(&values, inputs, height * width),
            _ => values,
        })
    }

    /// Finds the source of every tensor.
    fn compare(&mut self) -> Result<(), ImportError> {
        let (mut missing, mut misshapen, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
        let mut unknown: BTreeMap<&String, &usize> = self.names.iter().collect();
        let found = Found { names: &self.names, entries: self.checkpoint.entries() };
        for (name, shape) in self.config("decoder", "", "", "").tensors() {
            let source = match &self.network {
                DecoderNetwork::Taehv(codec) => taehv::source(codec, &name, &shape, &found),
                DecoderNetwork::Vae(_) => vae::source(&name, &shape),
            };
            let Some(at) = found.shape(&source.name) else {
                missing.push(source.name);
                continue;
            };
            let fits = at.first().is_some_and(|&rows| source.rows.end <= rows) && source.rows.len() == shape[0];
            if !fits || at[1..].iter().product::<usize>() != shape[1..].iter().product::<usize>() {
                misshapen.push(format!("{} is {at:?}, expected {shape:?}", source.name));
            }
            if let Err(ImportError::Tensor { name, what }) = found.entries[found.names[&source.name]].readable() {
                unreadable.push(format!("{name} {what}"));
            }
            unknown.remove(&source.name);
            self.sources.insert(name, source);
        }
        let unknown = unknown.into_keys().cloned().collect();
        if !missing.is_empty() || !misshapen.is_empty() || !unreadable.is_empty() {
            let lists = [("missing", missing), ("misshapen", misshapen), ("unreadable", unreadable)];
            let lists = lists.iter().filter(|(_, list)| !list.is_empty()).map(|(kind, list)| listed(kind, list));
            return Err(ImportError::Decoder(lists.collect::<Vec<_>>().join("; ")));
        }
        self.unknown = unknown;
        Ok(())
    }
}
