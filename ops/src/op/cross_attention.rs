//! Attention of every token over one run of context rows (text or events) that all tokens see.

use super::operator::{Access, Check, Operator};
use crate::buffer::{BufferId, Cost, PlanError};

/// What is added to scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offsets {
    /// One number for each context row [context]: lets it stand for n equal ones (ln n: padded text, spec 1.4) or for none (-1e30).
    Rows(BufferId),
    /// One for each head and distance [heads, rows + context - 1]; entry `query + context - 1 - key` (spec 4: relative positions).
    Distances(BufferId),
}

impl Offsets {
    /// The buffer of numbers.
    pub fn buffer(self) -> BufferId {
        match self {
            Offsets::Rows(id) | Offsets::Distances(id) => id,
        }
    }
}

/// Softmax(q.k / sqrt(d) + offset) v over `context` rows shared by all tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossAttention {
    /// Queries [rows, dim].
    pub q: BufferId,
    /// Context keys [context, dim].
    pub k: BufferId,
    /// Context values [context, dim].
    pub v: BufferId,
    /// Added to the scores.
    pub offsets: Option<Offsets>,
    /// Whether q.k is divided by sqrt(d).
    pub scaled: bool,
    /// Output [rows, dim].
    pub y: BufferId,
    /// Query rows.
    pub rows: usize,
    /// Context rows.
    pub context: usize,
    /// Heads.
    pub heads: usize,
    /// Features a head.
    pub head_dim: usize,
}

impl Operator for CrossAttention {
    fn name(&self) -> &'static str {
        "cross_attention"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        for id in [self.q, self.k, self.v].into_iter().chain(self.offsets.map(Offsets::buffer)) {
            visit(id, Access::Read);
        }
        visit(self.y, Access::Write);
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        let dim = self.heads * self.head_dim;
        check.rule(self.rows * self.context * dim > 0, "rows, context, heads and head_dim must be positive")?;
        check.buffer(self.q, self.rows * dim)?;
        check.buffer(self.k, self.context * dim)?;
        check.buffer(self.v, self.context * dim)?;
        match self.offsets {
            Some(Offsets::Rows(id)) => check.buffer(id, self.context)?,
            Some(Offsets::Distances(id)) => check.buffer(id, self.heads * (self.rows + self.context - 1))?,
            None => {}
        }
        check.buffer(self.y, self.rows * dim)
    }

    fn cost(&self) -> Cost {
        let dim = self.heads * self.head_dim;
        Cost {
            flops: 4 * (self.rows * self.context * dim) as u64,
            bytes: 4 * (2 * (self.rows + self.context) * dim) as u64,
            weights: 0,
        }
    }
}
