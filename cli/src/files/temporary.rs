//! Files that go when their owner does.

use std::path::Path;

use causeway_runtime::file::Partial;

use crate::error::Error;

/// A file's name, of nobody else; the file is removed on drop, and even where the program has no time to.
#[derive(Debug)]
pub struct Temporary(Partial);

impl Temporary {
    /// A name beside `path` that nobody else has.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn beside(path: &Path) -> Result<Self, Error> {
        Partial::file(path).map(|(_, reserved)| Self(reserved)).map_err(Error::file(path))
    }
}

impl AsRef<Path> for Temporary {
    fn as_ref(&self) -> &Path {
        self.0.name()
    }
}
