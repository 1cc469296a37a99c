//! Saved games: where a stream is, in terms of its model and of no device, so that another backend, ring type or version of the library can go
//! on from it.
//!
//! A saved game holds the latents of the frames that the stream still sees and what they were told, the conditions, the queue and the place.
//! Loading commits the frames anew, in pumps, before the next chunk: what comes then is the same place in the same mood, not the same bits.
//! It is taken at the last chunk boundary: the chunk in flight is not in it.

use alloc::vec::Vec;

use causeway_ops::memory::filled;
use half::f16;

use super::{
    cursor::Cursor,
    error::SessionError,
    fields::{Count, Fields, Put, Read, Stored, TOO_LONG, Write, flag, one_of, size, stored},
    ring::Ring,
    session::Session,
    snapshot::checksum,
    state::State,
    told::Told,
};
use crate::model::ProgramId;

const MAGIC: &[u8; 6] = b"CWSAVE";
/// Version of what follows; a library reads this one and those before it.
const VERSION: u16 = 2;
/// Bytes of the mark, the version, and the checksum of all that comes then.
const HEAD: usize = 8 + 16;

/// A saved game as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved(Vec<u8>);

impl Saved {
    /// The bytes, for storing.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Takes stored bytes; they are checked by [`Session::load`].
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

/// Most bytes of a saved game of a session in such a state, whose prompts have rows of `width` values.
pub(super) fn bytes(state: &State, rings: &[Ring], width: usize) -> usize {
    let mut state = state.clone();
    state.changes.fill();
    state.told().for_each(Told::fill);
    state.slots.iter_mut().for_each(|slot| slot.rows = slot.values.len().checked_div(width).unwrap_or(0));
    let mut count = Count::default();
    // Counting does not fail.
    _ = game(&mut state, width, &mut count, VERSION);
    // Fewer prompts may take more, each value two bytes.
    let values = values(&state, width);
    let more = if how(values) == Stored::Bytes { MOST_HALVES.saturating_sub(values) } else { 0 };
    // Weights, dimensions, rings, number of frames.
    HEAD + more + 16 + 8 * (6 + 1 + 4 * causeway_ops::GROUPS + 1) + count.0 + state.kept.saved_bytes(rings)
}

fn bad(what: &'static str) -> SessionError {
    SessionError::Saved(what)
}

impl Session {
    /// Saves a game. Does not wait for the device.
    ///
    /// # Errors
    /// [`SessionError::OutOfMemory`].
    pub fn save(&mut self) -> Result<Saved, SessionError> {
        let mut bytes = filled(0, self.save_bytes())?;
        self.save_into(&mut bytes)?;
        Ok(Saved(bytes))
    }

    /// Bytes of a saved game taken now.
    pub fn save_bytes(&mut self) -> usize {
        let mut count = Count::default();
        // Counting does not fail.
        _ = self.game(&mut count);
        HEAD + count.0
    }

    /// [`save`](Self::save) into memory of the caller's, of exactly [`save_bytes`](Self::save_bytes). Allocates nothing.
    ///
    /// # Errors
    /// [`SessionError::Saved`] for memory of another size.
    pub fn save_into(&mut self, bytes: &mut [u8]) -> Result<(), SessionError> {
        if bytes.len() != self.save_bytes() {
            return Err(bad("the memory for it has another size"));
        }
        let (head, rest) = bytes.split_at_mut(HEAD);
        self.game(&mut Write(rest))?;
        head[..6].copy_from_slice(MAGIC);
        head[6..8].copy_from_slice(&VERSION.to_le_bytes());
        head[8..].copy_from_slice(&checksum(rest));
        Ok(())
    }

    /// Whose game it is, and the game.
    fn game(&mut self, fields: &mut dyn Put) -> Result<(), SessionError> {
        fields.bytes(&mut self.weights.0.to_le_bytes())?;
        self.dimensions().iter_mut().try_for_each(|value| size(fields, value))?;
        let rings = self.settled.rings.len();
        size(fields, &mut rings.clone())?;
        for ring in &self.settled.rings {
            shape(ring).iter_mut().try_for_each(|value| size(fields, value))?;
        }
        let left = self.state.movement.left;
        if matches!(self.state.cursor.program, Some(ProgramId::Chunk(_))) {
            // The chunk in flight is not in the game: a movement that began with it has not begun.
            self.state.movement.abort();
        }
        let written = game(&mut self.state, self.rules.width, fields, VERSION);
        self.state.movement.left = left;
        written?;
        let (rings, end) = (&self.settled.rings, self.state.ring);
        let mut count = self.state.kept.count(rings, end);
        size(fields, &mut count)?;
        let mut next = self.state.kept.first(0);
        while let Some(number) = next {
            let frame = self.state.kept.frame(number).filter(|_| self.state.kept.wants(rings, end, number));
            if let Some((latents, actions)) = frame {
                fields.number(&mut number.clone())?;
                fields.put(bytemuck::cast_slice(latents))?;
                fields.put(bytemuck::cast_slice(actions))?;
            }
            next = self.state.kept.first(number + 1);
        }
        Ok(())
    }

    /// What a saved game must agree with beside the weights: the latent frame, entries of an action, events, values in a row of a prompt.
    fn dimensions(&self) -> [usize; 6] {
        let [channels, height, width] = self.latent_shape();
        [channels, height, width, self.rules.actions.len(), self.rules.events.len(), self.rules.width]
    }

    /// Goes on from a saved game of a session of the same weights and size, on any device, with any type of ring, from this version of the library
    /// or an earlier one. The frames that it holds are committed by the next pumps. On an error the session is as it was before the call,
    /// except for a backend failure. Finished frames and waiting changes are dropped; those of the game wait instead.
    ///
    /// # Errors
    /// [`SessionError::Saved`], [`SessionError::SavedOfAnother`], [`SessionError::Backend`].
    pub fn load(&mut self, saved: &Saved) -> Result<(), SessionError> {
        self.load_bytes(&saved.0)
    }

    /// [`load`](Self::load) from bytes of a saved game.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_bytes(&mut self, saved: &[u8]) -> Result<(), SessionError> {
        let mut read = Read(saved);
        let state = self.read(&mut read).map_err(|error| match error {
            SessionError::Snapshot(what) => bad(what),
            other => other,
        })?;
        self.backend.clear()?;
        self.queue.clear();
        self.take_up(state);
        Ok(())
    }

    /// The state that a saved game makes; nothing is touched.
    fn read(&self, read: &mut Read<'_>) -> Result<State, SessionError> {
        if read.take(MAGIC.len())? != MAGIC {
            return Err(bad("it does not begin with the mark of a saved game"));
        }
        let mut version = [0; 2];
        version.copy_from_slice(read.take(2)?);
        let version = u16::from_le_bytes(version);
        if !(1..=VERSION).contains(&version) {
            return Err(bad("it is of a newer version of this library"));
        }
        if *read.take(16)? != checksum(read.0) {
            return Err(bad("it is damaged, for its checksum is another one"));
        }
        let mut weights = [0; 16];
        read.bytes(&mut weights)?;
        let mut sizes = [0; 6];
        sizes.iter_mut().try_for_each(|value| size(read, value))?;
        if weights != self.weights.0.to_le_bytes() || sizes != self.dimensions() {
            return Err(SessionError::SavedOfAnother);
        }
        let same = self.same_rings(read)?;
        let mut state = self.state.clone();
        state.cursor = Cursor::START;
        (state.recache, state.placed.left) = (None, 0);
        game(&mut state, self.rules.width, read, version)?;
        state.kept.clear();
        state.watch.clear();
        self.frames(&mut state, same, read)?;
        if !read.0.is_empty() {
            return Err(bad("it is longer than it should be"));
        }
        state.told().for_each(|told| told.valid = false);
        state.pictures = self.picture_of(state.position);
        state.chunk_tickets = (state.acts.ticket, state.current_ticket);
        state.shown_tickets = state.chunk_tickets;
        state.restoring = state.kept.first(0);
        state.changes.reserve();
        self.check(&state)?;
        Ok(state)
    }

    /// Whether rings show the same frames as those of the session that was saved.
    fn same_rings(&self, read: &mut Read<'_>) -> Result<bool, SessionError> {
        let mut count = 0;
        size(read, &mut count)?;
        let mut same = count == self.settled.rings.len();
        if count == 0 || count > causeway_ops::GROUPS || count > 1 && !same {
            return Err(bad("its layers keep other frames"));
        }
        for at in 0..count {
            let mut found = [0; 4];
            found.iter_mut().try_for_each(|value| size(read, value))?;
            same &= found == shape(&self.settled.rings[at]);
        }
        if count > 1 && !same {
            return Err(bad("its layers keep other frames"));
        }
        Ok(same)
    }

    /// Reads frames; where rings show other ones than those of the session that was saved, the newest for which there is room, which count
    /// from 0 then.
    fn frames(&self, state: &mut State, same: bool, read: &mut Read<'_>) -> Result<(), SessionError> {
        let (len, entries) = state.kept.sizes();
        let mut count = 0;
        size(read, &mut count)?;
        let end = state.ring;
        let room = self.settled.ring().window.min(usize::try_from(end).unwrap_or(usize::MAX));
        let skipped = if same { 0 } else { count.saturating_sub(room) };
        let mut before = None;
        for at in 0..count {
            let mut number = 0;
            read.number(&mut number)?;
            if number >= end || before.is_some_and(|before| number <= before) {
                return Err(bad("its frames are out of order"));
            }
            before = Some(number);
            let (halves, floats) = (read.take(2 * len)?, read.take(4 * entries)?);
            if at < skipped {
                continue;
            }
            let latents: Vec<f16> = halves.as_chunks::<2>().0.iter().map(|half| f16::from_le_bytes(*half)).collect();
            let actions: Vec<f32> = floats.as_chunks::<4>().0.iter().map(|float| f32::from_le_bytes(*float)).collect();
            let number = if same { number } else { (at - skipped) as u64 };
            let wanted = !same || state.kept.wants(&self.settled.rings, end, number);
            if wanted && !state.kept.put(number, &latents, &actions) {
                return Err(bad("it holds more frames than a stream sees"));
            }
        }
        if !same {
            state.ring = (count - skipped) as u64;
        }
        Ok(())
    }
}

/// Sizes of a ring that say which frames it shows.
fn shape(ring: &Ring) -> [usize; 4] {
    [ring.window, ring.every, ring.sink, ring.chunk]
}

/// Bytes of prompts in half precision beyond which they are stored as bytes: whoever has longer ones has many rows, of which none counts for much.
const MOST_HALVES: usize = 2 << 20;

/// Values of a game's prompts.
fn values(state: &State, width: usize) -> usize {
    let slots = state.slots.iter().map(|slot| slot.rows * width).sum::<usize>();
    slots + [&state.prompt, &state.negative].into_iter().flatten().map(Told::saved_values).sum::<usize>()
}

/// How so many values of prompts are stored.
fn how(values: usize) -> Stored {
    if 2 * values > MOST_HALVES { Stored::Bytes } else { Stored::Halves }
}

/// The game, as a list of fields.
fn game(state: &mut State, width: usize, fields: &mut dyn Fields, version: u16) -> Result<(), SessionError> {
    let (first, mut prompts) = (version == 1, how(values(state, width)));
    if first {
        prompts = Stored::Halves;
    } else {
        one_of(fields, &mut prompts, &[Stored::Halves, Stored::Bytes])?;
    }
    for number in [&mut state.seed, &mut state.position, &mut state.ring] {
        fields.number(number)?;
    }
    let mut event = u64::from(state.event);
    fields.number(&mut event)?;
    state.event = u32::try_from(event).map_err(|_| bad("an event is out of range"))?;
    for number in [&mut state.change_ticket, &mut state.current_ticket] {
        fields.number(number)?;
    }
    state.acts.saved(fields)?;
    state.rows.as_mut().map_or(Ok(()), |rows| rows.saved(fields))?;
    fields.floats(&mut state.movement.action)?;
    size(fields, &mut state.movement.left)?;
    fields.number(&mut state.movement.ticket)?;
    state.changes.fields(fields)?;
    if let Some(told) = &mut state.events {
        told.saved(fields, Stored::Halves, first)?;
    }
    for told in [&mut state.prompt, &mut state.negative].into_iter().flatten() {
        told.saved(fields, prompts, first)?;
    }
    let mut slots = state.slots.len();
    size(fields, &mut slots)?;
    if slots > state.slots.len() {
        return Err(bad("it holds more prompts than this session has slots for"));
    }
    for slot in state.slots.iter_mut().take(slots) {
        size(fields, &mut slot.rows)?;
        stored(fields, &mut slot.values, slot.rows.checked_mul(width).ok_or(TOO_LONG)?, prompts)?;
    }
    flag(fields, &mut state.prompted.0)?;
    flag(fields, &mut state.prompted.1)?;
    fields.number(&mut state.chunk)?;
    flag(fields, &mut state.cut)
}
