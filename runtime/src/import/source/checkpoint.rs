//! A checkpoint of any format: a list of names, shapes, encodings and places.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::bytes::{Bytes, HEAD};
use super::entry::{Entry, MAX_TENSORS, Metadata};
use super::files::Files;
use super::folder::{self, Found};
use super::{gguf, safetensors, scaled, torch};
use crate::import::ImportError;

/// Most values that a tensor read as a whole has where its file holds fewer.
const MAX_EXPANDED: usize = 1 << 18;

/// An opened checkpoint. Tensor data stay on the disk until they are read.
#[derive(Debug)]
pub struct Checkpoint {
    files: Files,
    pub(in crate::import) entries: Vec<Entry>,
    metadata: Metadata,
    notes: Vec<String>,
}

impl Checkpoint {
    /// Opens a `.pt`, `.pth`, `.bin`, `.safetensors`, `*.index.json` or `.gguf` file, recognised by its contents, with all other parts
    /// of one that was split; or the folder of one, which may be a diffusers pipeline's.
    ///
    /// # Errors
    /// Any [`ImportError`] about containers and pickles, `Kind` for a file that is something else, `Io`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ImportError> {
        let mut notes = Vec::new();
        let mut checkpoint = match folder::find(path.as_ref(), &mut notes)? {
            Found::Index(index) => Self::open_shards(&index)?,
            Found::File(path) => Self::open_parts(&[path])?,
            Found::Parts(paths) => Self::open_parts(&paths)?,
        };
        checkpoint.notes = notes;
        Ok(checkpoint)
    }

    /// Opens a file, or all parts of one that was split.
    fn open_parts(paths: &[PathBuf]) -> Result<Self, ImportError> {
        let (mut files, mut entries, mut metadata) = (Vec::new(), Vec::new(), Metadata::new());
        for (number, path) in paths.iter().enumerate() {
            let file = open(path)?;
            let (mut found, texts) = read_entries(&file, path)?;
            let told = |key: &str| texts.iter().find(|(name, _)| name == key).and_then(|(_, text)| text.parse().ok());
            let (part, parts) = (told(gguf::PART), told(gguf::PARTS).unwrap_or(0usize));
            if parts > 1 && (parts != paths.len() || part != Some(number)) {
                let (part, name) = (part.unwrap_or(0) + 1, "NAME-00001-of-");
                return Err(ImportError::Unrecognised(format!(
                    "part {part} of {parts} of a split file; its parts must lie beside each other under the names that they were made with, {name}{parts:05}.gguf"
                )));
            }
            found.iter_mut().for_each(|entry| entry.file = files.len());
            entries.extend(found);
            files.push((file, path.clone()));
            metadata.extend(texts);
        }
        metadata.sort();
        metadata.dedup();
        Self::new(files, entries, metadata)
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
                return Err(ImportError::container("index", what));
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
        let files = Files(files);
        let entries = scaled::scaled(&files, &metadata, entries)?;
        Ok(Self { files, entries, metadata, notes: Vec::new() })
    }

    /// Its tensors, sorted by name.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Texts by key that a safetensors file holds beside its tensors; shards may repeat a key.
    pub fn metadata(&self) -> &[(String, String)] {
        &self.metadata
    }

    /// What was chosen among several, one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Where it was found: the file itself where a folder was opened.
    pub(in crate::import) fn path(&self) -> Option<&Path> {
        self.files.paths().next()
    }

    /// Decodes values `start..start + out.len()` of a tensor; both ends are whole blocks of its encoding.
    ///
    /// # Errors
    /// `Tensor` for an encoding that cannot be read, `Io`.
    pub fn read(&self, entry: &Entry, start: usize, out: &mut [f32]) -> Result<(), ImportError> {
        self.files.read(entry, start, out)?;
        entry.scale.as_ref().map_or(Ok(()), |scale| scale.apply(&self.files, entry, start, out))
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
    pub(in crate::import) fn read_rows(&self, entry: &Entry, rows: Range<usize>) -> Result<Vec<f32>, ImportError> {
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
        self.files.integers(entry)
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
    file.take(HEAD).read_to_end(&mut head).map_err(io)?;
    if let Some(kind) = Bytes::new(path, &head, size).kind() {
        return Err(kind);
    }
    match head.as_slice() {
        [b'P', b'K', 3, 4, ..] => Ok((torch::entries(file, path, size)?, Metadata::new())),
        [b'G', b'G', b'U', b'F', ..] => gguf::entries(file, path, size),
        [_, _, _, _, _, _, _, _, b'{', ..] => safetensors::entries(file, path, size),
        _ => Err(ImportError::Unrecognised(
            "neither a PyTorch zip archive, nor safetensors, nor GGUF by its first bytes".to_owned(),
        )),
    }
}
