//! Rows of actions, one a picture frame, of a model whose latent frames see those of several (spec 2.13).
//!
//! Latent frame f > 0 makes the pictures that end with number n f, n being the pictures of a latent frame, and sees the rows of the `seen`
//! pictures before that one. So the newest rows of a chunk are seen by the next one only, and a chunk sees rows of those before it.

use alloc::{vec, vec::Vec};

use super::{
    acts::Acts,
    error::SessionError,
    fields::{Fields, RANGE},
};
use crate::config::{DitConfig, GameConfig};

/// The rows of the newest pictures, as many as a latent frame sees. Allocated once.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    seen: usize,
    pictures: usize,
    entries: usize,
    keys: usize,
    /// Rows of the pictures before the next chunk [seen, entries], and before the one after it, once that is made.
    before: Vec<f32>,
    next: Vec<f32>,
    /// What the frames of the next chunk are told: for each the keys [seen, keys], then the mouse [seen, entries - keys].
    told: Vec<f32>,
}

impl Rows {
    /// Nothing pressed; none of a model that sees one row.
    pub fn new(dit: &DitConfig) -> Option<Self> {
        let &GameConfig { rows: seen, pictures, keys, .. } = dit.game()?;
        let entries = dit.actions.len();
        let zeros = vec![0.0; seen * entries];
        Some(Self {
            seen,
            pictures,
            entries,
            keys,
            before: zeros.clone(),
            next: zeros,
            told: vec![0.0; dit.chunk * dit.told()],
        })
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        4 * (self.before.len() + self.next.len() + self.told.len())
    }

    /// What `frames` latent frames are told, which may be the stream's first, while `acts` are pressed.
    pub fn tell(&mut self, acts: &Acts, frames: usize, first: bool) -> &[f32] {
        let Self { seen, pictures, entries, keys, .. } = *self;
        // Before a stream's first picture its row is taken as having been pressed.
        let before = if first { &acts.row(0).repeat(seen) } else { &self.before };
        let row = |at: usize| match at.checked_sub(seen) {
            None => &before[at * entries..][..entries],
            Some(picture) => acts.row(picture),
        };
        // A stream's first latent frame makes one picture, of which nothing comes before.
        let from = if first { 0 } else { pictures - 1 };
        let told = &mut self.told[..frames * seen * entries];
        for (frame, told) in told.chunks_exact_mut(seen * entries).enumerate() {
            let (pressed, moved) = told.split_at_mut(seen * keys);
            for at in 0..seen {
                let (row_keys, mouse) = row(from + pictures * frame + at).split_at(keys);
                pressed[at * keys..][..keys].copy_from_slice(row_keys);
                let width = entries - keys;
                moved[at * width..][..width].copy_from_slice(mouse);
            }
        }
        let made = if first { 1 + pictures * (frames - 1) } else { pictures * frames };
        for (at, to) in self.next.chunks_exact_mut(entries).enumerate() {
            to.copy_from_slice(row(made + at));
        }
        told
    }

    /// The chunk that was told last is made.
    pub fn made(&mut self) {
        self.before.copy_from_slice(&self.next);
    }

    /// Nothing was pressed.
    pub fn clear(&mut self) {
        self.before.fill(0.0);
    }

    /// Whether no magnitude is beyond `most`.
    pub fn below(&self, most: f32) -> bool {
        self.before.iter().chain(&self.next).all(|value| value.abs() <= most)
    }

    /// Its fields, for a snapshot.
    pub fn fields(&mut self, fields: &mut dyn Fields) -> Result<(), SessionError> {
        fields.floats(&mut self.before)?;
        fields.floats(&mut self.next)
    }

    /// What goes on of it, for a saved game.
    pub fn saved(&mut self, fields: &mut dyn Fields) -> Result<(), SessionError> {
        fields.floats(&mut self.before)?;
        if self.before.iter().all(|value| value.is_finite()) { Ok(()) } else { Err(RANGE) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows numbered by their pictures: what each latent frame sees must be the rows of pictures [4 f - 12, 4 f), those before the first one
    /// being row 0.
    #[test]
    fn a_frame_sees_the_rows_before_its_last_picture() {
        let (seen, pictures) = (12, 4);
        let zeros = vec![0.0; seen];
        let told = vec![0.0; 3 * seen];
        let mut rows = Rows { seen, pictures, entries: 1, keys: 1, before: zeros.clone(), next: zeros, told };
        let mut acts = Acts::new(12, 1);
        for chunk in 0..5u64 {
            let (start, first) = (3 * chunk, chunk == 0);
            let pictures = if first { 0..9 } else { 4 * start - 3..4 * start + 9 };
            acts.press(&pictures.map(|picture| 100.0 + picture as f32).collect::<Vec<_>>());
            let told = rows.tell(&acts, 3, first).to_vec();
            for (frame, told) in (start..).zip(told.chunks_exact(seen)) {
                let expected: Vec<f32> = (0..12).map(|at| 100.0 + (4 * frame + at).saturating_sub(12) as f32).collect();
                assert_eq!(told, expected, "frame {frame}");
            }
            // What is told and not made leaves nothing.
            rows.tell(&Acts::new(1, 1), 3, first);
            rows.tell(&acts, 3, first);
            rows.made();
        }
    }

    #[test]
    fn keys_come_before_the_mouse() {
        let zeros = vec![0.0; 4];
        let mut rows =
            Rows { seen: 2, pictures: 2, entries: 2, keys: 1, before: zeros.clone(), next: zeros, told: vec![0.0; 4] };
        let mut acts = Acts::new(2, 2);
        acts.press(&[1.0, 2.0, 3.0, 4.0]);
        rows.tell(&acts, 1, true);
        rows.made();
        assert_eq!(rows.before, [1.0, 2.0, 1.0, 2.0]);
        assert_eq!(rows.tell(&acts, 1, false), [1.0, 1.0, 2.0, 2.0]);
        rows.made();
        assert_eq!(rows.before, [1.0, 2.0, 3.0, 4.0]);
    }
}
