//! What can be wrong with a model file, one sentence each: what, where, and what was expected.

use super::limits::{ALIGN, MAX_HEADER, MAX_NAME, MAX_RANK, MAX_TENSORS};
use crate::config::ConfigError;
use alloc::string::String;
use alloc::vec::Vec;
use causeway_ops::stored::ReadError;
use core::fmt;

/// Why a model file was refused, or could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The operating system refused.
    #[cfg(feature = "std")]
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried: "open", "write", ...
        action: &'static str,
        /// The file.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Bytes that were there when the file was opened cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The system, or the host's allocator, has no memory for the file.
    #[error("{bytes} bytes could not be allocated for the file")]
    OutOfMemory {
        /// Bytes asked for.
        bytes: usize,
    },
    /// Too few bytes for any header.
    #[error("not a model file: it has {0} bytes, and an empty safetensors file has 10")]
    TooShort(usize),
    /// Byte 8 does not open a JSON object.
    #[error("not a safetensors file: byte 8 is {0:#04x}, expected '{{' (0x7b)")]
    NotSafetensors(u8),
    /// The length field of the header is absurd.
    #[error("the header claims to have {0} bytes, expected at most {MAX_HEADER}")]
    HeaderTooLarge(u64),
    /// The file ends before its header or its data do.
    #[error("the file is truncated: it has {found} bytes, expected {expected}")]
    Truncated {
        /// Bytes the header calls for.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// Bytes follow the last tensor.
    #[error("{0} bytes follow the last tensor, expected none")]
    TrailingBytes(u64),
    /// The header is not the JSON that safetensors prescribes.
    #[error("the safetensors header is not valid: {0}")]
    Header(String),
    /// More tensors than any model has.
    #[error("the header lists {0} tensors, expected at most {MAX_TENSORS}")]
    TooManyTensors(usize),
    /// Tensor data do not start at a multiple of 64 bytes.
    #[error("tensor data start at byte {0}, expected a multiple of {ALIGN}; write the file anew with causeway")]
    MisalignedData(usize),
    /// One tensor does not start at a multiple of 64 bytes.
    #[error(
        "tensor {name} starts at data byte {offset}, expected a multiple of {ALIGN}; write the file anew with causeway"
    )]
    Misaligned {
        /// The tensor.
        name: String,
        /// Its offset from the start of tensor data.
        offset: usize,
    },
    /// The bytes given are not at an address fit for numbers.
    #[error("the bytes given start at an address that is not a multiple of 4; put them into an Arc<[u8]>")]
    UnalignedBuffer,
    /// A name occurs twice.
    #[error("the header names {0:?} twice")]
    Duplicate(String),
    /// A tensor name that is too long, or not fit to be shown.
    #[error("a tensor name has {length} bytes ({start:?}), expected at most {MAX_NAME} without control characters")]
    Name {
        /// Its length in bytes.
        length: usize,
        /// How it begins.
        start: String,
    },
    /// No `causeway` key in the metadata.
    #[error("a safetensors file, but not a Causeway model: its __metadata__ has no `causeway` key")]
    NoConfig,
    /// The configuration was refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A type this format does not use, or not there.
    #[error("tensor {name} has type {found:?}, expected {expected}")]
    Type {
        /// The tensor.
        name: String,
        /// Its type in the header.
        found: String,
        /// Types that would do.
        expected: &'static str,
    },
    /// The tokenizer is not what the configuration says.
    #[error("the tokenizer is {found}, expected U8 [{expected}]")]
    Tokenizer {
        /// Bytes that the configuration names.
        expected: usize,
        /// Type and shape of the tensor, or none.
        found: String,
    },
    /// A shape that no tensor can have.
    #[error("tensor {name} has shape {shape:?}, expected 1 to {MAX_RANK} dimensions above 0 and a size in memory")]
    Shape {
        /// The tensor.
        name: String,
        /// The shape.
        shape: Vec<usize>,
    },
    /// A shape whose size cannot be counted in bytes.
    #[error("tensor {name} is {dtype} {shape:?}, which multiplies past what can be counted, or to no whole bytes")]
    Extent {
        /// The tensor.
        name: String,
        /// Its type.
        dtype: &'static str,
        /// The shape.
        shape: Vec<usize>,
    },
    /// Shape and offsets disagree.
    #[error("tensor {name} has data offsets [{start}, {end}], expected {expected} bytes for its shape")]
    Size {
        /// The tensor.
        name: String,
        /// First byte.
        start: u64,
        /// One past the last byte.
        end: u64,
        /// Bytes the shape needs.
        expected: u64,
    },
    /// Two tensors share bytes.
    #[error("tensor {name} starts at data byte {start}, within {other} which ends at {end}")]
    Overlap {
        /// The later tensor.
        name: String,
        /// Its first byte.
        start: u64,
        /// The earlier tensor.
        other: String,
        /// Its end.
        end: u64,
    },
    /// Bytes that belong to no tensor.
    #[error("{bytes} bytes before tensor {name} belong to no tensor")]
    Gap {
        /// The tensor after the gap.
        name: String,
        /// Length of the gap.
        bytes: u64,
    },
    /// A quantised tensor without scales, or with scales of the wrong shape.
    #[error("tensor {name} is quantised and needs {name}.scale as F16 {expected:?}, found {found}")]
    Scales {
        /// The quantised tensor.
        name: String,
        /// Shape its scales must have.
        expected: Vec<usize>,
        /// What there is instead.
        found: String,
    },
    /// A quantised tensor that the format keeps plain.
    #[error(
        "tensor {0} is quantised, expected F16 or F32: only the matrices of blocks and token embeddings may be, in rows of 32"
    )]
    NotQuantisable(String),
    /// Missing, unknown or misshapen tensors.
    #[error(transparent)]
    Tensors(#[from] TensorMismatch),
    /// A NaN or an infinity among weights or scales.
    #[error("value {index} of tensor {name} is {value}, expected a finite number")]
    NotFinite {
        /// The tensor, ending in `.scale` for a scale.
        name: String,
        /// Which value, counted from 0.
        index: usize,
        /// The value.
        value: f32,
    },
    /// A value that half precision cannot hold.
    #[error("value {index} of tensor {name} is {value}, beyond the 65504 that F16 holds")]
    TooLargeForF16 {
        /// The tensor.
        name: String,
        /// Which value, counted from 0.
        index: usize,
        /// The value.
        value: f32,
    },
    /// A tensor was put out of turn, or with the wrong size.
    #[error("the writer was given {found}, expected {expected}")]
    WriteOrder {
        /// What was put.
        found: String,
        /// What is next.
        expected: String,
    },
}

/// Tensors that differ from what the configuration implies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TensorMismatch {
    /// Implied, but not in the file.
    pub missing: Vec<String>,
    /// In the file, but not implied.
    pub extra: Vec<String>,
    /// Name, shape in the file, shape implied.
    pub misshapen: Vec<(String, Vec<usize>, Vec<usize>)>,
}

impl core::error::Error for TensorMismatch {}

impl TensorMismatch {
    /// Whether there is no difference.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.misshapen.is_empty()
    }
}

/// How many tensors of each kind an error text lists.
const LISTED: usize = 10;

impl fmt::Display for TensorMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the tensors are not those the config implies")?;
        list(f, "missing", &self.missing, |f, name| f.write_str(name))?;
        list(f, "unknown", &self.extra, |f, name| f.write_str(name))?;
        list(f, "misshapen", &self.misshapen, |f, (name, found, expected)| {
            write!(f, "{name} is {found:?} instead of {expected:?}")
        })
    }
}

fn list<T>(
    f: &mut fmt::Formatter<'_>,
    kind: &str,
    items: &[T],
    one: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (i, item) in items.iter().take(LISTED).enumerate() {
        if i == 0 {
            write!(f, "; {} {kind}: ", items.len())?;
        } else {
            f.write_str(", ")?;
        }
        one(f, item)?;
    }
    if items.len() > LISTED { f.write_str(", ...") } else { Ok(()) }
}
