//! Attention of every token over a short context (text or event rows), without positions or mask.

use super::{Access, Check, Operator};
use crate::plan::{BufferId, Cost, PlanError};

/// Softmax(q.k / sqrt(d)) v over `context` rows shared by all tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossAttention {
    /// Queries [rows, dim].
    pub q: BufferId,
    /// Context keys [context, dim].
    pub k: BufferId,
    /// Context values [context, dim].
    pub v: BufferId,
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
        for id in [self.q, self.k, self.v] {
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
