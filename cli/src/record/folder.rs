//! Numbered PNGs in a folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Recording, Sink, enlarged, save_png};
use crate::error::Error;

/// A folder that has its final name only when it is complete.
pub struct Folder {
    partial: PathBuf,
    path: PathBuf,
    size: (usize, usize),
    scale: usize,
    seen: u64,
    finished: bool,
}

/// What a path is called while it is not complete.
pub fn partial_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

impl Folder {
    pub fn create(recording: &Recording) -> Result<Self, Error> {
        let path = recording.path.clone();
        if path.exists() && !is_empty_folder(&path) {
            let path = path.display();
            return Err(Error::Usage(format!("{path} exists and is not an empty folder; name another one")));
        }
        let partial = partial_name(&path);
        fs::create_dir(&partial).map_err(Error::io("create", &partial))?;
        let size = (recording.width * recording.scale, recording.height * recording.scale);
        Ok(Self { partial, path, size, scale: recording.scale, seen: 0, finished: false })
    }
}

fn is_empty_folder(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

impl Sink for Folder {
    fn frame(&mut self, rgba: &[u8]) -> Result<(), Error> {
        let path = self.partial.join(format!("{:06}.png", self.seen));
        self.seen += 1;
        save_png(&path, self.size, &enlarged(rgba, self.size.0 / self.scale, self.scale))
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        if self.path.exists() {
            fs::remove_dir(&self.path).map_err(Error::io("replace", &self.path))?;
        }
        fs::rename(&self.partial, &self.path).map_err(Error::io("write", &self.path))?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.finished {
            // Nobody is left to tell if this fails.
            let _ = fs::remove_dir_all(&self.partial);
        }
    }
}
