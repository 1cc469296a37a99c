//! Maps a file into memory. The only unsafe code of the model file.

use super::FileError;
use memmap2::{Mmap, MmapOptions};
use std::fs::File;
use std::path::Path;

/// A read-only map of `bytes` bytes of `file` from `offset` on.
pub fn map_part(file: &File, offset: u64, bytes: usize) -> Result<Mmap, FileError> {
    let io = |action| move |source| FileError::Io { action, path: "the file given".into(), source };
    let length = file.metadata().map_err(io("read"))?.len();
    if length.checked_sub(offset).is_none_or(|rest| rest < bytes as u64) {
        let what = format!("{bytes} bytes at {offset} were asked for, the file has {length}");
        return Err(io("map")(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, what)));
    }
    // SAFETY: as in `map`; beyond the file's end, where touching a map faults, nothing is mapped.
    unsafe { MmapOptions::new().offset(offset).len(bytes).map(file) }.map_err(io("map"))
}

/// Lets the system take back the pages that hold a range of a map.
pub fn release(map: &Mmap, range: core::ops::Range<usize>) {
    #[cfg(unix)]
    if !range.is_empty() {
        // SAFETY: the map is a private, read-only one of a file and was never written, so pages that were dropped come back with the
        // same bytes when they are touched. Failing to drop them costs memory only.
        let _ = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, range.len()) };
    }
    #[cfg(not(unix))]
    let _ = (map, range);
}

/// A read-only map of the file at `path`.
pub fn map(path: &Path) -> Result<Mmap, FileError> {
    let io = |action| move |source| FileError::Io { action, path: path.display().to_string(), source };
    let file = File::open(path).map_err(io("open"))?;
    // SAFETY: the map is private and read-only. A process that truncates or rewrites the file meanwhile could fault
    // us or change bytes already checked; no portable call prevents that. We rely on files being replaced by rename,
    // as our writer does, which leaves the mapped one untouched; `Model::open` states this, and `Model::read` does
    // without a map.
    unsafe { Mmap::map(&file) }.map_err(io("map"))
}
