//! What model files are written to.

use std::io::{self, Write};

/// What a model file is written to.
pub trait Sink: Write {
    /// Replaces bytes that were written before, from byte `at` on, and goes on at the end.
    ///
    /// # Errors
    /// Those of the system.
    fn rewrite(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;
}

impl Sink for Vec<u8> {
    fn rewrite(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let old = usize::try_from(at).ok().and_then(|at| self.get_mut(at..at.checked_add(bytes.len())?));
        old.ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(bytes);
        Ok(())
    }
}
