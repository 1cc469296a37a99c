//! Safetensors files of others: any alignment, any types, sharded or whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use super::checkpoint::{Entry, MAX_NAME, View, bytes_at};
use super::{Encoding, ImportError};
use crate::config::printable;

/// The format's own limit is 100 MB; real headers have less than 1.
const MAX_HEADER: u64 = 16 << 20;

#[derive(Deserialize)]
struct Tensor {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

/// The tensors of a file of `size` bytes.
pub fn entries(file: &File, path: &Path, size: u64) -> Result<Vec<Entry>, ImportError> {
    let bad = |what: String| ImportError::container("safetensors", what);
    let length = bytes_at(file, path, 0, 8)?;
    let length = length.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
    if length > MAX_HEADER {
        return Err(bad(format!("the header claims to have {length} bytes, expected at most {MAX_HEADER}")));
    }
    let data = 8 + length;
    if data > size {
        return Err(bad(format!("it is truncated: it has {size} bytes, the header alone takes {data}")));
    }
    let header = bytes_at(file, path, 8, length as usize)?;
    let header: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&header)
        .map_err(|error| bad(format!("its header: {}", printable(&error.to_string()))))?;
    let mut entries = Vec::with_capacity(header.len());
    for (name, value) in header {
        if name == "__metadata__" {
            continue;
        }
        if name.len() > MAX_NAME || name.contains(char::is_control) {
            return Err(bad(format!("a tensor name of {} bytes begins {}", name.len(), printable(&name))));
        }
        let tensor: Tensor = serde_json::from_value(value)
            .map_err(|error| bad(format!("its entry {name}: {}", printable(&error.to_string()))))?;
        entries.push(entry(name, tensor, data, size)?);
    }
    Ok(entries)
}

fn entry(name: String, tensor: Tensor, data: u64, size: u64) -> Result<Entry, ImportError> {
    let Tensor { dtype, shape, data_offsets: (start, end) } = tensor;
    let bad = |what: String| Err(ImportError::container("safetensors", what));
    let encoding = match dtype.as_str() {
        "F64" => Encoding::F64,
        "F32" => Encoding::F32,
        "F16" => Encoding::F16,
        "BF16" => Encoding::Bf16,
        other => Encoding::Other(printable(other)),
    };
    let Some(values) = shape.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim)) else {
        return bad(format!("the shape {shape:?} of {name} multiplies past what can be counted"));
    };
    let truncated = data.checked_add(end).is_none_or(|end| end > size);
    if truncated || start > end {
        return bad(format!(
            "it is truncated, or {name} lies outside: bytes {start} to {end} of {} of data",
            size - data
        ));
    }
    let known = !matches!(encoding, Encoding::Other(_));
    if known && encoding.bytes(values).map(|bytes| bytes as u64) != Some(end - start) {
        return bad(format!("{name} has {} bytes, which do not fit {dtype} {shape:?}", end - start));
    }
    Ok(Entry { name, shape, encoding, file: 0, offset: data + start, view: View::Whole })
}

/// The shards that an index names, with their tensors.
pub fn shards(mut file: &File, path: &Path) -> Result<BTreeMap<String, BTreeSet<String>>, ImportError> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let bad = |what: String| ImportError::container("safetensors index", what);
    let mut text = Vec::new();
    (&mut file).take(MAX_HEADER + 1).read_to_end(&mut text).map_err(ImportError::io("read", path))?;
    if text.len() as u64 > MAX_HEADER {
        return Err(bad(format!("it has more than {MAX_HEADER} bytes")));
    }
    let index: Index = serde_json::from_slice(&text).map_err(|error| bad(printable(&error.to_string())))?;
    let mut shards: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (tensor, shard) in index.weight_map {
        // Shards lie beside their index; a path could name any file of the machine.
        if shard.contains(['/', '\\', ':']) || shard.starts_with('.') || !shard.ends_with(".safetensors") {
            return Err(bad(format!(
                "it places {} in `{}`, not a file beside it",
                printable(&tensor),
                printable(&shard)
            )));
        }
        shards.entry(shard).or_default().insert(tensor);
    }
    Ok(shards)
}
