//! The state machine behind [`Session::pump`]: it picks a program, walks its steps, and says what the end of it means.

use core::sync::atomic::Ordering;

use causeway_ops::{Backend, BufferId, GROUPS, Params, plan::PassId};

use super::{
    budget::{Budget, Pump},
    changes::{Kind, Queued, Way},
    cursor::Cursor,
    error::SessionError,
    receipt::Receipt,
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

impl Session {
    /// Advances the stream within the budget.
    ///
    /// # Errors
    /// [`SessionError::Backend`]; the session stays usable unless the device was lost. [`SessionError::ChunkNotFinite`], after which the stream
    /// stands before that chunk, and would make it again of what it is told. [`SessionError::NoPrompt`] and
    /// [`SessionError::NoNegative`] until the stream is told what its model reads.
    pub fn pump(&mut self, budget: Budget) -> Result<Pump, SessionError> {
        pump(self, budget)
    }
}

fn pump(s: &mut Session, budget: Budget) -> Result<Pump, SessionError> {
    let start = s.clock.micros();
    let mut nodes = 0;
    loop {
        if nodes > 0 && (s.interrupt.load(Ordering::Relaxed) || overruns(s, budget, start)) {
            return Ok(Pump::Pending);
        }
        let slice = match budget {
            Budget::Frame => u64::MAX,
            Budget::Micros(micros) => SLICE_MICROS.min(micros.saturating_sub(since(s, start))),
            Budget::Nodes(_) => 0,
        };
        let before = s.stats.nodes;
        match advance(s, slice, budget == Budget::Frame)? {
            Some(outcome) => return Ok(outcome),
            None => nodes += (s.stats.nodes - before) as usize,
        }
        let spent = match budget {
            Budget::Frame => false,
            Budget::Micros(micros) => since(s, start) >= micros,
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
        level: s.settled.row(false, None),
        guidance,
        ..Params::default()
    };
    if level == Level::Clean {
        return plain;
    }
    let (first, at) = (state.position == 0, state.cursor.level);
    let sampling = &s.settled.sampling;
    let step = sampling.sampler.step(&sampling.levels(first).sigmas, at);
    Params {
        step: at as u32,
        level: s.settled.row(first, Some(at)),
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
            let levels = s.settled.sampling.levels(s.state.position == 0).len();
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
            committed(s, frames);
        }
        ProgramId::Given(_) | ProgramId::Picture => committed(s, frames),
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
    state.ring += frames as u64;
    let mut recache = state.recache;
    for told in state.told() {
        if told.advance() {
            recache = Some(told.sink);
        }
    }
    state.recache = recache;
}

/// Picks the next program from what is due.
fn begin(s: &mut Session) -> Result<Option<Pump>, SessionError> {
    if s.queue.is_full() {
        return Ok(Some(Pump::Full));
    }
    if let Some(from) = s.state.restoring {
        return restore(s, from).map(|()| None);
    }
    let opens = s.opens();
    let id = s.content(opens.is_some());
    let frames = s.stream.programs.get(id).map_or(0, |program| program.frames);
    take_changes(s, frames, opens)?;
    if s.state.prompt.is_some() && !s.state.prompted.0 {
        return Err(SessionError::NoPrompt);
    }
    if s.state.negative.is_some() && !s.state.prompted.1 {
        return Err(SessionError::NoNegative);
    }
    if let Some(side) = s.state.unconditioned() {
        s.tell(side)?;
        s.state.cursor = Cursor::at(ProgramId::Condition(side), [0; GROUPS]);
        return Ok(None);
    }
    if let Some(recached) = s.state.recached(s.settled.ring()) {
        s.place_recached(recached)?;
        return Ok(None);
    }
    s.state.recache = None;
    s.began = s.clock.micros();
    match opens {
        Some(from) => s.take_opening(from, frames)?,
        None => s.take_action(frames)?,
    }
    let backend = s.backend.as_mut();
    let history = s.tables.place(backend, &s.stream, s.rope, s.state.ring, frames)?;
    s.tables.put(backend, &s.stream, s.state.position)?;
    s.state.cursor = Cursor::at(id, history);
    Ok(None)
}

/// Commits the frames of a saved game from number `from` on, under the conditions in force.
fn restore(s: &mut Session, from: u64) -> Result<(), SessionError> {
    if let Some(side) = s.state.unconditioned() {
        s.tell(side)?;
        s.state.cursor = Cursor::at(ProgramId::Condition(side), [0; GROUPS]);
        return Ok(());
    }
    // Chunk by chunk where they were made so; chunks end where the ring's next frame begins.
    let (chunk, end) = (s.settled.dit.chunk as u64, s.state.ring);
    let whole =
        chunk > 1 && (end - from).is_multiple_of(chunk) && (from..from + chunk).all(|frame| s.state.kept.has(frame));
    let frames = if whole { chunk as usize } else { 1 };
    let (backend, kept) = (s.backend.as_mut(), &s.state.kept);
    let there = (from, frames);
    let history = s.tables.restore(backend, &s.stream, s.rope, there, kept)?;
    // Frames of the sink are older than what is remembered by position; they are overwritten by those that are not.
    s.tables.put(backend, &s.stream, s.state.position.saturating_sub(end - from))?;
    s.state.cursor = Cursor::at(ProgramId::Restore(usize::from(whole)), history);
    Ok(())
}

/// Puts the changes in force that are due for the next `frames` latent frames; those of events wait until the start is over, which has its own
/// and `opens` with the next of its frames.
fn take_changes(s: &mut Session, frames: usize, opens: Option<usize>) -> Result<(), SessionError> {
    let end = s.picture_of(s.state.position + frames as u64);
    for kind in Kind::ALL {
        if opens.is_some() && kind == Kind::Events {
            continue;
        }
        if let Some(queued) = s.state.changes.due(kind, end) {
            take(s, kind, &queued)?;
        }
    }
    let event = opens.and_then(|from| s.opening.events.get(from).copied());
    if let Some(event) = event.filter(|&event| event != s.state.event) {
        s.state.tell(event as usize);
    }
    Ok(())
}

fn take(s: &mut Session, kind: Kind, queued: &Queued) -> Result<(), SessionError> {
    let state = &mut s.state;
    match kind {
        Kind::Events => {
            if let Some(events) = &mut state.events {
                let weights = state.changes.mix(queued);
                // What is in force already, and stays so, is no change.
                if events.now != weights || events.changes() || queued.way != Way::Keep {
                    events.change(weights, queued);
                }
                state.event = queued.index;
            }
        }
        Kind::Prompt | Kind::Negative => {
            let slot = &state.slots[queued.index as usize];
            let prompt = kind == Kind::Prompt;
            let told = if prompt { &mut state.prompt } else { &mut state.negative };
            if let Some(told) = told {
                told.change(&slot.values[..slot.rows * s.rules.width], queued);
            }
            if prompt {
                state.prompted.0 = true;
            } else {
                state.prompted.1 = true;
            }
        }
    }
    state.current_ticket = state.current_ticket.max(queued.ticket);
    match queued.way {
        Way::Keep => {}
        Way::Recache => state.recache = Some(queued.sink),
        Way::Reset => {
            (state.ring, state.recache) = (0, None);
            state.kept.clear();
            // A stream that begins has no frame before.
            if let Some(previous) = s.stream.previous {
                s.tables.forget(s.backend.as_mut(), previous, s.settled.dit.latent_len())?;
            }
        }
    }
    Ok(())
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
    s.state.kept.make(latents);
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
    s.queue.push(Receipt {
        frame: s.state.pictures,
        action,
        first_of_action: action > s.state.shown_tickets.0,
        event: s.state.event,
        event_ticket,
        first_of_event: event_ticket > s.state.shown_tickets.1,
        began: s.began,
        ready: s.clock.micros().max(s.began),
    });
    s.state.shown_tickets = s.state.chunk_tickets;
    s.state.pictures += 1;
    s.stats.frames += 1;
    s.state.cursor.giving = false;
    next(s)?;
    Ok(Some(Pump::Frame))
}

impl Session {
    /// Which frame of those that the stream starts from is next, until all are committed.
    pub(super) fn opens(&self) -> Option<usize> {
        usize::try_from(self.state.position).ok().filter(|&position| position < self.opening.frames)
    }

    /// The program of the next frames.
    fn content(&self, opening: bool) -> ProgramId {
        let first = self.state.position == 0;
        match (opening, &self.opening.image) {
            (false, _) => ProgramId::Chunk(first),
            (true, Some(_)) => ProgramId::Picture,
            (true, None) => ProgramId::Given(first),
        }
    }

    /// Writes what a side is told.
    fn tell(&mut self, side: Side) -> Result<(), SessionError> {
        let (backend, conditions) = (self.backend.as_mut(), self.stream.conditions);
        if side == Side::Negative {
            let there = (conditions.text, self.stream.negative_offsets, &self.state.negative);
            if let (Some(text), Some(offsets), Some(told)) = there {
                self.tables.prompt(backend, text, offsets, told)?;
            }
            return Ok(());
        }
        if let (Some(events), Some(told)) = (conditions.events, &self.state.events) {
            backend.write(events, bytemuck::cast_slice(&told.now))?;
        }
        if let (Some(text), Some(told)) = (conditions.text, &self.state.prompt) {
            self.tables.prompt(backend, text, text.offsets, told)?;
        }
        Ok(())
    }

    /// Number that the ring counts on from after the recache that is due.
    fn recached_end(&self) -> u64 {
        match self.state.recached(self.settled.ring()) {
            Some((0, frames)) => frames as u64,
            _ => self.state.ring,
        }
    }

    /// Begins to compute `frames` frames anew behind `history` others.
    fn place_recached(&mut self, (history, frames): (usize, usize)) -> Result<(), SessionError> {
        let Some(program) = self.stream.programs.recaching(history, frames) else {
            return Err(SessionError::NoRecache);
        };
        let (end, backend) = (self.recached_end(), self.backend.as_mut());
        let mut seen = [0; GROUPS];
        // A stream of several groups has no such program.
        for ((table, group), seen) in self.tables.frames.iter_mut().zip(&self.stream.groups).zip(&mut seen) {
            *seen = table.recache(backend, group, self.rope, end, (history, frames))?;
        }
        self.tables.take(backend, &self.stream, self.state.position, frames)?;
        self.state.cursor = Cursor::at(program, seen);
        Ok(())
    }

    /// Takes the next frames of the start, those from `from` on.
    fn take_opening(&mut self, from: usize, frames: usize) -> Result<(), SessionError> {
        let entries = self.state.kept.sizes().1;
        let backend = self.backend.as_mut();
        let told = self.opening.actions.get(from * entries..(from + frames) * entries);
        self.tables.act_each(backend, &self.stream, told.unwrap_or_default())?;
        match (&self.opening.image, self.stream.image) {
            (Some(image), Some(buffer)) => backend.write(buffer, image)?,
            _ => {
                let len = self.settled.dit.latent_len();
                let latents = &self.opening.latents[from * len..(from + frames) * len];
                self.tables.give(backend, &self.stream, latents)?;
            }
        }
        self.state.kept.tell(told.unwrap_or_default());
        self.state.chunk_tickets.1 = self.state.current_ticket;
        Ok(())
    }

    /// Takes the newest action for the next frames.
    fn take_action(&mut self, frames: usize) -> Result<(), SessionError> {
        let from = self.picture_of(self.state.position);
        let last = |at: usize| self.picture_of(self.state.position + at as u64 + 1).saturating_sub(from + 1) as usize;
        let pictures: [usize; 2] = [last(0), last(frames.saturating_sub(1))];
        let state = &mut self.state;
        if state.acts.several() {
            // A latent frame is told the row of its last picture; all but the stream's first have as many.
            let each = pictures[1].saturating_sub(pictures[0]).checked_div(frames - 1).unwrap_or(0);
            let told = self.tables.act_rows(&state.acts, frames, |at| pictures[0] + at * each);
            state.kept.tell(told);
            self.tables.acted(self.backend.as_mut(), &self.stream)?;
            let end = state.acts.row(usize::MAX);
            state.movement.tell(end, state.acts.ticket);
        } else {
            let action = state.movement.next(state.acts.row(0), state.acts.ticket);
            self.tables.act(self.backend.as_mut(), &self.stream, action)?;
            state.kept.tell_all(action);
        }
        state.chunk_tickets = (state.movement.ticket, state.current_ticket);
        self.draw(frames)
    }
}
