//! Frames that wait for the host, and how a snapshot holds them.

use std::collections::VecDeque;

use causeway_runtime::{Receipt, Session};

use crate::{
    error::Error,
    types::{CW_ERROR_SNAPSHOT, CwStatus},
};

/// Finished frames, oldest first, and buffers for more.
pub struct Outbox {
    pub ready: VecDeque<(Receipt, Vec<u8>)>,
    pub free: Vec<Vec<u8>>,
    /// Why the worker thread ended, for the next poll.
    pub failure: Option<(CwStatus, String)>,
}

impl Outbox {
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

    /// Drops finished frames.
    pub fn empty(&mut self) {
        while let Some((_, buffer)) = self.ready.pop_front() {
            self.free.push(buffer);
        }
    }

    /// Writes the frames to `to`, which is as long as [`snapshot_bytes`] says.
    pub fn write(&self, mut to: &mut [u8]) {
        put(&mut to, &(self.ready.len() as u64).to_le_bytes());
        for (receipt, pixels) in &self.ready {
            pack(receipt).iter().for_each(|value| put(&mut to, &value.to_le_bytes()));
            put(&mut to, pixels);
        }
    }

    /// The frames at the beginning of a snapshot, if they fit here, and what follows.
    pub fn frames_of<'a>(&self, snapshot: &'a [u8], frame: usize) -> Result<(&'a [u8], &'a [u8]), Error> {
        let short = || Error::new(CW_ERROR_SNAPSHOT, "the snapshot cannot be read: it ends too early");
        let (count, rest) = snapshot.split_first_chunk::<8>().ok_or_else(short)?;
        let count = usize::try_from(u64::from_le_bytes(*count)).map_err(|_| short())?;
        if count > self.ready.len() + self.free.len() {
            return Err(Error::new(
                CW_ERROR_SNAPSHOT,
                "the snapshot cannot be read: it holds more frames than the queue",
            ));
        }
        rest.split_at_checked(count * (RECEIPT + frame)).ok_or_else(short)
    }

    /// Holds these `frames` of a snapshot from now on, in place of its own.
    pub fn read(&mut self, frames: &[u8], frame: usize) {
        self.empty();
        for one in frames.chunks_exact(RECEIPT + frame) {
            let (receipt, pixels) = one.split_at(RECEIPT);
            let Some(mut buffer) = self.free.pop() else { break };
            buffer.copy_from_slice(pixels);
            self.ready.push_back((unpack(receipt), buffer));
        }
    }
}

/// Bytes that `count` frames of `frame` bytes take in a snapshot.
pub fn snapshot_bytes(count: usize, frame: usize) -> usize {
    8 + count * (RECEIPT + frame)
}

/// Bytes of a receipt in a snapshot.
const RECEIPT: usize = 8 * 7;

/// A receipt as a snapshot has it.
fn pack(r: &Receipt) -> [u64; 7] {
    let flags = u64::from(r.first_of_action) | u64::from(r.first_of_event) << 1;
    [r.frame, r.action, flags, u64::from(r.event), r.event_ticket, r.began, r.ready]
}

/// A receipt from a snapshot, of which `bytes` are those of one.
fn unpack(bytes: &[u8]) -> Receipt {
    let mut values = [0; 7];
    values.iter_mut().zip(bytes.as_chunks().0).for_each(|(value, bytes)| *value = u64::from_le_bytes(*bytes));
    let [frame, action, flags, event, event_ticket, began, ready] = values;
    let (first_of_action, first_of_event) = (flags & 1 != 0, flags & 2 != 0);
    Receipt { frame, action, first_of_action, event: event as u32, event_ticket, first_of_event, began, ready }
}

/// Writes `bytes` to the beginning of `to`, which then is what follows.
fn put(to: &mut &mut [u8], bytes: &[u8]) {
    let (head, tail) = std::mem::take(to).split_at_mut(bytes.len());
    head.copy_from_slice(bytes);
    *to = tail;
}
