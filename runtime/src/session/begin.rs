//! Which program a session walks next, and what it is told before: from what is due.

use causeway_ops::GROUPS;

use super::{
    budget::Pump,
    changes::{Kind, Queued, Way},
    cursor::Cursor,
    error::SessionError,
    session::Session,
};
use crate::model::{ProgramId, Side};

/// Picks the next program from what is due.
pub(super) fn begin(s: &mut Session) -> Result<Option<Pump>, SessionError> {
    if s.queue.is_full() {
        return Ok(Some(Pump::Full));
    }
    if let Some(from) = s.state.restoring {
        return restore(s, from).map(|()| None);
    }
    let opens = s.opens();
    let places = opens.is_none() && s.state.placed.left > 0;
    let id = match places {
        // What a stream begins with is decoded as its first frame.
        true if s.state.position == 0 => ProgramId::Picture,
        true => ProgramId::Placed,
        false => s.content(opens.is_some()),
    };
    let frames = s.stream.programs.get(id).map_or(0, |program| program.frames);
    if let Some(wait) = s.pacer.early(s.clock.micros()) {
        return Ok(Some(Pump::Early(wait)));
    }
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
    s.unpaced = s.pacer;
    s.pacer.begin(s.began, s.shows(frames));
    s.rested = 0;
    s.state.quality = s.guarded();
    if s.state.cut {
        // Here, and not where the cut is taken: frames of a saved game may have been committed since.
        forget_previous(s)?;
    }
    match opens {
        Some(from) => s.take_opening(from, frames)?,
        None if places => s.take_placed()?,
        None => s.take_action(frames)?,
    }
    let backend = s.backend.as_mut();
    let there = (s.state.ring, frames);
    let history = s.tables.place(backend, &s.stream, there, s.state.quality.window)?;
    s.tables.put(backend, &s.stream, s.state.position)?;
    s.tables.show(backend, &s.stream, &s.opening.condition, s.state.position)?;
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
    let history = s.tables.restore(backend, &s.stream, there, kept)?;
    // Frames of the sink are older than what is remembered by position; they are overwritten by those that are not.
    let position = s.state.position.saturating_sub(end - from);
    s.tables.put(backend, &s.stream, position)?;
    s.tables.show(backend, &s.stream, &s.opening.condition, position)?;
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

/// Another shot has no frame before.
fn forget_previous(s: &mut Session) -> Result<(), SessionError> {
    if let Some(previous) = s.stream.previous {
        s.tables.forget(s.backend.as_mut(), previous, s.settled.dit.latent_len())?;
    }
    Ok(())
}

fn take(s: &mut Session, kind: Kind, queued: &Queued) -> Result<(), SessionError> {
    let state = &mut s.state;
    state.watch.disturb();
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
            forget_previous(s)?;
        }
        Way::Cut => state.cut = true,
    }
    Ok(())
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
    pub(super) fn recached_end(&self) -> u64 {
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
        log::info!(
            "{frames} frames of the window are computed anew behind {history}, at frame {}",
            self.state.position
        );
        let (end, backend) = (self.recached_end(), self.backend.as_mut());
        let mut seen = [0; GROUPS];
        // A stream of several groups has no such program.
        for ((table, group), seen) in self.tables.frames.iter_mut().zip(&self.stream.groups).zip(&mut seen) {
            *seen = table.recache(backend, group, end, (history, frames))?;
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

    /// Takes the host's picture. That it came, and that what is under way begins anew behind it, is so once it is committed: a game that is
    /// saved before does not hold it.
    fn take_placed(&mut self) -> Result<(), SessionError> {
        if let Some(buffer) = self.stream.image {
            self.backend.write(buffer, &self.state.placed.pixels)?;
        }
        self.tables.act_each(self.backend.as_mut(), &self.stream, &[])?;
        let state = &mut self.state;
        state.kept.tell(&[]);
        state.placed.left -= 1;
        state.chunk_tickets.1 = state.current_ticket.max(state.placed.ticket);
        state.chunk_rows = 1;
        Ok(())
    }

    /// Takes the newest action for the next frames.
    fn take_action(&mut self, frames: usize) -> Result<(), SessionError> {
        let from = self.picture_of(self.state.position);
        let last = |at: usize| self.picture_of(self.state.position + at as u64 + 1).saturating_sub(from + 1) as usize;
        let pictures: [usize; 2] = [last(0), last(frames.saturating_sub(1))];
        let state = &mut self.state;
        let (several, first) = (state.acts.several(), state.position == 0);
        if let Some(rows) = state.rows.as_mut() {
            let told = rows.tell(&state.acts, frames, first);
            state.kept.tell(told);
            self.tables.act_each(self.backend.as_mut(), &self.stream, told)?;
            state.movement.tell(state.acts.row(usize::MAX), state.acts.ticket);
        } else if several {
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
        state.chunk_rows = state.acts.rows();
        state.chunk_tickets = (state.movement.ticket, state.current_ticket);
        self.draw(frames)
    }

    /// The row of actions that picture `picture` of the chunk in flight is made with: that of the last picture of its latent frame.
    pub(super) fn told_row(&self, picture: u64) -> usize {
        let [first, each] = self.stream.pictures.map(|count| count as u64);
        let first = if self.state.position == 0 { first } else { each };
        let last = if picture < first { first } else { picture + each - (picture - first) % each };
        // A game's latent frame sees the rows before its last picture.
        let last = last - u64::from(self.settled.dit.game().is_some() && last > 1);
        (usize::try_from(last).unwrap_or(usize::MAX).max(1) - 1).min(self.state.chunk_rows - 1)
    }

    /// Most frames of a route of each group of layers; 0 for as many as it has room for.
    pub(super) fn routes(&self) -> [u32; GROUPS] {
        let mut routes = [0; GROUPS];
        if self.settled.groups.pasts[0].most_route > 0 {
            routes[0] = self.state.quality.route as u32;
        }
        routes
    }
}
