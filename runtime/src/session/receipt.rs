//! Frames on their way to the host, with receipts.

use alloc::{collections::VecDeque, vec::Vec};

use causeway_ops::memory::{Refused, filled};

use super::{
    error::SessionError,
    fields::{Fields, Read, flag, size, small},
    health::Health,
    quality::Quality,
};

/// What a frame is the first to show, and when it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Receipt {
    /// Number of the picture (without a codec: of the latent frame) in the stream, from 0.
    pub frame: u64,
    /// Ticket of the newest action the frame was made with ([`super::Session::set_action`]).
    pub action: u64,
    /// True if no earlier frame was made with that action.
    pub first_of_action: bool,
    /// Event in force (index); of a mix the strongest.
    pub event: u32,
    /// Ticket of the newest change in force ([`super::Session::queue_event`], [`super::Session::queue`]).
    pub event_ticket: u64,
    /// True if no earlier frame was made under that ticket.
    pub first_of_event: bool,
    /// When the frame's chunk took the action, microseconds on the session's clock.
    pub began: u64,
    /// When the frame's pixels reached the host side.
    pub ready: u64,
    /// When it should be shown: pictures of a chunk are ready at once, and are to be seen one after the other. As `ready` without a pace; 0, which
    /// is at once, after [`super::Session::restore`].
    pub present: u64,
    /// Number of its chunk; what the stream starts from counts too.
    pub chunk: u64,
    /// Number of the picture in its chunk, of `pictures`.
    pub picture: u32,
    /// Pictures of the chunk.
    pub pictures: u32,
    /// Row of the action that it was made with ([`super::Session::set_actions`]); 0 where there is one for all.
    pub action_row: u32,
    /// How far the changes under way are: parts in force, in 1/65536; 65536 when none is.
    pub share: u32,
    /// What the chunk was made with.
    pub quality: Quality,
    /// How the chunk's latents are.
    pub health: Health,
}

impl Receipt {
    /// Its fields, for a snapshot.
    pub(super) fn fields(&mut self, fields: &mut dyn Fields) -> Result<(), SessionError> {
        for number in [&mut self.frame, &mut self.action, &mut self.event_ticket, &mut self.began, &mut self.ready] {
            fields.number(number)?;
        }
        fields.number(&mut self.chunk)?;
        let small_ones =
            [&mut self.event, &mut self.picture, &mut self.pictures, &mut self.action_row, &mut self.share];
        small_ones.into_iter().try_for_each(|number| small(fields, number))?;
        self.quality.fields(fields)?;
        self.health.fields(fields)?;
        flag(fields, &mut self.first_of_action)?;
        flag(fields, &mut self.first_of_event)
    }
}

/// A finished frame, borrowed from the session until the next call that changes it.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// RGBA8, rows from the top, no padding.
    pub pixels: &'a [u8],
    /// Receipt.
    pub receipt: Receipt,
}

/// Finished frames in buffers that are allocated once.
pub(super) struct Queue {
    ready: VecDeque<(Receipt, Vec<u8>)>,
    free: Vec<Vec<u8>>,
    bytes: usize,
}

impl Queue {
    pub fn new(capacity: usize, bytes: usize) -> Result<Self, Refused> {
        let free = (0..capacity).map(|_| filled(0, bytes)).collect::<Result<_, _>>()?;
        Ok(Self { ready: VecDeque::with_capacity(capacity), free, bytes })
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        (self.ready.len() + self.free.len()) * self.bytes
    }

    /// Bytes of a frame.
    pub fn frame_bytes(&self) -> usize {
        self.bytes
    }

    pub fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    #[cfg(feature = "std")]
    pub fn len(&self) -> usize {
        self.ready.len()
    }

    /// Most frames that it holds.
    pub fn capacity(&self) -> usize {
        self.ready.len() + self.free.len()
    }

    /// The buffer that the next frame goes to, if there is room.
    pub fn next_buffer(&mut self) -> Option<&mut Vec<u8>> {
        self.free.last_mut()
    }

    /// Makes the frame in [`next_buffer`](Self::next_buffer) ready.
    pub fn push(&mut self, receipt: Receipt) {
        if let Some(buffer) = self.free.pop() {
            self.ready.push_back((receipt, buffer));
        }
    }

    pub fn front(&self) -> Option<(Receipt, &[u8])> {
        self.ready.front().map(|(receipt, pixels)| (*receipt, pixels.as_slice()))
    }

    /// How many frames it has, and these, for a snapshot.
    pub fn fields(&mut self, fields: &mut dyn Fields) -> Result<(), SessionError> {
        size(fields, &mut self.ready.len())?;
        for (receipt, pixels) in &mut self.ready {
            receipt.fields(fields)?;
            fields.bytes(pixels)?;
        }
        Ok(())
    }

    /// How many frames a snapshot has, of which there must be room for all.
    pub fn count(&self, read: &mut Read<'_>) -> Result<usize, SessionError> {
        let mut count = 0;
        size(read, &mut count)?;
        if count > self.capacity() {
            return Err(SessionError::Snapshot("it holds more frames than the queue"));
        }
        Ok(count)
    }

    /// The frames of a snapshot, read and checked; [`Self::put`] takes them.
    pub fn read<'a>(&self, read: &mut Read<'a>) -> Result<Vec<(Receipt, &'a [u8])>, SessionError> {
        let count = self.count(read)?;
        let one = |_| {
            let mut receipt = Receipt::default();
            receipt.fields(read)?;
            Ok((receipt, read.take(self.bytes)?))
        };
        (0..count).map(one).collect()
    }

    /// Holds these frames from now on, in place of its own.
    pub fn put(&mut self, frames: Vec<(Receipt, &[u8])>) {
        self.clear();
        for (receipt, pixels) in frames {
            // There is room: they were counted.
            if let Some(buffer) = self.next_buffer() {
                buffer.copy_from_slice(pixels);
                self.push(receipt);
            }
        }
    }

    /// Gives the oldest frame's buffer back.
    pub fn pop(&mut self) -> bool {
        match self.ready.pop_front() {
            Some((_, buffer)) => {
                self.free.push(buffer);
                true
            }
            None => false,
        }
    }

    /// Exchanges the oldest frame's pixels with those of `buffer` and gives them back.
    pub fn swap(&mut self, buffer: &mut Vec<u8>) -> Option<Receipt> {
        if buffer.len() != self.bytes {
            return None;
        }
        let (receipt, mut pixels) = self.ready.pop_front()?;
        core::mem::swap(&mut pixels, buffer);
        self.free.push(pixels);
        Some(receipt)
    }

    pub fn clear(&mut self) {
        while self.pop() {}
    }
}
