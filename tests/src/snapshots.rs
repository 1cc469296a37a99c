//! Snapshots and saved games that somebody changed: how their bytes lie, for tests that damage them.

use causeway_runtime::{Snapshot, session::Saved};

/// Where the identity begins, and all that the checksum before it is of.
pub const SUMMED: usize = 24;

/// Where the fields begin: place in the plan first.
pub const FIELDS: usize = 40;

/// The snapshot of changed bytes with its checksum made anew, as somebody would who wants it to be taken.
pub fn resealed(bytes: Vec<u8>) -> Snapshot {
    Snapshot::from_bytes(sealed(bytes))
}

/// The same of a saved game, whose mark and version are as long.
pub fn resealed_game(bytes: Vec<u8>) -> Saved {
    Saved::from_bytes(sealed(bytes))
}

fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some((head, rest)) = bytes.split_at_mut_checked(SUMMED) {
        head[8..].copy_from_slice(&twox_hash::XxHash3_128::oneshot(rest).to_le_bytes());
    }
    bytes
}
