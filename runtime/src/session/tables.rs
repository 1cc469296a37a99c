//! The small inputs that change with every chunk of a world: frame table, actions, event mix. Allocated once.

use alloc::{vec, vec::Vec};

use causeway_ops::{Backend, BackendError};

use super::{frame_table::FrameTable, ring::Ring};
use crate::model::WorldPlan;

pub(super) struct Tables {
    frames: FrameTable,
    actions: Vec<f32>,
    events: Vec<f32>,
}

impl Tables {
    /// For a ring, `temporal` rotated dimensions a head, and the sizes of actions and events.
    pub fn new(ring: &Ring, temporal: usize, actions: usize, events: usize) -> Self {
        Self {
            frames: FrameTable::new(ring, temporal),
            actions: vec![0.0; ring.chunk * actions],
            events: vec![0.0; events],
        }
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        self.frames.memory() + 4 * (self.actions.len() + self.events.len())
    }

    /// Writes the frame table and the rotations of a chunk of `frames` frames at `start`; returns the visible history.
    pub fn place(
        &mut self,
        backend: &mut dyn Backend,
        world: &WorldPlan,
        ring: &Ring,
        rope: (usize, f32),
        start: u64,
        frames: usize,
    ) -> Result<u32, BackendError> {
        self.frames.place(backend, (world.frames, world.rotations), ring, rope, start, frames)
    }

    /// Writes one action for every frame of the chunk; None is no action.
    pub fn act(
        &mut self,
        backend: &mut dyn Backend,
        world: &WorldPlan,
        action: Option<&[f32]>,
    ) -> Result<(), BackendError> {
        match action {
            Some(action) => self.actions.chunks_mut(action.len()).for_each(|frame| frame.copy_from_slice(action)),
            None => self.actions.fill(0.0),
        }
        backend.write(world.actions, bytemuck::cast_slice(&self.actions))
    }

    /// Writes a one-hot event mix.
    pub fn mix(&mut self, backend: &mut dyn Backend, world: &WorldPlan, event: u32) -> Result<(), BackendError> {
        for (index, weight) in self.events.iter_mut().enumerate() {
            *weight = if index as u32 == event { 1.0 } else { 0.0 };
        }
        backend.write(world.events, bytemuck::cast_slice(&self.events))
    }
}
