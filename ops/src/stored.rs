//! Bytes of a weight: in memory, or in a file that is read when they are wanted.
//!
//! A file is read, never mapped. Whoever shortens a mapped file ends the processes that look at it with a signal; a read of it is an
//! error that can be told. Bytes are taken in pieces, so reading a weight of any size takes as much memory as one piece.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::memory::{Refused, filled, reserved};

/// Bytes that are read at once, where a row of a tensor is not larger.
pub const PIECE: usize = 1 << 18;

/// What reads bytes that are not in memory.
pub trait ReadAt: Send + Sync {
    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    /// Where there are not so many bytes any more, or the system does not give them.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError>;
}

/// Why bytes of a weight could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The file is shorter than it was when it was checked, or the system does not give its bytes.
    #[error("{0}")]
    Lost(String),
    /// There is no memory for a piece.
    #[error("{0} bytes could not be allocated to read it")]
    OutOfMemory(usize),
}

impl From<Refused> for ReadError {
    fn from(Refused(bytes): Refused) -> Self {
        Self::OutOfMemory(bytes)
    }
}

/// Bytes of a tensor.
#[derive(Clone, Copy)]
pub enum Bytes<'a> {
    /// In memory.
    Here(&'a [u8]),
    /// To be read.
    There {
        /// Where they lie.
        reader: &'a dyn ReadAt,
        /// The first one.
        offset: u64,
        /// How many.
        len: usize,
    },
}

impl<'a> Bytes<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Bytes::Here(bytes) => bytes.len(),
            Bytes::There { len, .. } => *len,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of `range`, with `buffer` to read them into.
    ///
    /// # Errors
    /// Bytes that are gone.
    ///
    /// # Panics
    /// If `range` does not lie within.
    pub fn read<'b>(&self, range: Range<usize>, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], ReadError>
    where
        'a: 'b,
    {
        match *self {
            Bytes::Here(bytes) => Ok(&bytes[range]),
            Bytes::There { reader, offset, len } => {
                assert!(range.end <= len, "{range:?} of {len} bytes");
                if buffer.capacity() < range.len() {
                    *buffer = reserved(range.len())?;
                }
                buffer.resize(range.len(), 0);
                reader.read_at(offset + range.start as u64, buffer)?;
                Ok(buffer)
            }
        }
    }

    /// Gives all bytes to `take`, piece after piece with the place of each; all but the last piece are [`PIECE`] long where they are read.
    ///
    /// # Errors
    /// Bytes that are gone, and those of `take`.
    pub fn pieces<E: From<ReadError>>(&self, mut take: impl FnMut(usize, &[u8]) -> Result<(), E>) -> Result<(), E> {
        match self {
            Bytes::Here(bytes) => take(0, bytes),
            Bytes::There { len, .. } => {
                let mut buffer = filled(0, (*len).clamp(1, PIECE)).map_err(ReadError::from)?;
                self.pieces_in(&mut buffer, take)
            }
        }
    }

    /// As [`pieces`](Self::pieces), but pieces that are read lie in `buffer` and are as long: nothing is allocated.
    ///
    /// # Errors
    /// As [`pieces`](Self::pieces).
    ///
    /// # Panics
    /// If `buffer` is empty.
    pub fn pieces_in<E: From<ReadError>>(
        &self,
        buffer: &mut [u8],
        mut take: impl FnMut(usize, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let (reader, offset, len) = match *self {
            Bytes::Here(bytes) => return take(0, bytes),
            Bytes::There { reader, offset, len } => (reader, offset, len),
        };
        let size = buffer.len();
        for start in (0..len).step_by(size) {
            let piece = &mut buffer[..size.min(len - start)];
            reader.read_at(offset + start as u64, piece)?;
            take(start, piece)?;
        }
        Ok(())
    }
}

impl<'a> From<&'a [u8]> for Bytes<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Bytes::Here(bytes)
    }
}

impl fmt::Debug for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bytes::Here(bytes) => write!(f, "{} bytes", bytes.len()),
            Bytes::There { offset, len, .. } => write!(f, "{len} bytes at {offset}"),
        }
    }
}
