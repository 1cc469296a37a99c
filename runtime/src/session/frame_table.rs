//! Which ring slots a chunk sees and writes, and how its temporal positions turn. Allocated once.

use alloc::{vec, vec::Vec};

use causeway_ops::{Backend, BackendError};

use super::ring::{Ring, Visible};
use crate::model::Group;

pub(crate) struct FrameTable {
    ring: Ring,
    visible: Vec<Visible>,
    frames: Vec<u32>,
    rotations: Vec<f32>,
    angles: Vec<f32>,
}

impl FrameTable {
    /// For a ring and `temporal` rotated dimensions a head.
    pub fn new(ring: Ring, temporal: usize) -> Self {
        let rows = ring.slots();
        Self {
            ring,
            visible: Vec::with_capacity(rows),
            frames: vec![0; rows],
            rotations: vec![0.0; rows * temporal],
            angles: Vec::with_capacity(temporal),
        }
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        self.visible.capacity() * size_of::<Visible>()
            + 4 * (self.frames.len() + self.rotations.len() + self.angles.capacity())
    }

    /// Writes the table and the rotations of a group for a chunk of `frames` frames at `start` that sees a window of `window`, at most the ring's;
    /// returns the visible history.
    ///
    /// Positions are taken relative to the chunk's first frame: attention needs differences only, and small angles stay exact
    /// however long the stream is.
    pub fn place(
        &mut self,
        backend: &mut dyn Backend,
        group: &Group,
        (start, frames): (u64, usize),
        window: usize,
    ) -> Result<u32, BackendError> {
        self.ring.visible_in(window, start, frames, &mut self.visible);
        self.write(backend, group, frames, self.ring.max_history())
    }

    /// As [`Self::place`] where only those frames of the past can be seen that are `there`.
    pub fn restore(
        &mut self,
        backend: &mut dyn Backend,
        group: &Group,
        (start, frames): (u64, usize),
        there: impl Fn(u64) -> bool,
    ) -> Result<u32, BackendError> {
        self.ring.visible_of(start, frames, there, &mut self.visible);
        self.write(backend, group, frames, self.ring.max_history())
    }

    /// The same for the last `frames` frames before frame `end`, to be computed anew behind `history` frames of the sink.
    pub fn recache(
        &mut self,
        backend: &mut dyn Backend,
        group: &Group,
        end: u64,
        (history, frames): (usize, usize),
    ) -> Result<u32, BackendError> {
        self.ring.recached(end, history, frames, &mut self.visible);
        self.write(backend, group, frames, history)
    }

    /// Writes what is visible, the last `frames` of it from row `own` on.
    fn write(
        &mut self,
        backend: &mut dyn Backend,
        &Group { frames, rotations, rope, .. }: &Group,
        count: usize,
        own: usize,
    ) -> Result<u32, BackendError> {
        let history = self.visible.len() - count;
        let base = self.visible[history].position;
        for (index, visible) in self.visible.iter().enumerate() {
            let row = if index < history { index } else { own + index - history };
            self.frames[row] = visible.slot;
            self.angles.clear();
            rope.rotate(&mut self.angles, visible.position as f64 - base as f64);
            self.rotations[row * rope.dims..][..rope.dims].copy_from_slice(&self.angles);
        }
        backend.write(frames, bytemuck::cast_slice(&self.frames))?;
        backend.write(rotations, bytemuck::cast_slice(&self.rotations))?;
        Ok(history as u32)
    }
}
