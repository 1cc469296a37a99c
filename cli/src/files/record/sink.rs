//! What is recorded, what takes its frames, and what all of those need.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use causeway_runtime::file::PartialFile;

use crate::error::Error;

/// What is recorded, and where to.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The file, or the folder for numbered pictures.
    pub path: PathBuf,
    /// Width of a frame in pixels.
    pub width: usize,
    /// Height of a frame in pixels.
    pub height: usize,
    /// Whole factor by which pictures are enlarged.
    pub scale: usize,
    /// Frames a second.
    pub fps: f32,
    /// Frames that will come.
    pub frames: u64,
}

/// Takes frames, RGBA8 of the recording's size. Dropped before `finish` it leaves nothing behind.
pub trait Sink {
    /// Takes the next frame.
    ///
    /// # Errors
    /// Writing fails.
    fn frame(&mut self, rgba: &[u8]) -> Result<(), Error>;

    /// Completes the file and gives it its name.
    ///
    /// # Errors
    /// Writing or renaming fails.
    fn finish(self: Box<Self>) -> Result<(), Error>;
}

/// Frames a second of a film.
///
/// # Errors
/// A sentence that says what would be accepted.
pub fn fps(text: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|fps| (1.0..=1000.0).contains(fps))
        .ok_or_else(|| "expected a number from 1 to 1000".to_owned())
}

/// Encodes a picture as PNG; `components` is 3 for RGB.
pub fn write_png(out: impl Write, (width, height): (usize, usize), rgb: &[u8]) -> Result<(), png::EncodingError> {
    let mut encoder = png::Encoder::new(out, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(rgb)?;
    writer.finish()
}

/// [`write_png`] into a file under its own name, for files in a folder that is still unnamed.
pub fn save_png(path: &Path, size: (usize, usize), rgb: &[u8]) -> Result<(), Error> {
    let file = File::create(path).map_err(Error::io("create", path))?;
    write_png(BufWriter::new(file), size, rgb).map_err(|error| encoding(path, error))
}

pub fn encoding(path: &Path, error: impl std::fmt::Display) -> Error {
    Error::Failed(format!("cannot write {}: {error}", path.display()))
}

/// Names a file that is complete.
pub fn commit(file: PartialFile, path: &Path) -> Result<(), Error> {
    file.commit().map_err(Error::file(path))
}

pub fn partial(path: &Path) -> Result<PartialFile, Error> {
    PartialFile::create(path).map_err(Error::file(path))
}

/// RGB of RGBA, enlarged.
pub fn enlarged(rgba: &[u8], width: usize, scale: usize) -> Vec<u8> {
    let rgb: Vec<[u8; 3]> = rgba.chunks_exact(4).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    crate::files::picture::enlarge(&rgb, width, scale).into_flattened()
}
