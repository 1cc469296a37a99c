//! Recordings: frames into a file that appears complete or not at all.

mod folder;
mod gif;
mod movie;
mod sheet;

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use causeway_runtime::{Budget, EventTime, Pump, Session, file::PartialFile};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    error::Error,
    stop::{self, Stop},
    tour::Tour,
};

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

/// A sink for the kind of file that the path asks for.
///
/// # Errors
/// The path asks for a kind of file that is not written, or nothing can be written there.
pub fn sink(recording: &Recording) -> Result<Box<dyn Sink>, Error> {
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

/// Plays a tour and records it.
///
/// # Errors
/// The session or the sink fails, or Ctrl-C; then what was recorded is kept.
pub fn tour(mut session: Session, tour: &Tour, recording: &Recording, stop: &Stop) -> Result<(), Error> {
    let mut tape = Tape::begin(recording)?;
    while tape.made < recording.frames {
        match stop::caught(|| step(&mut session, tour, SLICE, stop)) {
            Err(Error::Interrupted) => break,
            result => result?,
        }
        if let Some(frame) = session.frame() {
            tape.frame(frame.pixels)?;
        }
        session.release();
    }
    tape.end()
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
    /// As [`sink`].
    pub fn begin(recording: &'a Recording) -> Result<Self, Error> {
        let bar = progress(recording.frames, "frames");
        bar.tick();
        Ok(Self { sink: sink(recording)?, recording, bar, made: 0 })
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

/// How long a recording computes before it asks whether to go on, microseconds.
const SLICE: Budget = Budget::Micros(10_000);
/// A pump that took less found a GPU busy; asking again at once would only heat a core.
const IDLE: Duration = Duration::from_micros(500);

/// Makes the next frame of a tour, in pumps of this budget; it waits in [`Session::frame`].
///
/// # Errors
/// The session fails; [`Error::Interrupted`].
pub fn step(session: &mut Session, tour: &Tour, budget: Budget, stop: &Stop) -> Result<(), Error> {
    // Frames come out in order and are numbered from 0, so the next one is known before it is made. An action takes effect with
    // the chunk that begins after it is set, an event with the chunk that holds its frame.
    let next = session.stats().frames;
    session.set_action(tour.action(next))?;
    if let Some(event) = tour.event(next) {
        session.queue_event(event, EventTime::Frame(next))?;
    }
    loop {
        stop.check()?;
        let began = Instant::now();
        if session.pump(budget)? == Pump::Frame {
            return Ok(());
        }
        if began.elapsed() < IDLE {
            std::thread::sleep(IDLE);
        }
    }
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

/// A progress bar on standard error (none if that is no terminal).
pub fn progress(total: u64, unit: &str) -> ProgressBar {
    let bar = ProgressBar::new(total);
    let template = format!("{{bar:32}} {{pos}}/{{len}} {unit}  {{per_sec}}  {{eta}} left");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar
}

/// Encodes a picture as PNG; `components` is 3 for RGB.
fn write_png(out: impl Write, (width, height): (usize, usize), rgb: &[u8]) -> Result<(), png::EncodingError> {
    let mut encoder = png::Encoder::new(out, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(rgb)?;
    writer.finish()
}

/// [`write_png`] into a file under its own name, for files in a folder that is still unnamed.
fn save_png(path: &Path, size: (usize, usize), rgb: &[u8]) -> Result<(), Error> {
    let file = File::create(path).map_err(Error::io("create", path))?;
    write_png(BufWriter::new(file), size, rgb).map_err(|error| encoding(path, error))
}

fn encoding(path: &Path, error: impl std::fmt::Display) -> Error {
    Error::Failed(format!("cannot write {}: {error}", path.display()))
}

/// Names a file that is complete.
fn commit(file: PartialFile, path: &Path) -> Result<(), Error> {
    file.commit().map_err(Error::file(path))
}

fn partial(path: &Path) -> Result<PartialFile, Error> {
    PartialFile::create(path).map_err(Error::file(path))
}

/// RGB of RGBA, enlarged.
fn enlarged(rgba: &[u8], width: usize, scale: usize) -> Vec<u8> {
    let rgb: Vec<[u8; 3]> = rgba.chunks_exact(4).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    crate::picture::enlarge(&rgb, width, scale).into_flattened()
}
