//! Row 4: whether a dream in which no key is pressed stands still.

use super::dreamer::{Picture, Play};
use super::report::Row;
use super::target::Target;
use super::trial::{Start, Trial};
use crate::stats::bootstrap::{mean, median, over};

/// Frames without a key.
pub const STILL: usize = 128;

/// A stretch without a key.
pub struct Still {
    /// The truth: flames flicker.
    pub play: Play,
    target: Option<Target>,
}

impl Still {
    /// After `start`, a body at rest: rendered, or recorded.
    pub fn new(trial: &Trial<'_>, start: &Start) -> Self {
        let play = match (&trial.truth, &start.world) {
            (Ok(truth), Some(world)) => truth.play(world, &[None; STILL], &[]),
            _ => trial.held.follow(start.at, STILL.min(trial.held.after(start.at))),
        };
        let target = Target::new(trial, &start.real, &play, STILL - 1);
        Self { play, target }
    }

    /// PSNR of the last frame, and by how much it falls short of the codec.
    pub fn measure(&self, dream: &[Picture]) -> Option<[f64; 2]> {
        let (target, last) = (self.target.as_ref()?, dream.get(STILL - 1)?);
        Some([target.like(last)?.psnr, target.deficit(last)?])
    }
}

/// Row 4; `found` has the dreams of each start.
pub fn row(trial: &Trial<'_>, found: &[Vec<[f64; 2]>]) -> Row {
    let mut row = Row::new(
        4,
        "stillness",
        "within 3 dB of the codec (median)",
        "frame 128 with no key from rest, against the true frame 128",
    );
    let of = |k: usize| found.iter().map(|one| one.iter().map(|x| x[k]).collect()).collect::<Vec<Vec<f64>>>();
    let like = row.figure("PSNR", over(&of(0), mean));
    let short = row.figure("short of the codec", over(&of(1), median));
    match (like, short) {
        (Some(like), Some(short)) => row.found(format!("{like} dB, {short} dB short"), Some(short.value <= 3.0)),
        _ if trial.truth.is_ok() => row.missing("no start in held"),
        _ => row.missing(&format!("no stretch of {STILL} frames without a key in held")),
    }
}
