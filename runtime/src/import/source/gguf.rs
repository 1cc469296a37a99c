//! GGUF files (versions 2 and 3): metadata are skipped but for what places tensors, tensors are listed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::blocks::Encoding;
use super::entry::{Entry, MAX_NAME, MAX_TENSORS, Metadata, View};
use crate::config::{misleading, printable};
use crate::import::ImportError;

/// Most bytes before tensor data.
const MAX_HEADER: u64 = 64 << 20;
/// Most metadata entries.
const MAX_KEYS: u64 = 1 << 16;
/// Most dimensions of a tensor.
const MAX_RANK: u32 = 8;
/// Metadata under this prefix give the shape that a tensor had before it was flattened to fit four dimensions.
const SHAPE_KEY: &str = "comfy.gguf.orig_shape.";

/// Metadata that are kept: what network it is, and which part of a file that was split.
const KEPT: [&str; 4] = [ARCHITECTURE, PART, PARTS, "split.tensors.count"];
/// The network's kind in the words of GGUF's writers.
pub const ARCHITECTURE: &str = "general.architecture";
/// Number of a part, from 0 on.
pub const PART: &str = "split.no";
/// How many parts there are.
pub const PARTS: &str = "split.count";

/// The tensors and the metadata of a file of `size` bytes.
pub fn entries(mut file: &File, path: &Path, size: u64) -> Result<(Vec<Entry>, Metadata), ImportError> {
    file.seek(SeekFrom::Start(0)).map_err(ImportError::io("read", path))?;
    let mut reader = Reader { inner: BufReader::new(file).take(size.min(MAX_HEADER)), at: 0, size };
    reader.u32()?;
    let version = reader.u32()?;
    if !(2..=3).contains(&version) {
        return Err(bad(format!("it has version {version}, versions 2 and 3 are read")));
    }
    let (tensors, keys) = (reader.u64()?, reader.u64()?);
    if tensors > MAX_TENSORS as u64 || keys > MAX_KEYS {
        return Err(bad(format!("it claims {tensors} tensors and {keys} metadata entries")));
    }
    let (mut alignment, mut shapes, mut metadata) = (32, BTreeMap::new(), Metadata::new());
    for _ in 0..keys {
        let key = reader.string()?;
        let kind = reader.u32()?;
        if key == "general.alignment" {
            alignment = reader.integer(kind)?;
        } else if let (Some(name), 9) = (key.strip_prefix(SHAPE_KEY), kind) {
            shapes.insert(name.to_owned(), reader.shape()?);
        } else if KEPT.contains(&key.as_str()) {
            let text = if kind == 8 { reader.string()? } else { reader.integer(kind)?.to_string() };
            metadata.push((key, text));
        } else {
            reader.skip(kind, 0)?;
        }
    }
    if !(1..=1 << 20).contains(&alignment) {
        return Err(bad(format!("it aligns tensors to {alignment} bytes")));
    }
    let infos = (0..tensors).map(|_| reader.tensor()).collect::<Result<Vec<_>, _>>()?;
    let data = reader.at.next_multiple_of(alignment);
    let entries = infos.into_iter().map(|info| info.entry(&shapes, data, size)).collect::<Result<_, _>>()?;
    Ok((entries, metadata))
}

fn bad(what: impl Into<String>) -> ImportError {
    ImportError::container("GGUF", what)
}

struct Info {
    name: String,
    /// Fastest dimension first.
    dims: Vec<u64>,
    kind: u32,
    offset: u64,
}

impl Info {
    fn entry(self, shapes: &BTreeMap<String, Vec<usize>>, data: u64, size: u64) -> Result<Entry, ImportError> {
        let Info { name, dims, kind, offset } = self;
        let product = |dims: &[usize]| dims.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim));
        let shape: Option<Vec<usize>> = dims.iter().rev().map(|&dim| usize::try_from(dim).ok()).collect();
        let Some((mut shape, values)) = shape.and_then(|shape| product(&shape).map(|values| (shape, values))) else {
            return Err(bad(format!("the shape {dims:?} of {name} multiplies past what can be counted")));
        };
        if let Some(original) = shapes.get(&name) {
            if product(original) != Some(values) {
                return Err(bad(format!("{name} has {values} values, its original shape {original:?} does not")));
            }
            shape.clone_from(original);
        }
        let encoding = encoding(kind);
        let inner = dims.first().copied().unwrap_or(1) as usize;
        let block = encoding.block().or(encoding.integer().map(|(width, _)| (1, width)));
        let Some((block, bytes)) = block else {
            let what =
                format!("is stored as {encoding}, which is not read; of GGUF's types these are: {}", READ.join(", "));
            return Ok(Entry { name, shape, encoding, file: 0, offset: 0, view: View::Unreadable(what), scale: None });
        };
        let whole = inner.is_multiple_of(block) && values.is_multiple_of(block);
        let Some(bytes) = (values / block).checked_mul(bytes).filter(|_| whole) else {
            return Err(bad(format!("rows of {inner} values of {name} are not whole blocks of {encoding}")));
        };
        let end = data.checked_add(offset).and_then(|start| start.checked_add(bytes as u64));
        if end.is_none_or(|end| end > size) {
            return Err(bad(format!("it is truncated, or {name} lies outside: {bytes} bytes at {offset} of its data")));
        }
        Ok(Entry { name, shape, encoding, file: 0, offset: data + offset, view: View::Whole, scale: None })
    }
}

/// The types that are read.
pub const READ: [&str; 16] = [
    "F64", "F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K",
    "IQ4_NL", "IQ4_XS",
];

/// The types that are not, by name.
fn other(kind: u32) -> String {
    let name = match kind {
        9 => "Q8_1",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        21 => "IQ3_S",
        22 => "IQ2_S",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        29 => "IQ1_M",
        34 => "TQ1_0",
        35 => "TQ2_0",
        39 => "MXFP4",
        40 => "NVFP4",
        other => return format!("GGML type {other}"),
    };
    name.to_owned()
}

fn encoding(kind: u32) -> Encoding {
    match kind {
        0 => Encoding::F32,
        1 => Encoding::F16,
        2 => Encoding::Q4_0,
        3 => Encoding::Q4_1,
        6 => Encoding::Q5_0,
        7 => Encoding::Q5_1,
        8 => Encoding::Q8_0,
        10 => Encoding::Q2K,
        11 => Encoding::Q3K,
        12 => Encoding::Q4K,
        13 => Encoding::Q5K,
        14 => Encoding::Q6K,
        20 => Encoding::Iq4Nl,
        23 => Encoding::Iq4Xs,
        28 => Encoding::F64,
        30 => Encoding::Bf16,
        kind => Encoding::Other(other(kind)),
    }
}

/// Reads the header in order, and never past its limit.
struct Reader<R> {
    inner: R,
    at: u64,
    size: u64,
}

impl<R: Read> Reader<R> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], ImportError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), ImportError> {
        let ends = |_| bad(format!("its header does not end within {} bytes: truncated?", self.size.min(MAX_HEADER)));
        self.inner.read_exact(bytes).map_err(ends)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn u32(&mut self) -> Result<u32, ImportError> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, ImportError> {
        self.bytes().map(u64::from_le_bytes)
    }

    fn string(&mut self) -> Result<String, ImportError> {
        let length = self.u64()?;
        if length > MAX_NAME as u64 {
            return Err(bad(format!("a name of {length} bytes, expected at most {MAX_NAME}")));
        }
        let mut bytes = vec![0; length as usize];
        self.fill(&mut bytes)?;
        let text = String::from_utf8(bytes).map_err(|_| bad("a name is not UTF-8"))?;
        if text.contains(misleading) {
            return Err(bad(format!("the name {} has control characters", printable(&text))));
        }
        Ok(text)
    }

    /// Bytes of a scalar of a metadata type.
    fn scalar(kind: u32) -> Result<u64, ImportError> {
        match kind {
            0 | 1 | 7 => Ok(1),
            2 | 3 => Ok(2),
            4..=6 => Ok(4),
            10..=12 => Ok(8),
            _ => Err(bad(format!("metadata of unknown type {kind}"))),
        }
    }

    fn integer(&mut self, kind: u32) -> Result<u64, ImportError> {
        match kind {
            0 | 1 => Ok(u64::from(self.bytes::<1>()?[0])),
            2 | 3 => Ok(u64::from(u16::from_le_bytes(self.bytes()?))),
            4 | 5 => Ok(u64::from(self.u32()?)),
            10 | 11 => self.u64(),
            _ => Err(bad(format!("an integer is stored as type {kind}"))),
        }
    }

    fn shape(&mut self) -> Result<Vec<usize>, ImportError> {
        let (kind, count) = (self.u32()?, self.u64()?);
        if count > u64::from(MAX_RANK) {
            return Err(bad(format!("an original shape has {count} dimensions, expected at most {MAX_RANK}")));
        }
        (0..count).map(|_| Ok(self.integer(kind)? as usize)).collect()
    }

    fn discard(&mut self, count: u64) -> Result<(), ImportError> {
        let copied = std::io::copy(&mut (&mut self.inner).take(count), &mut std::io::sink()).unwrap_or(0);
        self.at += copied;
        if copied == count { Ok(()) } else { self.fill(&mut [0]) }
    }

    fn skip(&mut self, kind: u32, depth: u32) -> Result<(), ImportError> {
        match kind {
            8 => {
                let length = self.u64()?;
                self.discard(length)
            }
            9 if depth < 4 => {
                let (kind, count) = (self.u32()?, self.u64()?);
                if let Ok(size) = Self::scalar(kind) {
                    return self.discard(count.saturating_mul(size));
                }
                (0..count).try_for_each(|_| self.skip(kind, depth + 1))
            }
            kind => self.discard(Self::scalar(kind)?),
        }
    }

    fn tensor(&mut self) -> Result<Info, ImportError> {
        let (name, rank) = (self.string()?, self.u32()?);
        if rank > MAX_RANK {
            return Err(bad(format!("{name} has {rank} dimensions, expected at most {MAX_RANK}")));
        }
        let dims = (0..rank).map(|_| self.u64()).collect::<Result<_, _>>()?;
        Ok(Info { name, dims, kind: self.u32()?, offset: self.u64()? })
    }
}
