//! Aligned memory without unsafe code: vectors of cache lines seen as words.

use alloc::vec::Vec;

use crate::{backend::BackendError, memory};

/// One cache line; its alignment is what makes a [`Block`] aligned.
#[repr(C, align(64))]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Line([u32; 16]);

/// Zeroed 32-bit words that begin at a cache line and fill whole ones.
pub(crate) struct Block {
    lines: Vec<Line>,
}

impl Block {
    /// At least `words` words, all zero; an error if there is no memory.
    pub(crate) fn zeroed(words: usize) -> Result<Self, BackendError> {
        Ok(Self { lines: memory::filled(bytemuck::Zeroable::zeroed(), words.div_ceil(16))? })
    }

    /// Bytes that a block of `words` words takes.
    pub(crate) fn bytes_for(words: usize) -> usize {
        words.div_ceil(16) * size_of::<Line>()
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.lines.len() * size_of::<Line>()
    }

    /// The contents as `T`s of 1, 2 or 4 bytes.
    pub(crate) fn as_slice<T: bytemuck::Pod>(&self) -> &[T] {
        bytemuck::cast_slice(&self.lines)
    }

    /// The contents as `T`s of 1, 2 or 4 bytes, mutably.
    pub(crate) fn as_mut_slice<T: bytemuck::Pod>(&mut self) -> &mut [T] {
        bytemuck::cast_slice_mut(&mut self.lines)
    }
}
