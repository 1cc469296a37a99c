//! A snapshot that nobody waits for.

use alloc::vec::Vec;

/// A snapshot on its way from the device.
pub(super) struct Taken {
    pub bytes: Vec<u8>,
    /// Whether the arena is in them.
    pub whole: bool,
}
