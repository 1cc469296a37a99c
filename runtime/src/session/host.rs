//! What a host says to a session: actions, prompts, changes, a new beginning.

use super::{
    changes::{Change, Condition, EventTime, Kind},
    cursor::Cursor,
    error::SessionError,
    opening::Opening,
    pump,
    quality::QualityChange,
    rows::Rows,
    session::Session,
};
use crate::model::ProgramId;

impl Session {
    /// Begins the stream anew, as a new session of the same options with this seed would, under the prompts in force, and under those that wait where
    /// there are none yet. Tickets count on; finished frames and waiting changes are dropped. Does not wait.
    ///
    /// # Errors
    /// [`SessionError::Backend`].
    pub fn restart(&mut self, seed: u64) -> Result<(), SessionError> {
        self.backend.clear()?;
        self.take_first_prompts();
        let state = &mut self.state;
        (state.seed, state.cursor) = (seed, Cursor::START);
        (state.position, state.ring, state.pictures) = (0, 0, 0);
        (state.recache, state.restoring) = (None, None);
        state.kept.clear();
        state.watch.clear();
        state.acts.clear();
        state.rows.as_mut().into_iter().for_each(Rows::clear);
        state.movement.stop(state.acts.ticket);
        state.changes.waiting.clear();
        state.tell(self.settled.event);
        for told in state.told() {
            told.settle();
        }
        state.current_ticket = state.change_ticket;
        state.chunk_tickets = (state.acts.ticket, state.change_ticket);
        state.shown_tickets = state.chunk_tickets;
        (state.chunk, state.eased) = (0, 0);
        (state.cut, state.placed.left) = (false, 0);
        self.pacer.restart();
        self.reading = false;
        self.queue.clear();
        Ok(())
    }

    /// Puts the newest prompts that wait in force, where the stream was never told one.
    pub(super) fn take_first_prompts(&mut self) {
        let (state, width) = (&mut self.state, self.rules.width);
        for (kind, told, prompted) in [
            (Kind::Prompt, &mut state.prompt, &mut state.prompted.0),
            (Kind::Negative, &mut state.negative, &mut state.prompted.1),
        ] {
            let Some(told) = told.as_mut().filter(|_| !*prompted) else { continue };
            let Some(queued) = state.changes.due(kind, u64::MAX) else { continue };
            let slot = &state.slots[queued.index as usize];
            told.set(slot.values[..slot.rows * width].iter().copied());
            *prompted = true;
        }
    }

    /// Replaces what the stream starts from by a picture (RGBA8, of the stream's size); it shows after [`restart`](Self::restart).
    ///
    /// # Errors
    /// [`SessionError::StartSize`], [`SessionError::OutOfMemory`]; [`SessionError::Option`] where the session has nothing to encode it with: a
    /// Wan stream must be created with a picture.
    pub fn set_start_image(&mut self, image: &[u8]) -> Result<(), SessionError> {
        if self.stream.image.is_none() {
            let what =
                "this session cannot encode pictures: create it with a codec that encodes, starting from a picture";
            return Err(SessionError::Option(what.into()));
        }
        let frames = self.settled.given[0];
        self.opening = Opening::picture(image, self.picture, frames, self.settled.event)?;
        Ok(())
    }

    /// Makes a picture (RGBA8, of the stream's size) the newest frame, `frames` latent frames long, before the next chunk: a correction from the
    /// game's own renderer, a teleport. Of several the newest wins. It is encoded, shown and committed as a chunk is, with no action, and
    /// once begun it cannot be dropped. The stream's history stays. Returns its ticket, which receipts name as they do those of changes. Copied, and
    /// nothing is allocated. A saved game does not hold one that waits.
    ///
    /// # Errors
    /// [`SessionError::Option`] where a latent frame is several pictures or the codec does not encode, [`SessionError::PictureSize`],
    /// [`SessionError::PictureFrames`].
    pub fn place(&mut self, pixels: &[u8], frames: usize) -> Result<u64, SessionError> {
        let frames = self.rules.picture(pixels, frames)?;
        self.state.change_ticket += 1;
        self.state.placed.set(pixels, frames, self.state.change_ticket);
        Ok(self.state.change_ticket)
    }

    /// Sets the action that the next chunk will take (the latest wins) and returns its ticket, which receipts name. Where the model's
    /// actions last several frames (`latch` of its configuration) the one under way ends first, and of several entries only the
    /// strongest counts.
    ///
    /// # Errors
    /// [`SessionError::ActionLength`], [`SessionError::ActionValue`].
    pub fn set_action(&mut self, action: &[f32]) -> Result<u64, SessionError> {
        self.rules.action(action)?;
        Ok(self.state.acts.press(action))
    }

    /// As [`set_action`](Self::set_action) with rows, one after the other: one for each picture (of a stream that gives latents: for each latent
    /// frame) of the next chunk; the last one goes on. The model is told one for a latent frame, the last of its pictures' rows; a game is told
    /// the rows of several pictures, whether the stream gives pictures or latents. Where actions last several frames one row is all there can be.
    ///
    /// # Errors
    /// As [`set_action`](Self::set_action); [`SessionError::ActionRows`].
    pub fn set_actions(&mut self, rows: &[f32]) -> Result<u64, SessionError> {
        self.rules.actions(rows, self.rules.actions.len())?;
        Ok(self.state.acts.press(rows))
    }

    /// Queues an event (by index) and returns its ticket. Of several due at once the newest wins.
    ///
    /// # Errors
    /// As [`queue`](Self::queue).
    pub fn queue_event(&mut self, event: usize, time: EventTime) -> Result<u64, SessionError> {
        self.queue(Change { time, ..Change::to(Condition::Event(event)) })
    }

    /// Puts a prompt into slot `slot`: text embeddings [rows, width] without their padding. Copied, and nothing is allocated.
    ///
    /// # Errors
    /// [`SessionError::Condition`] of a model that reads no prompts, [`SessionError::NoSlot`], [`SessionError::SlotInUse`],
    /// [`SessionError::Prompt`], [`SessionError::NotFinite`].
    pub fn set_prompt(&mut self, slot: usize, values: &[f32]) -> Result<(), SessionError> {
        let rows = self.rules.prompt(slot, values, self.rules.width)?;
        if self.state.changes.names(slot) {
            return Err(SessionError::SlotInUse(slot));
        }
        let room = &mut self.state.slots[slot];
        room.values[..values.len()].copy_from_slice(values);
        room.rows = rows;
        Ok(())
    }

    /// Queues a change of what the stream is told and returns its ticket, which receipts name. Of several of one kind due at once the newest
    /// wins. Nothing is allocated.
    ///
    /// # Errors
    /// [`SessionError::Condition`], [`SessionError::UnknownEvent`], [`SessionError::Mix`], [`SessionError::NoSlot`],
    /// [`SessionError::NoRecache`], [`SessionError::EventsFull`].
    pub fn queue(&mut self, change: Change<'_>) -> Result<u64, SessionError> {
        let ticket = self.state.change_ticket + 1;
        self.rules.queue(&mut self.state.changes, &change, ticket)?;
        self.state.change_ticket = ticket;
        Ok(ticket)
    }

    /// Changes what chunks are made with, from the next one on. Plans and memory stay as they are, and nothing is allocated.
    ///
    /// # Errors
    /// [`SessionError::Quality`].
    pub fn set_quality(&mut self, change: QualityChange) -> Result<(), SessionError> {
        let asked = self.rules.qualities.with(self.state.asked, change)?;
        self.state.ask(asked);
        Ok(())
    }

    /// Takes a change back that waits; false once it is in force, or if there is no such ticket.
    pub fn withdraw(&mut self, ticket: u64) -> bool {
        self.state.changes.withdraw(ticket)
    }

    /// Drops all changes that wait; tickets count on.
    pub fn drop_events(&mut self) {
        self.state.changes.waiting.clear();
    }

    /// Drops the chunk in flight and everything done for it. Only possible before it is decoded; returns whether there was one to drop. What is
    /// due stays due: a window that is computed anew is so again, before any chunk.
    pub fn abort_chunk(&mut self) -> bool {
        let cursor = self.state.cursor;
        let Some((program, _)) = pump::at(self, &cursor) else { return false };
        let dropped = cursor.step < program.droppable;
        if dropped {
            if matches!(cursor.program, Some(ProgramId::Chunk(_))) {
                self.state.movement.abort();
                // Nor has its time begun.
                self.pacer = self.unpaced;
            }
            self.state.cursor = Cursor::START;
        }
        self.stats.aborted += u64::from(dropped);
        dropped
    }
}
