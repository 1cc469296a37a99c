//! Finds a T5 encoder in a checkpoint, under the Wan project's names or those of transformers (spec 4).

use std::collections::BTreeMap;
use std::path::Path;

use causeway_ops::quant::DType;

use super::found::compare;
use super::names;
use crate::config::{FORMAT, FileConfig, Provenance, Umt5Config, Umt5Family, Umt5Sizes};
use crate::file::Sink;
use crate::import::{Checkpoint, Entry, ImportError, write};
use crate::model::Network;

const EMBEDDING: &str = "token_embedding.weight";
const SHARED_BIAS: &str = "pos_embedding.embedding.weight";
/// What no tensor tells and all published encoders have in common.
const MAX_DISTANCE: usize = 128;
const EPS: f32 = 1e-6;
const LENGTH: usize = 512;

/// A text encoder found in a checkpoint.
#[derive(Debug)]
pub struct Umt5Import {
    checkpoint: Checkpoint,
    /// Index of each tensor by its original name.
    found: BTreeMap<String, usize>,
    sizes: Umt5Sizes,
    unknown: Vec<String>,
}

impl Umt5Import {
    /// Opens a checkpoint and finds the encoder in the part under `key` (or the best wrapper), if it holds one at all.
    ///
    /// # Errors
    /// As [`Checkpoint::open`]; `Encoder` listing missing and misshapen tensors by name.
    pub fn find(path: impl AsRef<Path>, key: Option<&str>) -> Result<Option<Self>, ImportError> {
        Self::of(Checkpoint::open(path)?, key).map(Result::ok)
    }

    /// As [`Self::find`] in an opened checkpoint, which comes back where it holds no encoder.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn of(checkpoint: Checkpoint, key: Option<&str>) -> Result<Result<Self, Checkpoint>, ImportError> {
        let all: Vec<&str> = checkpoint.entries().iter().map(|entry| entry.name.as_str()).collect();
        let mut found = names::find(&without_ties(&all), key, &names::ANCHORS, from_transformers)?;
        if !found.contains_key(EMBEDDING) && !found.contains_key("blocks.0.attn.q.weight") {
            return Ok(Err(checkpoint));
        }
        let own = "blocks.0.pos_embedding.embedding.weight";
        let single = layers(&found) > 1 && !found.contains_key("blocks.1.pos_embedding.embedding.weight");
        if let Some(index) = found.get(own).copied().filter(|_| single) {
            // transformers keeps the table of all layers in the first one.
            found.remove(own);
            found.insert(SHARED_BIAS.to_owned(), index);
        }
        let sizes = infer(&found, checkpoint.entries())?;
        let mut import = Self { checkpoint, found, sizes, unknown: Vec::new() };
        let config = import.config("umt5", "", "", "");
        config.validate()?;
        let compared = compare(&import.found, import.checkpoint.entries(), config.tensors(), "umt5.");
        import.unknown = compared.map_err(ImportError::Encoder)?;
        Ok(Ok(import))
    }

    /// Tensors of the chosen part that the encoder does not use, such as a T5 model's decoder.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// The configuration of a file of the encoder.
    pub fn config(&self, name: &str, license: &str, credits: &str, command: &str) -> Umt5Config {
        Umt5Config {
            format: FORMAT,
            family: Umt5Family::Umt5,
            name: name.to_owned(),
            encoder: self.sizes,
            tokenizer: 0,
            license: license.to_owned(),
            credits: credits.to_owned(),
            provenance: Provenance { command: command.to_owned(), ..Provenance::default() },
        }
    }

    /// Writes the model file of `config` (one of [`Self::config`]) to `sink`; `choose` gives each tensor's type by its name and
    /// shape. The file holds `tokenizer` too, a `tokenizer.json` of as many bytes as the configuration says.
    ///
    /// # Errors
    /// `File` for a type that a tensor cannot have, or for values that are not finite or do not fit; `Tensor` and `Io` where
    /// the checkpoint cannot be read.
    pub fn write<W: Sink>(
        &self,
        sink: W,
        config: &Umt5Config,
        tokenizer: &[u8],
        choose: impl FnMut(&str, &[usize]) -> DType,
    ) -> Result<W, ImportError> {
        write::stream(sink, config, tokenizer, choose, |name, start, values| {
            let index = self.found[name.trim_start_matches("umt5.")];
            self.checkpoint.read(&self.checkpoint.entries()[index], start, values)
        })
    }
}

/// Without the second name that transformers gives the token embedding: nothing may come to one name twice.
fn without_ties<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let shared = names.iter().any(|name| name.ends_with("shared.weight"));
    let tied = |name: &str| shared && name.ends_with("encoder.embed_tokens.weight");
    // An empty name keeps the others' indices.
    names.iter().map(|name| if tied(name) { "" } else { name }).collect()
}

/// Renames what transformers and GGUF call differently; other names stay as they are.
fn from_transformers(name: &str) -> String {
    const OUTER: [(&str, &str); 5] = [
        ("shared.", "token_embedding."),
        ("encoder.embed_tokens.", "token_embedding."),
        ("encoder.final_layer_norm.", "norm."),
        ("token_embd.", "token_embedding."),
        ("enc.output_norm.", "norm."),
    ];
    const INNER: [(&str, &str); 7] = [
        ("layer.0.SelfAttention.relative_attention_bias.", "pos_embedding.embedding."),
        ("layer.0.SelfAttention.", "attn."),
        ("layer.0.layer_norm.", "norm1."),
        ("layer.1.layer_norm.", "norm2."),
        ("layer.1.DenseReluDense.wi_0.", "ffn.gate.0."),
        ("layer.1.DenseReluDense.wi_1.", "ffn.fc1."),
        ("layer.1.DenseReluDense.wo.", "ffn.fc2."),
    ];
    // Those of GGUF's `t5encoder`.
    const SHORT: [(&str, &str); 10] = [
        ("attn_rel_b.", "pos_embedding.embedding."),
        ("attn_q.", "attn.q."),
        ("attn_k.", "attn.k."),
        ("attn_v.", "attn.v."),
        ("attn_o.", "attn.o."),
        ("attn_norm.", "norm1."),
        ("ffn_norm.", "norm2."),
        ("ffn_gate.", "ffn.gate.0."),
        ("ffn_up.", "ffn.fc1."),
        ("ffn_down.", "ffn.fc2."),
    ];
    let name = names::renamed(name, &OUTER).unwrap_or_else(|| name.to_owned());
    for (blocks, table) in [("encoder.block.", &INNER[..]), ("enc.blk.", &SHORT)] {
        if let Some((number, inner)) = name.strip_prefix(blocks).and_then(|rest| rest.split_once('.')) {
            let inner = names::renamed(inner, table).unwrap_or_else(|| inner.to_owned());
            return format!("blocks.{number}.{inner}");
        }
    }
    name
}

fn layers(found: &BTreeMap<String, usize>) -> usize {
    let numbers =
        found.keys().filter_map(|name| name.strip_prefix("blocks.")?.split_once('.')?.0.parse::<usize>().ok());
    numbers.max().map_or(0, |last| last.saturating_add(1))
}

fn infer(found: &BTreeMap<String, usize>, entries: &[Entry]) -> Result<Umt5Sizes, ImportError> {
    let matrix = |name: &str| {
        let missing = || ImportError::Encoder(format!("missing: {name}"));
        let index = *found.get(name).ok_or_else(missing)?;
        match entries[index].shape.as_slice() {
            &[outputs, inputs] if outputs > 0 && inputs > 0 => Ok([outputs, inputs]),
            other => Err(ImportError::Encoder(format!("misshapen: {name} is {other:?}, expected a matrix"))),
        }
    };
    let shared_bias = found.contains_key(SHARED_BIAS);
    let bias = if shared_bias { SHARED_BIAS } else { "blocks.0.pos_embedding.embedding.weight" };
    let ([vocabulary, dim], [buckets, heads]) = (matrix(EMBEDDING)?, matrix(bias)?);
    let ([inner, _], [ffn_dim, _]) = (matrix("blocks.0.attn.q.weight")?, matrix("blocks.0.ffn.gate.0.weight")?);
    if !inner.is_multiple_of(heads) {
        let what = format!("misshapen: {inner} features of queries do not make {heads} heads");
        return Err(ImportError::Encoder(what));
    }
    Ok(Umt5Sizes {
        vocabulary,
        dim,
        heads,
        head_dim: inner / heads,
        ffn_dim,
        layers: layers(found),
        buckets,
        max_distance: MAX_DISTANCE,
        shared_bias,
        eps: EPS,
        length: LENGTH,
    })
}
