//! Frames that wait for the host, and how a snapshot holds them.

use alloc::{collections::VecDeque, vec::Vec};

use causeway_ops::memory::{Refused, filled};

use super::{
    error::SessionError,
    fields::{Count, Fields, Read, Write, size},
    receipt::Receipt,
    session::Session,
    snapshot::checksum,
};

/// Bytes of the checksum of all that follows it here; the session's own part of a snapshot has another one.
const SUM: usize = 16;

/// Finished frames, oldest first, and buffers for more. Allocated once.
pub(super) struct Outbox {
    ready: VecDeque<(Receipt, Vec<u8>)>,
    free: Vec<Vec<u8>>,
    frame: usize,
}

impl Outbox {
    /// Room for `queue` frames of `frame` bytes.
    pub fn new(queue: usize, frame: usize) -> Result<Self, Refused> {
        let free = (0..queue).map(|_| filled(0, frame)).collect::<Result<_, _>>()?;
        Ok(Self { ready: VecDeque::with_capacity(queue), free, frame })
    }

    /// Takes finished frames as far as there is room.
    pub fn fill(&mut self, session: &mut Session) {
        while let Some(mut buffer) = self.free.pop() {
            match session.swap_frame(&mut buffer) {
                Some(receipt) => self.ready.push_back((receipt, buffer)),
                None => {
                    self.free.push(buffer);
                    break;
                }
            }
        }
    }

    /// Frames that wait.
    pub fn len(&self) -> usize {
        self.ready.len()
    }

    /// Whether there is no room for another one.
    pub fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    /// Takes the oldest frame after `write` has seen it; it stays when that fails.
    pub fn take<E>(&mut self, write: impl FnOnce(&Receipt, &[u8]) -> Result<(), E>) -> Result<Option<Receipt>, E> {
        let Some((receipt, pixels)) = self.ready.front() else { return Ok(None) };
        write(receipt, pixels)?;
        let taken = self.ready.pop_front();
        Ok(taken.map(|(receipt, pixels)| {
            self.free.push(pixels);
            receipt
        }))
    }

    /// Drops finished frames.
    pub fn empty(&mut self) {
        while let Some((_, buffer)) = self.ready.pop_front() {
            self.free.push(buffer);
        }
    }

    fn fields(&mut self, fields: &mut dyn Fields) -> Result<(), SessionError> {
        size(fields, &mut self.ready.len())?;
        for (receipt, pixels) in &mut self.ready {
            receipt.fields(fields)?;
            fields.bytes(pixels)?;
        }
        Ok(())
    }

    /// Bytes of its part of a snapshot.
    pub fn bytes(&mut self) -> usize {
        let mut count = Count::default();
        // Counting does not fail.
        _ = self.fields(&mut count);
        SUM + count.0
    }

    /// Writes its part to `to`, which is as long as [`Self::bytes`] says.
    pub fn write(&mut self, to: &mut [u8]) -> Result<(), SessionError> {
        let (sum, rest) = to.split_at_mut(SUM);
        self.fields(&mut Write(rest))?;
        sum.copy_from_slice(&checksum(rest));
        Ok(())
    }

    /// Its part at the beginning of a snapshot, if the frames fit here, and what follows.
    pub fn part<'a>(&self, snapshot: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), SessionError> {
        let mut read = Read(snapshot);
        let sum = read.take(SUM)?;
        let (whole, mut count) = (read.0, 0);
        size(&mut read, &mut count)?;
        if count > self.ready.len() + self.free.len() {
            return Err(SessionError::Snapshot("it holds more frames than the queue"));
        }
        let bytes = 8 + count * (receipt_bytes() + self.frame);
        let (frames, state) = whole.split_at_checked(bytes).ok_or(SessionError::Snapshot("it ends too early"))?;
        if *sum != checksum(frames) {
            return Err(SessionError::Snapshot("it is damaged, for its checksum is another one"));
        }
        Ok((frames, state))
    }

    /// The frames of such a part, read and checked; [`Self::put`] takes them.
    pub fn read<'a>(&self, part: &'a [u8]) -> Result<Vec<(Receipt, &'a [u8])>, SessionError> {
        let (mut read, mut count) = (Read(part), 0);
        size(&mut read, &mut count)?;
        let one = |_| {
            let mut receipt = Receipt::default();
            receipt.fields(&mut read)?;
            Ok((receipt, read.take(self.frame)?))
        };
        (0..count).map(one).collect()
    }

    /// Holds these frames from now on, in place of its own.
    pub fn put(&mut self, frames: Vec<(Receipt, &[u8])>) {
        self.empty();
        for (receipt, pixels) in frames {
            let Some(mut buffer) = self.free.pop() else { break };
            buffer.copy_from_slice(pixels);
            self.ready.push_back((receipt, buffer));
        }
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
