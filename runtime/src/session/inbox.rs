//! What hosts say to a session from any thread while another one pumps it: actions, prompts and changes on their way.

use alloc::{sync::Arc, vec, vec::Vec};

use super::{
    acts::Acts,
    changes::{Change, Changes},
    error::SessionError,
    placed::Placed,
    quality::{Quality, QualityChange},
    rules::Rules,
    session::Session,
};

/// Actions, prompts and changes that a session has not seen yet, checked when they come in and handed over by [`Inbox::feed`]. Tickets are
/// those that the session will know them by. Allocated once.
pub struct Inbox {
    rules: Arc<Rules>,
    acts: Acts,
    /// Whether `acts` are newer than the session's.
    fresh: bool,
    changes: Changes,
    slots: Vec<Slot>,
    change_ticket: u64,
    /// A picture on its way.
    placed: Placed,
    /// What chunks should be made with.
    asked: Quality,
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
        let mut acts = Acts::new(rules.pictures, rules.actions.len());
        let change_ticket;
        (acts.ticket, change_ticket) = session.tickets();
        Self {
            acts,
            fresh: false,
            changes: Changes::new(rules.events.len()),
            slots: (0..rules.slots).map(slot).collect(),
            change_ticket,
            placed: Placed::new(rules.placed),
            asked: session.state.asked,
            rules,
        }
    }

    /// As [`Session::set_action`].
    ///
    /// # Errors
    /// As [`Session::set_action`].
    pub fn set_action(&mut self, action: &[f32]) -> Result<u64, SessionError> {
        self.rules.action(action)?;
        Ok(self.press(action))
    }

    /// As [`Session::set_actions`], of rows of `count` numbers.
    ///
    /// # Errors
    /// As [`Session::set_actions`].
    pub fn set_actions(&mut self, rows: &[f32], count: usize) -> Result<u64, SessionError> {
        self.rules.actions(rows, count)?;
        Ok(self.press(rows))
    }

    fn press(&mut self, rows: &[f32]) -> u64 {
        self.fresh = true;
        self.acts.press(rows)
    }

    /// As [`Session::set_prompt`], of rows of `width` values.
    ///
    /// # Errors
    /// As [`Session::set_prompt`].
    pub fn set_prompt(&mut self, slot: usize, values: &[f32], width: usize) -> Result<(), SessionError> {
        let rows = self.rules.prompt(slot, values, width)?;
        let room = &mut self.slots[slot];
        if self.changes.names(slot) || room.taken {
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
        let ticket = self.change_ticket + 1;
        self.rules.queue(&mut self.changes, &change, ticket)?;
        self.change_ticket = ticket;
        Ok(ticket)
    }

    /// As [`Session::place`].
    ///
    /// # Errors
    /// As [`Session::place`].
    pub fn place(&mut self, pixels: &[u8], frames: usize) -> Result<u64, SessionError> {
        let frames = self.rules.picture(pixels, frames)?;
        self.change_ticket += 1;
        self.placed.set(pixels, frames, self.change_ticket);
        Ok(self.change_ticket)
    }

    /// As [`Session::set_quality`].
    ///
    /// # Errors
    /// As [`Session::set_quality`].
    pub fn set_quality(&mut self, change: QualityChange) -> Result<(), SessionError> {
        self.asked = self.rules.qualities.with(self.asked, change)?;
        Ok(())
    }

    /// Takes a change back that was not handed over; false if there is none of that ticket.
    pub fn withdraw(&mut self, ticket: u64) -> bool {
        self.changes.withdraw(ticket)
    }

    /// Hands over what the session has room for; before a pump, and behind it so that slots are known to be free again.
    ///
    /// # Errors
    /// None that [`set_action`](Self::set_action), [`set_prompt`](Self::set_prompt) and [`queue`](Self::queue) did not give.
    pub fn feed(&mut self, session: &mut Session) -> Result<(), SessionError> {
        if self.fresh {
            session.state.acts.take(&self.acts);
            self.fresh = false;
        }
        let width = self.rules.width;
        for (index, slot) in self.slots.iter_mut().enumerate().filter(|(_, slot)| slot.fresh) {
            session.set_prompt(index, &slot.values[..slot.rows * width])?;
            slot.fresh = false;
        }
        if let Some(ticket) = self.changes.hand_over(&mut session.state.changes) {
            // A picture that was handed over before may have a later one.
            session.state.change_ticket = session.state.change_ticket.max(ticket);
        }
        if self.placed.left > 0 {
            core::mem::swap(&mut session.state.placed, &mut self.placed);
            self.placed.left = 0;
            let ticket = session.state.placed.ticket;
            session.state.change_ticket = session.state.change_ticket.max(ticket);
        }
        session.state.ask(self.asked);
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
        self.changes.waiting.clear();
        self.slots.iter_mut().for_each(|slot| slot.fresh = false);
        self.placed.left = 0;
        (self.acts.ticket, self.change_ticket) = session.tickets();
        self.asked = session.state.asked;
        self.look(session);
    }

    /// Bytes held beside a picture on its way, for `slots` prompts of `prompt` values, `actions` entries and `events` events.
    pub fn bytes(slots: usize, prompt: usize, actions: usize, events: usize) -> usize {
        4 * (slots * prompt + actions) + Changes::bytes(events) + slots * size_of::<Slot>()
    }
}
