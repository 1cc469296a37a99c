//! Finds the visual tower of a CLIP model in a checkpoint, under the names of open_clip as the Wan project has them (spec 2.13).

use std::collections::BTreeMap;
use std::path::Path;

use causeway_ops::quant::DType;

use super::found::{Source, compare};
use super::names;
use crate::config::{ClipConfig, ClipFamily, ClipSizes, FORMAT, FileConfig, Provenance};
use crate::file::Sink;
use crate::import::{Checkpoint, Entry, ImportError, write};
use crate::model::Network;

const PATCHES: &str = "patch_embedding.weight";
/// Features of a head of ViT-H/14, which no tensor tells.
const HEAD_DIM: usize = 80;
/// What no tensor tells and all published towers have in common.
const EPS: f32 = 1e-5;
const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// An image encoder found in a checkpoint.
#[derive(Debug)]
pub struct ClipImport {
    checkpoint: Checkpoint,
    /// Index of each tensor by its original name, without what stands before all of the tower's.
    found: BTreeMap<String, usize>,
    sizes: ClipSizes,
    unknown: Vec<String>,
}

impl ClipImport {
    /// Opens a checkpoint and finds the tower in the part under `key` (or the best wrapper), if it holds one at all. `heads` is how many heads it
    /// has; as many as make heads of 80 if `None`.
    ///
    /// # Errors
    /// As [`Checkpoint::open`]; `Image` listing missing and misshapen tensors by name.
    pub fn find(path: impl AsRef<Path>, key: Option<&str>, heads: Option<usize>) -> Result<Option<Self>, ImportError> {
        Self::of(Checkpoint::open(path)?, key, heads).map(Result::ok)
    }

    /// As [`Self::find`] in an opened checkpoint, which comes back where it holds no tower.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn of(
        checkpoint: Checkpoint,
        key: Option<&str>,
        heads: Option<usize>,
    ) -> Result<Result<Self, Checkpoint>, ImportError> {
        let all: Vec<&str> = checkpoint.entries().iter().map(|entry| entry.name.as_str()).collect();
        if !all.iter().any(|name| name.ends_with("visual.cls_embedding")) {
            return Ok(Err(checkpoint));
        }
        let found = names::find(&all, key, &[], within_tower)?;
        let sizes = infer(&found, checkpoint.entries(), heads)?;
        let mut import = Self { checkpoint, found, sizes, unknown: Vec::new() };
        let config = import.config("clip", "", "", "");
        config.validate()?;
        let expected = import.published(config.tensors());
        let compared = compare(&import.found, import.checkpoint.entries(), expected, "");
        import.unknown = compared.map_err(ImportError::Image)?;
        Ok(Ok(import))
    }

    /// Tensors of the chosen part that are not used: the last layer, what follows it, and the text tower.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// The configuration of a file of the encoder.
    pub fn config(&self, name: &str, license: &str, credits: &str, command: &str) -> ClipConfig {
        ClipConfig {
            format: FORMAT,
            family: ClipFamily::Clip,
            name: name.to_owned(),
            encoder: self.sizes,
            license: license.to_owned(),
            credits: credits.to_owned(),
            provenance: Provenance { command: command.to_owned(), ..Provenance::default() },
        }
    }

    /// Writes the model file of `config` (one of [`Self::config`]) to `sink`; `choose` gives each tensor's type by its name and shape.
    ///
    /// # Errors
    /// `File` for a type that a tensor cannot have, or for values that are not finite or do not fit; `Tensor` and `Io` where
    /// the checkpoint cannot be read.
    pub fn write<W: Sink>(
        &self,
        sink: W,
        config: &ClipConfig,
        choose: impl FnMut(&str, &[usize]) -> DType,
    ) -> Result<W, ImportError> {
        let shapes: BTreeMap<_, _> = config.tensors().into_iter().collect();
        write::stream(sink, config, &[], choose, |name, start, values| {
            let shape = shapes.get(name).map_or(&[][..], Vec::as_slice);
            let from = source(name, shape.first().copied().unwrap_or(0));
            let row: usize = shape.iter().skip(1).product();
            let entry = &self.checkpoint.entries()[self.found[&from.name]];
            self.checkpoint.read(entry, from.rows.start * row + start, values)
        })
    }

    /// The published tensors that ours are made of, with their shapes.
    fn published(&self, ours: Vec<(String, Vec<usize>)>) -> Vec<(String, Vec<usize>)> {
        let ClipSizes { dim, patch, .. } = self.sizes;
        let mut all = BTreeMap::new();
        for (name, mut shape) in ours {
            let from = source(&name, shape[0]);
            if from.name == PATCHES {
                shape = vec![dim, 3, patch, patch];
            } else if from.name.contains("to_qkv") {
                shape[0] *= 3;
            }
            all.insert(from.name, shape);
        }
        all.into_iter().collect()
    }
}

/// Without what stands before all names of the tower; others stay as they are.
fn within_tower(name: &str) -> String {
    match name.strip_prefix("visual.") {
        Some(name) => {
            name.strip_prefix("transformer.").map_or_else(|| name.to_owned(), |rest| format!("blocks.{rest}"))
        }
        None => name.to_owned(),
    }
}

/// Where the tensor `name` of ours, of so many rows, comes from: queries, keys and values are rows of one published tensor.
fn source(name: &str, rows: usize) -> Source {
    let name = name.strip_prefix("clip.").unwrap_or(name);
    for (part, ours) in [".attn.q.", ".attn.k.", ".attn.v."].into_iter().enumerate() {
        if name.contains(ours) {
            return Source { name: name.replace(ours, ".attn.to_qkv."), rows: part * rows..(part + 1) * rows };
        }
    }
    Source { name: name.to_owned(), rows: 0..rows }
}

fn infer(found: &BTreeMap<String, usize>, entries: &[Entry], heads: Option<usize>) -> Result<ClipSizes, ImportError> {
    let refused = |what: String| ImportError::Image(what);
    let shape = |name: &str| {
        let index = *found.get(name).ok_or_else(|| refused(format!("missing: {name}")))?;
        Ok::<_, ImportError>(entries[index].shape.as_slice())
    };
    let misshapen = |name: &str, shape: &[usize]| refused(format!("misshapen: {name} is {shape:?}"));
    let (dim, patch) = match *shape(PATCHES)? {
        [dim, 3, patch, other] if dim > 0 && patch > 0 && patch == other => (dim, patch),
        ref other => return Err(misshapen(PATCHES, other)),
    };
    let rows = match *shape("pos_embedding")? {
        [1, rows, _] | [rows, _] if rows > 1 => rows,
        ref other => return Err(misshapen("pos_embedding", other)),
    };
    let across = (rows - 1).isqrt();
    if across * across != rows - 1 {
        return Err(refused(format!("{rows} positions are not those of a square picture and one more")));
    }
    let ffn_dim = shape("blocks.0.mlp.0.weight")?.first().copied().unwrap_or(0);
    let numbers =
        found.keys().filter_map(|name| name.strip_prefix("blocks.")?.split_once('.')?.0.parse::<usize>().ok());
    let layers = numbers.max().unwrap_or(0);
    if layers == 0 {
        return Err(refused("one layer alone: features are those of the last layer but one".to_owned()));
    }
    if heads.is_none() && !dim.is_multiple_of(HEAD_DIM) {
        let what = format!(
            "a width of {dim} is no multiple of {HEAD_DIM}, the usual head; say with --heads how many there are"
        );
        return Err(refused(what));
    }
    let heads = heads.unwrap_or(dim / HEAD_DIM);
    let side = across.saturating_mul(patch);
    Ok(ClipSizes { side, patch, dim, heads, ffn_dim, layers, eps: EPS, mean: MEAN, std: STD })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_rows_of_what_is_published() {
        let name = |part: &str| format!("blocks.3.attn.{part}.bias");
        assert_eq!(source(&format!("clip.{}", name("k")), 8), Source { name: name("to_qkv"), rows: 8..16 });
        assert_eq!(source("clip.pre_norm.weight", 8), Source { name: "pre_norm.weight".into(), rows: 0..8 });
        assert_eq!(within_tower("visual.transformer.3.attn.to_qkv.bias"), name("to_qkv"));
        assert_eq!(within_tower("textual.blocks.3.bias"), "textual.blocks.3.bias");
    }
}
