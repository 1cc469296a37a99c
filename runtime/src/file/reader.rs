//! Opens model files, trusting nothing.

use super::container::RawType;
use super::fingerprint::{Chain, Fingerprint};
use super::header::{self, Entry};
use super::limits::TOKENIZER;
use super::tensors::may_quantise;
use super::{FileError, TensorMismatch};
use crate::config::{ClipConfig, ModelConfig, Umt5Config, from_json};
use crate::model::Network;
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use causeway_ops::memory::{Refused, filled};
use causeway_ops::quant::{BLOCK, DType, TensorView, WeightSource};
use causeway_ops::stored::{Bytes, PIECE, ReadError};
use core::fmt;
use core::iter;
use core::ops::Range;

/// An opened model: its configuration and views of its tensors.
///
/// Opening checks everything: the header, every offset, that the tensors are exactly those the configuration implies,
/// and that no weight or scale is NaN or infinite. It reads each weight once, a piece at a time, and keeps none: who wants a weight
/// of a file reads it from there. A file is never mapped, so one that is cut short by another program is an error
/// when its weights are wanted, and never a signal.
pub struct ModelFile<'a, C> {
    config: C,
    tensors: Vec<Tensor>,
    /// Where a tokenizer lies.
    tokenizer: Range<usize>,
    /// Of the configuration's text, and of all, as the header says.
    told: (Chain, Option<Fingerprint>),
    data_start: usize,
    storage: Arc<Storage<'a>>,
    /// Bytes of the file.
    bytes: usize,
    /// What devices know the file by that have its weights.
    handle: Arc<()>,
}

/// A file that holds a denoiser: families `world` and `wan`.
pub type Model<'a> = ModelFile<'a, ModelConfig>;

/// A file that holds a text encoder: family `umt5`.
pub type Umt5File<'a> = ModelFile<'a, Umt5Config>;

/// A file that holds an image encoder: family `clip`.
pub type ClipFile<'a> = ModelFile<'a, ClipConfig>;

/// One tensor; ranges are bytes of the file.
struct Tensor {
    name: String,
    dtype: DType,
    shape: Vec<usize>,
    data: Range<usize>,
    scales: Option<Range<usize>>,
}

/// Memory aligned for numbers.
#[repr(C, align(16))]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct Aligned([u8; 16]);

pub(super) enum Storage<'a> {
    Borrowed(&'a [u8]),
    Shared(Arc<[u8]>),
    Owned(Vec<Aligned>, usize),
    #[cfg(feature = "std")]
    Stored(super::stored::Stored),
}

impl Storage<'_> {
    /// Bytes of the file.
    pub(super) fn len(&self) -> usize {
        match self {
            #[cfg(feature = "std")]
            Storage::Stored(stored) => stored.bytes(),
            Storage::Borrowed(bytes) => bytes.len(),
            Storage::Shared(bytes) => bytes.len(),
            Storage::Owned(_, bytes) => *bytes,
        }
    }

    /// The bytes of `range`, which lies within.
    pub(super) fn bytes(&self, range: Range<usize>) -> Bytes<'_> {
        Bytes::Here(match self {
            #[cfg(feature = "std")]
            Storage::Stored(reader) => return Bytes::There { reader, offset: range.start as u64, len: range.len() },
            Storage::Borrowed(bytes) => &bytes[range],
            Storage::Shared(bytes) => &bytes[range],
            Storage::Owned(lines, bytes) => &bytemuck::cast_slice(lines)[..*bytes][range],
        })
    }
}

impl Storage<'_> {
    /// The file's header, and where its data start.
    pub(super) fn header<'b>(&'b self, buffer: &'b mut Vec<u8>) -> Result<(header::Header<'b>, usize), FileError> {
        let size = self.len();
        let all = self.bytes(0..size);
        if let Bytes::Here(bytes) = all
            && !bytes.as_ptr().addr().is_multiple_of(align_of::<f32>())
        {
            return Err(FileError::UnalignedBuffer);
        }
        let start = all.read(0..size.min(header::START), buffer)?;
        let data_start = header::data_start(start, size)?;
        Ok((header::parse(all.read(0..data_start, buffer)?, size)?, data_start))
    }

    /// Memory for `bytes` bytes, which `fill` writes.
    pub(super) fn filled<E: From<FileError>>(
        bytes: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let refused = |Refused(bytes)| FileError::OutOfMemory { bytes };
        let mut lines = filled(Aligned([0; 16]), bytes.div_ceil(size_of::<Aligned>())).map_err(refused)?;
        fill(&mut bytemuck::cast_slice_mut(&mut lines)[..bytes])?;
        Ok(Storage::Owned(lines, bytes))
    }
}

impl<'a, C: Network> ModelFile<'a, C> {
    /// Opens a model in borrowed bytes, whose address must be a multiple of 4 (that of a `Vec<u8>` is on common
    /// allocators; for `include_bytes!` use [`ModelFile::from_shared`], or wrap the bytes in an aligned type).
    ///
    /// # Errors
    /// Any [`FileError`] but `Io`.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, FileError> {
        Self::check(Storage::Borrowed(bytes))
    }

    pub(super) fn check(storage: Storage<'a>) -> Result<Self, FileError> {
        let mut buffer = Vec::new();
        let (header, data_start) = storage.header(&mut buffer)?;
        let told = (digest(&header.config), header.fingerprint);
        let config: C = from_json(&header.config)?;
        let found = sorted(header.entries, config.tokenizer())?;
        let bytes = storage.len();
        Self::checked(Arc::new(storage), config, told, found, (data_start, bytes))
    }

    /// The part of a larger file whose header is `header` and whose data begin at byte `begin` of it, `data` bytes long.
    pub(super) fn part(
        storage: &Arc<Storage<'a>>,
        header: &str,
        (begin, data): (usize, usize),
    ) -> Result<Self, FileError> {
        let whole = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
        let bytes = whole.len() + data;
        let header::Header { config, fingerprint, mut entries } = header::parse(&whole, bytes)?;
        for entry in &mut entries {
            entry.bytes = entry.bytes.start - whole.len() + begin..entry.bytes.end - whole.len() + begin;
        }
        let (told, place) = ((digest(&config), fingerprint), (whole.len(), bytes));
        let config: C = from_json(&config)?;
        let found = sorted(entries, config.tokenizer())?;
        Self::checked(storage.clone(), config, told, found, place)
    }

    fn checked(
        storage: Arc<Storage<'a>>,
        config: C,
        told: (Chain, Option<Fingerprint>),
        (tensors, tokenizer): (Vec<Tensor>, Range<usize>),
        (data_start, bytes): (usize, usize),
    ) -> Result<Self, FileError> {
        compare_with_config(&config, tensors.iter().map(|t| (t.name.as_str(), t.shape.as_slice())))?;
        for tensor in &tensors {
            check_finite(tensor, &storage)?;
        }
        log::info!("opened {}: {} tensors in {bytes} bytes", config.name(), tensors.len());
        Ok(Self { config, tensors, tokenizer, told, data_start, storage, bytes, handle: Arc::default() })
    }

    /// The configuration.
    pub fn config(&self) -> &C {
        &self.config
    }

    /// All tensors by name, sorted; scales are part of their tensor, padding is left out.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = (&str, TensorView<'_>)> {
        self.tensors.iter().map(|tensor| (tensor.name.as_str(), self.view(tensor)))
    }

    /// The `tokenizer.json` that the file holds; empty for none.
    pub fn tokenizer(&self) -> Bytes<'_> {
        self.storage.bytes(self.tokenizer.clone())
    }

    fn find(&self, name: &str) -> Option<&Tensor> {
        let index = self.tensors.binary_search_by(|tensor| tensor.name.as_str().cmp(name)).ok()?;
        Some(&self.tensors[index])
    }

    /// Of configuration and weights, as the file's header says; none of a file that was made before there were any.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.told.1
    }

    /// The same of any file: where the header says nothing all weights are read for it.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn contents(&self) -> Result<Fingerprint, ReadError> {
        let (config, all) = self.told;
        if let Some(fingerprint) = all {
            return Ok(fingerprint);
        }
        let mut hash = config;
        for Tensor { name, dtype, shape, data, scales } in &self.tensors {
            hash.add(format!("{name} {dtype} {shape:?}").as_bytes());
            for range in iter::once(data).chain(scales) {
                self.storage.bytes(range.clone()).pieces(|_, piece| {
                    // Of the same lengths however the file lies.
                    piece.chunks(PIECE).for_each(|piece| hash.add(piece));
                    Ok::<_, ReadError>(())
                })?;
            }
        }
        Ok(hash.end())
    }

    /// Of the file as it is, all of it read anew: what its header says too, unless it was damaged or changed by another program. Of a part of
    /// a bundle see [`Bundle::verify`](super::Bundle::verify).
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn verify(&self) -> Result<Fingerprint, ReadError> {
        let (start, all) = (0..self.data_start, self.storage.len());
        let header = self.storage.bytes(start.clone()).read(start, &mut Vec::new())?.to_vec();
        Fingerprint::of(header, self.storage.bytes(self.data_start..all))
    }

    /// Bytes of the whole file.
    pub fn file_bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes before tensor data: the header and its length.
    pub fn header_bytes(&self) -> usize {
        self.data_start
    }

    fn view<'s>(&'s self, tensor: &'s Tensor) -> TensorView<'s> {
        TensorView {
            dtype: tensor.dtype,
            shape: &tensor.shape,
            data: self.storage.bytes(tensor.data.clone()),
            scales: tensor.scales.clone().map(|range| self.storage.bytes(range)),
        }
    }
}

impl<C: Network> ModelFile<'static, C> {
    /// Opens a model in shared bytes, without copying them.
    ///
    /// # Errors
    /// Any [`FileError`] but `Io`.
    pub fn from_shared(bytes: Arc<[u8]>) -> Result<Self, FileError> {
        Self::check(Storage::Shared(bytes))
    }

    /// Opens a model of `bytes` bytes that `fill` writes, in memory made for it.
    ///
    /// # Errors
    /// Any [`FileError`]; what `fill` returns.
    pub fn from_filled<E: From<FileError>>(
        bytes: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        Ok(Self::check(Storage::filled(bytes, fill)?)?)
    }

    /// Opens the part of a file that begins at `offset` and is `bytes` long: an asset inside an archive. As [`ModelFile::open`].
    ///
    /// # Errors
    /// Any [`FileError`].
    #[cfg(feature = "std")]
    pub fn open_part(file: &std::fs::File, offset: u64, bytes: usize) -> Result<Self, FileError> {
        Self::check(Storage::Stored(super::stored::Stored::part(file, offset, bytes)?))
    }

    /// Opens the model file at `path`, which stays open while the model lives; weights are read when they are wanted.
    ///
    /// The file should not be changed in place meanwhile: one that got shorter is an error, weights that were rewritten are taken as they
    /// are. Replacing it by rename, as [`Writer`] does, is fine. [`ModelFile::read`] keeps a copy of its own.
    ///
    /// [`Writer`]: super::Writer
    ///
    /// # Errors
    /// Any [`FileError`].
    #[cfg(feature = "std")]
    pub fn open(path: impl AsRef<std::path::Path>) -> Result<Self, FileError> {
        Self::check(Storage::Stored(super::stored::Stored::open(path.as_ref())?))
    }

    /// Reads the model file at `path` into memory and opens it there.
    ///
    /// # Errors
    /// Any [`FileError`].
    #[cfg(feature = "std")]
    pub fn read(path: impl AsRef<std::path::Path>) -> Result<Self, FileError> {
        let path = path.as_ref();
        match super::regular::read(path) {
            Ok(bytes) => Self::from_shared(bytes.into()),
            Err(source) => Err(FileError::Io { action: "read", path: path.display().to_string(), source }),
        }
    }
}

impl<C: Network> WeightSource for ModelFile<'_, C> {
    fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        self.find(name).map(|tensor| self.view(tensor))
    }

    fn handles(&self, visit: &mut dyn FnMut(&Arc<()>)) {
        visit(&self.handle);
    }
}

impl<C: Network> fmt::Debug for ModelFile<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Model({}, {} tensors, {} bytes)", self.config.name(), self.tensors.len(), self.file_bytes())
    }
}

fn digest(text: &str) -> Chain {
    let mut hash = Chain::default();
    hash.add(text.as_bytes());
    hash
}

/// The tensors among `entries`, and where a tokenizer of so many bytes lies that is no tensor.
fn sorted(mut entries: Vec<Entry<'_>>, tokenizer: usize) -> Result<(Vec<Tensor>, Range<usize>), FileError> {
    let mut place = 0..0;
    if tokenizer > 0 {
        let at = entries.iter().position(|entry| entry.name == TOKENIZER);
        match at.map(|at| entries.remove(at)) {
            Some(entry) if entry.dtype == RawType::U8 && entry.shape == [tokenizer] => place = entry.bytes,
            other => {
                let found = |entry: Entry<'_>| format!("{} {:?}", entry.dtype.name(), entry.shape);
                let found = other.map_or("none".to_owned(), found);
                return Err(FileError::Tokenizer { expected: tokenizer, found });
            }
        }
    }
    Ok((join_scales(entries)?, place))
}

/// Gives quantised tensors their scales. `entries` are sorted by name and come out so.
fn join_scales(entries: Vec<Entry<'_>>) -> Result<Vec<Tensor>, FileError> {
    let find = |name: &str| entries.binary_search_by(|entry| entry.name.as_ref().cmp(name)).ok().map(|at| &entries[at]);
    let coded = |entry: &Entry<'_>| matches!(entry.dtype, RawType::I8 | RawType::U8);
    let scales = |entry: &&Entry<'_>| entry.name.strip_suffix(".scale").and_then(find).is_some_and(coded);
    entries.iter().filter(|entry| !scales(entry)).map(|entry| tensor(entry, &find)).collect()
}

fn tensor<'e>(entry: &Entry<'_>, find: &dyn Fn(&str) -> Option<&'e Entry<'e>>) -> Result<Tensor, FileError> {
    let (name, mut shape, data) = (entry.name.to_string(), entry.shape.clone(), entry.bytes.clone());
    let dtype = match entry.dtype {
        RawType::F32 => DType::F32,
        RawType::F16 => DType::F16,
        RawType::I8 => DType::Q8,
        // U8: a header has no others.
        _ => DType::Q4,
    };
    if !dtype.is_quantised() {
        return Ok(Tensor { name, dtype, shape, data, scales: None });
    }
    if let (DType::Q4, Some(inner)) = (dtype, shape.last_mut()) {
        // The codes exist as bytes, so twice their number cannot overflow.
        *inner *= 2;
    }
    if !may_quantise(&name, &shape) {
        return Err(FileError::NotQuantisable(name));
    }
    let expected = [shape[0], shape[1] / BLOCK];
    match find(&format!("{name}.scale")) {
        Some(scale) if scale.dtype == RawType::F16 && scale.shape == expected => {
            Ok(Tensor { name, dtype, shape, data, scales: Some(scale.bytes.clone()) })
        }
        other => {
            let found = match other {
                Some(scale) => format!("{} {:?}", scale.dtype.name(), scale.shape),
                None => "none".to_owned(),
            };
            Err(FileError::Scales { name, expected: expected.to_vec(), found })
        }
    }
}

/// Compares names and shapes with those `config` implies.
pub(super) fn compare_with_config<'t, C: Network>(
    config: &C,
    tensors: impl Iterator<Item = (&'t str, &'t [usize])>,
) -> Result<(), TensorMismatch> {
    let mut mismatch = TensorMismatch::default();
    let mut expected: BTreeMap<String, Vec<usize>> = config.tensors().into_iter().collect();
    for (name, shape) in tensors {
        match expected.remove(name) {
            Some(right) if right == shape => {}
            Some(right) => mismatch.misshapen.push((name.to_owned(), shape.to_vec(), right)),
            None => mismatch.extra.push(name.to_owned()),
        }
    }
    mismatch.missing.extend(expected.into_keys());
    if mismatch.is_empty() { Ok(()) } else { Err(mismatch) }
}

fn check_finite(tensor: &Tensor, storage: &Storage<'_>) -> Result<(), FileError> {
    let data = storage.bytes(tensor.data.clone());
    let not_finite = |name: &str, (index, value)| FileError::NotFinite { name: name.to_owned(), index, value };
    let found = match tensor.dtype {
        DType::F32 => first_infinite(data, 4, first_infinite_f32)?,
        DType::F16 => first_infinite(data, 2, first_infinite_f16)?,
        DType::Q8 | DType::Q4 => None,
    };
    if let Some(found) = found {
        return Err(not_finite(&tensor.name, found));
    }
    if let Some(range) = &tensor.scales
        && let Some(found) = first_infinite(storage.bytes(range.clone()), 2, first_infinite_f16)?
    {
        return Err(not_finite(&format!("{}.scale", tensor.name), found));
    }
    Ok(())
}

/// The first NaN or infinity that `find` sees among values of `size` bytes.
fn first_infinite(
    bytes: Bytes<'_>,
    size: usize,
    find: fn(&[u8]) -> Option<(usize, f32)>,
) -> Result<Option<(usize, f32)>, ReadError> {
    let mut first = None;
    bytes.pieces(|start, piece| {
        if first.is_none() {
            first = find(piece).map(|(index, value)| (start / size + index, value));
        }
        Ok::<_, ReadError>(())
    })?;
    Ok(first)
}

/// The first NaN or infinity and its index. Both have all exponent bits set; testing those alone, without an early
/// exit inside a chunk, lets the loop vectorise.
fn first_infinite_f16(bytes: &[u8]) -> Option<(usize, f32)> {
    let infinite = |raw: &[u8; 2]| u16::from_le_bytes(*raw) & 0x7c00 == 0x7c00;
    let values = bytes.as_chunks::<2>().0;
    let bad = values.chunks(1024).position(|chunk| chunk.iter().fold(false, |bad, raw| bad | infinite(raw)))?;
    let index = bad * 1024 + values[bad * 1024..].iter().position(infinite)?;
    Some((index, half::f16::from_le_bytes(values[index]).to_f32()))
}

/// As [`first_infinite_f16`].
fn first_infinite_f32(bytes: &[u8]) -> Option<(usize, f32)> {
    let infinite = |raw: &[u8; 4]| u32::from_le_bytes(*raw) & 0x7f80_0000 == 0x7f80_0000;
    let values = bytes.as_chunks::<4>().0;
    let bad = values.chunks(1024).position(|chunk| chunk.iter().fold(false, |bad, raw| bad | infinite(raw)))?;
    let index = bad * 1024 + values[bad * 1024..].iter().position(infinite)?;
    Some((index, f32::from_le_bytes(values[index])))
}
