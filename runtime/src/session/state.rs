//! Where a stream is, and all that its future depends on beside the plan's own state.

use alloc::vec::Vec;

use super::{
    acts::Acts,
    changes::{Changes, Sink},
    cursor::Cursor,
    error::SessionError,
    fields::{Fields, RANGE, flag, one_of, size, small},
    health::Health,
    kept::Kept,
    movement::Movement,
    placed::Placed,
    quality::Quality,
    ring::Ring,
    rows::Rows,
    told::Told,
    watch::Watch,
};
use crate::model::Side;

/// Largest number of a frame or of a ticket: no stream gets there, and one more can always be counted.
const MOST: u64 = 1 << 60;

/// A prompt that the host gave.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// Rows, with zeros behind them [most rows, dim].
    pub values: Vec<f32>,
    pub rows: usize,
}

/// The facts of a stream. Snapshots hold them in the order of [`State::fields`].
#[derive(Clone, Debug)]
pub(super) struct State {
    pub cursor: Cursor,
    pub seed: u64,
    /// Latent frames committed since the stream began: number of the next one.
    pub position: u64,
    /// The same as the ring counts: a cut or a refreshed sink begins anew.
    pub ring: u64,
    /// The frames that it still sees.
    pub kept: Kept,
    /// Frames of a saved game from this number on are still to be committed.
    pub restoring: Option<u64>,
    /// Pictures given since the stream began.
    pub pictures: u64,
    /// A recache is due, and what it does with the sink.
    pub recache: Option<Sink>,
    /// Of a game, whose latent frames see the rows of several pictures.
    pub rows: Option<Rows>,
    pub acts: Acts,
    pub movement: Movement,
    /// Ticket of the newest change.
    pub change_ticket: u64,
    pub changes: Changes,
    /// What the host wants chunks to be made with, how many rungs below that the governor is, and what the newest chunk is made with.
    pub asked: Quality,
    pub eased: usize,
    pub quality: Quality,
    /// Number of the chunk in flight, or of the next one; what the stream starts from counts too.
    pub chunk: u64,
    /// How the newest chunk came out, and what that is judged by.
    pub health: Health,
    pub watch: Watch,
    /// A picture of the host's that is to be the newest frame.
    pub placed: Placed,
    /// A cut was made, and no chunk since.
    pub cut: bool,
    /// The event in force: of a mix the strongest.
    pub event: u32,
    /// Ticket of the newest change in force.
    pub current_ticket: u64,
    /// Tickets of action and change: of the chunk in flight, of the newest picture.
    pub chunk_tickets: (u64, u64),
    pub shown_tickets: (u64, u64),
    /// Rows of actions of the chunk in flight.
    pub chunk_rows: usize,
    /// What is told beside actions, where the model is told it.
    pub events: Option<Told>,
    pub prompt: Option<Told>,
    pub negative: Option<Told>,
    pub slots: Vec<Slot>,
    /// Whether the stream was ever given a prompt, and one to lead away from.
    pub prompted: (bool, bool),
}

impl State {
    /// Bytes held.
    pub fn memory(&self) -> usize {
        let told = [&self.events, &self.prompt, &self.negative].into_iter().flatten().map(Told::memory).sum::<usize>();
        let slots = self.slots.iter().map(|slot| 4 * slot.values.len() + size_of::<Slot>()).sum::<usize>();
        let rows = self.rows.as_ref().map_or(0, Rows::memory);
        self.placed.memory()
            + self.kept.memory()
            + self.watch.memory()
            + self.acts.memory()
            + self.movement.memory()
            + self.changes.memory()
            + told
            + slots
            + rows
    }

    /// Wants another quality from now on; what the governor took is given back with it.
    pub fn ask(&mut self, asked: Quality) {
        if self.asked != asked {
            (self.asked, self.eased) = (asked, 0);
        }
    }

    /// Which cross-attention keys and values are not of what is told now.
    pub fn unconditioned(&self) -> Option<Side> {
        if [&self.events, &self.prompt].into_iter().flatten().any(|told| !told.valid) {
            return Some(Side::Positive);
        }
        self.negative.iter().any(|told| !told.valid).then_some(Side::Negative)
    }

    /// What the recache that is due sees as history and computes anew; none where none is or the stream has not begun.
    pub fn recached(&self, ring: &Ring) -> Option<(usize, usize)> {
        self.recaching(ring, self.recache?)
    }

    /// The same of a recache that does so with the sink.
    pub fn recaching(&self, ring: &Ring, sink: Sink) -> Option<(usize, usize)> {
        // Else what the window shows is all that the stream has been, or what it is from now on.
        let kept = sink == Sink::Kept && self.ring > ring.window as u64;
        let (history, shown) = (if kept { ring.sink } else { 0 }, self.ring.min(ring.window as u64) as usize);
        (shown > history).then_some((history, shown - history))
    }

    /// Puts an event in force at once.
    pub fn tell(&mut self, event: usize) {
        self.event = event as u32;
        if let Some(events) = &mut self.events {
            let count = events.now.len();
            events.set((0..count).map(|at| f32::from(u8::from(at == event))));
        }
    }

    /// All conditions.
    pub fn told(&mut self) -> impl Iterator<Item = &mut Told> {
        [&mut self.events, &mut self.prompt, &mut self.negative].into_iter().flatten()
    }

    /// Its fields, for a snapshot; of what is read the cursor, the changes and what depends on the plan are not checked.
    pub fn fields(&mut self, fields: &mut dyn Fields) -> Result<(), SessionError> {
        self.cursor.fields(fields)?;
        fields.number(&mut self.seed)?;
        for number in [&mut self.position, &mut self.ring, &mut self.pictures, &mut self.chunk] {
            fields.number(number)?;
        }
        one_of(fields, &mut self.recache, &[None, Some(Sink::Kept), Some(Sink::Refreshed)])?;
        self.acts.fields(fields)?;
        self.rows.as_mut().map_or(Ok(()), |rows| rows.fields(fields))?;
        fields.floats(&mut self.movement.action)?;
        size(fields, &mut self.movement.left)?;
        let (chunk, shown) = (&mut self.chunk_tickets, &mut self.shown_tickets);
        let tickets = [&mut chunk.0, &mut chunk.1, &mut shown.0, &mut shown.1, &mut self.current_ticket];
        for number in
            [&mut self.movement.ticket, &mut self.acts.ticket, &mut self.change_ticket].into_iter().chain(tickets)
        {
            fields.number(number)?;
            if *number > MOST {
                return Err(RANGE);
            }
        }
        small(fields, &mut self.event)?;
        let events = self.events.as_ref().map_or(0, |events| events.now.len());
        if [self.position, self.ring, self.pictures, self.chunk].iter().any(|&number| number > MOST)
            || (self.event as usize >= events.max(1))
        {
            return Err(RANGE);
        }
        if self.movement.left > self.movement.latch {
            return Err(SessionError::Snapshot("a movement lasts longer than one can"));
        }
        self.changes.fields(fields)?;
        self.asked.fields(fields)?;
        size(fields, &mut self.eased)?;
        self.quality.fields(fields)?;
        flag(fields, &mut self.cut)?;
        size(fields, &mut self.chunk_rows)?;
        self.health.fields(fields)?;
        self.watch.fields(fields)?;
        for told in [&mut self.events, &mut self.prompt, &mut self.negative].into_iter().flatten() {
            told.fields(fields)?;
        }
        for slot in &mut self.slots {
            fields.floats(&mut slot.values)?;
            size(fields, &mut slot.rows)?;
        }
        flag(fields, &mut self.prompted.0)?;
        flag(fields, &mut self.prompted.1)?;
        let mut from = self.restoring.unwrap_or(u64::MAX);
        fields.number(&mut from)?;
        self.restoring = (from != u64::MAX).then_some(from);
        self.placed.fields(fields)?;
        if self.placed.ticket > self.change_ticket {
            return Err(RANGE);
        }
        self.kept.fields(fields)
    }
}
