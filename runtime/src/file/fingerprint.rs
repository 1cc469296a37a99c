//! What tells the contents of a model file from those of all others.
//!
//! A writer hashes all that it writes, and puts the result into the header's metadata under `causeway.fingerprint`, as 32 hexadecimal
//! digits. It is the XXH3-128 of the file with zeros in the place of these digits. So two files of one fingerprint have the same
//! configuration and weights, and whoever asks need not read gigabytes. It is no signature: who wants to can forge it.

use alloc::{format, string::String, vec::Vec};
use core::fmt;

use causeway_ops::stored::{Bytes, ReadError};
use twox_hash::XxHash3_128;

/// The key in the metadata of a header.
pub(super) const KEY: &str = "causeway.fingerprint";

/// Digits of a fingerprint.
const DIGITS: usize = 32;

/// Tells the contents of a file: its configuration and its weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub u128);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Fingerprint {
    /// What a header says; none where it is no fingerprint.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u128::from_str_radix(text, 16).ok().filter(|_| digits).map(Self)
    }

    /// The entry of a header that is filled in later.
    pub(super) fn blank() -> String {
        format!("\"{KEY}\":\"{:0>DIGITS$}\"", "")
    }

    /// Where the digits lie in a header that has the entry, as it is or filled in.
    pub(super) fn place(header: &[u8]) -> Option<usize> {
        let entry = Self::blank();
        let start = &entry.as_bytes()[..entry.len() - DIGITS - 1];
        let at = header.windows(start.len()).position(|window| window == start)? + start.len();
        (at + DIGITS < header.len()).then_some(at)
    }

    /// Of a file's bytes, whatever its header says: `start`, all before its data, which are the rest.
    pub(super) fn of(mut start: Vec<u8>, data: Bytes<'_>) -> Result<Self, ReadError> {
        let mut hash = Hash::default();
        if let Some(at) = Self::place(&start) {
            start[at..at + DIGITS].fill(b'0');
        }
        hash.add(&start);
        hash.add_all(data)?;
        Ok(hash.end())
    }
}

/// A hash of a list of things: of the one so far, and of the next.
#[derive(Clone, Copy, Default)]
pub(crate) struct Chain(u128);

impl Chain {
    /// Adds a thing.
    pub fn add(&mut self, bytes: &[u8]) {
        let mut both = [0; 32];
        both[..16].copy_from_slice(&self.0.to_le_bytes());
        both[16..].copy_from_slice(&XxHash3_128::oneshot(bytes).to_le_bytes());
        self.0 = XxHash3_128::oneshot(&both);
    }

    /// The hash so far.
    pub fn end(&self) -> Fingerprint {
        Fingerprint(self.0)
    }
}

/// The hash of a file's bytes, which come in pieces.
#[derive(Clone, Default)]
pub(super) struct Hash(XxHash3_128);

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({})", self.end())
    }
}

impl Hash {
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    /// All bytes of a file's part.
    pub fn add_all(&mut self, bytes: Bytes<'_>) -> Result<(), ReadError> {
        bytes.pieces(|_, piece| {
            self.add(piece);
            Ok(())
        })
    }

    pub fn end(&self) -> Fingerprint {
        Fingerprint(self.0.finish_128())
    }
}
