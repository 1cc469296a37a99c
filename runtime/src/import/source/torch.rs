//! PyTorch checkpoints: a zip archive with one pickle and an entry for each storage.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use super::blocks::Encoding;
use super::entry::{Entry, MAX_NAME, MAX_TENSORS, View, bytes_at};
use super::pickle::{Pickle, Value};
use super::rebuild::{self, Tensor};
use super::zip::{self, Place};
use crate::config::{misleading, printable};
use crate::import::ImportError;

/// Longest pickle read, bytes: a hundred times that of the largest known models.
const MAX_PICKLE: u64 = 32 << 20;
/// Deepest nesting of dicts that names are made from.
const MAX_DEPTH: usize = 8;
/// Memory that the list of tensors may take: some in any case, and some for each byte of the pickle. Names that share a dict would
/// take any amount.
const FREE_BYTES: usize = 1 << 20;
const BYTES_PER_BYTE: usize = 8;

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
    let bytes = bytes_at(file, path, start, length as usize)?;
    let pickle = Pickle::read(&bytes)?;
    let mut walk = Walk {
        pickle: &pickle,
        archive: &archive,
        folder,
        entries: Vec::new(),
        steps: 16 * MAX_TENSORS + 4 * bytes.len(),
        bytes: FREE_BYTES + BYTES_PER_BYTE * bytes.len(),
    };
    walk.visit(pickle.root(), "", 0)?;
    Ok(walk.entries)
}

struct Walk<'a> {
    pickle: &'a Pickle<'a>,
    archive: &'a BTreeMap<String, Place>,
    folder: &'a str,
    entries: Vec<Entry>,
    /// Pairs that may still be looked at. Shared dicts are visited once a path: a limit keeps hostile sharing from taking for ever.
    steps: usize,
    /// Bytes that the list may still grow by.
    bytes: usize,
}

impl Walk<'_> {
    /// Collects the tensors below a value. Settings beside them are passed over, and so is what lies deeper than any network does.
    fn visit(&mut self, value: Value<'_>, name: &str, depth: usize) -> Result<(), ImportError> {
        match value {
            Value::Dict(dict) if depth < MAX_DEPTH => {
                for (key, value) in self.pickle.pairs(dict) {
                    self.steps = self.steps.checked_sub(1).ok_or_else(|| Self::too_large(name))?;
                    if !matches!(value, Value::Dict(_) | Value::Rebuild(_)) {
                        continue;
                    }
                    let number;
                    let key = match key {
                        Value::Text(key) if !key.is_empty() => key,
                        Value::Int(key) => {
                            number = key.to_string();
                            &number
                        }
                        _ => continue,
                    };
                    if name.len() + 1 + key.len() > MAX_NAME || key.contains(misleading) {
                        continue;
                    }
                    let name = if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
                    self.visit(value, &name, depth + 1)?;
                }
                Ok(())
            }
            Value::Rebuild(call) => {
                let entry = match rebuild::tensor(self.pickle, call) {
                    Ok(tensor) => self.entry(name, tensor),
                    Err(what) => unreadable(name, Vec::new(), Encoding::Other("no tensor".to_owned()), what),
                };
                let words = match (&entry.view, &entry.encoding) {
                    (View::Unreadable(what), _) => what.len(),
                    (_, Encoding::Other(kind)) => kind.len(),
                    _ => 0,
                };
                let bytes = size_of::<Entry>() + entry.name.len() + 2 * size_of_val(entry.shape.as_slice()) + words;
                self.bytes = self.bytes.checked_sub(bytes).ok_or_else(|| Self::too_large(name))?;
                self.entries.push(entry);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn too_large(name: &str) -> ImportError {
        ImportError::Pickle(format!("its dicts hold each other too often, at {}", printable(name)))
    }

    /// Compares a tensor with the archive. One that cannot be read is listed all the same: it may not be needed.
    fn entry(&self, name: &str, tensor: Tensor<'_>) -> Entry {
        let Tensor { key, encoding, offset, shape, stride } = tensor;
        let place = self.place(key, &encoding, offset, &shape, &stride);
        match place {
            Ok((offset, view)) => Entry { name: name.to_owned(), shape, encoding, file: 0, offset, view, scale: None },
            Err(what) => unreadable(name, shape, encoding, what),
        }
    }

    /// First byte of a tensor in the file, and how its values follow each other.
    fn place(
        &self,
        key: &str,
        encoding: &Encoding,
        offset: usize,
        shape: &[usize],
        stride: &[usize],
    ) -> Result<(u64, View), String> {
        let Some(values) = shape.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim)) else {
            return Err(format!("has shape {shape:?}, which multiplies past what can be counted"));
        };
        let width = encoding.block().or(encoding.integer().map(|(width, _)| (1, width)));
        let Some((_, width)) = width else { return Ok((0, View::Whole)) };
        let entry = if key.len() > MAX_NAME { None } else { self.archive.get(&format!("{}data/{key}", self.folder)) };
        let Some(&(start, length)) = entry else {
            return Err(format!("lies in storage {}, which is not in the archive", printable(key)));
        };
        // One past the last element that the strides lead to.
        let end = shape
            .iter()
            .zip(stride)
            .try_fold(1usize, |end, (&size, &stride)| end.checked_add(size.saturating_sub(1).checked_mul(stride)?));
        let end = if values == 0 { Some(offset) } else { end.and_then(|end| end.checked_add(offset)) };
        if end.is_none_or(|end| end as u64 > length / width as u64) {
            return Err(format!("takes {values} values from {offset} on of a storage of {length} bytes"));
        }
        let mut expected = 1;
        let dense = shape.iter().zip(stride).rev().all(|(&size, &stride)| {
            let dense = size <= 1 || stride == expected;
            expected = expected.saturating_mul(size);
            dense
        });
        let view = if dense || values == 0 { View::Whole } else { View::Strided(stride.to_vec()) };
        Ok((start + (offset * width) as u64, view))
    }
}

/// A tensor that is an error only where it is needed.
fn unreadable(name: &str, shape: Vec<usize>, encoding: Encoding, what: String) -> Entry {
    // Its shape may multiply past what can be counted.
    let values = shape.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim));
    let shape = if values.is_some() { shape } else { Vec::new() };
    Entry { name: name.to_owned(), shape, encoding, file: 0, offset: 0, view: View::Unreadable(what), scale: None }
}
