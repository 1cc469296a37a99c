//! What hosts say to a session from any thread while another one pumps it: actions, prompts and changes on their way.

use alloc::{collections::VecDeque, sync::Arc, vec, vec::Vec};

use super::{
    changes::{CAPACITY, Change, Condition, Kind},
    error::SessionError,
    rules::Rules,
    session::Session,
};

/// Actions, prompts and changes that a session has not seen yet, checked when they come in and handed over by [`Inbox::feed`]. Tickets are
/// those that the session will know them by. Allocated once.
pub struct Inbox {
    rules: Arc<Rules>,
    action: Vec<f32>,
    /// Whether `action` is newer than the session's.
    fresh: bool,
    changes: VecDeque<Waiting>,
    /// Weights of events [CAPACITY, events], a row for each change that waits.
    mixes: Vec<f32>,
    slots: Vec<Slot>,
    action_ticket: u64,
    change_ticket: u64,
}

/// A change that waits.
#[derive(Clone, Copy)]
struct Waiting {
    /// Without its condition.
    change: Change<'static>,
    kind: Kind,
    index: usize,
    /// Row of its weights.
    mix: usize,
    ticket: u64,
}

/// A prompt on its way.
struct Slot {
    values: Vec<f32>,
    rows: usize,
    /// Whether it is newer than the session's.
    fresh: bool,
    /// Whether a change that waits in the session names it.
    taken: bool,
}

impl Inbox {
    /// For a session.
    pub fn new(session: &Session) -> Self {
        let rules = session.rules.clone();
        let slot = |_| Slot { values: vec![0.0; rules.rows * rules.width], rows: 0, fresh: false, taken: false };
        let (action_ticket, change_ticket) = session.tickets();
        Self {
            action: vec![0.0; rules.actions.len()],
            fresh: false,
            changes: VecDeque::with_capacity(CAPACITY),
            mixes: vec![0.0; CAPACITY * rules.events.len()],
            slots: (0..rules.slots).map(slot).collect(),
            action_ticket,
            change_ticket,
            rules,
        }
    }

    /// As [`Session::set_action`].
    ///
    /// # Errors
    /// As [`Session::set_action`].
    pub fn set_action(&mut self, action: &[f32]) -> Result<u64, SessionError> {
        self.rules.action(action)?;
        self.action.copy_from_slice(action);
        self.fresh = true;
        self.action_ticket += 1;
        Ok(self.action_ticket)
    }

    /// As [`Session::set_prompt`], of rows of `width` values.
    ///
    /// # Errors
    /// As [`Session::set_prompt`].
    pub fn set_prompt(&mut self, slot: usize, values: &[f32], width: usize) -> Result<(), SessionError> {
        let rows = self.rules.prompt(slot, values, width)?;
        let waits = self.changes.iter().any(|waiting| waiting.kind != Kind::Events && waiting.index == slot);
        let room = &mut self.slots[slot];
        if waits || room.taken {
            return Err(SessionError::SlotInUse(slot));
        }
        room.values[..values.len()].copy_from_slice(values);
        (room.rows, room.fresh) = (rows, true);
        Ok(())
    }

    /// As [`Session::queue`].
    ///
    /// # Errors
    /// As [`Session::queue`].
    pub fn queue(&mut self, change: Change<'_>) -> Result<u64, SessionError> {
        let (kind, index) = self.rules.change(&change)?;
        let free = (0..CAPACITY).find(|mix| self.changes.iter().all(|waiting| waiting.mix != *mix));
        let Some(mix) = free else { return Err(SessionError::EventsFull(CAPACITY)) };
        let events = self.rules.events.len();
        for (event, weight) in self.mixes[mix * events..][..events].iter_mut().enumerate() {
            *weight = change.weight(event, index);
        }
        self.change_ticket += 1;
        let Change { way, sink, chunks, time, .. } = change;
        let change = Change { condition: Condition::Event(0), way, sink, chunks, time };
        self.changes.push_back(Waiting { change, kind, index, mix, ticket: self.change_ticket });
        Ok(self.change_ticket)
    }

    /// Takes a change back that was not handed over; false if there is none of that ticket.
    pub fn withdraw(&mut self, ticket: u64) -> bool {
        let before = self.changes.len();
        self.changes.retain(|waiting| waiting.ticket != ticket);
        self.changes.len() < before
    }

    /// Hands over what the session has room for; before a pump, and behind it so that slots are known to be free again.
    ///
    /// # Errors
    /// None that [`set_action`](Self::set_action), [`set_prompt`](Self::set_prompt) and [`queue`](Self::queue) did not give.
    pub fn feed(&mut self, session: &mut Session) -> Result<(), SessionError> {
        if self.fresh {
            session.set_action_as(&self.action, self.action_ticket)?;
            self.fresh = false;
        }
        let width = self.rules.width;
        for (index, slot) in self.slots.iter_mut().enumerate().filter(|(_, slot)| slot.fresh) {
            session.set_prompt(index, &slot.values[..slot.rows * width])?;
            slot.fresh = false;
        }
        let events = self.rules.events.len();
        while let Some(&Waiting { change, kind, index, mix, ticket }) = self.changes.front() {
            let condition = match kind {
                Kind::Events => Condition::Mix(&self.mixes[mix * events..][..events]),
                Kind::Prompt => Condition::Prompt(index),
                Kind::Negative => Condition::Negative(index),
            };
            match session.queue_as(Change { condition, ..change }, ticket) {
                Ok(_) => self.changes.pop_front(),
                // It holds as many as it can; the rest waits here.
                Err(SessionError::EventsFull(_)) => break,
                Err(error) => return Err(error),
            };
        }
        self.look(session);
        Ok(())
    }

    /// Notes which slots are free.
    fn look(&mut self, session: &Session) {
        for (index, slot) in self.slots.iter_mut().enumerate() {
            slot.taken = session.state.changes.names(index);
        }
    }

    /// Forgets all that was not handed over, and counts on from the session's tickets.
    pub fn follow(&mut self, session: &Session) {
        self.fresh = false;
        self.changes.clear();
        self.slots.iter_mut().for_each(|slot| slot.fresh = false);
        (self.action_ticket, self.change_ticket) = session.tickets();
        self.look(session);
    }

    /// Bytes held, for `slots` prompts of `prompt` values, `actions` entries and `events` events.
    pub fn bytes(slots: usize, prompt: usize, actions: usize, events: usize) -> usize {
        4 * (slots * prompt + actions + CAPACITY * events) + CAPACITY * size_of::<Waiting>() + slots * size_of::<Slot>()
    }
}
