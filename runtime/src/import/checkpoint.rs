//! A checkpoint of any format: a list of names, shapes, encodings and places.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::encoding::Encoding;
use super::safetensors::{self, Metadata};
use super::{ImportError, gather, gguf, torch};

/// Most tensors of a checkpoint.
pub(super) const MAX_TENSORS: usize = 1 << 16;
/// Longest tensor name, bytes.
pub(super) const MAX_NAME: usize = 1024;

/// Most values that a tensor read as a whole has where its file holds fewer.
const MAX_EXPANDED: usize = 1 << 18;

/// A tensor in a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name there; keys of nested dicts are joined with dots.
    pub name: String,
    /// Dimensions, outermost first; their product does not overflow.
    pub shape: Vec<usize>,
    /// How its values are stored.
    pub encoding: Encoding,
    /// Which file holds it.
    pub(super) file: usize,
    /// First byte there.
    pub(super) offset: u64,
    /// How its values lie there.
    pub(super) view: View,
}

/// How the values of a tensor lie in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// One after another, in the order of the shape.
    Whole,
    /// With a stride for each dimension, in values: transposed, channels last, cut out, expanded. All lie in the file.
    Strided(Vec<usize>),
    /// In a way that is not read; what follows the tensor's name in a sentence. An error only where the tensor is needed.
    Unreadable(String),
}

impl Entry {
    /// Values of the tensor.
    pub fn values(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it is stored as numbers from 0 to 255; [`Checkpoint::integers`] reads these.
    pub fn is_bytes(&self) -> bool {
        self.encoding.integer() == Some((1, false))
    }

    /// Values and bytes of a block of its encoding.
    ///
    /// # Errors
    /// `Tensor` where it cannot be read.
    pub(super) fn readable(&self) -> Result<(usize, usize), ImportError> {
        let refuse = |what| ImportError::Tensor { name: self.name.clone(), what };
        if let View::Unreadable(what) = &self.view {
            return Err(refuse(what.clone()));
        }
        let other = || refuse(format!("is stored as {}, which cannot be converted", self.encoding));
        self.encoding.block().ok_or_else(other)
    }

    /// Values that the file holds for it, which an expanded tensor repeats.
    fn stored(&self) -> usize {
        match &self.view {
            View::Strided(strides) if self.values() > 0 => {
                self.shape.iter().zip(strides).fold(1, |end, (&size, &stride)| end + (size - 1) * stride)
            }
            _ => self.values(),
        }
    }
}

/// An opened checkpoint. Tensor data stay on the disk until they are read.
#[derive(Debug)]
pub struct Checkpoint {
    files: Vec<(File, PathBuf)>,
    entries: Vec<Entry>,
    metadata: Metadata,
}

impl Checkpoint {
    /// Opens a `.pt`/`.pth`, `.safetensors`, `*.index.json` or `.gguf` file, recognised by its contents, or the folder of one.
    ///
    /// # Errors
    /// Any [`ImportError`] about containers and pickles, `Io`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ImportError> {
        let path = &find(path.as_ref())?;
        if path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("json")) {
            return Self::open_shards(path);
        }
        let file = open(path)?;
        let (entries, metadata) = read_entries(&file, path)?;
        Self::new(vec![(file, path.clone())], entries, metadata)
    }

    fn open_shards(index: &Path) -> Result<Self, ImportError> {
        let folder = index.parent().unwrap_or(Path::new(""));
        let shards = safetensors::shards(&open(index)?, index)?;
        let (mut files, mut entries, mut metadata) = (Vec::new(), Vec::new(), Metadata::new());
        for (name, expected) in shards {
            let path = folder.join(name);
            let file = open(&path)?;
            let (mut found, texts) = read_entries(&file, &path)?;
            found.retain(|entry| expected.contains(&entry.name));
            let names: BTreeSet<&str> = found.iter().map(|entry| entry.name.as_str()).collect();
            if let Some(missing) = expected.iter().find(|name| !names.contains(name.as_str())) {
                let what = format!("the index places {missing} in {}, which does not hold it", path.display());
                return Err(ImportError::container("safetensors index", what));
            }
            found.iter_mut().for_each(|entry| entry.file = files.len());
            entries.extend(found);
            files.push((file, path));
            metadata.extend(texts);
        }
        metadata.sort();
        metadata.dedup();
        Self::new(files, entries, metadata)
    }

    fn new(files: Vec<(File, PathBuf)>, mut entries: Vec<Entry>, metadata: Metadata) -> Result<Self, ImportError> {
        if entries.len() > MAX_TENSORS {
            let what = format!("it lists {} tensors, expected at most {MAX_TENSORS}", entries.len());
            return Err(ImportError::container("checkpoint", what));
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(pair) = entries.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(ImportError::container("checkpoint", format!("it names {} twice", pair[0].name)));
        }
        Ok(Self { files, entries, metadata })
    }

    /// Its tensors, sorted by name.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Texts by key that a safetensors file holds beside its tensors; shards may repeat a key.
    pub fn metadata(&self) -> &[(String, String)] {
        &self.metadata
    }

    /// Where it was found: the file itself where a folder was opened.
    pub(super) fn path(&self) -> Option<&Path> {
        self.files.first().map(|(_, path)| path.as_path())
    }

    /// Decodes values `start..start + out.len()` of a tensor; both ends are whole blocks of its encoding.
    ///
    /// # Errors
    /// `Tensor` for an encoding that cannot be read, `Io`.
    pub fn read(&self, entry: &Entry, start: usize, out: &mut [f32]) -> Result<(), ImportError> {
        let (block, bytes) = entry.readable()?;
        let refuse = |what: String| ImportError::Tensor { name: entry.name.clone(), what };
        if !start.is_multiple_of(block) || !out.len().is_multiple_of(block) || start + out.len() > entry.values() {
            return Err(refuse(format!("has {} values in blocks of {block}", entry.values())));
        }
        let (file, path) = &self.files[entry.file];
        if let View::Strided(strides) = &entry.view {
            return gather::read((file, path), entry, strides, start, out);
        }
        let raw = bytes_at(file, path, entry.offset + (start / block * bytes) as u64, out.len() / block * bytes)?;
        entry.encoding.decode(&raw, out);
        Ok(())
    }

    /// A whole tensor.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_all(&self, entry: &Entry) -> Result<Vec<f32>, ImportError> {
        self.read_rows(entry, 0..entry.shape.first().copied().unwrap_or(1))
    }

    /// Rows of a tensor: what lies at these places of its first dimension.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(super) fn read_rows(&self, entry: &Entry, rows: Range<usize>) -> Result<Vec<f32>, ImportError> {
        // What cannot be read has not been compared with the file's size either.
        entry.readable()?;
        let row = entry.shape.iter().skip(1).product::<usize>();
        let values = rows.len() * row;
        let stored = entry.stored();
        if values > MAX_EXPANDED.max(stored.saturating_mul(4)) {
            let what = format!("repeats {stored} stored values up to {values}, too many to hold in memory");
            return Err(ImportError::Tensor { name: entry.name.clone(), what });
        }
        let mut out = vec![0.0; values];
        self.read(entry, rows.start * row, &mut out)?;
        Ok(out)
    }

    /// A whole tensor of integers, which [`Self::read`] does not take: as weights they would be codes of some quantisation.
    ///
    /// # Errors
    /// `Tensor` for a tensor of other numbers, or of integers beyond an `i64`; `Io`.
    pub fn integers(&self, entry: &Entry) -> Result<Vec<i64>, ImportError> {
        let refuse = |what: String| ImportError::Tensor { name: entry.name.clone(), what };
        let Some((width, signed)) = entry.encoding.integer() else {
            return Err(refuse(format!("is stored as {}, expected integers", entry.encoding)));
        };
        match &entry.view {
            View::Whole => {}
            View::Strided(_) => return Err(refuse("is a view of integers that do not follow each other".to_owned())),
            View::Unreadable(what) => return Err(refuse(what.clone())),
        }
        let (file, path) = &self.files[entry.file];
        let size = file.metadata().map_err(ImportError::io("read", path))?.len();
        let bytes =
            entry.values().checked_mul(width).filter(|&bytes| entry.offset.saturating_add(bytes as u64) <= size);
        let bytes = bytes.ok_or_else(|| refuse("lies outside the file".to_owned()))?;
        let raw = bytes_at(file, path, entry.offset, bytes)?;
        let value = |raw: &[u8]| {
            let fill = if signed && raw[width - 1] >= 0x80 { 0xff } else { 0 };
            let mut wide = [fill; 16];
            wide[..width].copy_from_slice(raw);
            i64::try_from(i128::from_le_bytes(wide)).map_err(|_| refuse("holds numbers beyond 64 bits".to_owned()))
        };
        raw.chunks_exact(width).map(value).collect()
    }
}

/// The checkpoint in a folder, or the file itself.
fn find(path: &Path) -> Result<PathBuf, ImportError> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let listed = std::fs::read_dir(path).map_err(ImportError::io("read", path))?;
    let mut files: Vec<PathBuf> = listed.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let index = files.iter().find(|file| file.to_string_lossy().ends_with(".index.json"));
    let kinds = ["safetensors", "pt", "pth", "gguf"];
    let weights = |file: &&PathBuf| file.extension().is_some_and(|ext| kinds.iter().any(|kind| ext == *kind));
    match (index, files.iter().filter(weights).collect::<Vec<_>>().as_slice()) {
        (Some(index), _) => Ok(index.clone()),
        (None, [one]) => Ok((*one).clone()),
        (None, found) => {
            let what = format!("the folder {} holds {} checkpoints; name one file", path.display(), found.len());
            Err(ImportError::Unrecognised(what))
        }
    }
}

fn open(path: &Path) -> Result<File, ImportError> {
    crate::file::regular::open(path).map_err(ImportError::io("open", path))
}

/// Recognises the format by its first bytes.
fn read_entries(file: &File, path: &Path) -> Result<(Vec<Entry>, Metadata), ImportError> {
    let io = |error| ImportError::io("read", path)(error);
    let size = file.metadata().map_err(io)?.len();
    let mut head = Vec::new();
    file.take(9).read_to_end(&mut head).map_err(ImportError::io("read", path))?;
    match head.as_slice() {
        [b'P', b'K', 3, 4, ..] => Ok((torch::entries(file, path, size)?, Metadata::new())),
        [b'G', b'G', b'U', b'F', ..] => Ok((gguf::entries(file, path, size)?, Metadata::new())),
        [_, _, _, _, _, _, _, _, b'{'] => safetensors::entries(file, path, size),
        [0x80, ..] => Err(ImportError::Unrecognised(
            "a pickle outside a zip archive: the PyTorch format before 1.6, which is not read; load and save it again"
                .to_owned(),
        )),
        _ => Err(ImportError::Unrecognised(
            "neither a PyTorch zip archive, nor safetensors, nor GGUF by its first bytes".to_owned(),
        )),
    }
}

/// `length` bytes at `start`, of a file that is known to have them.
pub(super) fn bytes_at(mut file: &File, path: &Path, start: u64, length: usize) -> Result<Vec<u8>, ImportError> {
    let mut bytes = vec![0; length];
    file.seek(SeekFrom::Start(start)).map_err(ImportError::io("read", path))?;
    file.read_exact(&mut bytes).map_err(ImportError::io("read", path))?;
    Ok(bytes)
}
