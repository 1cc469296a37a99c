//! The safetensors header: 8 bytes of length, then JSON from names to (dtype, shape, data_offsets).
//!
//! Parsed by hand on top of `serde_json` because our rules are stricter than the format's (alignment, no repeated
//! names, no empty tensors) and because each broken rule deserves its own error.

use super::{ALIGN, FileError, PAD};
use crate::config::printable;
use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::ops::Range;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

/// Longest accepted header, bytes: over a hundred times what the largest known models need.
pub const MAX_HEADER: usize = 16 << 20;
/// Most tensors in a file, padding included.
pub const MAX_TENSORS: usize = 1 << 16;
/// Most dimensions of a tensor.
pub const MAX_RANK: usize = 8;

/// Longest tensor name, bytes.
pub const MAX_NAME: usize = 256;

/// Element types of our files, by their safetensors names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawType {
    F32,
    F16,
    I8,
    U8,
}

impl RawType {
    pub fn name(self) -> &'static str {
        match self {
            RawType::F32 => "F32",
            RawType::F16 => "F16",
            RawType::I8 => "I8",
            RawType::U8 => "U8",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [RawType::F32, RawType::F16, RawType::I8, RawType::U8].into_iter().find(|t| t.name() == name)
    }

    fn size(self) -> usize {
        match self {
            RawType::F32 => 4,
            RawType::F16 => 2,
            RawType::I8 | RawType::U8 => 1,
        }
    }
}

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
    /// Tensors other than padding, sorted by name, no name twice.
    pub entries: Vec<Entry<'a>>,
    /// Where tensor data start.
    pub data_start: usize,
}

/// Parses and checks the header of the file `bytes`.
pub fn parse(bytes: &[u8]) -> Result<Header<'_>, FileError> {
    let data_start = data_start(bytes)?;
    let text = core::str::from_utf8(&bytes[8..data_start])
        .map_err(|error| FileError::Header(printable(&error.to_string())))?;
    let raw: RawHeader<'_> =
        serde_json::from_str(text).map_err(|error| FileError::Header(printable(&error.to_string())))?;
    if raw.tensors.len() > MAX_TENSORS {
        return Err(FileError::TooManyTensors(raw.tensors.len()));
    }
    if !data_start.is_multiple_of(ALIGN) {
        return Err(FileError::MisalignedData(data_start));
    }
    let mut entries = Vec::with_capacity(raw.tensors.len());
    for (name, tensor) in raw.tensors {
        entries.push(tensor.check(name.0)?);
    }
    let by_name = |a: &Entry<'_>, b: &Entry<'_>| a.name.cmp(&b.name);
    entries.sort_unstable_by(by_name);
    if let Some(pair) = entries.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(FileError::Duplicate(pair[0].name.to_string()));
    }
    check_coverage(&mut entries, data_start, bytes.len())?;
    entries.sort_unstable_by(by_name);
    entries.retain(|entry| !entry.name.starts_with(PAD));
    Ok(Header { config: metadata(raw.metadata)?, entries, data_start })
}

fn data_start(bytes: &[u8]) -> Result<usize, FileError> {
    let (Some(length), Some(&first)) = (bytes.first_chunk::<8>(), bytes.get(8)) else {
        return Err(FileError::TooShort(bytes.len()));
    };
    if first != b'{' {
        return Err(FileError::NotSafetensors(first));
    }
    let length = u64::from_le_bytes(*length);
    match usize::try_from(length) {
        Ok(header) if header <= MAX_HEADER && header + 8 <= bytes.len() => Ok(header + 8),
        Ok(header) if header <= MAX_HEADER => Err(FileError::Truncated { expected: header + 8, found: bytes.len() }),
        _ => Err(FileError::HeaderTooLarge(length)),
    }
}

/// Every byte of data belongs to exactly one tensor, and tensors other than padding are aligned. Makes the offsets of
/// `entries` count from the start of the file.
fn check_coverage(entries: &mut [Entry<'_>], data_start: usize, file: usize) -> Result<(), FileError> {
    entries.sort_unstable_by_key(|entry| entry.bytes.start);
    let last = entries.iter().map(|entry| entry.bytes.end).max().unwrap_or(0);
    let expected = last.saturating_add(data_start);
    if expected > file {
        return Err(FileError::Truncated { expected, found: file });
    }
    let (mut end, mut previous) = (0, "");
    for Entry { name, bytes, .. } in &*entries {
        let start = bytes.start;
        if start < end {
            return Err(FileError::Overlap { name: name.to_string(), start, other: previous.into(), end });
        }
        if start > end {
            return Err(FileError::Gap { name: name.to_string(), bytes: start - end });
        }
        if !start.is_multiple_of(ALIGN) && !name.starts_with(PAD) {
            return Err(FileError::Misaligned { name: name.to_string(), offset: start });
        }
        (end, previous) = (bytes.end, name);
    }
    if expected < file {
        return Err(FileError::TrailingBytes(file - expected));
    }
    for entry in entries {
        entry.bytes = entry.bytes.start + data_start..entry.bytes.end + data_start;
    }
    Ok(())
}

fn metadata(pairs: Option<Pairs<String>>) -> Result<String, FileError> {
    let mut config = None;
    for (key, value) in pairs.map(|pairs| pairs.0).unwrap_or_default() {
        if key == "causeway" && config.replace(value).is_some() {
            return Err(FileError::Duplicate(key));
        }
    }
    config.ok_or(FileError::NoConfig)
}

/// One header entry before any check.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTensor<'a> {
    #[serde(borrow)]
    dtype: Cow<'a, str>,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

impl RawTensor<'_> {
    fn check(self, name: Cow<'_, str>) -> Result<Entry<'_>, FileError> {
        if name.len() > MAX_NAME || name.contains(char::is_control) {
            return Err(FileError::Name { length: name.len(), start: printable(&name) });
        }
        let padding = name.starts_with(PAD);
        let dtype = match RawType::from_name(&self.dtype) {
            Some(dtype) if !padding || dtype == RawType::U8 => dtype,
            _ => {
                let expected = if padding { "U8" } else { "F32, F16, I8 or U8" };
                return Err(FileError::Type { name: name.into_owned(), found: printable(&self.dtype), expected });
            }
        };
        let shape = self.shape;
        let sane = (1..=MAX_RANK).contains(&shape.len()) && !shape.contains(&0);
        let size = shape.iter().try_fold(dtype.size(), |size, &dim| size.checked_mul(dim));
        let Some(expected) = size.filter(|_| sane) else {
            return Err(FileError::Shape { name: name.into_owned(), shape });
        };
        let (start, end) = self.data_offsets;
        if end.checked_sub(start) != Some(expected) {
            return Err(FileError::Size { name: name.into_owned(), start, end, expected });
        }
        Ok(Entry { name, dtype, shape, bytes: start..end })
    }
}

/// A tensor's name, borrowed unless it has escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// The header's JSON object. Lists, not maps, so that a repeated key can be seen.
struct RawHeader<'a> {
    metadata: Option<Pairs<String>>,
    tensors: Vec<(Name<'a>, RawTensor<'a>)>,
}

impl<'de> Deserialize<'de> for RawHeader<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeaderVisitor;
        impl<'de> Visitor<'de> for HeaderVisitor {
            type Value = RawHeader<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut header = RawHeader { metadata: None, tensors: Vec::new() };
                while let Some(name) = map.next_key::<Name<'de>>()? {
                    if name.0 != "__metadata__" {
                        header.tensors.push((name, map.next_value()?));
                    } else if header.metadata.replace(map.next_value()?).is_some() {
                        return Err(serde::de::Error::duplicate_field("__metadata__"));
                    }
                }
                Ok(header)
            }
        }
        deserializer.deserialize_map(HeaderVisitor)
    }
}

/// A JSON object in order, with repeated keys.
struct Pairs<V>(Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Pairs<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for PairsVisitor<V> {
            type Value = Pairs<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor(PhantomData))
    }
}
