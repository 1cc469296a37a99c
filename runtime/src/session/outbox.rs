//! Frames that wait for the host, and how a snapshot holds them.

use alloc::vec::Vec;

use causeway_ops::memory::Refused;

use super::{
    error::SessionError,
    fields::{Count, Read, Write},
    receipt::{Queue, Receipt},
    session::Session,
    snapshot::checksum,
};

/// Bytes of the checksum of all that follows it here; the session's own part of a snapshot has another one.
const SUM: usize = 16;

/// Longest time that a frame is held, microseconds.
const MOST_HELD: u64 = 30_000_000;

/// Finished frames, oldest first, past the session's lock.
pub(super) struct Outbox(Queue);

impl Outbox {
    /// Room for `queue` frames of `frame` bytes.
    pub fn new(queue: usize, frame: usize) -> Result<Self, Refused> {
        Queue::new(queue, frame).map(Self)
    }

    /// Takes finished frames as far as there is room.
    pub fn fill(&mut self, session: &mut Session) {
        while let Some(receipt) = self.0.next_buffer().and_then(|buffer| session.swap_frame(buffer)) {
            self.0.push(receipt);
        }
    }

    /// Frames that wait.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no room for another one.
    pub fn is_full(&self) -> bool {
        self.0.is_full()
    }

    /// Takes the oldest frame, if it should be shown at `now`, after `write` has seen it; it stays when that fails.
    pub fn take<E>(
        &mut self,
        now: u64,
        write: impl FnOnce(&Receipt, &[u8]) -> Result<(), E>,
    ) -> Result<Option<Receipt>, E> {
        // One that should be shown so late was made before the clock was turned back.
        let due = |present: u64| present <= now || present > now.saturating_add(MOST_HELD);
        let Some((receipt, pixels)) = self.0.front().filter(|(receipt, _)| due(receipt.present)) else {
            return Ok(None);
        };
        write(&receipt, pixels)?;
        self.0.pop();
        Ok(Some(receipt))
    }

    /// Drops finished frames.
    pub fn empty(&mut self) {
        self.0.clear();
    }

    /// Bytes of its part of a snapshot.
    pub fn bytes(&mut self) -> usize {
        let mut count = Count::default();
        // Counting does not fail.
        _ = self.0.fields(&mut count);
        SUM + count.0
    }

    /// Writes its part to `to`, which is as long as [`Self::bytes`] says.
    pub fn write(&mut self, to: &mut [u8]) -> Result<(), SessionError> {
        let (sum, rest) = to.split_at_mut(SUM);
        self.0.fields(&mut Write(rest))?;
        sum.copy_from_slice(&checksum(rest));
        Ok(())
    }

    /// Its part at the beginning of a snapshot, if the frames fit here, and what follows.
    pub fn part<'a>(&self, snapshot: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), SessionError> {
        let mut read = Read(snapshot);
        let sum = read.take(SUM)?;
        let whole = read.0;
        let bytes = 8 + self.0.count(&mut read)? * (receipt_bytes() + self.0.frame_bytes());
        let (frames, state) = whole.split_at_checked(bytes).ok_or(SessionError::Snapshot("it ends too early"))?;
        if *sum != checksum(frames) {
            return Err(SessionError::Snapshot("it is damaged, for its checksum is another one"));
        }
        Ok((frames, state))
    }

    /// The frames of such a part, read and checked; [`Self::put`] takes them.
    pub fn read<'a>(&self, part: &'a [u8]) -> Result<Vec<(Receipt, &'a [u8])>, SessionError> {
        self.0.read(&mut Read(part))
    }

    /// Holds these frames from now on, in place of its own.
    pub fn put(&mut self, frames: Vec<(Receipt, &[u8])>) {
        self.0.put(frames);
    }
}

fn receipt_bytes() -> usize {
    let mut count = Count::default();
    // Counting does not fail.
    _ = Receipt::default().fields(&mut count);
    count.0
}

/// Bytes that `count` frames of `frame` bytes take in a snapshot at most.
pub(super) fn snapshot_bytes(count: usize, frame: usize) -> usize {
    SUM + 8 + count * (receipt_bytes() + frame)
}
