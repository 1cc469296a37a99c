//! One stream: what it holds, and what it tells of itself.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};
use core::sync::atomic::AtomicBool;

use causeway_ops::{Backend, Plan, backend::Memory};

use super::{
    budget::Stats,
    gate::Gate,
    given::Given,
    governor::Governor,
    opening::Opening,
    pace::Pacer,
    quality::Quality,
    receipt::{Frame, Queue, Receipt},
    ring::Ring,
    rules::Rules,
    settled::Settled,
    slow::Slow,
    state::State,
    tables::Tables,
    taken::Taken,
};
use crate::{clock::Clock, file::Fingerprint, layout::planar, model::StreamPlan};

/// A latent frame [C, H, W] of the bytes of one that a session gives ([`Session::swap_frame`]), which are as many as those of `values`.
pub fn read_latent(bytes: &[u8], channels: usize, values: &mut [f32]) {
    planar(bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)), channels, values);
}

/// One stream of a model.
pub struct Session {
    pub(super) backend: Box<dyn Backend>,
    pub(super) stream: StreamPlan,
    pub(super) settled: Settled,
    pub(super) opening: Opening,
    /// All that the future depends on, beside the arena.
    pub(super) state: State,
    pub(super) picture: (usize, usize),
    pub(super) rules: Arc<Rules>,
    /// What saved games must agree with.
    pub(super) weights: Fingerprint,
    /// What snapshots must agree with.
    pub(super) identity: u128,
    /// When the frames in flight took their action.
    pub(super) began: u64,
    /// A frame is on its way to the host.
    pub(super) reading: bool,
    /// Noise of an exact stream.
    pub(super) given: Option<Given>,
    /// A snapshot that was begun.
    pub(super) taken: Option<Taken>,
    pub(super) tables: Tables,
    pub(super) queue: Queue,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) pacer: Pacer,
    /// The same before the frames in flight began.
    pub(super) unpaced: Pacer,
    /// Microseconds since they began in which the host could not or would not go on.
    pub(super) rested: u64,
    /// When the last pump ended, and whether there was nothing to do any more.
    pub(super) pumped: Option<(u64, bool)>,
    pub(super) governor: Option<Governor>,
    pub(super) gate: Gate,
    pub(super) interrupt: Arc<AtomicBool>,
    pub(super) stats: Stats,
    pub(super) slow: Slow,
}

impl Session {
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
        (self.state.acts.ticket, self.state.change_ticket)
    }

    /// Values in a row of a prompt; 0 where the model reads none.
    pub fn prompt_width(&self) -> usize {
        self.rules.width
    }

    /// Number of the first latent frame of the chunk in flight (or of the next one).
    pub fn position(&self) -> u64 {
        self.state.position
    }

    /// Latent frames of the next chunk, or of the one in flight.
    pub fn chunk_frames(&self) -> usize {
        if self.state.position == 0 { self.settled.first } else { self.settled.dit.chunk }
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

    /// Number of the picture that latent frame `frame` of the stream begins with: so many come before it.
    pub fn picture_of(&self, frame: u64) -> u64 {
        let [first, each] = self.stream.pictures.map(|count| count as u64);
        if frame == 0 { 0 } else { first.saturating_add(each.saturating_mul(frame - 1)) }
    }

    /// How many pictures the next `frames` latent frames show.
    pub(super) fn shows(&self, frames: usize) -> u64 {
        self.picture_of(self.state.position + frames as u64).saturating_sub(self.picture_of(self.state.position))
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

    /// Sizes of the ring; of a model whose layers keep different frames that of all which the file does not name.
    pub fn ring(&self) -> Ring {
        *self.settled.ring()
    }

    /// The plan that the session runs.
    pub fn plan(&self) -> &Plan {
        self.backend.plan()
    }

    /// The plan's programs and buffers; the plan itself lies with the backend ([`Session::plan`]).
    pub fn stream(&self) -> &StreamPlan {
        &self.stream
    }

    /// Denoise steps of a chunk, as the host wants them.
    pub fn steps(&self) -> usize {
        self.state.asked.steps
    }

    /// What the next chunk will be made with, as things stand.
    pub fn quality(&self) -> Quality {
        self.rules.qualities.eased(self.state.asked, self.state.eased)
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
