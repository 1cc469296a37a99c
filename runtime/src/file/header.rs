//! The rules of model files on top of those of [`container`](super::container): alignment, few types, no empty tensors.

use super::FileError;
use super::container::{self, RawTensor, RawType};
use super::fingerprint::{self, Fingerprint};
use super::limits::{ALIGN, MAX_NAME, MAX_RANK, MAX_TENSORS, PAD};
use crate::config::{misleading, printable};
use alloc::borrow::{Cow, ToOwned};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Range;

/// A tensor as stored; `bytes` counts from the start of the file and lies within it.
#[derive(Debug)]
pub struct Entry<'a> {
    pub name: Cow<'a, str>,
    pub dtype: RawType,
    pub shape: Vec<usize>,
    pub bytes: Range<usize>,
}

/// A header whose every offset has been checked.
#[derive(Debug)]
pub struct Header<'a> {
    /// The JSON under the `causeway` key.
    pub config: String,
    /// What it says of the file's contents.
    pub fingerprint: Option<Fingerprint>,
    /// Tensors other than padding, sorted by name, no name twice.
    pub entries: Vec<Entry<'a>>,
}

/// How many bytes of a file tell where its data start.
pub const START: usize = 9;

/// Where the data start in a file of `size` bytes that begins with `start`.
pub fn data_start(start: &[u8], size: usize) -> Result<usize, FileError> {
    container::data_start(start, size as u64)
}

/// Parses and checks the header of a file of `size` bytes: `bytes`, all of them before the data.
pub fn parse(bytes: &[u8], size: usize) -> Result<Header<'_>, FileError> {
    let data_start = bytes.len();
    let found = container::parse(&bytes[8..], (size - data_start) as u64, accept)?;
    if found.tensors.len() > MAX_TENSORS {
        return Err(FileError::TooManyTensors(found.tensors.len()));
    }
    if !data_start.is_multiple_of(ALIGN) {
        return Err(FileError::MisalignedData(data_start));
    }
    let mut entries = Vec::with_capacity(found.tensors.len());
    for RawTensor { name, dtype, shape, bytes } in found.tensors {
        if name.starts_with(PAD) {
            continue;
        }
        // They lie in the file, and the file in memory.
        let (start, end) = (bytes.start as usize, bytes.end as usize);
        if !start.is_multiple_of(ALIGN) {
            return Err(FileError::Misaligned { name: name.to_string(), offset: start });
        }
        entries.push(Entry { name, dtype, shape, bytes: start + data_start..end + data_start });
    }
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let (mut config, mut print) = (None, None);
    for (key, text) in found.metadata {
        match key.as_str() {
            "causeway" => config = Some(text),
            fingerprint::KEY => print = Fingerprint::parse(&text),
            _ => {}
        }
    }
    Ok(Header { config: config.ok_or(FileError::NoConfig)?, fingerprint: print, entries })
}

/// Refuses what no tensor of a model file can be.
fn accept(name: &str, dtype: RawType, shape: &[usize]) -> Result<(), FileError> {
    if name.len() > MAX_NAME || name.contains(misleading) {
        return Err(FileError::Name { length: name.len(), start: printable(name) });
    }
    let padding = name.starts_with(PAD);
    let (known, expected): (&[RawType], _) = if padding {
        (&[RawType::U8], "U8")
    } else {
        (&[RawType::F32, RawType::F16, RawType::I8, RawType::U8], "F32, F16, I8 or U8")
    };
    if !known.contains(&dtype) {
        return Err(FileError::Type { name: name.to_owned(), found: dtype.name().to_owned(), expected });
    }
    let bytes = shape.iter().try_fold(4usize, |bytes, &dim| bytes.checked_mul(dim));
    if !(1..=MAX_RANK).contains(&shape.len()) || shape.contains(&0) || bytes.is_none() {
        return Err(FileError::Shape { name: name.to_owned(), shape: shape.to_vec() });
    }
    Ok(())
}
