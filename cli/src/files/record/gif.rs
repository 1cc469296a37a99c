//! Animated GIF.

use std::path::PathBuf;

use causeway_runtime::file::PartialFile;

use super::sink::{Recording, Sink, commit, encoding, partial};
use crate::{error::Error, files::picture::enlarge};

/// Speed of colour quantisation, 1 (best) to 30.
const SPEED: i32 = 10;

/// A GIF with a palette of its own for every frame.
pub struct Gif {
    encoder: gif::Encoder<PartialFile>,
    path: PathBuf,
    width: usize,
    height: usize,
    scale: usize,
    /// Hundredths of a second that a frame lasts.
    period: f64,
    /// When the next frame begins, in hundredths, exact; delays are rounded so that errors do not add up.
    time: f64,
}

impl Gif {
    pub fn create(recording: &Recording) -> Result<Self, Error> {
        let &Recording { width, height, scale, .. } = recording;
        let path = recording.path.clone();
        let side = |pixels: usize| u16::try_from(pixels * scale);
        let (Ok(w), Ok(h)) = (side(width), side(height)) else {
            return Err(Error::Usage(format!("{} x {} pixels are too many for a GIF", width * scale, height * scale)));
        };
        let file = partial(&path)?;
        let mut encoder = gif::Encoder::new(file, w, h, &[]).map_err(|error| encoding(&path, error))?;
        encoder.set_repeat(gif::Repeat::Infinite).map_err(|error| encoding(&path, error))?;
        Ok(Self { encoder, path, width, height, scale, period: 100.0 / f64::from(recording.fps), time: 0.0 })
    }
}

impl Sink for Gif {
    fn frame(&mut self, rgba: &[u8]) -> Result<(), Error> {
        let mut pixels = rgba.to_vec();
        // Colours are chosen at the frame's own size; enlarging indices is free.
        let mut frame = gif::Frame::from_rgba_speed(self.width as u16, self.height as u16, &mut pixels, SPEED);
        frame.buffer = enlarge(&frame.buffer, self.width, self.scale).into();
        frame.width *= self.scale as u16;
        frame.height *= self.scale as u16;
        let end = self.time + self.period;
        frame.delay = (end.round() - self.time.round()).max(1.0) as u16;
        self.time = end;
        self.encoder.write_frame(&frame).map_err(|error| encoding(&self.path, error))
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        let Self { encoder, path, .. } = *self;
        let file = encoder.into_inner().map_err(|error| encoding(&path, error))?;
        commit(file, &path)
    }
}
