//! The state machine behind [`Session::pump`]: it picks a program, walks its steps, and says what the end of it means.

use core::sync::atomic::Ordering;

use causeway_ops::{Backend, BufferId, Params, plan::PassId};

use super::{
    begin::begin,
    budget::{Budget, Pump},
    cursor::Cursor,
    error::SessionError,
    gate::Gate,
    receipt::Receipt,
    rows::Rows,
    session::Session,
};
use crate::model::{Level, Program, ProgramId, Side, Step, Then};

/// How far a node may reach beyond the budget, microseconds.
const TOLERANCE_MICROS: u64 = 100;
/// Longest slice of GPU work handed out at once, microseconds (docs/design.md, idea 3).
const SLICE_MICROS: u64 = 1_500;

/// Longest run of parts of a node on a CPU, microseconds.
const PARTS_MICROS: u64 = 200;
/// What a part of unknown cost may take, microseconds.
const PART_MICROS: u64 = 700;
/// Longest time between two pumps that is a host's frame, and no pause.
const MOST_FRAME_MICROS: u64 = 250_000;
/// By how much more a chunk takes with a route twice as long, in percent, at most.
const ROUTE_DEARER: u64 = 30;

impl Session {
    /// Advances the stream within the budget.
    ///
    /// # Errors
    /// [`SessionError::Backend`]; the session stays usable unless the device was lost. [`SessionError::ChunkNotFinite`], after which the stream
    /// stands before that chunk, and would make it again of what it is told. [`SessionError::Unhealthy`] with a gate that holds.
    /// [`SessionError::NoPrompt`] and
    /// [`SessionError::NoNegative`] until the stream is told what its model reads.
    pub fn pump(&mut self, budget: Budget) -> Result<Pump, SessionError> {
        // Only the governor asks how long chunks take.
        if self.governor.is_none() {
            return pump(self, budget);
        }
        if let Some((end, idle)) = self.pumped {
            let gap = self.clock.micros().saturating_sub(end);
            if idle || gap > MOST_FRAME_MICROS {
                self.rested = self.rested.saturating_add(gap);
            }
        }
        let outcome = pump(self, budget);
        self.pumped = Some((self.clock.micros(), matches!(outcome, Ok(Pump::Full | Pump::Early(_)))));
        outcome
    }
}

fn pump(s: &mut Session, budget: Budget) -> Result<Pump, SessionError> {
    let start = s.clock.micros();
    let mut nodes = 0;
    loop {
        if nodes > 0 && (s.interrupt.load(Ordering::Relaxed) || overruns(s, budget, start)) {
            return Ok(Pump::Pending);
        }
        let began = if matches!(budget, Budget::Micros(_)) { since(s, start) } else { 0 };
        let slice = match budget {
            Budget::Frame => u64::MAX,
            Budget::Micros(micros) => SLICE_MICROS.min(micros.saturating_sub(began)),
            Budget::Nodes(_) => 0,
        };
        let (before, cursor) = (s.stats.nodes, s.state.cursor);
        match advance(s, slice, budget == Budget::Frame)? {
            Some(outcome) => return Ok(outcome),
            None => nodes += (s.stats.nodes - before) as usize,
        }
        let spent = match budget {
            Budget::Frame => false,
            Budget::Micros(micros) => {
                let ended = since(s, start);
                // A clock that runs backwards says nothing.
                watch(s, &cursor, slice, if ended == u64::MAX { 0 } else { ended.saturating_sub(began) });
                ended >= micros
            }
            Budget::Nodes(limit) => nodes >= limit,
        };
        if spent {
            return Ok(Pump::Pending);
        }
    }
}

/// The program under way, and the step that the cursor is at.
pub(super) fn at<'s>(s: &'s Session, cursor: &Cursor) -> Option<(&'s Program, Step)> {
    let program = s.stream.programs.get(cursor.program?)?;
    Some((program, *program.steps.get(cursor.step)?))
}

/// Whether the next node, or part of one, alone would exceed the budget, to judge from what it cost before. Such a node waits for the next
/// pump, where it comes first: a host's frame is better ended a little early than late.
fn overruns(s: &Session, budget: Budget, start: u64) -> bool {
    let cursor = &s.state.cursor;
    let (Budget::Micros(micros), Some((_, step)), false) = (budget, at(s, cursor), cursor.giving) else { return false };
    let parts = s.backend.parts(step.pass, cursor.node);
    let next = match s.backend.node_micros(step.pass, cursor.node) {
        Some(micros) => micros as u64 / parts as u64,
        // A part of a node that was never run.
        None if parts > 1 => PART_MICROS,
        None => 0,
    };
    let tolerated = if parts > 1 { 0 } else { TOLERANCE_MICROS };
    next > tolerated && since(s, start).saturating_add(next) > micros.saturating_add(tolerated)
}

/// Tells of a slice that took too long: by the clock or, where it was handed to a GPU, by what its first node took there before.
fn watch(s: &mut Session, cursor: &Cursor, slice: u64, took: u64) {
    let Some((_, step)) = at(s, cursor) else { return };
    let whole = s.backend.parts(step.pass, cursor.node) == 1;
    let there = s.backend.node_micros(step.pass, cursor.node).filter(|_| whole).map_or(0, |micros| micros as u64);
    s.slow.note(took.max(there), slice, &s.backend.plan().pass(step.pass).name, cursor.node);
}

/// Microseconds since `start`. A clock that runs backwards, as a host's may, has spent every budget: a pump that is too short is
/// made up for by the next one, one without an end is not.
fn since(s: &Session, start: u64) -> u64 {
    s.clock.micros().checked_sub(start).unwrap_or(u64::MAX)
}

/// One slice of one pass, or one transition; Some when pumping must return.
fn advance(s: &mut Session, slice: u64, wait: bool) -> Result<Option<Pump>, SessionError> {
    let Some((_, step)) = at(s, &s.state.cursor) else { return begin(s) };
    if s.state.cursor.giving {
        return if step.then == Then::Judge { judge(s, wait) } else { give(s, wait) };
    }
    if !wait && !s.backend.idle()? {
        return Ok(Some(Pump::Pending));
    }
    s.time()?;
    let params = params(s, step.level);
    let (node, len) = (s.state.cursor.node, s.backend.plan().pass(step.pass).nodes.len());
    let parts = if wait { 1 } else { s.backend.parts(step.pass, node) };
    if parts > 1 || s.state.cursor.part > 0 {
        return some_parts(s, step.pass, slice, &params);
    }
    let count = if slice == 0 { 1 } else { s.backend.slice(step.pass, node, slice) };
    let end = len.min(node + count.max(1));
    s.backend.run(step.pass, node..end, &params)?;
    s.stats.nodes += (end - node) as u64;
    s.state.cursor.node = end;
    if end == len {
        arrive(s)?;
    }
    Ok(None)
}

/// The next parts of a node that is too long for a slice of so many microseconds.
fn some_parts(s: &mut Session, pass: PassId, slice: u64, params: &Params) -> Result<Option<Pump>, SessionError> {
    let (node, part) = (s.state.cursor.node, s.state.cursor.part);
    let parts = s.backend.parts(pass, node);
    let each = s.backend.node_micros(pass, node).map_or(u64::MAX, |micros| (micros / parts as f32) as u64);
    // What parts cost is known less well than what nodes do: the clock is looked at more often.
    let count = usize::try_from(slice.min(PARTS_MICROS) / each.max(1)).unwrap_or(1).clamp(1, parts - part);
    s.backend.run_parts(pass, node, part..part + count, params)?;
    s.stats.nodes += 1;
    s.state.cursor.part += count;
    if s.state.cursor.part == parts {
        (s.state.cursor.node, s.state.cursor.part) = (node + 1, 0);
        if node + 1 == s.backend.plan().pass(pass).nodes.len() {
            arrive(s)?;
        }
    }
    Ok(None)
}

/// What a run of a pass is told.
fn params(s: &Session, level: Level) -> Params {
    let (state, guidance) = (&s.state, s.settled.sampling.guidance);
    let plain = Params {
        seed: [state.seed as u32, (state.seed >> 32) as u32],
        // The noise counter wraps after 2^32 frames, 6.8 years at 20 frames a second.
        frame: state.position as u32,
        history: state.cursor.history,
        level: s.settled.clean_row(),
        guidance,
        route: s.routes(),
        cut: u32::from(state.cut),
        ..Params::default()
    };
    if level == Level::Clean {
        return plain;
    }
    let (first, at) = (state.position == 0, state.cursor.level);
    let sampling = &s.settled.sampling;
    let step = sampling.sampler.step(&s.settled.schedule(first, state.quality.steps).sigmas, at);
    Params {
        step: at as u32,
        level: s.settled.row(first, state.quality.steps, at),
        sigma: step.sigma,
        keep: step.keep,
        correct: step.correct,
        predict: step.predict,
        ..plain
    }
}

/// The pass of the cursor's step has run.
fn arrive(s: &mut Session) -> Result<(), SessionError> {
    let Some((_, step)) = at(s, &s.state.cursor) else { return Ok(()) };
    match step.then {
        Then::Give | Then::Judge => s.state.cursor.giving = true,
        Then::Next => next(s)?,
        Then::Again(from) => {
            let levels = s.settled.schedule(s.state.position == 0, s.state.quality.steps).len();
            if s.state.cursor.level + 1 < levels {
                s.state.cursor.level += 1;
                s.state.cursor.goto(from);
                s.renoise()?;
            } else {
                next(s)?;
            }
        }
    }
    Ok(())
}

/// To the next step; behind the last one a program has done what it is for.
fn next(s: &mut Session) -> Result<(), SessionError> {
    let cursor = &mut s.state.cursor;
    cursor.goto(cursor.step + 1);
    let (Some(id), None) = (cursor.program, at(s, &s.state.cursor)) else { return Ok(()) };
    let frames = s.stream.programs.get(id).map_or(0, |program| program.frames);
    match id {
        ProgramId::Condition(Side::Positive) => {
            [&mut s.state.events, &mut s.state.prompt].into_iter().flatten().for_each(|told| told.valid = true);
        }
        ProgramId::Condition(Side::Negative) => s.state.negative.iter_mut().for_each(|told| told.valid = true),
        ProgramId::Chunk(_) => {
            s.state.movement.commit(frames);
            s.state.acts.made(s.state.chunk_tickets.0);
            s.state.rows.as_mut().into_iter().for_each(Rows::made);
            govern(s, frames);
            committed(s, frames);
            s.state.cut = false;
        }
        ProgramId::Given(_) => committed(s, frames),
        ProgramId::Picture | ProgramId::Placed => {
            committed(s, frames);
            let state = &mut s.state;
            // Nothing moved.
            state.movement.stop(state.movement.ticket);
            state.current_ticket = state.current_ticket.max(state.chunk_tickets.1);
            // The shot begins with it.
            state.cut = false;
        }
        ProgramId::Restore(_) => {
            let last = s.state.restoring.map_or(0, |from| from + frames as u64);
            s.state.restoring = s.state.kept.first(last);
        }
        ProgramId::Recache(_) => {
            let (before, end) = (s.state.ring, s.recached_end());
            if end < before {
                s.state.kept.count_anew(before, end);
            }
            s.state.ring = end;
            s.state.recache = None;
        }
    }
    s.state.cursor = Cursor::START;
    Ok(())
}

/// Frames are in the ring: the stream goes on, and so does a change that takes several chunks.
fn committed(s: &mut Session, frames: usize) {
    let state = &mut s.state;
    state.kept.commit(&s.settled.rings, state.ring, frames);
    state.position += frames as u64;
    state.chunk += 1;
    state.ring += frames as u64;
    let mut recache = state.recache;
    for told in state.told() {
        if told.advance() {
            recache = Some(told.sink);
        }
    }
    state.recache = recache;
}

/// Looks at how long the chunk of so many frames took, for those to come.
fn govern(s: &mut Session, frames: usize) {
    let had = s.pacer.lasts(s.shows(frames));
    let took = s.clock.micros().saturating_sub(s.began).saturating_sub(s.rested);
    let Some(governor) = &mut s.governor else { return };
    let (asked, eased, all) = (s.state.asked, s.state.eased, &s.rules.qualities);
    // Beside its steps a chunk is decoded and committed, each of which takes about as long as one of them.
    let passes = |eased: usize| all.eased(asked, eased).steps as u64 + 2;
    let dearer = (100 * passes(eased.saturating_sub(1)) / passes(eased)).saturating_sub(100).max(ROUTE_DEARER);
    s.state.eased = governor.judge((took, had), (eased, all.rungs(asked)), dearer);
}

/// Reads what the pass made into `to`; false if that has not arrived.
fn fetch(
    backend: &mut dyn Backend,
    reading: &mut bool,
    from: BufferId,
    to: &mut [u8],
    wait: bool,
) -> Result<bool, SessionError> {
    if wait && !*reading {
        backend.read(from, to)?;
        return Ok(true);
    }
    if !*reading {
        backend.begin_read(from)?;
        *reading = true;
    }
    let there = backend.poll_read(to)?;
    *reading = !there;
    Ok(there)
}

/// Goes on with a chunk that is made of numbers, and drops one that is not: the stream stands where it stood before it.
fn judge(s: &mut Session, wait: bool) -> Result<Option<Pump>, SessionError> {
    let to = bytemuck::cast_slice_mut(&mut s.tables.finished);
    if !fetch(s.backend.as_mut(), &mut s.reading, s.stream.finished, to, wait)? {
        return Ok(if wait { None } else { Some(Pump::Pending) });
    }
    s.state.cursor.giving = false;
    let made = matches!(s.state.cursor.program, Some(ProgramId::Chunk(_)));
    let frames = at(s, &s.state.cursor).map_or(0, |(program, _)| program.frames);
    let latents = &s.tables.finished[..frames * s.settled.dit.latent_len()];
    if made && !latents.iter().all(|value| value.is_finite()) {
        s.abort_chunk();
        return Err(SessionError::ChunkNotFinite { frame: s.state.position });
    }
    let seen = s.look(frames);
    if made && s.held_back(seen.health.alarms) {
        let (frame, alarms) = (s.state.position, seen.health.alarms);
        return if s.gate == Gate::Hold { Err(SessionError::Unhealthy { frame, alarms }) } else { Ok(None) };
    }
    s.note(frames, seen);
    s.state.kept.make(&s.tables.finished[..frames * s.settled.dit.latent_len()]);
    next(s)?;
    Ok(None)
}

/// Moves what the pass made into the queue.
fn give(s: &mut Session, wait: bool) -> Result<Option<Pump>, SessionError> {
    let output = s.stream.output;
    let Some(buffer) = s.queue.next_buffer() else { return Ok(Some(Pump::Full)) };
    if !s.reading {
        s.backend.keep(output, s.state.pictures)?;
    }
    if !fetch(s.backend.as_mut(), &mut s.reading, output, buffer, wait)? {
        // With no budget to respect there is nothing better to do than to ask again.
        return Ok(if wait { None } else { Some(Pump::Pending) });
    }
    let (action, event_ticket) = s.state.chunk_tickets;
    let frames = at(s, &s.state.cursor).map_or(0, |(program, _)| program.frames);
    let picture = s.state.pictures.saturating_sub(s.picture_of(s.state.position));
    let ready = s.clock.micros().max(s.began);
    s.queue.push(Receipt {
        frame: s.state.pictures,
        chunk: s.state.chunk,
        picture: picture as u32,
        pictures: s.shows(frames) as u32,
        action_row: s.told_row(picture) as u32,
        share: s.state.told().map(|told| told.share()).min().unwrap_or(1 << 16),
        quality: s.state.quality,
        health: s.state.health,
        present: s.pacer.present(ready, picture == 0),
        action,
        first_of_action: action > s.state.shown_tickets.0,
        event: s.state.event,
        event_ticket,
        first_of_event: event_ticket > s.state.shown_tickets.1,
        began: s.began,
        ready,
    });
    s.state.shown_tickets = s.state.chunk_tickets;
    s.state.pictures += 1;
    s.stats.frames += 1;
    s.state.cursor.giving = false;
    next(s)?;
    Ok(Some(Pump::Frame))
}
