//! Rows and columns in another order than the published one.
//!
//! Published heads have the pairs that turn with a token's column and row before those that turn with time; ours have those of time first,
//! as all kernels do. Published heads of queries that share a head of keys are neighbours; ours lie a whole set of heads of keys apart, so that
//! what shares keys are rows of one tile. Queries and keys are reordered alike, so every score stays what it is.

use crate::import::{Checkpoint, Entry, ImportError};

/// Where the rows and columns of a matrix of ours lie in a published one.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    pub rows: Vec<usize>,
    pub columns: Vec<usize>,
}

/// Where the features of `heads` heads lie, `shared` of which share one of keys; with `turned` those of time come first in each.
pub fn features(heads: usize, shared: usize, head_dim: usize, turned: bool) -> Vec<usize> {
    let sets = heads / shared;
    let head = |at: usize| (at % sets) * shared + at / sets;
    let within = |at: usize| if turned { (at + head_dim / 2) % head_dim } else { at };
    (0..heads * head_dim).map(|at| head(at / head_dim) * head_dim + within(at % head_dim)).collect()
}

impl Order {
    /// Values `start..start + out.len()` of the matrix of ours.
    ///
    /// # Errors
    /// As [`Checkpoint::read`].
    pub fn read(
        &self,
        checkpoint: &Checkpoint,
        entry: &Entry,
        start: usize,
        out: &mut [f32],
    ) -> Result<(), ImportError> {
        let columns = self.columns.len();
        let whole = entry.shape.iter().skip(1).product::<usize>();
        let mut row = vec![0.0; whole];
        let mut at = start;
        let mut rest = out;
        while !rest.is_empty() {
            let (number, column) = (at / columns, at % columns);
            let (part, after) = rest.split_at_mut((columns - column).min(rest.len()));
            checkpoint.read(entry, self.rows[number] * whole, &mut row)?;
            for (value, &from) in part.iter_mut().zip(&self.columns[column..]) {
                *value = row[from];
            }
            at += part.len();
            rest = after;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_that_share_lie_apart_and_time_comes_first() {
        // Two of four heads share one of keys: of 0 0 1 1 come 0 1 0 1.
        let order = features(4, 2, 4, false);
        assert_eq!(order.chunks(4).map(|head| head[0] / 4).collect::<Vec<_>>(), [0, 2, 1, 3]);
        assert_eq!(order[..4], [0, 1, 2, 3]);
        assert_eq!(features(1, 1, 8, true), [4, 5, 6, 7, 0, 1, 2, 3]);
    }
}
