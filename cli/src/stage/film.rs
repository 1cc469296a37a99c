//! A tour that is played into a recording.

use std::time::{Duration, Instant};

use causeway_runtime::{Budget, EventTime, Pump, Session};

use crate::{
    error::Error,
    files::record::{Recording, Tape},
    options::opened::Scenes,
    stage::tour::Tour,
    tools::stop::{self, Stop},
};

/// Plays a tour and records it.
///
/// # Errors
/// The session or the sink fails, or Ctrl-C; then what was recorded is kept.
pub fn tour(
    mut session: Session,
    scenes: &Scenes,
    tour: &Tour,
    recording: &Recording,
    stop: &Stop,
) -> Result<(), Error> {
    let mut tape = Tape::begin(recording)?;
    while tape.made < recording.frames {
        match stop::caught(|| next(&mut session, scenes, tour, SLICE, stop)) {
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

/// How long a recording computes before it asks whether to go on, microseconds.
const SLICE: Budget = Budget::Micros(10_000);
/// A pump that took less found a GPU busy; asking again at once would only heat a core.
const IDLE: Duration = Duration::from_micros(500);

/// Makes the next frame of a tour, in pumps of this budget; it waits in [`Session::frame`].
///
/// # Errors
/// The session fails; [`Error::Interrupted`].
pub fn step(session: &mut Session, tour: &Tour, budget: Budget, stop: &Stop) -> Result<(), Error> {
    let events = Scenes { names: Vec::new(), slots: 0 };
    next(session, &events, tour, budget, stop)
}

/// As [`step`], with scenes in the place of events.
fn next(session: &mut Session, scenes: &Scenes, tour: &Tour, budget: Budget, stop: &Stop) -> Result<(), Error> {
    // Frames come out in order and are numbered from 0, so the next one is known before it is made. An action takes effect with
    // the chunk that begins after it is set, an event with the chunk that holds its frame.
    let next = session.stats().frames;
    session.set_action(tour.action(next))?;
    if let Some(scene) = tour.event(next).filter(|_| scenes.slots == 0 || next > 0) {
        scenes.queue(session, scene, EventTime::Frame(next))?;
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
