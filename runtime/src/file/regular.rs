//! Opens files of others for reading, regular ones only: a pipe may never be written to, and a device never ends.

use std::fs::{File, Metadata};
use std::io::{Error, ErrorKind, Read};
use std::path::Path;

/// Opens the regular file at `path`.
///
/// # Errors
/// Those of the system; a folder, a pipe or a device.
pub fn open(path: impl AsRef<Path>) -> std::io::Result<File> {
    let path = path.as_ref();
    // Before it is opened, because opening a pipe waits for a writer; and after, because what is opened may be another one by then.
    check(&std::fs::metadata(path)?)?;
    let file = File::open(path)?;
    check(&file.metadata()?)?;
    Ok(file)
}

/// Reads the regular file at `path` into memory.
///
/// # Errors
/// As [`open`], and those of reading.
pub fn read(path: impl AsRef<Path>) -> std::io::Result<Vec<u8>> {
    let mut file = open(path)?;
    let mut bytes = Vec::new();
    bytes.try_reserve(usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX))?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads the regular file at `path` as UTF-8.
///
/// # Errors
/// As [`read`], and bytes that are not UTF-8.
pub fn read_to_string(path: impl AsRef<Path>) -> std::io::Result<String> {
    let not_text = |_| Error::new(ErrorKind::InvalidData, "it is not UTF-8 text");
    String::from_utf8(read(path)?).map_err(not_text)
}

fn check(metadata: &Metadata) -> std::io::Result<()> {
    let kind = metadata.file_type();
    if kind.is_file() {
        return Ok(());
    }
    let found = if kind.is_dir() { "a folder" } else { "a pipe or a device" };
    Err(Error::new(ErrorKind::InvalidInput, format!("it is {found}, expected a regular file")))
}
