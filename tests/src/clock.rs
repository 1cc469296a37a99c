//! A clock that a test turns.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use causeway_runtime::clock::Clock;

/// Stands where the test puts it; clones are the same clock.
#[derive(Clone, Debug, Default)]
pub struct Turned(pub Arc<AtomicU64>);

impl Clock for Turned {
    fn micros(&self) -> u64 {
        self.0.load(SeqCst)
    }
}
