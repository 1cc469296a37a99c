//! A tensor in a checkpoint: its name, its shape, and where and how its values lie.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::blocks::Encoding;
use crate::import::ImportError;

/// Most tensors of a checkpoint.
pub const MAX_TENSORS: usize = 1 << 16;
/// Longest tensor name, bytes.
pub const MAX_NAME: usize = 1024;

/// Texts by key that a file holds beside its tensors.
pub type Metadata = Vec<(String, String)>;

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
    pub(in crate::import) view: View,
    /// What its codes are multiplied by.
    pub(in crate::import) scale: Option<Box<Scale>>,
}

/// How the values of a tensor lie in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum View {
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
    pub(in crate::import) fn readable(&self) -> Result<(usize, usize), ImportError> {
        let refuse = |what| ImportError::Tensor { name: self.name.clone(), what };
        if let View::Unreadable(what) = &self.view {
            return Err(refuse(what.clone()));
        }
        if self.scale.is_some() {
            return self.encoding.codes().ok_or_else(|| refuse(format!("is stored as {} with a scale", self.encoding)));
        }
        let codes = if self.encoding.is_int8() { ": its scale is missing" } else { "" };
        let other = || refuse(format!("is stored as {}, which cannot be converted{codes}", self.encoding));
        self.encoding.block().ok_or_else(other)
    }

    /// Values that the file holds for it, which an expanded tensor repeats.
    pub(super) fn stored(&self) -> usize {
        match &self.view {
            View::Strided(strides) if self.values() > 0 => {
                self.shape.iter().zip(strides).fold(1, |end, (&size, &stride)| end + (size - 1) * stride)
            }
            _ => self.values(),
        }
    }
}

/// The scales of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    pub entry: Entry,
    /// Rows and columns that share one.
    pub block: [usize; 2],
    /// Scales of a row of blocks.
    pub across: usize,
}

/// `length` bytes at `start`, of a file that is known to have them.
pub fn bytes_at(mut file: &File, path: &Path, start: u64, length: usize) -> Result<Vec<u8>, ImportError> {
    let mut bytes = vec![0; length];
    file.seek(SeekFrom::Start(start)).map_err(ImportError::io("read", path))?;
    file.read_exact(&mut bytes).map_err(ImportError::io("read", path))?;
    Ok(bytes)
}
