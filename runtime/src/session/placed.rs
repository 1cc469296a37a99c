//! A picture of the host's that becomes the stream's newest frame.

use alloc::{vec, vec::Vec};

use super::{
    error::SessionError,
    fields::{Fields, RANGE, small},
};

/// Most latent frames that one picture may fill.
pub(super) const MOST: u32 = 1024;

/// A picture that waits, in memory that is allocated once.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    /// RGBA8; empty where the stream takes none.
    pub pixels: Vec<u8>,
    /// Latent frames that it is still to fill; 0 for none.
    pub left: u32,
    /// Its ticket.
    pub ticket: u64,
}

impl Placed {
    /// Of so many bytes.
    pub fn new(bytes: usize) -> Self {
        Self { pixels: vec![0; bytes], left: 0, ticket: 0 }
    }

    /// Takes a picture, of the right size, in place of one that waits.
    pub fn set(&mut self, pixels: &[u8], frames: u32, ticket: u64) {
        self.pixels.copy_from_slice(pixels);
        (self.left, self.ticket) = (frames, ticket);
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        self.pixels.len()
    }

    /// Its fields, for a snapshot.
    pub fn fields(&mut self, fields: &mut dyn Fields) -> Result<(), SessionError> {
        small(fields, &mut self.left)?;
        fields.number(&mut self.ticket)?;
        fields.bytes(&mut self.pixels)?;
        if self.left > MOST || self.left > 0 && self.pixels.is_empty() { Err(RANGE) } else { Ok(()) }
    }
}
