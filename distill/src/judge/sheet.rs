//! Contact sheets: a grid of frames as one PNG.

use std::path::Path;

use crate::train::state::{StateError, write_whole};

/// Rows of RGB frames, all of one size, laid out with a thin gap.
pub struct Sheet {
    width: usize,
    height: usize,
    rows: Vec<Vec<Vec<u8>>>,
}

impl Sheet {
    /// An empty sheet for frames of `width` x `height` pixels.
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, height, rows: Vec::new() }
    }

    /// Adds a row of frames, each [height, width, 3].
    pub fn row(&mut self, frames: Vec<Vec<u8>>) {
        self.rows.push(frames);
    }

    /// Writes the sheet, every pixel `zoom` times as large.
    ///
    /// # Errors
    /// [`StateError`] when the file cannot be written.
    pub fn write(&self, path: &Path, zoom: usize) -> Result<(), StateError> {
        const GAP: usize = 2;
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let (w, h) = (columns * (self.width * zoom + GAP), self.rows.len() * (self.height * zoom + GAP));
        let mut pixels = vec![40u8; w * h * 3];
        for (r, row) in self.rows.iter().enumerate() {
            for (c, frame) in row.iter().enumerate() {
                for y in 0..self.height * zoom {
                    for x in 0..self.width * zoom {
                        let to = ((r * (self.height * zoom + GAP) + y) * w + c * (self.width * zoom + GAP) + x) * 3;
                        let from = (y / zoom * self.width + x / zoom) * 3;
                        pixels[to..to + 3].copy_from_slice(&frame[from..from + 3]);
                    }
                }
            }
        }
        write_png(path, w, h, &pixels)
    }
}

/// Writes RGB `pixels` [h, w, 3] as a PNG.
///
/// # Errors
/// [`StateError`] when the file cannot be written.
pub fn write_png(path: &Path, w: usize, h: usize, pixels: &[u8]) -> Result<(), StateError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, w as u32, h as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let done = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(pixels)?;
        writer.finish()
    });
    done.map_err(|e| StateError::Format { path: path.into(), reason: e.to_string() })?;
    write_whole(path, &bytes)
}
