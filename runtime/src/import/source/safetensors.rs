//! Safetensors files of others: any alignment, any types, sharded or whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use super::blocks::Encoding;
use super::entry::{Entry, MAX_NAME, Metadata, View, bytes_at};
use crate::config::{misleading, printable};
use crate::file::FileError;
use crate::file::container::{self, RawTensor, RawType};
use crate::import::ImportError;

/// Longest accepted index, bytes.
const MAX_INDEX: u64 = 16 << 20;

/// The tensors and the metadata of a file of `size` bytes.
pub fn entries(file: &File, path: &Path, size: u64) -> Result<(Vec<Entry>, Metadata), ImportError> {
    let bad = |error: FileError| ImportError::container("safetensors", error.to_string());
    let start = container::data_start(&bytes_at(file, path, 0, size.min(9) as usize)?, size).map_err(bad)?;
    let header = bytes_at(file, path, 8, start - 8)?;
    let found = container::parse(&header, size - start as u64, accept).map_err(bad)?;
    let entry = |tensor: RawTensor<'_>| {
        let encoding = match tensor.dtype {
            RawType::F64 => Encoding::F64,
            RawType::F32 => Encoding::F32,
            RawType::F16 => Encoding::F16,
            RawType::BF16 => Encoding::Bf16,
            RawType::F8_E4M3 => Encoding::F8E4M3,
            RawType::F8_E5M2 => Encoding::F8E5M2,
            other => Encoding::Other(other.name().to_owned()),
        };
        let offset = start as u64 + tensor.bytes.start;
        Entry {
            name: tensor.name.into_owned(),
            shape: tensor.shape,
            encoding,
            file: 0,
            offset,
            view: View::Whole,
            scale: None,
        }
    };
    Ok((found.tensors.into_iter().map(entry).collect(), found.metadata))
}

/// Names must be fit to be shown.
fn accept(name: &str, _: RawType, _: &[usize]) -> Result<(), FileError> {
    if name.len() > MAX_NAME || name.contains(misleading) {
        let what = format!("a tensor name of {} bytes begins {}", name.len(), printable(name));
        return Err(FileError::Header(what));
    }
    Ok(())
}

/// The shards that an index names, with their tensors.
pub fn shards(mut file: &File, path: &Path) -> Result<BTreeMap<String, BTreeSet<String>>, ImportError> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let bad = |what: String| ImportError::container("index", what);
    let mut text = Vec::new();
    (&mut file).take(MAX_INDEX + 1).read_to_end(&mut text).map_err(ImportError::io("read", path))?;
    if text.len() as u64 > MAX_INDEX {
        return Err(bad(format!("it has more than {MAX_INDEX} bytes")));
    }
    let index: Index = serde_json::from_slice(&text).map_err(|error| bad(printable(&error.to_string())))?;
    let mut shards: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (tensor, shard) in index.weight_map {
        // Shards lie beside their index; a path could name any file of the machine.
        let weights = [".safetensors", ".bin"].iter().any(|ending| shard.ends_with(ending));
        if shard.contains(['/', '\\', ':']) || shard.starts_with('.') || !weights {
            return Err(bad(format!(
                "it places {} in `{}`, which is no .safetensors or .bin file beside it",
                printable(&tensor),
                printable(&shard)
            )));
        }
        shards.entry(shard).or_default().insert(tensor);
    }
    Ok(shards)
}
