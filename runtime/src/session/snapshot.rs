//! Snapshots: the same future again, for save games, rewind and rollback.

use alloc::vec::Vec;
use core::iter;

use causeway_ops::memory::filled;
use twox_hash::XxHash3_128;

use super::{
    arena::sound,
    changes::{Sink, Way},
    cursor::Cursor,
    error::SessionError,
    fields::{Count, Fields, RANGE, Read, Write},
    pump::at,
    receipt::Receipt,
    rules::MIX,
    session::Session,
    state::State,
    taken::Taken,
    told::Told,
};
use crate::model::{ProgramId, Then};

const MAGIC: &[u8; 8] = b"CWSNAP\0\x05";

/// Bytes of a checksum (XXH3-128 of all that follows it), and of an identity.
const HASH: usize = 16;

/// The XXH3-128 of bytes, little-endian: what tells that a snapshot was damaged.
pub(super) fn checksum(bytes: &[u8]) -> [u8; HASH] {
    // All at once: a hash in pieces would allocate.
    XxHash3_128::oneshot(bytes).to_le_bytes()
}

/// A session's whole state as bytes, for rewind and rollback: any moment, bit for bit. Valid for a session of the same weights, options, build
/// of the library, and kernels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot(Vec<u8>);

impl Snapshot {
    /// The bytes, for storing.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Takes stored bytes; they are checked by [`Session::restore`].
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

fn seal(bytes: &mut [u8]) {
    let (mark, rest) = bytes.split_at_mut(MAGIC.len());
    let (sum, rest) = rest.split_at_mut(HASH);
    mark.copy_from_slice(MAGIC);
    sum.copy_from_slice(&checksum(rest));
}

/// Most bytes of a snapshot of a session in such a state, with `queue` frames of `frame` bytes held and an arena of `arena` bytes.
pub(super) fn bytes(state: &State, queue: usize, frame: usize, arena: usize) -> Result<usize, SessionError> {
    let mut state = state.clone();
    // As many changes as can wait.
    state.changes.fill();
    let (mut fields, mut receipt) = (Count::default(), Count::default());
    state.fields(&mut fields)?;
    Receipt::default().fields(&mut receipt)?;
    // Mark, checksum, identity, number of frames.
    Ok(MAGIC.len() + 2 * HASH + 8 + fields.0 + queue * (receipt.0 + frame) + arena)
}

impl Session {
    /// Saves everything that determines the future: arena, place in the plan, queued changes, finished frames. Waits for
    /// submitted GPU work.
    ///
    /// # Errors
    /// [`SessionError::Backend`].
    pub fn snapshot(&mut self) -> Result<Snapshot, SessionError> {
        let mut bytes = filled(0, self.snapshot_bytes())?;
        self.snapshot_into(&mut bytes)?;
        Ok(Snapshot(bytes))
    }

    /// Bytes of a snapshot taken now.
    pub fn snapshot_bytes(&mut self) -> usize {
        let mut count = Count::default();
        // Counting does not fail.
        _ = self.head(&mut count);
        MAGIC.len() + HASH + count.0 + self.backend.arena_bytes()
    }

    /// [`snapshot`](Self::snapshot) into memory of the caller's, of exactly [`snapshot_bytes`](Self::snapshot_bytes).
    ///
    /// # Errors
    /// [`SessionError::Backend`], [`SessionError::Snapshot`] for memory of another size.
    pub fn snapshot_into(&mut self, bytes: &mut [u8]) -> Result<(), SessionError> {
        if bytes.len() != self.snapshot_bytes() {
            return Err(SessionError::Snapshot("the memory for it has another size"));
        }
        let arena = self.write_head(bytes)?;
        self.backend.save(arena)?;
        seal(bytes);
        Ok(())
    }

    /// Begins a [`snapshot`](Self::snapshot) of this moment without waiting for the device: a page, which cannot wait, takes snapshots so.
    /// [`poll_snapshot`](Self::poll_snapshot) delivers it, and the stream may go on meanwhile. One that was begun before and not delivered is
    /// forgotten.
    ///
    /// # Errors
    /// [`SessionError::Backend`].
    pub fn begin_snapshot(&mut self) -> Result<(), SessionError> {
        let mut bytes = filled(0, self.snapshot_bytes())?;
        let arena = self.write_head(&mut bytes)?;
        let whole = self.backend.begin_save(arena)?;
        self.taken = Some(Taken { bytes, whole });
        Ok(())
    }

    /// The snapshot that was begun, once it is there; none when none was begun.
    ///
    /// # Errors
    /// [`SessionError::Backend`], after which there is none.
    pub fn poll_snapshot(&mut self) -> Result<Option<Snapshot>, SessionError> {
        let Some(mut taken) = self.taken.take() else { return Ok(None) };
        if !taken.whole {
            let head = taken.bytes.len() - self.backend.arena_bytes();
            taken.whole = self.backend.poll_save(&mut taken.bytes[head..])?;
        }
        if !taken.whole {
            self.taken = Some(taken);
            return Ok(None);
        }
        seal(&mut taken.bytes);
        Ok(Some(Snapshot(taken.bytes)))
    }

    /// Writes what lies before the arena, but for mark and checksum; the rest is the arena's place.
    fn write_head<'b>(&mut self, bytes: &'b mut [u8]) -> Result<&'b mut [u8], SessionError> {
        let mut write = Write(&mut bytes[MAGIC.len() + HASH..]);
        self.head(&mut write)?;
        Ok(write.0)
    }

    /// What lies before the arena.
    fn head(&mut self, fields: &mut dyn Fields) -> Result<(), SessionError> {
        fields.bytes(&mut self.identity.to_le_bytes())?;
        self.state.fields(fields)?;
        self.queue.fields(fields)
    }

    /// Returns to a snapshot. On an error the session is as it was before the call, except for a backend failure.
    ///
    /// # Errors
    /// [`SessionError::Snapshot`], [`SessionError::SnapshotOfAnother`], [`SessionError::Backend`].
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<(), SessionError> {
        self.restore_bytes(&snapshot.0)
    }

    /// [`restore`](Self::restore) from bytes of a snapshot.
    ///
    /// # Errors
    /// As [`restore`](Self::restore).
    pub fn restore_bytes(&mut self, snapshot: &[u8]) -> Result<(), SessionError> {
        let mut read = Read(snapshot);
        if read.take(MAGIC.len())? != MAGIC {
            return Err(SessionError::Snapshot("it does not begin with the snapshot mark of this version"));
        }
        if *read.take(HASH)? != checksum(read.0) {
            return Err(SessionError::Snapshot("it is damaged, for its checksum is another one"));
        }
        if *read.take(HASH)? != self.identity.to_le_bytes() {
            return Err(SessionError::SnapshotOfAnother);
        }
        let mut state = self.state.clone();
        state.fields(&mut read)?;
        self.check(&state)?;
        let frames = self.queue.read(&mut read)?;
        let arena = read.take(self.backend.arena_bytes())?;
        if !read.0.is_empty() {
            return Err(SessionError::Snapshot("it is longer than it should be"));
        }
        let at = at(self, &state.cursor).map(|(_, step)| (step.pass, state.cursor.node));
        if !sound(self.backend.as_ref(), arena, at) {
            return Err(SessionError::Snapshot("its state is not made of numbers, or of ones beyond all measure"));
        }
        self.backend.load(arena)?;
        self.queue.put(frames);
        state.changes.reserve();
        self.take_up(state);
        Ok(())
    }

    /// Is in such a state from now on; what belongs to the host's time begins now.
    pub(super) fn take_up(&mut self, state: State) {
        self.state = state;
        self.reading = false;
        (self.began, self.rested) = (self.clock.micros(), 0);
        self.pacer.forget_shown();
        if self.governor.is_none() {
            // Nobody would give it back.
            self.state.eased = 0;
        }
    }

    /// Whether a session of this plan can be so.
    pub(super) fn check(&self, state: &State) -> Result<(), SessionError> {
        let (settled, opening) = (&self.settled, self.opening.frames as u64);
        let told = [&state.events, &state.prompt, &state.negative].into_iter().flatten();
        let texts = [&state.prompt, &state.negative].into_iter().flatten().map(Told::most_rows);
        let rows_hold = state.slots.iter().map(|slot| slot.rows).chain(texts).all(|rows| rows <= settled.rows);
        let opens = state.position >= opening || settled.whole(state.position as usize);
        let mut ways = state.changes.waiting.iter().map(|queued| queued.way).chain(told.map(|told| told.way));
        let recaches = if settled.recache {
            let whole = |(history, frames)| self.stream.programs.recaching(history, frames).is_some();
            let recaching = |sink| state.recaching(settled.ring(), sink);
            [Sink::Kept, Sink::Refreshed].into_iter().filter_map(recaching).all(whole)
        } else {
            state.recache.is_none() && ways.all(|way| way != Way::Recache)
        };
        let counts = rows_hold
            && state.changes.sound(settled.slots)
            && opens
            && state.ring <= state.position
            && state.kept.fits(state.ring, state.restoring);
        let qualities = &self.rules.qualities;
        let made = qualities.has(state.asked)
            && qualities.has(state.quality)
            && state.eased <= qualities.rungs(state.asked)
            && (1..=self.rules.pictures).contains(&state.chunk_rows);
        if counts && made && recaches && self.plausible(state) && self.measured(state) { Ok(()) } else { Err(RANGE) }
    }

    /// Whether all that it is told are numbers that a host could have given.
    fn measured(&self, state: &State) -> bool {
        let limits = &self.settled.limits;
        let below = |values: &[f32], most: f32| values.iter().all(|value| value.abs() <= most);
        let slots = state.slots.iter().all(|slot| below(&slot.values, limits.prompt));
        let prompts = [&state.prompt, &state.negative].into_iter().flatten().all(|told| told.below(limits.prompt));
        let events = state.events.iter().all(|told| told.below(1.0 + MIX)) && below(&state.changes.mixes, 1.0 + MIX);
        let rows = state.rows.as_ref().is_none_or(|rows| rows.below(limits.action));
        let actions = rows && state.acts.below(limits.action) && below(&state.movement.action, limits.action);
        slots && prompts && events && actions && state.kept.sound(limits.action) && state.watch.sound()
    }

    /// Whether no group of layers sees more history than there is room for.
    fn seen(&self, cursor: &Cursor) -> bool {
        let windows = self.settled.rings.iter().map(|ring| ring.window).chain(iter::repeat(0));
        cursor.history.iter().zip(windows).all(|(&history, window)| history as usize <= window)
    }

    /// Whether a session can be there: at a node of a step's pass of a program that its state asks for, at a noise level that there is, with as
    /// much history as there is room for.
    fn plausible(&self, state: &State) -> bool {
        let cursor = &state.cursor;
        let Some(program) = cursor.program else { return *cursor == Cursor::START };
        let begins = state.position == 0;
        let due = match program {
            ProgramId::Condition(side) => state.unconditioned() == Some(side),
            ProgramId::Recache(_) => {
                let recached = state.recached(self.settled.ring());
                recached.and_then(|(history, frames)| self.stream.programs.recaching(history, frames)) == Some(program)
            }
            ProgramId::Chunk(first) | ProgramId::Given(first) => first == begins,
            ProgramId::Picture => begins,
            ProgramId::Placed => !begins || self.opening.frames == 0,
            ProgramId::Restore(_) => state.restoring.is_some(),
        };
        let Some((_, step)) = at(self, cursor).filter(|_| due) else { return false };
        let nodes = self.backend.plan().pass(step.pass).nodes.len();
        let part = cursor.part == 0 || cursor.node < nodes && cursor.part < self.backend.parts(step.pass, cursor.node);
        (if cursor.giving {
            cursor.node == nodes && matches!(step.then, Then::Give | Then::Judge)
        } else {
            cursor.node < nodes
        }) && part
            && cursor.level < self.settled.schedule(begins, state.quality.steps).len()
            && self.seen(cursor)
    }
}
