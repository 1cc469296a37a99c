//! Snapshots that nobody waits for.

use alloc::vec::Vec;

use causeway_ops::memory::filled;

use super::{error::SessionError, session::Session, snapshot::Snapshot};

/// A snapshot on its way from the device.
pub(super) struct Taken {
    bytes: Vec<u8>,
    /// Whether the arena is in them.
    whole: bool,
}

impl Session {
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
        if taken.whole {
            return Ok(Some(Snapshot::sealed(taken.bytes)));
        }
        self.taken = Some(taken);
        Ok(None)
    }
}
