//! What the host presses: one action until the next, or a row for each picture of the next chunk.

use alloc::{vec, vec::Vec};

use super::{
    error::SessionError,
    fields::{Fields, RANGE, size},
};

/// Rows of an action vector, of which the last one goes on. Allocated once.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Acts {
    /// Values [most rows, entries].
    values: Vec<f32>,
    entries: usize,
    rows: usize,
    /// Ticket of the newest ones.
    pub ticket: u64,
}

impl Acts {
    /// Nothing pressed; at most `most` rows of `entries` numbers.
    pub fn new(most: usize, entries: usize) -> Self {
        Self { values: vec![0.0; most.max(1) * entries], entries, rows: 1, ticket: 0 }
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        4 * self.values.len()
    }

    /// Sets rows of entries, which there is room for, under a ticket.
    pub fn set(&mut self, values: &[f32], ticket: u64) {
        self.values[..values.len()].copy_from_slice(values);
        self.rows = values.len().checked_div(self.entries).unwrap_or(1).max(1);
        self.ticket = ticket;
    }

    /// Presses rows of entries, which there is room for, and returns their ticket.
    pub fn press(&mut self, values: &[f32]) -> u64 {
        self.set(values, self.ticket + 1);
        self.ticket
    }

    /// Takes over what another one of the same sizes holds.
    pub fn take(&mut self, other: &Self) {
        self.set(other.all(), other.ticket);
    }

    /// Nothing is pressed.
    pub fn clear(&mut self) {
        self.values.fill(0.0);
        self.rows = 1;
    }

    /// All rows.
    pub fn all(&self) -> &[f32] {
        &self.values[..self.rows * self.entries]
    }

    /// How many there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Whether there is more than one.
    pub fn several(&self) -> bool {
        self.rows > 1
    }

    /// The row of picture `picture` of the next chunk.
    pub fn row(&self, picture: usize) -> &[f32] {
        &self.values[picture.min(self.rows - 1) * self.entries..][..self.entries]
    }

    /// The next chunk is made: from now on the last row goes on, unless there are others under a newer ticket.
    pub fn made(&mut self, ticket: u64) {
        if self.ticket <= ticket {
            let last = (self.rows - 1) * self.entries;
            self.values.copy_within(last..last + self.entries, 0);
            self.rows = 1;
        }
    }

    /// Whether no magnitude is beyond `most`.
    pub fn below(&self, most: f32) -> bool {
        self.values.iter().all(|value| value.abs() <= most)
    }

    /// Its fields, for a snapshot.
    pub fn fields(&mut self, fields: &mut dyn Fields) -> Result<(), SessionError> {
        fields.floats(&mut self.values)?;
        size(fields, &mut self.rows)?;
        fields.number(&mut self.ticket)?;
        let most = self.values.len().checked_div(self.entries).unwrap_or(1);
        if (1..=most).contains(&self.rows) { Ok(()) } else { Err(RANGE) }
    }

    /// What goes on of it, for a saved game.
    pub fn saved(&mut self, fields: &mut dyn Fields) -> Result<(), SessionError> {
        fields.number(&mut self.ticket)?;
        if !fields.reads() {
            // The last row is what goes on; a reader puts it first.
            let last = (self.rows - 1) * self.entries;
            return fields.floats(&mut self.values[last..last + self.entries]);
        }
        self.rows = 1;
        fields.floats(&mut self.values[..self.entries])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_row_goes_on_once_its_chunk_is_made() {
        let mut acts = Acts::new(3, 2);
        acts.set(&[1.0, 2.0, 3.0, 4.0], 1);
        assert!(acts.several());
        assert_eq!([acts.row(0), acts.row(1), acts.row(9)], [[1.0, 2.0], [3.0, 4.0], [3.0, 4.0]]);
        // Newer ones came while the chunk was made.
        acts.set(&[5.0, 6.0, 7.0, 8.0], 2);
        acts.made(1);
        assert_eq!(acts.row(0), [5.0, 6.0]);
        acts.made(2);
        assert_eq!((acts.row(0), acts.several()), (&[7.0, 8.0][..], false));
    }
}
