//! The session: one stream of one world, a state machine over (chunk, step, node).
//!
//! A chunk begins by taking the newest action and the events that are due. Noise becomes latents in a few denoise steps, latents
//! become pixels, and the clean-context pass commits the chunk to the ring. [`Session::pump`] advances this by as many nodes as
//! the budget allows and never waits for a GPU. Nothing that happens before the commit pass is visible to later chunks.

mod budget;
mod create;
mod error;
mod events;
pub(crate) mod frame_table;
mod movement;
mod options;
mod pump;
mod receipt;
mod ring;
mod snapshot;
mod tables;

pub use budget::{Budget, Pump, Stats};
pub use error::SessionError;
pub use events::EventTime;
pub use options::{SessionOptions, Start};
pub use receipt::{Frame, Receipt};
pub use ring::{Ring, Visible};
pub use snapshot::Snapshot;

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};
use core::sync::atomic::AtomicBool;

use causeway_ops::{Backend, Plan, backend::Memory};

use crate::{clock::Clock, model::WorldPlan};
use events::{EventQueue, Queued};
use movement::Movement;
use options::Settled;
use pump::{Cursor, Opening};
use receipt::Queue;
use tables::Tables;

/// One stream of a world.
pub struct Session {
    backend: Box<dyn Backend>,
    world: WorldPlan,
    settled: Settled,
    seed: [u32; 2],
    context_timestep: f32,
    width: usize,
    height: usize,
    event_names: Vec<String>,
    action_names: Vec<String>,
    rope: (usize, f32),
    fingerprint: u64,

    cursor: Cursor,
    opening: Opening,
    /// Number of the chunk's first frame.
    frame: u64,
    action: Vec<f32>,
    action_ticket: u64,
    movement: Movement,
    events: EventQueue,
    event_ticket: u64,
    /// Event in force and its ticket.
    current: Queued,
    /// Whether the cross-attention state belongs to `current`.
    conditioned: bool,
    /// Tickets of the chunk in flight and of the newest frame made.
    chunk_tickets: (u64, u64),
    shown_tickets: (u64, u64),
    began: u64,
    reading: bool,

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
    /// [`SessionError::Backend`]; the session stays usable unless the device was lost.
    pub fn pump(&mut self, budget: Budget) -> Result<Pump, SessionError> {
        pump::pump(self, budget)
    }

    /// The oldest finished frame that was not released.
    pub fn frame(&self) -> Option<Frame<'_>> {
        let (receipt, pixels) = self.queue.front()?;
        Some(Frame { width: self.width, height: self.height, pixels, receipt })
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

    /// Tickets of the newest action and the newest event.
    pub fn tickets(&self) -> (u64, u64) {
        (self.action_ticket, self.event_ticket)
    }

    /// As [`set_action`](Self::set_action) under a ticket that the caller counted, at least that of the newest action: for hosts that
    /// collect actions while another thread pumps and hand over the last one.
    ///
    /// # Errors
    /// As [`set_action`](Self::set_action).
    pub fn set_action_as(&mut self, action: &[f32], ticket: u64) -> Result<(), SessionError> {
        let before = self.action_ticket;
        self.set_action(action)?;
        self.action_ticket = ticket.max(before);
        Ok(())
    }

    /// Begins the stream anew, as a new session of the same options with this seed would. Tickets count on; finished frames and
    /// waiting events are dropped. Does not wait.
    ///
    /// # Errors
    /// [`SessionError::Backend`].
    pub fn restart(&mut self, seed: u64) -> Result<(), SessionError> {
        self.backend.clear()?;
        self.seed = [seed as u32, (seed >> 32) as u32];
        self.cursor = Cursor::START;
        self.opening.next = 0;
        self.frame = 0;
        self.action.fill(0.0);
        self.events.waiting.clear();
        self.current = Queued { event: self.settled.event as u32, ticket: self.event_ticket, from: 0 };
        self.conditioned = false;
        self.movement.stop(self.action_ticket);
        self.chunk_tickets = (self.action_ticket, self.event_ticket);
        self.shown_tickets = self.chunk_tickets;
        self.reading = false;
        self.queue.clear();
        Ok(())
    }

    /// Replaces what the stream starts from by a picture (RGBA8, of the model's size); it shows after [`restart`](Self::restart).
    ///
    /// # Errors
    /// [`SessionError::StartSize`], [`SessionError::OutOfMemory`].
    pub fn set_start_image(&mut self, image: &[u8]) -> Result<(), SessionError> {
        let picture = Opening::picture(image, (self.width, self.height), self.settled.event)?;
        // The frames that the stream began with are past.
        self.opening = Opening { next: self.opening.next.min(1), ..picture };
        Ok(())
    }

    /// Sets the action that the next chunk will take (the latest wins) and returns its ticket, which receipts name. Where the model's
    /// actions last several frames (`latch` of its configuration) the one under way ends first, and of several entries only the
    /// strongest counts.
    ///
    /// # Errors
    /// [`SessionError::ActionLength`], [`SessionError::ActionValue`].
    pub fn set_action(&mut self, action: &[f32]) -> Result<u64, SessionError> {
        if action.len() != self.action.len() {
            return Err(SessionError::ActionLength { expected: self.action.len(), found: action.len() });
        }
        if let Some(at) = action.iter().position(|x| !x.is_finite()) {
            return Err(SessionError::ActionValue(at));
        }
        self.action.copy_from_slice(action);
        self.action_ticket += 1;
        Ok(self.action_ticket)
    }

    /// Queues an event (by index) and returns its ticket. Of several due at once the newest wins.
    ///
    /// # Errors
    /// [`SessionError::UnknownEvent`], [`SessionError::EventsFull`].
    pub fn queue_event(&mut self, event: usize, time: EventTime) -> Result<u64, SessionError> {
        if event >= self.event_names.len() {
            return Err(SessionError::UnknownEvent { found: event, known: self.event_names.join(", ") });
        }
        let from = match time {
            EventTime::NextChunk => 0,
            EventTime::Frame(frame) => frame,
        };
        let queued = Queued { event: event as u32, ticket: self.event_ticket + 1, from };
        if !self.events.push(queued) {
            return Err(SessionError::EventsFull(events::CAPACITY));
        }
        self.event_ticket += 1;
        Ok(self.event_ticket)
    }

    /// Drops all events that wait; tickets count on.
    pub fn drop_events(&mut self) {
        self.events.waiting.clear();
    }

    /// Drops the chunk in flight and everything done for it. Only possible before its first frame is decoded; returns whether
    /// there was one to drop.
    pub fn abort_chunk(&mut self) -> bool {
        let dropped = self.cursor.abort();
        if dropped {
            self.movement.abort();
        }
        self.stats.aborted += u64::from(dropped);
        dropped
    }

    /// Frame number of the chunk in flight (or of the next one).
    pub fn position(&self) -> u64 {
        self.frame
    }

    /// Picture size (width, height) in pixels.
    pub fn picture(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Names of the action vector's entries.
    pub fn actions(&self) -> &[String] {
        &self.action_names
    }

    /// Names of the events.
    pub fn events(&self) -> &[String] {
        &self.event_names
    }

    /// Index of the event in force.
    pub fn event(&self) -> usize {
        self.current.event as usize
    }

    /// The ring's sizes.
    pub fn ring(&self) -> Ring {
        self.settled.ring
    }

    /// The plan that the session runs.
    pub fn plan(&self) -> &Plan {
        self.backend.plan()
    }

    /// The plan's passes and buffers; the plan itself lies with the backend ([`Session::plan`]).
    pub fn world(&self) -> &WorldPlan {
        &self.world
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
            + self.movement.memory()
            + self.opening.memory()
            + self.plan().bytes();
        memory
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        self.stats
    }
}
