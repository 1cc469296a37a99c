//! Attention of every token over a short context (text or event rows), without positions or mask.

use super::{Access, Check, Operator};
use crate::plan::{BufferId, Cost, PlanError};

/// Softmax(q.k / sqrt(d) + offset) v over `context` rows shared by all tokens.
///
/// Offsets let one row stand for n equal ones (ln n: padded text, spec 1.4) or for none (-1e30).
#[derive(Clone, Debug, PartialEq)]
pub struct CrossAttention {
    /// Queries [rows, dim].
    pub q: BufferId,
    /// Context keys [context, dim].
    pub k: BufferId,
    /// Context values [context, dim].
    pub v: BufferId,
    /// Added to the scores of each context row [context].
    pub offsets: Option<BufferId>,
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
        for id in [self.q, self.k, self.v].into_iter().chain(self.offsets) {
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
        if let Some(offsets) = self.offsets {
            check.buffer(offsets, self.context)?;
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

    fn run(&self, cx: &crate::cpu::Context<'_>) {
        crate::cpu::attention::cross_attention(self, cx);
    }
}
