//! The frames that a stream still sees, as they were committed: what a saved game holds of the past.
//!
//! They lie with the host, in half precision, so that saving waits for no device, and a saved game is of none.

use alloc::{vec, vec::Vec};

use half::{f16, slice::HalfFloatSliceExt};

use super::{error::SessionError, fields::Fields, ring::Ring};

/// No frame.
const NONE: u64 = u64::MAX;

/// Latents and actions of the frames that any of a stream's rings shows. Allocated once.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// How many of the newest frames are kept, whether they are seen or not: from those a window can be computed anew.
    newest: u64,
    /// Number of the frame in each row, as the rings count; [`NONE`] in free ones.
    numbers: Vec<u64>,
    /// Latents [rows, height, width, channels], and what each frame was told [rows, entries].
    latents: Vec<f16>,
    actions: Vec<f32>,
    /// The same of the frames in flight [chunk, ..].
    next_latents: Vec<f16>,
    next_actions: Vec<f32>,
}

impl Kept {
    /// Room for all that `rings` show and the `newest` frames, and for a chunk of frames of `len` values, told `entries` numbers.
    pub fn new(rings: &[Ring], newest: usize, chunk: usize, len: usize, entries: usize) -> Self {
        let rows = rings.iter().map(Ring::slots).sum::<usize>() + newest;
        Self {
            newest: newest as u64,
            numbers: vec![NONE; rows],
            latents: vec![f16::ZERO; rows * len],
            actions: vec![0.0; rows * entries],
            next_latents: vec![f16::ZERO; chunk * len],
            next_actions: vec![0.0; chunk * entries],
        }
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        let (halves, floats) =
            (self.latents.len() + self.next_latents.len(), self.actions.len() + self.next_actions.len());
        8 * self.numbers.len() + 2 * halves + 4 * floats
    }

    /// Most bytes of a saved game's frames: of one ring those of its sink, and the newest that it shows or that are kept.
    pub fn saved_bytes(&self, rings: &[Ring]) -> usize {
        let (len, entries) = self.sizes();
        let rows = match rings {
            [ring] if ring.every == 1 => ring.sink + (ring.max_history() - ring.sink).max(self.newest as usize),
            _ => self.numbers.len(),
        };
        rows.min(self.numbers.len()) * (8 + 2 * len + 4 * entries)
    }

    /// Values of a frame's latents, and numbers it is told.
    pub fn sizes(&self) -> (usize, usize) {
        let rows = self.numbers.len().max(1);
        (self.latents.len() / rows, self.actions.len() / rows)
    }

    /// Notes what the frames in flight are told, one after the other.
    pub fn tell(&mut self, actions: &[f32]) {
        self.next_actions.fill(0.0);
        self.next_actions.iter_mut().zip(actions).for_each(|(to, &value)| *to = value);
    }

    /// Notes what all frames in flight are told.
    pub fn tell_all(&mut self, action: &[f32]) {
        self.next_actions.chunks_mut(action.len().max(1)).for_each(|frame| frame.copy_from_slice(action));
    }

    /// What the first `frames` frames in flight are told.
    pub fn told(&self, frames: usize) -> &[f32] {
        &self.next_actions[..frames * self.sizes().1]
    }

    /// Notes the latents of the frames in flight.
    pub fn make(&mut self, latents: &[f32]) {
        // All at once: a pump has no time for hundreds of thousands of values one by one.
        let to = &mut self.next_latents[..latents.len()];
        to.convert_from_f32_slice(latents);
        // What is none, or beyond half precision, is no latent.
        to.iter_mut().filter(|value| !value.is_finite()).for_each(|value| *value = f16::ZERO);
    }

    /// Keeps the first `frames` of those in flight, the first of which is number `first`, and none that `rings` do not show any more.
    pub fn commit(&mut self, rings: &[Ring], first: u64, frames: usize) {
        let (len, entries) = self.sizes();
        for (at, number) in (0..frames).zip(first..) {
            for kept in &mut self.numbers {
                if !wanted(self.newest, rings, number, *kept) {
                    *kept = NONE;
                }
            }
            // There is a row: they are as many as what all rings show and the chunk.
            let Some(row) = self.numbers.iter().position(|&kept| kept == NONE) else { return };
            self.numbers[row] = number;
            self.latents[row * len..][..len].copy_from_slice(&self.next_latents[at * len..][..len]);
            self.actions[row * entries..][..entries].copy_from_slice(&self.next_actions[at * entries..][..entries]);
        }
    }

    /// The number of the first frame from `from` on.
    pub fn first(&self, from: u64) -> Option<u64> {
        self.numbers.iter().copied().filter(|&number| number >= from && number != NONE).min()
    }

    /// Whether a stream whose next frame is number `end` still has a use for frame `number`.
    pub fn wants(&self, rings: &[Ring], end: u64, number: u64) -> bool {
        wanted(self.newest, rings, end, number)
    }

    /// Whether frame `number` is there.
    pub fn has(&self, number: u64) -> bool {
        self.numbers.contains(&number)
    }

    /// Frames that are there and of use before number `end`.
    pub fn count(&self, rings: &[Ring], end: u64) -> usize {
        self.numbers.iter().filter(|&&number| self.wants(rings, end, number)).count()
    }

    /// Latents of a frame, and what it was told.
    pub fn frame(&self, number: u64) -> Option<(&[f16], &[f32])> {
        let (len, entries) = self.sizes();
        let row = self.numbers.iter().position(|&kept| kept == number)?;
        Some((&self.latents[row * len..][..len], &self.actions[row * entries..][..entries]))
    }

    /// Puts a frame of a saved game into a free row; false if there is none.
    pub fn put(&mut self, number: u64, latents: &[f16], actions: &[f32]) -> bool {
        let (len, entries) = self.sizes();
        let Some(row) = self.numbers.iter().position(|&kept| kept == NONE) else { return false };
        self.numbers[row] = number;
        self.latents[row * len..][..len].copy_from_slice(latents);
        self.actions[row * entries..][..entries].copy_from_slice(actions);
        true
    }

    /// The ring counts anew: the `frames` frames before number `end` are the first ones from now on, and there are no others.
    pub fn count_anew(&mut self, end: u64, frames: u64) {
        for number in &mut self.numbers {
            let inside = (end - frames..end).contains(number);
            *number = if inside { *number - (end - frames) } else { NONE };
        }
    }

    /// Forgets all frames.
    pub fn clear(&mut self) {
        self.numbers.fill(NONE);
    }

    /// Its fields, for a snapshot.
    pub fn fields(&mut self, fields: &mut dyn Fields) -> Result<(), SessionError> {
        self.numbers.iter_mut().try_for_each(|number| fields.number(number))?;
        fields.bytes(bytemuck::cast_slice_mut(&mut self.latents))?;
        fields.bytes(bytemuck::cast_slice_mut(&mut self.next_latents))?;
        fields.floats(&mut self.actions)?;
        fields.floats(&mut self.next_actions)
    }

    /// Whether all of them come before number `end`, each once, and restoring can go on from `from`.
    pub fn fits(&self, end: u64, from: Option<u64>) -> bool {
        let mut numbers = self.numbers.iter().enumerate();
        let once = |at: usize, number: u64| !self.numbers[..at].contains(&number);
        let before = numbers.all(|(at, &number)| number == NONE || number < end && once(at, number));
        before && from.is_none_or(|from| self.first(from) == Some(from))
    }

    /// Whether all are numbers that a stream can have made, and the actions none beyond `most`.
    pub fn sound(&self, most: f32) -> bool {
        let latents = self.latents.iter().chain(&self.next_latents).all(|value| value.is_finite());
        latents && self.actions.iter().chain(&self.next_actions).all(|value| value.abs() <= most)
    }
}

/// Whether frame `number` is one of the `newest` before number `end`, or `rings` show it then.
fn wanted(newest: u64, rings: &[Ring], end: u64, number: u64) -> bool {
    number < end && (number + newest >= end || rings.iter().any(|ring| ring.shows(end, number)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Positions;

    /// A frame that is there twice would be in a saved game twice, which no game may have.
    #[test]
    fn frames_are_there_once() {
        let ring = Ring { window: 4, every: 1, sink: 1, chunk: 1, positions: Positions::Compact };
        let mut kept = Kept::new(&[ring], 0, 1, 4, 1);
        let frame = ([f16::ZERO; 4], [0.0]);
        for number in [0, 5, 6] {
            assert!(kept.put(number, &frame.0, &frame.1));
        }
        assert!(kept.fits(7, None) && kept.fits(7, Some(0)));
        assert!(!kept.fits(6, None) && !kept.fits(7, Some(1)));
        assert!(kept.put(5, &frame.0, &frame.1));
        assert!(!kept.fits(7, None));
    }
}
