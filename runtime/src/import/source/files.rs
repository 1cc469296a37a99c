//! The open files of a checkpoint, and the values that lie in them.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::entry::{Entry, View, bytes_at};
use super::gather;
use crate::import::ImportError;

/// Files by the number that entries know them by, each with its path.
#[derive(Debug)]
pub struct Files(pub Vec<(File, PathBuf)>);

impl Files {
    /// Their paths.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|(_, path)| path.as_path())
    }

    /// Decodes values `start..start + out.len()` of a tensor, without its scale; both ends are whole blocks of its encoding.
    ///
    /// # Errors
    /// `Tensor` for an encoding that cannot be read, `Io`.
    pub fn read(&self, entry: &Entry, start: usize, out: &mut [f32]) -> Result<(), ImportError> {
        let (block, bytes) = entry.readable()?;
        let refuse = |what: String| ImportError::Tensor { name: entry.name.clone(), what };
        if !start.is_multiple_of(block) || !out.len().is_multiple_of(block) || start + out.len() > entry.values() {
            return Err(refuse(format!("has {} values in blocks of {block}", entry.values())));
        }
        let (file, path) = &self.0[entry.file];
        if let View::Strided(strides) = &entry.view {
            return gather::read((file, path), entry, strides, start, out);
        }
        let raw = bytes_at(file, path, entry.offset + (start / block * bytes) as u64, out.len() / block * bytes)?;
        entry.encoding.decode(&raw, out);
        Ok(())
    }

    /// A whole tensor of integers.
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
        let (file, path) = &self.0[entry.file];
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
