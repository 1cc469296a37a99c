//! Numbered PNGs in a folder.

use std::{fs, path::Path};

use causeway_runtime::file::Partial;

use super::sink::{Recording, Sink, enlarged, save_png};
use crate::error::Error;

/// A folder that has its final name only when it is complete.
pub struct Folder {
    partial: Partial,
    recording: Recording,
    size: (usize, usize),
    seen: u64,
}

impl Folder {
    pub fn create(recording: &Recording) -> Result<Self, Error> {
        let path = &recording.path;
        if path.exists() && !is_empty_folder(path) {
            let path = path.display();
            return Err(Error::Usage(format!("{path} exists and is not an empty folder; name another one")));
        }
        let ((), partial) = Partial::create(path, |name| fs::create_dir(name)).map_err(Error::file(path))?;
        let size = (recording.width * recording.scale, recording.height * recording.scale);
        Ok(Self { partial, recording: recording.clone(), size, seen: 0 })
    }
}

fn is_empty_folder(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

impl Sink for Folder {
    fn frame(&mut self, rgba: &[u8]) -> Result<(), Error> {
        let path = self.partial.name().join(format!("{:06}.png", self.seen));
        self.seen += 1;
        save_png(&path, self.size, &enlarged(rgba, self.recording.width, self.recording.scale))
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        let path = &self.recording.path;
        if path.exists() {
            fs::remove_dir(path).map_err(Error::io("replace", path))?;
        }
        self.partial.commit().map_err(Error::file(path))
    }
}
