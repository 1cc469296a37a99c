//! Self-attention of a chunk over the visible history in the ring and over itself, with one softmax.

use super::operator::{Access, Check, Operator};
use crate::{
    buffer::{BufferId, Cost, PlanError},
    kv::Kv,
    params::GROUPS,
};

/// Attention of the chunk's queries over ring slots and the chunk's own keys.
///
/// Visible frames are numbered 0.. : history rows `0..params.history[group]`, then, starting at row `max_history` of both tables, the
/// chunk's own frames. `frames[row]` is a history frame's ring slot. Keys carry no temporal rotation; `rotations[row]`
/// [temporal_pairs, 2] is (cos, sin) of each visible frame's temporal position, so the query of own frame f meets the keys of
/// row j after being turned by conj(rotations[j]) * rotations[max_history + f] on its leading pairs. Scores are q.k / sqrt(d).
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    /// Queries [chunk * tokens, shared, dim].
    pub q: BufferId,
    /// The chunk's own keys [chunk * tokens, dim].
    pub k: BufferId,
    /// The chunk's own values [chunk * tokens, dim].
    pub v: BufferId,
    /// Ring of keys [slots, tokens, heads], rows of type `kv`.
    pub ring_k: BufferId,
    /// Ring of values, as that of keys.
    pub ring_v: BufferId,
    /// How the ring stores a row. The chunk's own keys and values are f32.
    pub kv: Kv,
    /// Frame table u32 [max_history + chunk].
    pub frames: BufferId,
    /// Temporal rotations [max_history + chunk, temporal_pairs, 2].
    pub rotations: BufferId,
    /// Routes u32 [chunk * tokens, shared, heads, k] of history rows, ascending, `u32::MAX` where fewer than k; None is dense.
    pub routes: Option<(BufferId, usize)>,
    /// Output [chunk * tokens, shared, dim].
    pub y: BufferId,
    /// Frames of the chunk.
    pub chunk: usize,
    /// Tokens a frame.
    pub tokens: usize,
    /// Heads of keys and values.
    pub heads: usize,
    /// Heads of queries that share one of them (grouped-query attention, arXiv 2305.13245): 1 for each its own. Query head j of those that
    /// share head h is number `j * heads + h`.
    pub shared: usize,
    /// Features a head.
    pub head_dim: usize,
    /// Leading pairs of a head with temporal rotation.
    pub temporal_pairs: usize,
    /// Slots of the ring.
    pub slots: usize,
    /// Most history frames visible at once.
    pub max_history: usize,
    /// Which of [`Params::history`](crate::Params::history) says how many of them are.
    pub group: usize,
}

impl Attention {
    /// Features of a row.
    pub fn dim(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Query rows of a frame, each of `heads` heads.
    pub fn queries(&self) -> usize {
        self.tokens * self.shared
    }

    /// Query rows.
    pub fn rows(&self) -> usize {
        self.chunk * self.queries()
    }
}

impl Operator for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        for id in [self.q, self.k, self.v, self.ring_k, self.ring_v, self.frames, self.rotations] {
            visit(id, Access::Read);
        }
        if let Some((routes, _)) = self.routes {
            visit(routes, Access::Read);
        }
        visit(self.y, Access::Write);
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        let (rows, dim) = (self.rows(), self.dim());
        check.rule(rows * dim > 0, "chunk, tokens, heads, shared and head_dim must be positive")?;
        check.rule(
            self.head_dim.is_multiple_of(2) && 2 * self.temporal_pairs <= self.head_dim,
            "more temporal pairs than pairs",
        )?;
        check.rule(self.max_history <= self.slots, "more visible history than ring slots")?;
        check.rule(self.group < GROUPS, "no such group of layers")?;
        for id in [self.q, self.y] {
            check.buffer(id, rows * dim)?;
        }
        for id in [self.k, self.v] {
            check.buffer(id, self.chunk * self.tokens * dim)?;
        }
        for id in [self.ring_k, self.ring_v] {
            check.buffer(id, self.slots * self.tokens * self.heads * self.kv.row_words(self.head_dim))?;
        }
        check.buffer(self.frames, self.max_history + self.chunk)?;
        check.buffer(self.rotations, (self.max_history + self.chunk) * self.temporal_pairs * 2)?;
        if let Some((routes, k)) = self.routes {
            check.rule(k > 0 && k <= self.max_history, "routes must keep 1..=max_history frames")?;
            check.buffer(routes, rows * self.heads * k)?;
        }
        Ok(())
    }

    fn cost(&self) -> Cost {
        let past = self.routes.map_or(self.max_history, |(_, k)| k) * self.tokens;
        let keys = past + self.chunk * self.tokens;
        Cost {
            flops: 4 * (self.rows() * keys * self.dim()) as u64,
            bytes: 8
                * ((self.rows() + self.chunk * self.tokens) * self.dim()
                    + past * self.heads * self.kv.row_words(self.head_dim)) as u64,
            weights: 0,
        }
    }
}
