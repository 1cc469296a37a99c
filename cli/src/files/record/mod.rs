//! Recordings: frames into a file that appears complete or not at all.

mod folder;
mod gif;
mod movie;
mod sheet;
mod sink;

use indicatif::ProgressBar;

pub use self::sink::{Recording, Sink, fps};
use crate::{error::Error, tools::progress::progress};

/// A sink for the kind of file that the path asks for.
///
/// # Errors
/// The path asks for a kind of file that is not written, or nothing can be written there.
fn taken(recording: &Recording) -> Result<Box<dyn Sink>, Error> {
    let path = &recording.path;
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    Ok(match extension.as_deref() {
        Some("gif") => Box::new(gif::Gif::create(recording)?),
        Some("png") => Box::new(sheet::Sheet::create(recording)?),
        Some("mp4") => Box::new(movie::Movie::create(recording)?),
        None => Box::new(folder::Folder::create(recording)?),
        Some(other) => {
            let what = format!("cannot record as `.{other}`; use .mp4, .gif, .png or a folder name without a dot");
            return Err(Error::Usage(what));
        }
    })
}

/// A recording that is under way.
pub struct Tape<'a> {
    sink: Box<dyn Sink>,
    recording: &'a Recording,
    bar: ProgressBar,
    /// Frames taken.
    pub made: u64,
}

impl<'a> Tape<'a> {
    /// Begins a recording.
    ///
    /// # Errors
    /// The path asks for a kind of file that is not written, or nothing can be written there.
    pub fn begin(recording: &'a Recording) -> Result<Self, Error> {
        let bar = progress(recording.frames, "frames");
        bar.tick();
        Ok(Self { sink: taken(recording)?, recording, bar, made: 0 })
    }

    /// Takes the next frame.
    ///
    /// # Errors
    /// Writing fails.
    pub fn frame(&mut self, rgba: &[u8]) -> Result<(), Error> {
        self.sink.frame(rgba)?;
        self.made += 1;
        self.bar.inc(1);
        Ok(())
    }

    /// Completes the recording. What was recorded of one that was interrupted is kept, and it is said how much; of nothing, nothing.
    ///
    /// # Errors
    /// Writing or renaming fails; [`Error::Interrupted`] if there are fewer frames than there were to be.
    pub fn end(self) -> Result<(), Error> {
        self.bar.finish_and_clear();
        let (made, wanted) = (self.made, self.recording.frames);
        if made == 0 {
            return Err(Error::Interrupted);
        }
        self.sink.finish()?;
        if made == wanted {
            return Ok(());
        }
        eprintln!("{}: the first {made} of {wanted} frames", self.recording.path.display());
        Err(Error::Interrupted)
    }
}
