//! Files that go when their owner does.

use std::{
    fs::OpenOptions,
    path::{Path, PathBuf},
};

use causeway_runtime::file::Partial;

use crate::error::Error;

/// A file's name; the file, if there is one by then, is removed on drop.
#[derive(Debug)]
pub struct Temporary {
    path: PathBuf,
    // Of nobody else as long as this is there, and removed even where the program has no time to.
    _reserved: Partial,
}

impl Temporary {
    /// A name beside `path` that nobody else has.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn beside(path: &Path) -> Result<Self, Error> {
        let reserve = |name: &Path| OpenOptions::new().write(true).create_new(true).open(name).map(drop);
        let ((), reserved) = Partial::create(path, reserve).map_err(Error::file(path))?;
        Ok(Self { path: reserved.name().to_owned(), _reserved: reserved })
    }
}

impl AsRef<Path> for Temporary {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}
