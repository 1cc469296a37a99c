//! The small inputs that change with every chunk: frame table, actions, conditions, places of recent latents. Allocated once.

use alloc::{vec, vec::Vec};
use core::ops::Range;

use causeway_ops::{Backend, BackendError, BufferId, GROUPS, Plan};

use half::slice::HalfFloatSliceExt;

use super::{acts::Acts, frame_table::FrameTable, kept::Kept, ring::Ring, told::Told};
use crate::model::{GameInputs, Recent, StreamPlan, Text};

pub(super) struct Tables {
    /// Of each group of layers.
    pub frames: Vec<FrameTable>,
    /// What the frames of a pass are told of actions, and how many numbers each is.
    actions: Vec<f32>,
    told: usize,
    offsets: Vec<f32>,
    recent: Vec<u32>,
    /// Latents that the host gives, on their way; at other times of use to who looks at them.
    pub latents: Vec<f32>,
    /// Sums of the channels [2, channels].
    pub sums: Vec<f32>,
    /// Latents of a finished chunk, and ages of what heads preferred before it.
    pub finished: Vec<f32>,
    /// What a game is told, on its way.
    apart: Vec<f32>,
    /// Rows that stand for a prompt's padding.
    length: usize,
}

impl Tables {
    /// For a plan, the rings of its groups of layers, frames told `told` numbers each, prompts padded to `length` rows, and latents of
    /// `channels` channels.
    pub fn new(plan: &Plan, stream: &StreamPlan, rings: &[Ring], [told, length, channels]: [usize; 3]) -> Self {
        let words = |buffer: Option<BufferId>| buffer.map_or(0, |buffer| plan.buffer(buffer).len);
        let frame = words(Some(stream.picked));
        Self {
            frames: rings
                .iter()
                .zip(&stream.groups)
                .map(|(&ring, group)| FrameTable::new(ring, group.rope.dims))
                .collect(),
            actions: vec![0.0; words(Some(stream.latents)) / frame.max(1) * told],
            told,
            offsets: vec![0.0; stream.conditions.text.map_or(0, |text| text.rows)],
            recent: vec![0; words(stream.recent.map(|recent| recent.table))],
            latents: vec![0.0; words(Some(stream.latents))],
            finished: vec![0.0; words(Some(stream.finished))],
            sums: vec![0.0; 2 * channels],
            apart: Vec::with_capacity(
                stream
                    .conditions
                    .game()
                    .map_or(0, |game| words(Some(game.condition)).max(words(Some(game.keys))).max(words(game.mouse))),
            ),
            length,
        }
    }

    /// Writes what a chunk of so many frames `there` in the rings sees and where it goes, in a window of `window` of the first group; returns how
    /// much history each group sees.
    pub fn place(
        &mut self,
        backend: &mut dyn Backend,
        stream: &StreamPlan,
        there: (u64, usize),
        window: usize,
    ) -> Result<[u32; GROUPS], BackendError> {
        let mut history = [0; GROUPS];
        for (at, ((table, group), seen)) in self.frames.iter_mut().zip(&stream.groups).zip(&mut history).enumerate() {
            let window = if at == 0 { window } else { group.past.window };
            *seen = table.place(backend, group, there, window)?;
        }
        Ok(history)
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        let latents = self.latents.len() + self.finished.len() + self.sums.len();
        let words = self.actions.len() + self.offsets.len() + self.recent.len() + latents + self.apart.capacity();
        self.frames.iter().map(FrameTable::memory).sum::<usize>() + 4 * words
    }

    /// Writes one action for every frame of a pass, where the model is told actions.
    pub fn act(&mut self, backend: &mut dyn Backend, stream: &StreamPlan, action: &[f32]) -> Result<(), BackendError> {
        self.actions.chunks_mut(action.len().max(1)).for_each(|frame| frame.copy_from_slice(action));
        self.acted(backend, stream)
    }

    /// Notes the row that each of `frames` frames is told, that of picture `picture(frame)`; [`Self::acted`] writes them.
    pub fn act_rows(&mut self, acts: &Acts, frames: usize, picture: impl Fn(usize) -> usize) -> &[f32] {
        let entries = acts.row(0).len();
        let all = frames * entries;
        for (at, to) in self.actions.chunks_exact_mut(entries.max(1)).enumerate() {
            to.copy_from_slice(acts.row(picture(at)));
        }
        self.actions.get(..all).unwrap_or_default()
    }

    /// Writes what is noted.
    pub fn acted(&mut self, backend: &mut dyn Backend, stream: &StreamPlan) -> Result<(), BackendError> {
        if let Some(game) = stream.conditions.game() {
            return self.acted_apart(backend, game);
        }
        let Some(actions) = stream.conditions.actions else { return Ok(()) };
        backend.write(actions, bytemuck::cast_slice(&self.actions))
    }

    /// As [`Self::act`], an action for each of the first frames, and none for the others.
    pub fn act_each(
        &mut self,
        backend: &mut dyn Backend,
        stream: &StreamPlan,
        each: &[f32],
    ) -> Result<(), BackendError> {
        self.actions.fill(0.0);
        self.actions[..each.len()].copy_from_slice(each);
        self.acted(backend, stream)
    }

    /// Writes the keys of all frames, then the mouse of all.
    fn acted_apart(&mut self, backend: &mut dyn Backend, game: GameInputs) -> Result<(), BackendError> {
        let frames = self.actions.len() / self.told.max(1);
        let keys = backend.plan().buffer(game.keys).len / frames.max(1);
        let mut part = |buffer: BufferId, columns: Range<usize>| {
            let rows = self.actions.chunks_exact(self.told.max(1)).flat_map(|frame| &frame[columns.clone()]);
            self.apart.clear();
            self.apart.extend(rows);
            backend.write(buffer, bytemuck::cast_slice(&self.apart))
        };
        part(game.keys, 0..keys)?;
        game.mouse.map_or(Ok(()), |mouse| part(mouse, keys..self.told))
    }

    /// Writes the picture condition of frames from number `start` on: rows of `condition` [rows, height, width, channels], of which the last goes
    /// on for ever.
    pub fn show(
        &mut self,
        backend: &mut dyn Backend,
        stream: &StreamPlan,
        condition: &[f32],
        start: u64,
    ) -> Result<(), BackendError> {
        let Some(game) = stream.conditions.game() else { return Ok(()) };
        let len = backend.plan().buffer(game.condition).len;
        let row = len / (self.actions.len() / self.told.max(1)).max(1);
        let last = (condition.len() / row.max(1)).saturating_sub(1);
        self.apart.clear();
        for frame in (start..).take(len / row.max(1)) {
            let at = usize::try_from(frame).map_or(last, |frame| frame.min(last));
            self.apart.extend_from_slice(condition.get(at * row..(at + 1) * row).unwrap_or_default());
        }
        self.apart.resize(len, 0.0);
        backend.write(game.condition, bytemuck::cast_slice(&self.apart))
    }

    /// Writes latents [frames, height, width, channels] to where passes find them.
    pub fn give(
        &mut self,
        backend: &mut dyn Backend,
        stream: &StreamPlan,
        latents: &[f32],
    ) -> Result<(), BackendError> {
        self.latents[..latents.len()].copy_from_slice(latents);
        backend.write(stream.latents, bytemuck::cast_slice(&self.latents))
    }

    /// Writes frames of a saved game, from number `start` on, what they were told, and what each group of layers sees before them.
    pub fn restore(
        &mut self,
        backend: &mut dyn Backend,
        stream: &StreamPlan,
        (start, frames): (u64, usize),
        kept: &Kept,
    ) -> Result<[u32; GROUPS], BackendError> {
        let (len, entries) = kept.sizes();
        self.actions.fill(0.0);
        for (at, number) in (0..frames).zip(start..) {
            let Some((latents, actions)) = kept.frame(number) else { continue };
            latents.convert_to_f32_slice(&mut self.latents[at * len..][..len]);
            self.actions[at * entries..][..entries].copy_from_slice(actions);
        }
        backend.write(stream.latents, bytemuck::cast_slice(&self.latents))?;
        self.acted(backend, stream)?;
        let mut history = [0; GROUPS];
        for ((table, group), seen) in self.frames.iter_mut().zip(&stream.groups).zip(&mut history) {
            *seen = table.restore(backend, group, (start, frames), |frame| kept.has(frame))?;
        }
        Ok(history)
    }

    /// Writes zeros to a buffer of one latent frame of `len` values.
    pub fn forget(&mut self, backend: &mut dyn Backend, frame: BufferId, len: usize) -> Result<(), BackendError> {
        self.latents[..len].fill(0.0);
        backend.write(frame, bytemuck::cast_slice(&self.latents[..len]))
    }

    /// Writes a prompt and how many rows each of its rows stands for.
    pub fn prompt(
        &mut self,
        backend: &mut dyn Backend,
        Text { embeddings, .. }: Text,
        offsets: BufferId,
        told: &Told,
    ) -> Result<(), BackendError> {
        // Rows that stand for nothing are never seen.
        self.offsets.fill(-1e30);
        self.offsets[..told.rows].fill(0.0);
        if told.rows < self.length {
            self.offsets[told.rows] = libm::log((self.length - told.rows) as f64) as f32;
        }
        backend.write(embeddings, bytemuck::cast_slice(&told.now))?;
        backend.write(offsets, bytemuck::cast_slice(&self.offsets))
    }

    /// Writes where the frames from `position` on are put when they are committed.
    pub fn put(&mut self, backend: &mut dyn Backend, stream: &StreamPlan, position: u64) -> Result<(), BackendError> {
        let Some(Recent { table, rows }) = stream.recent else { return Ok(()) };
        for (at, row) in self.recent.iter_mut().enumerate() {
            *row = ((position + at as u64) % rows as u64) as u32;
        }
        backend.write(table, bytemuck::cast_slice(&self.recent))
    }

    /// Writes where the `frames` newest frames before frame `position` lie.
    pub fn take(
        &mut self,
        backend: &mut dyn Backend,
        stream: &StreamPlan,
        position: u64,
        frames: usize,
    ) -> Result<(), BackendError> {
        let Some(Recent { table, rows }) = stream.recent else { return Ok(()) };
        self.recent.fill(rows as u32);
        let rows = (position - frames as u64..position).map(|frame| (frame % rows as u64) as u32);
        self.recent.iter_mut().zip(rows).for_each(|(to, row)| *to = row);
        backend.write(table, bytemuck::cast_slice(&self.recent))
    }
}
