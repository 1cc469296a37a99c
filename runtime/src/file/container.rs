//! The safetensors format itself: 8 bytes of length, then JSON from names to (dtype, shape, data_offsets), then data.
//!
//! The one parser of headers, for model files (`header`) and for the files of others (`import`). What the `safetensors` crate
//! refuses is refused here. Besides, and on purpose, these are refused, which the crate takes:
//! * a name that occurs twice, a tensor's or one of the metadata: the crate takes the last one;
//! * a header that does not begin with `{`, as the format prescribes;
//! * unknown keys in a tensor's entry;
//! * more than [`MAX_HEADER`] bytes of header (the crate: 100 MB).
//!
//! Both callers also refuse names that are long or not fit to be shown.
//!
//! Parsed by hand on top of `serde_json`, because each broken rule deserves its own error.

use super::FileError;
use super::limits::MAX_HEADER;
use crate::config::{from_str, printable};
use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::ops::Range;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

/// Element types of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "the format's own names")]
pub enum RawType {
    BOOL,
    F4,
    F6_E2M3,
    F6_E3M2,
    U8,
    I8,
    F8_E5M2,
    F8_E4M3,
    F8_E8M0,
    F8_E4M3FNUZ,
    F8_E5M2FNUZ,
    I16,
    U16,
    F16,
    BF16,
    I32,
    U32,
    F32,
    C64,
    F64,
    I64,
    U64,
}

/// Every type, its name and the bits of a value.
const TYPES: [(RawType, &str, usize); 22] = [
    (RawType::BOOL, "BOOL", 8),
    (RawType::F4, "F4", 4),
    (RawType::F6_E2M3, "F6_E2M3", 6),
    (RawType::F6_E3M2, "F6_E3M2", 6),
    (RawType::U8, "U8", 8),
    (RawType::I8, "I8", 8),
    (RawType::F8_E5M2, "F8_E5M2", 8),
    (RawType::F8_E4M3, "F8_E4M3", 8),
    (RawType::F8_E8M0, "F8_E8M0", 8),
    (RawType::F8_E4M3FNUZ, "F8_E4M3FNUZ", 8),
    (RawType::F8_E5M2FNUZ, "F8_E5M2FNUZ", 8),
    (RawType::I16, "I16", 16),
    (RawType::U16, "U16", 16),
    (RawType::F16, "F16", 16),
    (RawType::BF16, "BF16", 16),
    (RawType::I32, "I32", 32),
    (RawType::U32, "U32", 32),
    (RawType::F32, "F32", 32),
    (RawType::C64, "C64", 64),
    (RawType::F64, "F64", 64),
    (RawType::I64, "I64", 64),
    (RawType::U64, "U64", 64),
];

impl RawType {
    /// The format's name of it.
    pub fn name(self) -> &'static str {
        TYPES[self as usize].1
    }

    /// Bits of a value.
    fn bits(self) -> usize {
        TYPES[self as usize].2
    }

    fn from_name(name: &str) -> Option<Self> {
        TYPES.iter().find(|(_, own, _)| *own == name).map(|(dtype, ..)| *dtype)
    }
}

/// A tensor as stored; `bytes` counts from the start of the data and lies within them.
#[derive(Debug)]
pub struct RawTensor<'a> {
    pub name: Cow<'a, str>,
    pub dtype: RawType,
    pub shape: Vec<usize>,
    pub bytes: Range<u64>,
}

/// A header all of whose offsets have been checked: every byte of data belongs to exactly one tensor.
#[derive(Debug)]
pub struct Container<'a> {
    /// The texts of `__metadata__`, in order, no key twice.
    pub metadata: Vec<(String, String)>,
    /// In the order of their bytes, no name twice.
    pub tensors: Vec<RawTensor<'a>>,
}

/// Where the data start in a file of `size` bytes that begins with `start`.
///
/// # Errors
/// A file that is no safetensors file by its first 9 bytes, or whose header does not fit.
pub fn data_start(start: &[u8], size: u64) -> Result<usize, FileError> {
    let (Some(length), Some(&first)) = (start.first_chunk::<8>(), start.get(8)) else {
        return Err(FileError::TooShort(start.len()));
    };
    if first != b'{' {
        return Err(FileError::NotSafetensors(first));
    }
    let length = u64::from_le_bytes(*length);
    match usize::try_from(length) {
        Ok(header) if header <= MAX_HEADER && length + 8 <= size => Ok(header + 8),
        Ok(header) if header <= MAX_HEADER => Err(FileError::Truncated { expected: length + 8, found: size }),
        _ => Err(FileError::HeaderTooLarge(length)),
    }
}

/// Parses the `header` that lies before `data` bytes of tensor data. `accept` sees name, type and shape of each tensor before they are
/// compared with its bytes: stricter rules have their own errors.
///
/// # Errors
/// Whatever breaks a rule of the format, and those of `accept`.
pub fn parse(
    header: &[u8],
    data: u64,
    mut accept: impl FnMut(&str, RawType, &[usize]) -> Result<(), FileError>,
) -> Result<Container<'_>, FileError> {
    let bad = |error: &dyn fmt::Display| FileError::Header(printable(&error.to_string()));
    let text = core::str::from_utf8(header).map_err(|error| bad(&error))?;
    let json: Json<'_> = from_str(text).map_err(|error| bad(&error))?;
    let mut tensors = Vec::with_capacity(json.tensors.len());
    for (Name(name), fields) in json.tensors {
        let Fields { dtype, shape, data_offsets: (start, end) } = fields;
        let Some(dtype) = RawType::from_name(&dtype) else {
            let (found, expected) = (printable(&dtype), "a type that safetensors has");
            return Err(FileError::Type { name: printable(&name), found, expected });
        };
        accept(&name, dtype, &shape)?;
        let bits = shape.iter().try_fold(dtype.bits(), |bits, &dim| bits.checked_mul(dim));
        let Some(expected) = bits.filter(|bits| bits.is_multiple_of(8)).map(|bits| bits as u64 / 8) else {
            return Err(FileError::Extent { name: name.into_owned(), dtype: dtype.name(), shape });
        };
        if end.checked_sub(start) != Some(expected) {
            return Err(FileError::Size { name: name.into_owned(), start, end, expected });
        }
        tensors.push(RawTensor { name, dtype, shape, bytes: start..end });
    }
    tensors.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    if let Some(pair) = tensors.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(FileError::Duplicate(pair[0].name.to_string()));
    }
    cover(&mut tensors, header.len() as u64 + 8, data)?;
    Ok(Container { metadata: once(json.metadata)?, tensors })
}

/// Every byte of `data`, which begin at byte `data_start`, belongs to exactly one of `tensors`. Puts these in order.
fn cover(tensors: &mut [RawTensor<'_>], data_start: u64, data: u64) -> Result<(), FileError> {
    // Empty tensors share their place with the one behind them.
    tensors.sort_unstable_by_key(|tensor| (tensor.bytes.start, tensor.bytes.end));
    let last = tensors.iter().map(|tensor| tensor.bytes.end).max().unwrap_or(0);
    if last > data {
        return Err(FileError::Truncated { expected: last.saturating_add(data_start), found: data + data_start });
    }
    let (mut end, mut previous) = (0, "");
    for RawTensor { name, bytes, .. } in &*tensors {
        let start = bytes.start;
        if start < end {
            return Err(FileError::Overlap { name: name.to_string(), start, other: previous.into(), end });
        }
        if start > end {
            return Err(FileError::Gap { name: name.to_string(), bytes: start - end });
        }
        (end, previous) = (bytes.end, name);
    }
    if last < data {
        return Err(FileError::TrailingBytes(data - last));
    }
    Ok(())
}

/// The metadata, in which no key may occur twice.
fn once(pairs: Vec<(String, String)>) -> Result<Vec<(String, String)>, FileError> {
    let mut keys: Vec<&str> = pairs.iter().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    match keys.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(FileError::Duplicate(printable(pair[0]))),
        None => Ok(pairs),
    }
}

/// An entry of the header before any check.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields<'a> {
    #[serde(borrow)]
    dtype: Cow<'a, str>,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

/// A tensor's name, borrowed unless it has escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// The header's JSON object. Lists, not maps, so that a repeated key can be seen.
struct Json<'a> {
    metadata: Vec<(String, String)>,
    tensors: Vec<(Name<'a>, Fields<'a>)>,
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct JsonVisitor;
        impl<'de> Visitor<'de> for JsonVisitor {
            type Value = Json<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut metadata, mut tensors) = (None, Vec::new());
                while let Some(name) = map.next_key::<Name<'de>>()? {
                    if name.0 != "__metadata__" {
                        tensors.push((name, map.next_value()?));
                    } else if metadata.replace(map.next_value::<Option<Pairs<String>>>()?).is_some() {
                        return Err(serde::de::Error::duplicate_field("__metadata__"));
                    }
                }
                let metadata = metadata.flatten().map(|pairs| pairs.0).unwrap_or_default();
                Ok(Json { metadata, tensors })
            }
        }
        deserializer.deserialize_map(JsonVisitor)
    }
}

/// A JSON object in order, with repeated keys.
pub struct Pairs<V>(pub Vec<(String, V)>);

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
