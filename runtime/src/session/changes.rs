//! Changes of what a stream is told, waiting for the frames they belong to.

use alloc::{vec, vec::Vec};

use super::{
    error::SessionError,
    fields::{Fields, RANGE, one_of, size, small},
};

/// From when on a change is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventTime {
    /// With the next chunk that begins.
    NextChunk,
    /// With the first chunk that holds or follows this picture of the stream.
    Frame(u64),
}

/// Frames are counted from 0, which as a time says: with the next chunk.
impl From<u64> for EventTime {
    fn from(frame: u64) -> Self {
        if frame == 0 { Self::NextChunk } else { Self::Frame(frame) }
    }
}

/// What a change puts in force.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Condition<'a> {
    /// An event, by its index.
    Event(usize),
    /// Events in parts: a weight for each, 0 or more, of sum 1. Half day and half night is dusk.
    Mix(&'a [f32]),
    /// The prompt in this slot ([`Session::set_prompt`](super::Session::set_prompt)).
    Prompt(usize),
    /// The prompt in this slot as what guidance leads away from.
    Negative(usize),
}

/// What becomes of the past when a condition changes (spec 2.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// The ring keeps keys and values made under the old condition: the new one has a slow effect.
    #[default]
    Keep,
    /// The window is computed anew under the new condition from the latents that it shows: the stream goes on smoothly.
    Recache,
    /// The ring is emptied: a new stream.
    Reset,
    /// A new shot: the ring keeps what it has, so that routes find it, but the next chunk keeps no newest frame by force and knows no frame before.
    Cut,
}

/// What a recache does with the sink (spec 2.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sink {
    /// It keeps the keys and values of the old condition; the rolling frames are computed anew and see it. While the window still shows the
    /// stream's first frame all are computed anew, as by LongLive's code.
    #[default]
    Kept,
    /// The oldest frames of the window become the sink; all are computed anew.
    Refreshed,
}

impl Way {
    /// Its field, for a snapshot.
    pub(super) fn fields(&mut self, fields: &mut dyn Fields) -> Result<(), SessionError> {
        one_of(fields, self, &[Self::Keep, Self::Recache, Self::Reset, Self::Cut])
    }
}

impl Sink {
    /// Its field, for a snapshot.
    pub(super) fn fields(&mut self, fields: &mut dyn Fields) -> Result<(), SessionError> {
        one_of(fields, self, &[Self::Kept, Self::Refreshed])
    }
}

/// A change of what a stream is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change<'a> {
    /// What is put in force.
    pub condition: Condition<'a>,
    /// What becomes of the past.
    pub way: Way,
    /// What becomes of the sink, with [`Way::Recache`].
    pub sink: Sink,
    /// Over how many chunks the old condition goes over into the new one, in equal parts; 0 and 1: at once. A recache follows each part, a
    /// reset only comes with the first.
    pub chunks: usize,
    /// From when on.
    pub time: EventTime,
}

impl<'a> Change<'a> {
    /// At the next chunk, at once, with the past as it is.
    pub fn to(condition: Condition<'a>) -> Self {
        let (way, sink) = Default::default();
        Self { condition, way, sink, chunks: 1, time: EventTime::NextChunk }
    }
}

/// Which of a stream's conditions a change is of. Of several due of one kind the newest wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Events,
    Prompt,
    Negative,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Events, Self::Prompt, Self::Negative];
}

/// A change in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Queued {
    pub kind: Kind,
    /// Prompt slot; of events the strongest.
    pub index: u32,
    pub ticket: u64,
    /// Picture from which it applies; 0 means at once.
    pub from: u64,
    pub way: Way,
    pub sink: Sink,
    pub chunks: u32,
    /// Where its weights of events lie.
    pub mix: u32,
}

impl Queued {
    const NONE: Self =
        Self { kind: Kind::Events, index: 0, ticket: 0, from: 0, way: Way::Keep, sink: Sink::Kept, chunks: 1, mix: 0 };

    fn fields(&mut self, fields: &mut dyn Fields) -> Result<(), SessionError> {
        one_of(fields, &mut self.kind, &Kind::ALL)?;
        for number in [&mut self.index, &mut self.chunks, &mut self.mix] {
            small(fields, number)?;
        }
        fields.number(&mut self.ticket)?;
        fields.number(&mut self.from)?;
        self.way.fields(fields)?;
        self.sink.fields(fields)
    }
}

/// Most changes that may wait at once.
pub(super) const CAPACITY: usize = 64;

/// Waiting changes, in the order they were queued. Allocated once.
#[derive(Clone, Debug)]
pub(super) struct Changes {
    pub waiting: Vec<Queued>,
    /// Weights of events [CAPACITY, events], a row for each change that waits.
    pub mixes: Vec<f32>,
    events: usize,
}

impl Changes {
    /// For a model of so many events.
    pub fn new(events: usize) -> Self {
        Self { waiting: Vec::with_capacity(CAPACITY), mixes: vec![0.0; CAPACITY * events], events }
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        Self::bytes(self.events)
    }

    /// The weights of a change of events.
    pub fn mix(&self, queued: &Queued) -> &[f32] {
        &self.mixes[queued.mix as usize * self.events..][..self.events]
    }

    /// Queues a change, whose weights of events are those given.
    ///
    /// # Errors
    /// [`SessionError::EventsFull`].
    pub fn push(&mut self, queued: Queued, weights: impl Iterator<Item = f32>) -> Result<(), SessionError> {
        let taken = |mix: &u32| self.waiting.iter().any(|waiting| waiting.mix == *mix);
        let free = (0..CAPACITY as u32).find(|mix| !taken(mix));
        let Some(mix) = free.filter(|_| self.waiting.len() < CAPACITY) else {
            return Err(SessionError::EventsFull(CAPACITY));
        };
        let row = &mut self.mixes[mix as usize * self.events..][..self.events];
        row.iter_mut().zip(weights).for_each(|(to, weight)| *to = weight);
        self.waiting.push(Queued { mix, ..queued });
        Ok(())
    }

    /// Bytes that changes take for a model of so many events.
    pub fn bytes(events: usize) -> usize {
        CAPACITY * (size_of::<Queued>() + 4 * events)
    }

    /// Removes the change of this ticket; whether there was one.
    pub fn withdraw(&mut self, ticket: u64) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|queued| queued.ticket != ticket);
        self.waiting.len() < before
    }

    /// Moves the changes to `other`, the oldest first, as long as that has room; the rest waits here. Returns the last ticket that moved.
    pub fn hand_over(&mut self, other: &mut Self) -> Option<u64> {
        let handed =
            self.waiting.iter().take_while(|queued| other.push(**queued, self.mix(queued).iter().copied()).is_ok());
        let handed = handed.count();
        self.waiting.drain(..handed).next_back().map(|queued| queued.ticket)
    }

    /// Removes the changes of a kind that are due for a chunk that ends before picture `end` and returns the newest of them by due picture,
    /// then by ticket.
    pub fn due(&mut self, kind: Kind, end: u64) -> Option<Queued> {
        let due = |q: &Queued| q.kind == kind && q.from < end;
        let newest = self.waiting.iter().copied().filter(due).max_by_key(|q| (q.from, q.ticket));
        self.waiting.retain(|q| !due(q));
        newest
    }

    /// Takes the room again that a copy has not.
    pub fn reserve(&mut self) {
        self.waiting.reserve_exact(CAPACITY - self.waiting.len());
    }

    /// As many changes as can wait, for a count of bytes.
    pub fn fill(&mut self) {
        self.waiting.resize(CAPACITY, Queued::NONE);
    }

    /// Its fields, for a snapshot; what is read is not checked.
    pub fn fields(&mut self, fields: &mut dyn Fields) -> Result<(), SessionError> {
        let mut count = self.waiting.len();
        size(fields, &mut count)?;
        if count > CAPACITY {
            return Err(RANGE);
        }
        self.waiting.resize(count, Queued::NONE);
        for queued in &mut self.waiting {
            queued.fields(fields)?;
        }
        fields.floats(&mut self.mixes)
    }

    /// Whether they can be those of a model, with so many prompt slots.
    pub fn sound(&self, slots: usize) -> bool {
        let known = |kind| if kind == Kind::Events { self.events } else { slots };
        self.waiting.iter().all(|q| (q.index as usize) < known(q.kind) && (q.mix as usize) < CAPACITY)
    }

    /// Whether a change waits that will take this prompt slot.
    pub fn names(&self, slot: usize) -> bool {
        self.waiting.iter().any(|q| q.kind != Kind::Events && q.index as usize == slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_wait_for_their_picture_and_the_newest_of_a_kind_wins() {
        let mut queue = Changes::new(2);
        let mut push = |kind, index, ticket, from| {
            let (way, sink) = Default::default();
            let queued = Queued { kind, index, ticket, from, way, sink, chunks: 1, mix: 0 };
            queue.push(queued, [index as f32, 0.5].into_iter()).unwrap();
        };
        push(Kind::Events, 1, 1, 0);
        push(Kind::Events, 2, 2, 9);
        push(Kind::Prompt, 0, 3, 0);
        push(Kind::Events, 3, 4, 0);
        assert!(queue.names(0) && !queue.names(3));
        let due = |queue: &mut Changes, kind, end| {
            let queued = queue.due(kind, end)?;
            assert!(kind != Kind::Events || queue.mix(&queued) == [queued.index as f32, 0.5]);
            Some(queued.index)
        };
        assert_eq!(due(&mut queue, Kind::Events, 4), Some(3));
        assert_eq!(due(&mut queue, Kind::Events, 9), None);
        assert_eq!(due(&mut queue, Kind::Events, 10), Some(2));
        assert_eq!(due(&mut queue, Kind::Prompt, 1), Some(0));
        assert_eq!(due(&mut queue, Kind::Prompt, 1000), None);
    }

    #[test]
    fn weights_stay_with_their_change() {
        let mut queue = Changes::new(1);
        let queued = |ticket, from| {
            let (way, sink) = Default::default();
            Queued { kind: Kind::Events, index: 0, ticket, from, way, sink, chunks: 1, mix: 0 }
        };
        for n in 0..CAPACITY as u64 {
            queue.push(queued(n, n), [n as f32].into_iter()).unwrap();
        }
        assert_eq!(queue.push(queued(99, 0), [0.0].into_iter()), Err(SessionError::EventsFull(CAPACITY)));
        let early = queue.due(Kind::Events, 3).unwrap();
        assert_eq!((early.ticket, queue.mix(&early)), (2, &[2.0][..]));
        queue.push(queued(100, 500), [100.0].into_iter()).unwrap();
        for q in queue.waiting.clone() {
            assert_eq!(queue.mix(&q), [q.ticket as f32]);
        }
    }
}
