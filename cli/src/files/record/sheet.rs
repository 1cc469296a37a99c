//! A contact sheet: frames of the whole recording side by side in one PNG.

use std::path::PathBuf;

use causeway_runtime::file::PartialFile;

use super::sink::{Recording, Sink, commit, encoding, enlarged, partial, write_png};
use crate::error::Error;

/// Frames in a row, and rows.
const COLUMNS: usize = 8;
const ROWS: usize = 6;

/// Pixels between frames.
const GAP: usize = 2;

/// Collects evenly spaced frames.
pub struct Sheet {
    file: PartialFile,
    path: PathBuf,
    size: (usize, usize),
    scale: usize,
    frames: u64,
    seen: u64,
    cells: Vec<Vec<u8>>,
}

impl Sheet {
    pub fn create(recording: &Recording) -> Result<Self, Error> {
        let &Recording { width, height, scale, frames, .. } = recording;
        // A sheet is looked at as a whole, so its frames are half as large as those of a film.
        let scale = scale.div_ceil(2);
        let path = recording.path.clone();
        let size = (width * scale, height * scale);
        Ok(Self { file: partial(&path)?, path, size, scale, frames, seen: 0, cells: Vec::new() })
    }
}

impl Sink for Sheet {
    fn frame(&mut self, rgba: &[u8]) -> Result<(), Error> {
        let wanted = self.frames.min((COLUMNS * ROWS) as u64);
        // Cell i shows frame i * frames / wanted.
        if (self.cells.len() as u64) < wanted && self.seen == self.cells.len() as u64 * self.frames / wanted {
            self.cells.push(enlarged(rgba, self.size.0 / self.scale, self.scale));
        }
        self.seen += 1;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        let Self { mut file, path, size: (width, height), cells, .. } = *self;
        let columns = cells.len().clamp(1, COLUMNS);
        let rows = cells.len().div_ceil(columns).max(1);
        let (sheet_w, sheet_h) = (columns * (width + GAP) - GAP, rows * (height + GAP) - GAP);
        let mut sheet = vec![0; 3 * sheet_w * sheet_h];
        for (index, cell) in cells.iter().enumerate() {
            let (left, top) = (index % columns * (width + GAP), index / columns * (height + GAP));
            for (y, row) in cell.chunks_exact(3 * width).enumerate() {
                sheet[3 * ((top + y) * sheet_w + left)..][..row.len()].copy_from_slice(row);
            }
        }
        write_png(&mut file, (sheet_w, sheet_h), &sheet).map_err(|error| encoding(&path, error))?;
        commit(file, &path)
    }
}
