//! Actions that last: the movement under way, where the model's `latch` is more than one frame.

use alloc::vec;
use alloc::vec::Vec;

/// What chunks are told, from what is pressed.
#[derive(Clone, Debug)]
pub(super) struct Movement {
    /// Latent frames that an action lasts.
    pub latch: usize,
    /// The action in force.
    pub action: Vec<f32>,
    /// Latent frames for which it stays in force, those of the chunk in flight included.
    pub left: usize,
    /// Ticket of the newest action that the one in force takes account of.
    pub ticket: u64,
}

impl Movement {
    /// None under way; actions have `entries` entries and last `latch` latent frames.
    pub fn new(latch: usize, entries: usize) -> Self {
        Self { latch, action: vec![0.0; entries], left: 0, ticket: 0 }
    }

    /// Ends what is under way.
    pub fn stop(&mut self, ticket: u64) {
        self.action.fill(0.0);
        (self.left, self.ticket) = (0, ticket);
    }

    /// The action of the next chunk, while `pressed` is set under `ticket`.
    pub fn next(&mut self, pressed: &[f32], ticket: u64) -> &[f32] {
        if self.left == 0 {
            self.ticket = ticket;
            self.action.copy_from_slice(pressed);
            if self.latch > 1 {
                self.begin(pressed);
            }
        }
        &self.action
    }

    /// What the last frame of the next chunk is told, where each has its own.
    pub fn tell(&mut self, action: &[f32], ticket: u64) {
        self.action.copy_from_slice(action);
        self.ticket = ticket;
    }

    /// A chunk of `frames` latent frames made with it is committed.
    pub fn commit(&mut self, frames: usize) {
        self.left = self.left.saturating_sub(frames);
    }

    /// The chunk in flight is dropped: a movement that began with it has not begun.
    pub fn abort(&mut self) {
        if self.left == self.latch {
            self.left = 0;
        }
    }

    /// Begins the movement of the strongest entry, the first of several, if one is not 0.
    fn begin(&mut self, pressed: &[f32]) {
        let strongest = pressed.iter().map(|x| x.abs()).fold(0.0, f32::max);
        self.action.fill(0.0);
        if let Some(entry) = pressed.iter().position(|x| x.abs() == strongest && strongest > 0.0) {
            self.action[entry] = pressed[entry];
            self.left = self.latch;
        }
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        4 * self.action.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_movement_runs_to_its_end_and_a_key_held_begins_the_next() {
        let mut movement = Movement::new(3, 2);
        let (none, one, two) = ([0.0; 2], [1.0, 0.0], [0.0, 1.0]);
        let told = |movement: &mut Movement, pressed: &[f32], ticket| {
            let action = movement.next(pressed, ticket).to_vec();
            movement.commit(1);
            (action, movement.ticket)
        };
        assert_eq!(told(&mut movement, &none, 1), (none.to_vec(), 1));
        assert_eq!(told(&mut movement, &one, 2), (one.to_vec(), 2));
        // Released, and another pressed: neither counts yet, and the ticket says so.
        assert_eq!(told(&mut movement, &none, 3), (one.to_vec(), 2));
        assert_eq!(told(&mut movement, &two, 4), (one.to_vec(), 2));
        assert_eq!(told(&mut movement, &two, 4), (two.to_vec(), 4));
        movement.stop(5);
        // Of several the strongest, of equals the first.
        assert_eq!(told(&mut movement, &[0.5, -1.0], 6), (vec![0.0, -1.0], 6));
        movement.stop(7);
        assert_eq!(told(&mut movement, &[1.0, 1.0], 8), (one.to_vec(), 8));
    }

    #[test]
    fn without_a_latch_chunks_are_told_what_is_pressed() {
        let mut movement = Movement::new(1, 2);
        for pressed in [[0.5, 1.0], [0.0, 0.0]] {
            assert_eq!(movement.next(&pressed, 1), pressed);
            movement.commit(1);
        }
    }

    #[test]
    fn a_dropped_chunk_takes_its_beginning_back_and_nothing_else() {
        let mut movement = Movement::new(3, 2);
        movement.next(&[1.0, 0.0], 1);
        movement.abort();
        assert_eq!(movement.next(&[0.0, 1.0], 2), [0.0, 1.0]);
        movement.commit(1);
        for _ in 0..2 {
            movement.next(&[1.0, 0.0], 3);
            movement.abort();
            assert_eq!(movement.next(&[1.0, 0.0], 3), [0.0, 1.0]);
            movement.commit(1);
        }
        assert_eq!(movement.next(&[1.0, 0.0], 3), [1.0, 0.0]);
    }

    #[test]
    fn chunks_of_several_frames_end_a_movement_together() {
        let mut movement = Movement::new(6, 1);
        let mut told = Vec::new();
        for chunk in 0..4 {
            told.push(movement.next(&[f32::from(u8::from(chunk == 0))], chunk)[0]);
            movement.commit(3);
        }
        assert_eq!(told, [1.0, 1.0, 0.0, 0.0]);
    }
}
