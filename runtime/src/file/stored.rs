//! A file, or a part of one, whose bytes are read when they are wanted.

use super::{FileError, regular};
use causeway_ops::stored::{ReadAt, ReadError};
use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::path::Path;

/// The bytes of an open file from `start` on. The file stays open, so replacing it by rename changes nothing; what was cut off
/// is missed when it is read.
pub struct Stored {
    file: File,
    start: u64,
    bytes: usize,
    name: String,
}

impl Stored {
    /// All of the regular file at `path`.
    pub fn open(path: &Path) -> core::result::Result<Self, FileError> {
        let io = |source| FileError::Io { action: "open", path: path.display().to_string(), source };
        let file = regular::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let bytes = usize::try_from(length).map_err(|_| io(Error::from(ErrorKind::FileTooLarge)))?;
        Ok(Self { file, start: 0, bytes, name: path.display().to_string() })
    }

    /// `bytes` bytes of `file` from `start` on.
    pub fn part(file: &File, start: u64, bytes: usize) -> core::result::Result<Self, FileError> {
        let name = "the file given";
        let io = |action| move |source| FileError::Io { action, path: name.into(), source };
        let length = file.metadata().map_err(io("read"))?.len();
        if length.checked_sub(start).is_none_or(|rest| rest < bytes as u64) {
            let what = format!("{bytes} bytes at {start} were asked for, the file has {length}");
            return Err(io("read")(Error::new(ErrorKind::UnexpectedEof, what)));
        }
        let file = file.try_clone().map_err(io("keep"))?;
        Ok(Self { file, start, bytes, name: name.into() })
    }

    /// Bytes there were when it was opened.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The system's reason, or the length there is now.
    fn lost(&self, error: Error) -> ReadError {
        let expected = self.start + self.bytes as u64;
        ReadError::Lost(match (error.kind(), self.file.metadata()) {
            (ErrorKind::UnexpectedEof, Ok(now)) => {
                format!("{} has {} bytes now, expected the {expected} it was opened with", self.name, now.len())
            }
            _ => format!("{}: {error}", self.name),
        })
    }
}

impl ReadAt for Stored {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> core::result::Result<(), ReadError> {
        read_exact_at(&self.file, buffer, self.start + offset).map_err(|error| self.lost(error))
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, offset) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                buffer = &mut buffer[count..];
                offset += count as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Where reads have no place of their own, one at a time.
#[cfg(not(any(unix, windows)))]
fn read_exact_at(mut file: &File, buffer: &mut [u8], offset: u64) -> Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = ONE.lock();
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(buffer)
}
