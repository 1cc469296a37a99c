//! Files that go when their owner does.

use std::path::{Path, PathBuf};

/// A file's name; the file, if there is one by then, is removed on drop.
#[derive(Debug)]
pub struct Temporary(pub PathBuf);

impl AsRef<Path> for Temporary {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = std::fs::remove_file(&self.0);
    }
}
