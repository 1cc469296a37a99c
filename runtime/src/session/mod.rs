//! The session: one stream of one model, a state machine over (program, step, node, part).
//!
//! A chunk begins by taking the newest action and the changes that are due. Noise becomes latents in a few denoise steps, latents
//! become pictures, and the clean-context pass commits the chunk to the ring. [`Session::pump`] advances this by as many nodes as
//! the budget allows and never waits for a GPU. Nothing that happens before the commit pass is visible to later chunks.

mod budget;
mod changes;
mod create;
mod cursor;
mod error;
mod exact;
mod fields;
mod frame_table;
mod inbox;
mod movement;
mod opening;
mod options;
mod pump;
mod receipt;
mod ring;
mod rules;
mod snapshot;
mod state;
mod tables;
mod told;

pub use budget::{Budget, Pump, Stats};
pub use changes::{Change, Condition, EventTime, Sink, Way};
pub use create::Need;
pub use error::SessionError;
pub(crate) use error::finite;
pub use exact::{Exact, Moment};
pub use inbox::Inbox;
pub use options::{Output, SessionOptions, Start};
pub use receipt::{Frame, Receipt};
pub use ring::{Ring, Visible};
pub use snapshot::Snapshot;

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};
use core::sync::atomic::AtomicBool;

use causeway_ops::{Backend, Plan, backend::Memory};

use crate::{
    clock::Clock,
    model::{ProgramId, StreamPlan},
};
use changes::{Changes, Queued};
use cursor::Cursor;
use exact::Given;
use movement::Movement;
use opening::Opening;
use options::Settled;
use receipt::Queue;
use rules::Rules;
use state::{Slot, State};
use tables::Tables;
use told::Told;

/// A latent frame [C, H, W] of the bytes of one that a session gives ([`Session::swap_frame`]), which are as many as those of `values`.
pub fn read_latent(bytes: &[u8], channels: usize, values: &mut [f32]) {
    let area = values.len() / channels;
    for (at, bytes) in bytes.as_chunks::<4>().0.iter().enumerate() {
        values[at % channels * area + at / channels] = f32::from_le_bytes(*bytes);
    }
}

/// One stream of a model.
pub struct Session {
    backend: Box<dyn Backend>,
    stream: StreamPlan,
    settled: Settled,
    opening: Opening,
    /// All that the future depends on, beside the arena.
    state: State,
    picture: (usize, usize),
    rules: Arc<Rules>,
    rope: (usize, f32),
    fingerprint: u64,
    /// When the frames in flight took their action.
    began: u64,
    /// A frame is on its way to the host.
    reading: bool,
    /// Noise of an exact stream.
    given: Option<Given>,
    tables: Tables,
    queue: Queue,
    clock: Box<dyn Clock>,
    interrupt: Arc<AtomicBool>,
    stats: Stats,
}

impl Session {
    /// Advances the stream within the budget.
    ///
    /// # Errors
    /// [`SessionError::Backend`]; the session stays usable unless the device was lost. [`SessionError::NoPrompt`] and
    /// [`SessionError::NoNegative`] until the stream is told what its model reads.
    pub fn pump(&mut self, budget: Budget) -> Result<Pump, SessionError> {
        pump::pump(self, budget)
    }

    /// The oldest finished picture that was not released; none of a stream that gives latents.
    pub fn frame(&self) -> Option<Frame<'_>> {
        let (receipt, pixels) = self.queue.front().filter(|_| self.gives_pictures())?;
        let (width, height) = self.picture;
        Some(Frame { width, height, pixels, receipt })
    }

    /// Takes the oldest finished latent frame [C, H, W] of a stream that gives latents, and releases it. None, and nothing done, if there is none,
    /// the stream gives pictures, or `values` has another size.
    pub fn latent(&mut self, values: &mut [f32]) -> Option<Receipt> {
        let pictures = self.gives_pictures();
        let (receipt, bytes) = self.queue.front().filter(|_| !pictures)?;
        if 4 * values.len() != bytes.len() {
            return None;
        }
        read_latent(bytes, self.settled.dit.latent.channels, values);
        self.release();
        Some(receipt)
    }

    /// Bytes of a frame that the host is given.
    pub fn frame_bytes(&self) -> usize {
        self.queue.frame_bytes()
    }

    /// Whether the stream gives pictures, and not latents.
    pub fn gives_pictures(&self) -> bool {
        self.stream.output != self.stream.picked
    }

    /// Gives the oldest finished frame's buffer back; false if there is none.
    pub fn release(&mut self) -> bool {
        self.queue.pop()
    }

    /// Exchanges the oldest finished frame's pixels with `buffer`, which must be as large (4 * width * height), and releases the
    /// frame: a queue of the host's own takes frames without copying. None, and nothing done, if there is no frame or the buffer
    /// has another size.
    pub fn swap_frame(&mut self, buffer: &mut Vec<u8>) -> Option<Receipt> {
        self.queue.swap(buffer)
    }

    /// A flag that makes a running [`Session::pump`] return after the slice it is in, from any thread. Who sets it clears it.
    pub fn interrupt(&self) -> Arc<AtomicBool> {
        self.interrupt.clone()
    }

    /// Tickets of the newest action and the newest change.
    pub fn tickets(&self) -> (u64, u64) {
        (self.state.action_ticket, self.state.change_ticket)
    }

    /// As [`set_action`](Self::set_action) under a ticket that the caller counted, at least that of the newest action: for hosts that
    /// collect actions while another thread pumps and hand over the last one.
    ///
    /// # Errors
    /// As [`set_action`](Self::set_action).
    pub fn set_action_as(&mut self, action: &[f32], ticket: u64) -> Result<(), SessionError> {
        let before = self.state.action_ticket;
        self.set_action(action)?;
        self.state.action_ticket = ticket.max(before);
        Ok(())
    }

    /// Begins the stream anew, as a new session of the same options with this seed would, under the prompts in force. Tickets count on; finished
    /// frames and waiting changes are dropped. Does not wait.
    ///
    /// # Errors
    /// [`SessionError::Backend`].
    pub fn restart(&mut self, seed: u64) -> Result<(), SessionError> {
        self.backend.clear()?;
        let state = &mut self.state;
        (state.seed, state.cursor) = (seed, Cursor::START);
        (state.position, state.ring, state.recent, state.pictures, state.opened) = (0, 0, 0, 0, 0);
        state.recache = None;
        state.action.fill(0.0);
        state.movement.stop(state.action_ticket);
        state.changes.waiting.clear();
        state.tell(self.settled.event);
        for told in state.told() {
            told.settle();
        }
        state.current_ticket = state.change_ticket;
        state.chunk_tickets = (state.action_ticket, state.change_ticket);
        state.shown_tickets = state.chunk_tickets;
        self.reading = false;
        self.queue.clear();
        Ok(())
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
        // The frames that the stream began with are past.
        self.state.opened = self.state.opened.min(frames);
        Ok(())
    }

    /// Sets the action that the next chunk will take (the latest wins) and returns its ticket, which receipts name. Where the model's
    /// actions last several frames (`latch` of its configuration) the one under way ends first, and of several entries only the
    /// strongest counts.
    ///
    /// # Errors
    /// [`SessionError::ActionLength`], [`SessionError::ActionValue`].
    pub fn set_action(&mut self, action: &[f32]) -> Result<u64, SessionError> {
        self.rules.action(action)?;
        let state = &mut self.state;
        state.action.copy_from_slice(action);
        state.action_ticket += 1;
        Ok(state.action_ticket)
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

    /// Values in a row of a prompt; 0 where the model reads none.
    pub fn prompt_width(&self) -> usize {
        self.rules.width
    }

    /// Queues a change of what the stream is told and returns its ticket, which receipts name. Of several of one kind due at once the newest
    /// wins. Nothing is allocated.
    ///
    /// # Errors
    /// [`SessionError::Condition`], [`SessionError::UnknownEvent`], [`SessionError::Mix`], [`SessionError::NoSlot`],
    /// [`SessionError::NoRecache`], [`SessionError::EventsFull`].
    pub fn queue(&mut self, change: Change<'_>) -> Result<u64, SessionError> {
        self.queue_as(change, self.state.change_ticket + 1)
    }

    /// As [`queue`](Self::queue) under a ticket that the caller counted, above those given before.
    fn queue_as(&mut self, change: Change<'_>, ticket: u64) -> Result<u64, SessionError> {
        let (kind, index) = self.rules.change(&change)?;
        let from = match change.time {
            EventTime::NextChunk => 0,
            EventTime::Frame(frame) => frame,
        };
        let queued = Queued {
            kind,
            index: index as u32,
            ticket,
            from,
            way: change.way,
            sink: change.sink,
            chunks: u32::try_from(change.chunks).unwrap_or(u32::MAX),
            mix: 0,
        };
        let weights = (0..self.rules.events.len()).map(|event| change.weight(event, index));
        self.state.changes.push(queued, weights)?;
        self.state.change_ticket = ticket;
        Ok(ticket)
    }

    /// Takes a change back that waits; false once it is in force, or if there is no such ticket.
    pub fn withdraw(&mut self, ticket: u64) -> bool {
        let waiting = &mut self.state.changes.waiting;
        let before = waiting.len();
        waiting.retain(|queued| queued.ticket != ticket);
        waiting.len() < before
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
            }
            self.state.cursor = Cursor::START;
        }
        self.stats.aborted += u64::from(dropped);
        dropped
    }

    /// Number of the first latent frame of the chunk in flight (or of the next one).
    pub fn position(&self) -> u64 {
        self.state.position
    }

    /// Picture size (width, height) in pixels.
    pub fn picture(&self) -> (usize, usize) {
        self.picture
    }

    /// Shape of a latent frame: channels, height, width.
    pub fn latent_shape(&self) -> [usize; 3] {
        let latent = self.settled.dit.latent;
        [latent.channels, latent.height, latent.width]
    }

    /// Number of the picture that latent frame `frame` of the stream begins with.
    pub fn picture_of(&self, frame: u64) -> u64 {
        self.pictures_before(frame)
    }

    /// Names of the action vector's entries.
    pub fn actions(&self) -> &[String] {
        &self.rules.actions
    }

    /// Names of the events.
    pub fn events(&self) -> &[String] {
        &self.rules.events
    }

    /// Index of the event in force; of a mix the strongest.
    pub fn event(&self) -> usize {
        self.state.event as usize
    }

    /// The ring's sizes.
    pub fn ring(&self) -> Ring {
        self.settled.ring
    }

    /// The plan that the session runs.
    pub fn plan(&self) -> &Plan {
        self.backend.plan()
    }

    /// The plan's programs and buffers; the plan itself lies with the backend ([`Session::plan`]).
    pub fn stream(&self) -> &StreamPlan {
        &self.stream
    }

    /// Denoise steps of a chunk.
    pub fn steps(&self) -> usize {
        self.settled.sampling.schedule.len()
    }

    /// The backend, for reading buffers in tests and tools.
    pub fn backend(&mut self) -> &mut dyn Backend {
        self.backend.as_mut()
    }

    /// Bytes held, by purpose; `overhead` includes frame buffers, tables and the plan.
    pub fn memory(&self) -> Memory {
        let mut memory = self.backend.memory();
        memory.overhead += self.queue.memory()
            + self.tables.memory()
            + self.state.memory()
            + self.stream.programs.bytes()
            + self.opening.memory()
            + self.plan().bytes();
        memory
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        self.stats
    }
}
