//! Actions and events waiting for the frames they belong to.

use alloc::vec::Vec;

/// When a queued event takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventTime {
    /// With the next chunk that begins.
    NextChunk,
    /// With the first chunk that holds or follows this frame of the stream.
    Frame(u64),
}

/// An event in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Queued {
    pub event: u32,
    pub ticket: u64,
    /// Frame from which it applies; 0 means at once.
    pub from: u64,
}

/// Most events that may wait at once.
pub(super) const CAPACITY: usize = 64;

/// Waiting events, in the order they were queued.
#[derive(Clone, Debug, Default)]
pub(super) struct EventQueue {
    pub waiting: Vec<Queued>,
}

impl EventQueue {
    pub fn new() -> Self {
        Self { waiting: Vec::with_capacity(CAPACITY) }
    }

    pub fn push(&mut self, queued: Queued) -> bool {
        let room = self.waiting.len() < CAPACITY;
        if room {
            self.waiting.push(queued);
        }
        room
    }

    /// Removes the events due for a chunk that ends before frame `end` and returns the newest of them by due frame, then by
    /// ticket.
    pub fn due(&mut self, end: u64) -> Option<Queued> {
        let newest = self.waiting.iter().copied().filter(|q| q.from < end).max_by_key(|q| (q.from, q.ticket));
        self.waiting.retain(|q| q.from >= end);
        newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_wait_for_their_frame_and_the_newest_wins() {
        let mut queue = EventQueue::new();
        assert!(queue.push(Queued { event: 1, ticket: 1, from: 0 }));
        assert!(queue.push(Queued { event: 2, ticket: 2, from: 9 }));
        assert!(queue.push(Queued { event: 3, ticket: 3, from: 0 }));
        assert_eq!(queue.due(4).map(|q| q.event), Some(3));
        assert_eq!(queue.due(9), None);
        assert_eq!(queue.due(10).map(|q| q.event), Some(2));
        assert_eq!(queue.due(1000), None);
    }
}
