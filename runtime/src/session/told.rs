//! What a stream is told of one kind, and how it goes over into something else.

use alloc::{vec, vec::Vec};

use super::{
    changes::{Queued, Sink, Way},
    error::SessionError,
    fields::{Fields, Stored, TOO_LONG, flag, size, stored},
};

/// A prompt [rows, dim], or the weights of events [1, events]. Allocated once.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// Values of a row.
    dim: usize,
    /// What is in force, with zeros behind its rows.
    pub now: Vec<f32>,
    /// Its rows.
    pub rows: usize,
    from: Vec<f32>,
    to: Vec<f32>,
    /// Rows of `to`.
    after: usize,
    /// Parts of a change that are in force, of how many; equal when none is under way.
    done: usize,
    parts: usize,
    pub way: Way,
    pub sink: Sink,
    /// Whether the cross-attention keys and values belong to `now`.
    pub valid: bool,
}

impl Told {
    /// Nothing, with room for so many rows of `dim`.
    pub fn new(rows: usize, dim: usize) -> Self {
        let nothing = || vec![0.0; rows * dim];
        let (way, sink) = Default::default();
        let (now, from, to) = (nothing(), nothing(), nothing());
        Self { dim, now, rows: 0, from, to, after: 0, done: 1, parts: 1, way, sink, valid: false }
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        4 * (self.now.len() + self.from.len() + self.to.len())
    }

    /// Puts `values` in force at once.
    pub fn set(&mut self, values: impl Iterator<Item = f32>) {
        self.now.fill(0.0);
        let mut count = 0;
        for (now, value) in self.now.iter_mut().zip(values) {
            *now = value;
            count += 1;
        }
        self.rows = count / self.dim;
        (self.done, self.parts, self.valid) = (1, 1, false);
    }

    /// Begins to go over into `values` and puts the first part in force.
    pub fn change(&mut self, values: &[f32], change: &Queued) {
        let (parts, rows) = ((change.chunks as usize).max(1), values.len() / self.dim);
        self.from.copy_from_slice(&self.now);
        self.to.fill(0.0);
        self.to[..values.len()].copy_from_slice(values);
        // While two prompts are mixed, rows are those of the longer one.
        (self.rows, self.after) = (rows.max(self.rows), rows);
        (self.done, self.parts, self.way, self.sink) = (0, parts, change.way, change.sink);
        self.advance();
    }

    /// The rows of what is in force, or of what it goes over into.
    pub fn most_rows(&self) -> usize {
        self.rows.max(self.after)
    }

    /// Parts of a change that are in force, in 1/65536.
    pub fn share(&self) -> u32 {
        (((self.done as u64) << 16) / (self.parts as u64).max(1)) as u32
    }

    /// Whether a change is under way.
    pub fn changes(&self) -> bool {
        self.done < self.parts
    }

    /// Puts the next part of a change in force, if one is under way; whether it asks for a recache.
    pub fn advance(&mut self) -> bool {
        if !self.changes() {
            return false;
        }
        self.done += 1;
        if !self.changes() {
            self.rows = self.after;
        }
        self.mix();
        self.valid = false;
        self.way == Way::Recache
    }

    /// As many rows as there can be, on the way to as many, for a count of bytes.
    pub fn fill(&mut self) {
        let rows = self.now.len().checked_div(self.dim).unwrap_or(0);
        (self.rows, self.after, self.done, self.parts) = (rows, rows, 0, 1);
    }

    /// Whether no magnitude is beyond `most`.
    pub fn below(&self, most: f32) -> bool {
        [&self.now, &self.from, &self.to].into_iter().flatten().all(|value| value.abs() <= most)
    }

    /// Ends a change under way with what is in force now; cross-attention knows nothing of it.
    pub fn settle(&mut self) {
        (self.done, self.parts, self.valid) = (1, 1, false);
    }

    /// Values that a saved game has of it.
    pub fn saved_values(&self) -> usize {
        if self.changes() { 2 * self.most_rows() * self.dim } else { self.rows * self.dim }
    }

    /// Its fields, for a saved game, with values as the game has them; in a game of the `first` version as such a one has them.
    pub fn saved(&mut self, fields: &mut dyn Fields, how: Stored, first: bool) -> Result<(), SessionError> {
        for number in [&mut self.rows, &mut self.after, &mut self.done, &mut self.parts] {
            size(fields, number)?;
        }
        if self.most_rows() > self.now.len() / self.dim || self.done > self.parts {
            return Err(TOO_LONG);
        }
        self.way.fields(fields)?;
        self.sink.fields(fields)?;
        let count = self.most_rows() * self.dim;
        if first || !self.changes() {
            stored(fields, &mut self.now, count, how)?;
        }
        // What it comes from and goes to matters only on the way, where it says all.
        if self.changes() {
            stored(fields, &mut self.from, count, how)?;
            stored(fields, &mut self.to, count, how)?;
            if fields.reads() {
                self.mix();
            }
        }
        Ok(())
    }

    /// Puts in force what is so by the parts that are.
    fn mix(&mut self) {
        let share = self.done as f32 / self.parts as f32;
        for ((now, from), to) in self.now.iter_mut().zip(&self.from).zip(&self.to) {
            *now = (1.0 - share) * from + share * to;
        }
    }

    /// Its fields, for a snapshot.
    pub fn fields(&mut self, fields: &mut dyn Fields) -> Result<(), SessionError> {
        for values in [&mut self.now, &mut self.from, &mut self.to] {
            fields.floats(values)?;
        }
        for number in [&mut self.rows, &mut self.after, &mut self.done, &mut self.parts] {
            size(fields, number)?;
        }
        if self.most_rows() > self.now.len() / self.dim || self.done > self.parts {
            return Err(SessionError::Snapshot("a condition is out of range"));
        }
        self.way.fields(fields)?;
        self.sink.fields(fields)?;
        flag(fields, &mut self.valid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::changes::Kind;

    fn queued(way: Way, chunks: u32) -> Queued {
        Queued { kind: Kind::Prompt, index: 0, ticket: 1, from: 0, way, sink: Sink::Kept, chunks, mix: 0 }
    }

    #[test]
    fn a_prompt_goes_over_in_equal_parts() {
        let mut told = Told::new(3, 2);
        told.set([1.0; 4].into_iter());
        assert_eq!((told.rows, told.advance()), (2, false));
        told.valid = true;
        told.change(&[5.0, 5.0], &queued(Way::Recache, 4));
        // The longer one's rows, until the end.
        assert_eq!((told.rows, told.valid, told.now[0], told.now[2]), (2, false, 2.0, 0.75));
        assert!(told.advance() && told.advance() && told.advance());
        assert_eq!((told.rows, &told.now), (1, &vec![5.0, 5.0, 0.0, 0.0, 0.0, 0.0]));
        assert!(!told.advance());
        told.change(&[7.0, 8.0], &queued(Way::Keep, 1));
        assert_eq!((told.rows, &told.now[..3]), (1, &[7.0, 8.0, 0.0][..]));
    }
}
