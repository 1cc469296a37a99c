//! Snapshots: the same future again, for save games, rewind and rollback.

use alloc::vec::Vec;

use causeway_ops::memory::filled;

use super::{
    Queued, Receipt, Session, SessionError,
    pump::{Cursor, Stage, pass},
};

const MAGIC: &[u8; 8] = b"CWSNAP\0\x02";
/// Numbers that every snapshot holds, but for the action vector and the event in force.
const FIELDS: usize = 20;
/// Largest number of a frame or of a ticket: no stream gets there, and one more can always be counted.
const MOST: u64 = 1 << 60;
/// Numbers in a receipt.
const RECEIPT: usize = 7;

/// A session's whole state as bytes. Valid for a session of the same model, options and backend.
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

impl Session {
    /// Saves everything that determines the future: arena, place in the plan, queued events, finished frames. Waits for
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
    pub fn snapshot_bytes(&self) -> usize {
        let fields = FIELDS + 2 * self.action.len() + 3 + 3 * self.events.waiting.len() + RECEIPT * self.queue.len();
        MAGIC.len() + 8 * fields + self.queue.len() * 4 * self.width * self.height + self.backend.arena_bytes()
    }

    /// Most bytes that a snapshot can take: with `actions` entries in an action vector, `queue` frames of `frame` bytes held and an arena
    /// of `arena` bytes.
    pub fn most_snapshot_bytes(actions: usize, queue: usize, frame: usize, arena: usize) -> usize {
        let fields = FIELDS + 2 * actions + 3 + 3 * super::events::CAPACITY + RECEIPT * queue;
        MAGIC.len() + 8 * fields + queue * frame + arena
    }

    /// [`snapshot`](Self::snapshot) into memory of the caller's, of exactly [`snapshot_bytes`](Self::snapshot_bytes).
    ///
    /// # Errors
    /// [`SessionError::Backend`], [`SessionError::Snapshot`] for memory of another size.
    pub fn snapshot_into(&mut self, bytes: &mut [u8]) -> Result<(), SessionError> {
        if bytes.len() != self.snapshot_bytes() {
            return Err(SessionError::Snapshot("the memory for it has another size"));
        }
        let mut w = Writer { bytes, at: 0 };
        w.write(MAGIC);
        put(&mut w, self.fingerprint);
        let (stage, argument) = encode(self.cursor.stage);
        let cursor = &self.cursor;
        for value in [stage, argument, cursor.node as u64, u64::from(cursor.opening), u64::from(cursor.history)] {
            put(&mut w, value);
        }
        let tickets = [self.chunk_tickets.0, self.chunk_tickets.1, self.shown_tickets.0, self.shown_tickets.1];
        for value in
            [self.frame, self.opening.next as u64, self.action_ticket, self.event_ticket].into_iter().chain(tickets)
        {
            put(&mut w, value);
        }
        put(&mut w, u64::from(self.seed[0]) | u64::from(self.seed[1]) << 32);
        put(&mut w, u64::from(self.conditioned));
        [self.movement.left as u64, self.movement.ticket].iter().for_each(|&value| put(&mut w, value));
        let actions = self.action.iter().chain(&self.movement.action);
        actions.for_each(|value| put(&mut w, u64::from(value.to_bits())));
        put_event(&mut w, self.current);
        put(&mut w, self.events.waiting.len() as u64);
        self.events.waiting.iter().for_each(|&queued| put_event(&mut w, queued));
        put(&mut w, self.queue.len() as u64);
        for (receipt, pixels) in self.queue.iter() {
            put_receipt(&mut w, &receipt);
            w.write(pixels);
        }
        let at = w.at;
        self.backend.save(&mut bytes[at..])?;
        Ok(())
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
        let mut r = Reader(snapshot);
        if r.take(MAGIC.len())? != MAGIC {
            return Err(SessionError::Snapshot("it does not begin with the snapshot mark of this version"));
        }
        if r.u64()? != self.fingerprint {
            return Err(SessionError::SnapshotOfAnother);
        }
        let stage = decode(r.u64()?, r.u64()?, self)?;
        let cursor = Cursor { stage, node: r.size()?, opening: r.u64()? != 0, history: r.u64()? as u32 };
        let [frame, next, action_ticket, event_ticket] = [r.u64()?, r.u64()?, r.u64()?, r.u64()?];
        let (chunk_tickets, shown_tickets) = ((r.u64()?, r.u64()?), (r.u64()?, r.u64()?));
        let seed = r.u64()?;
        let conditioned = r.u64()? != 0;
        let (left, ticket) = (r.size()?, r.u64()?);
        if left > self.movement.latch {
            return Err(SessionError::Snapshot("a movement lasts longer than one can"));
        }
        let mut actions = Vec::with_capacity(2 * self.action.len());
        for _ in 0..2 * self.action.len() {
            actions.push(f32::from_bits(r.u64()? as u32));
        }
        let current = r.event(self.event_names.len())?;
        let mut waiting = Vec::with_capacity(super::events::CAPACITY);
        let count = r.size()?;
        let counts = [frame, action_ticket, event_ticket, ticket];
        let tickets = [chunk_tickets.0, chunk_tickets.1, shown_tickets.0, shown_tickets.1];
        if count > super::events::CAPACITY
            || next as usize > self.opening.frames()
            || !self.plausible(&cursor)
            || counts.into_iter().chain(tickets).any(|count| count > MOST)
        {
            return Err(SessionError::Snapshot("a count is out of range"));
        }
        for _ in 0..count {
            waiting.push(r.event(self.event_names.len())?);
        }
        let (mut frames, count) = (Vec::new(), r.size()?);
        if count > self.queue.capacity() {
            return Err(SessionError::Snapshot("it holds more frames than the queue"));
        }
        for _ in 0..count {
            frames.push((r.receipt()?, r.take(4 * self.width * self.height)?));
        }
        let arena = r.take(self.backend.arena_bytes())?;
        if !r.0.is_empty() {
            return Err(SessionError::Snapshot("it is longer than it should be"));
        }
        self.backend.load(arena)?;
        self.queue.clear();
        for (receipt, pixels) in frames {
            // There is room: they were counted.
            if let Some(buffer) = self.queue.next_buffer() {
                buffer.copy_from_slice(pixels);
                self.queue.push(receipt);
            }
        }
        self.cursor = cursor;
        self.frame = frame;
        self.opening.next = next as usize;
        (self.action_ticket, self.event_ticket) = (action_ticket, event_ticket);
        (self.chunk_tickets, self.shown_tickets) = (chunk_tickets, shown_tickets);
        self.seed = [seed as u32, (seed >> 32) as u32];
        self.conditioned = conditioned;
        let (action, movement) = actions.split_at(self.action.len());
        self.action.copy_from_slice(action);
        self.movement.action.copy_from_slice(movement);
        (self.movement.left, self.movement.ticket) = (left, ticket);
        self.current = current;
        self.events.waiting = waiting;
        self.reading = false;
        Ok(())
    }

    /// Whether a session can be there: at a node of the stage's pass, at the one frame of a start, with as much history as there is room for.
    fn plausible(&self, cursor: &Cursor) -> bool {
        let pass = pass(&self.world.passes, cursor.stage, cursor.opening);
        let nodes = pass.map_or(1, |pass| self.backend.plan().pass(pass).nodes.len());
        let first = matches!(cursor.stage, Stage::Decode(frame) | Stage::Read(frame) if frame > 0);
        cursor.node < nodes && !(cursor.opening && first) && cursor.history as usize <= self.settled.ring.max_history()
    }
}

fn encode(stage: Stage) -> (u64, u64) {
    match stage {
        Stage::Begin => (0, 0),
        Stage::Condition => (1, 0),
        Stage::Encode => (2, 0),
        Stage::Noise => (3, 0),
        Stage::Denoise(i) => (4, u64::from(i)),
        Stage::Decode(f) => (5, u64::from(f)),
        Stage::Read(f) => (6, u64::from(f)),
        Stage::Commit => (7, 0),
    }
}

fn decode(stage: u64, argument: u64, s: &Session) -> Result<Stage, SessionError> {
    let index = |limit: usize| {
        let inside = (argument as usize) < limit;
        if inside { Ok(argument as u32) } else { Err(SessionError::Snapshot("a stage is out of range")) }
    };
    Ok(match stage {
        0 => Stage::Begin,
        1 => Stage::Condition,
        2 => Stage::Encode,
        3 => Stage::Noise,
        4 => Stage::Denoise(index(s.settled.sigmas.len())?),
        5 => Stage::Decode(index(s.settled.ring.chunk)?),
        6 => Stage::Read(index(s.settled.ring.chunk)?),
        7 => Stage::Commit,
        _ => return Err(SessionError::Snapshot("an unknown stage")),
    })
}

/// Fills memory whose size was worked out before.
struct Writer<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn write(&mut self, bytes: &[u8]) {
        self.bytes[self.at..][..bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }
}

fn put(w: &mut Writer<'_>, value: u64) {
    w.write(&value.to_le_bytes());
}

fn put_event(w: &mut Writer<'_>, queued: Queued) {
    [u64::from(queued.event), queued.ticket, queued.from].into_iter().for_each(|value| put(w, value));
}

fn put_receipt(w: &mut Writer<'_>, r: &Receipt) {
    let flags = u64::from(r.first_of_action) | u64::from(r.first_of_event) << 1;
    [r.frame, r.action, flags, u64::from(r.event), r.event_ticket, r.began, r.ready]
        .into_iter()
        .for_each(|value| put(w, value));
}

/// Reads a snapshot's fields in order; every read is checked.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], SessionError> {
        let (head, tail) = self.0.split_at_checked(len).ok_or(SessionError::Snapshot("it ends too early"))?;
        self.0 = tail;
        Ok(head)
    }

    fn u64(&mut self) -> Result<u64, SessionError> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(bytes))
    }

    fn size(&mut self) -> Result<usize, SessionError> {
        usize::try_from(self.u64()?).map_err(|_| SessionError::Snapshot("a count is out of range"))
    }

    fn event(&mut self, events: usize) -> Result<Queued, SessionError> {
        let queued = Queued { event: self.u64()? as u32, ticket: self.u64()?, from: self.u64()? };
        if queued.event as usize >= events {
            return Err(SessionError::Snapshot("an event is out of range"));
        }
        Ok(queued)
    }

    fn receipt(&mut self) -> Result<Receipt, SessionError> {
        let [frame, action, flags, event, event_ticket, began, ready] =
            [self.u64()?, self.u64()?, self.u64()?, self.u64()?, self.u64()?, self.u64()?, self.u64()?];
        Ok(Receipt {
            frame,
            action,
            first_of_action: flags & 1 != 0,
            event: event as u32,
            event_ticket,
            first_of_event: flags & 2 != 0,
            began,
            ready,
        })
    }
}
