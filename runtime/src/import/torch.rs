//! PyTorch checkpoints: a zip archive with one pickle and an entry for each storage.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use super::checkpoint::{Entry, MAX_NAME, MAX_TENSORS, bytes_at};
use super::pickle::{Id, Pickle, Tensor, Value};
use super::zip::{self, Place};
use super::{Encoding, ImportError};
use crate::config::printable;

/// Longest pickle read, bytes: a hundred times that of the largest known models.
const MAX_PICKLE: u64 = 32 << 20;
/// Deepest nesting of dicts that names are made from.
const MAX_DEPTH: usize = 8;

/// The tensors of a checkpoint; keys of nested dicts are joined with dots.
pub fn entries(file: &File, path: &Path, size: u64) -> Result<Vec<Entry>, ImportError> {
    let archive = zip::entries(file, path, size)?;
    let bad = |what: String| ImportError::container("PyTorch", what);
    let mut pickles = archive.keys().filter(|name| *name == "data.pkl" || name.ends_with("/data.pkl"));
    let (Some(name), None) = (pickles.next(), pickles.next()) else {
        return Err(bad("the archive must hold one data.pkl".to_owned()));
    };
    let folder = &name[..name.len() - "data.pkl".len()];
    let (start, length) = archive[name];
    if length > MAX_PICKLE {
        return Err(bad(format!("its pickle has {length} bytes, expected at most {MAX_PICKLE}")));
    }
    if let Some(&(start, length)) = archive.get(&format!("{folder}byteorder")) {
        let order = bytes_at(file, path, start, length.min(16) as usize)?;
        if order != b"little" {
            return Err(bad(format!("it is stored in {} byte order", printable(&String::from_utf8_lossy(&order)))));
        }
    }
    let pickle = Pickle::read(&bytes_at(file, path, start, length as usize)?)?;
    let mut walk = Walk { pickle: &pickle, archive: &archive, folder, entries: Vec::new(), visited: 0 };
    walk.visit(pickle.root(), "", 0)?;
    Ok(walk.entries)
}

struct Walk<'a> {
    pickle: &'a Pickle,
    archive: &'a BTreeMap<String, Place>,
    folder: &'a str,
    entries: Vec<Entry>,
    visited: usize,
}

impl Walk<'_> {
    /// Collects the tensors below a value. Optimiser states and settings beside them are passed over.
    fn visit(&mut self, id: Id, name: &str, depth: usize) -> Result<(), ImportError> {
        self.visited += 1;
        // Shared values are visited once a path; a limit keeps hostile sharing from taking for ever.
        if self.visited > 16 * MAX_TENSORS || depth > MAX_DEPTH || name.len() > MAX_NAME {
            return Err(ImportError::Pickle(format!(
                "its containers nest too deep or too wide at {}",
                printable(name)
            )));
        }
        match self.pickle.get(id) {
            Value::Dict(pairs) => {
                for pair in pairs.chunks_exact(2) {
                    let key = match self.pickle.get(pair[0]) {
                        Value::Text(key) if !key.contains(char::is_control) => key.clone(),
                        Value::Int(key) => key.to_string(),
                        _ => continue,
                    };
                    let name = if name.is_empty() { key } else { format!("{name}.{key}") };
                    self.visit(pair[1], &name, depth + 1)?;
                }
                Ok(())
            }
            Value::Tensor(tensor) => {
                let entry = self.entry(name, tensor)?;
                self.entries.push(entry);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn entry(&self, name: &str, tensor: &Tensor) -> Result<Entry, ImportError> {
        let bad = |what: String| Err(ImportError::Tensor { name: name.to_owned(), what });
        let Tensor { storage, key, offset, shape, stride } = tensor;
        let (encoding, width) = match storage.as_str() {
            "DoubleStorage" => (Encoding::F64, 8),
            "FloatStorage" => (Encoding::F32, 4),
            "HalfStorage" => (Encoding::F16, 2),
            "BFloat16Storage" => (Encoding::Bf16, 2),
            other => {
                let encoding = Encoding::Other(other.to_owned());
                let width = encoding.integer().map_or(1, |(width, _)| width as u64);
                (encoding, width)
            }
        };
        let Some(values) = shape.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim)) else {
            return bad(format!("has shape {shape:?}, which multiplies past what can be counted"));
        };
        let mut expected = 1;
        for (dim, (&size, &stride)) in shape.iter().zip(stride).enumerate().rev() {
            if size > 1 && stride != expected {
                return bad(format!("is a view with stride {stride} in dimension {dim}, expected {expected}"));
            }
            // Sizes behind a zero may multiply past what can be counted.
            expected = expected.saturating_mul(size);
        }
        if stride.len() != shape.len() {
            return bad(format!("has {} dimensions and {} strides", shape.len(), stride.len()));
        }
        let Some(&(start, length)) = self.archive.get(&format!("{}data/{key}", self.folder)) else {
            return bad(format!("lies in storage {}, which is not in the archive", printable(key)));
        };
        let from = (*offset as u64).checked_mul(width);
        let bytes = (values as u64).checked_mul(width);
        match from.zip(bytes).and_then(|(from, bytes)| Some((from, from.checked_add(bytes)?))) {
            Some((from, end)) if end <= length => {
                Ok(Entry { name: name.to_owned(), shape: shape.clone(), encoding, file: 0, offset: start + from })
            }
            _ => bad(format!("takes {values} values from {offset} on of a storage of {length} bytes")),
        }
    }
}
