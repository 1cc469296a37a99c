//! The small inputs that change with every chunk: frame table, temporal rotations, actions, event mix. Allocated once.

use alloc::{vec, vec::Vec};

use causeway_ops::{Backend, BackendError};

use super::ring::{Ring, Visible};
use crate::model::{WorldPlan, rotations};

pub(super) struct Tables {
    visible: Vec<Visible>,
    frames: Vec<u32>,
    rotations: Vec<f32>,
    angles: Vec<f32>,
    actions: Vec<f32>,
    events: Vec<f32>,
}

impl Tables {
    /// For a ring, `temporal` rotated dimensions a head, and the sizes of actions and events.
    pub fn new(ring: &Ring, temporal: usize, actions: usize, events: usize) -> Self {
        let rows = ring.max_history() + ring.chunk;
        Self {
            visible: Vec::with_capacity(rows),
            frames: vec![0; rows],
            rotations: vec![0.0; rows * temporal],
            angles: Vec::with_capacity(temporal),
            actions: vec![0.0; ring.chunk * actions],
            events: vec![0.0; events],
        }
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        self.visible.capacity() * size_of::<Visible>()
            + 4 * (self.frames.len() + self.rotations.len() + self.angles.capacity())
            + 4 * (self.actions.len() + self.events.len())
    }

    /// Writes the frame table and the rotations of a chunk of `frames` frames at `start`; returns the visible history.
    ///
    /// Positions are taken relative to the chunk's first frame: attention needs differences only, and small angles stay exact
    /// however long the stream is.
    pub fn place(
        &mut self,
        backend: &mut dyn Backend,
        world: &WorldPlan,
        ring: &Ring,
        (temporal, theta): (usize, f32),
        start: u64,
        frames: usize,
    ) -> Result<u32, BackendError> {
        ring.visible(start, frames, &mut self.visible);
        let history = self.visible.len() - frames;
        let base = self.visible[history].position;
        for (index, visible) in self.visible.iter().enumerate() {
            let row = if index < history { index } else { ring.max_history() + index - history };
            self.frames[row] = visible.slot;
            self.angles.clear();
            rotations(&mut self.angles, visible.position as f64 - base as f64, temporal, theta);
            self.rotations[row * temporal..][..temporal].copy_from_slice(&self.angles);
        }
        backend.write(world.frames, bytemuck::cast_slice(&self.frames))?;
        backend.write(world.rotations, bytemuck::cast_slice(&self.rotations))?;
        Ok(history as u32)
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
