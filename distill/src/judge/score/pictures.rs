//! Pictures of a score.

use std::path::Path;

use crate::footage::world::Size;
use crate::judge::sheet::Sheet;
use crate::train::state::StateError;

use super::dreamer::Picture;

/// What there is to see.
#[derive(Default)]
pub struct Pictures {
    /// For some starts, the truth and the dream at frames 1, 8, 32, 128, 512.
    pub walks: Vec<[Vec<Picture>; 2]>,
    /// For some starts, the truth and the dream on a way there and back.
    pub back: Vec<[Vec<Picture>; 2]>,
    /// For some facts, as it was last seen, the truth when asked, and the answers: routed, short window, dense.
    pub memory: Vec<Vec<Picture>>,
}

impl Pictures {
    /// Writes what there is as `walks.png`, `back.png` and `memory.png` into `dir`.
    ///
    /// # Errors
    /// [`StateError`] when a picture cannot be written.
    pub fn write(&self, dir: &Path, size: Size) -> Result<(), StateError> {
        let rows = |pairs: &[[Vec<Picture>; 2]]| pairs.iter().flatten().cloned().collect::<Vec<_>>();
        let sheets =
            [("walks.png", rows(&self.walks)), ("back.png", rows(&self.back)), ("memory.png", self.memory.clone())];
        for (name, rows) in sheets {
            if rows.iter().all(Vec::is_empty) {
                continue;
            }
            let mut sheet = Sheet::new(size.width, size.height);
            rows.into_iter().for_each(|row| sheet.row(row));
            sheet.write(&dir.join(name), if name == "walks.png" { 2 } else { 1 })?;
        }
        Ok(())
    }
}
