//! History routing: the k history frames one query token of one head attends to (docs/design.md, section 6; docs/spec.md 2.10).

use super::operator::{Access, Check, Operator};
use crate::{
    buffer::{BufferId, Cost, PlanError},
    params::GROUPS,
};

/// Scores each visible history frame by q . mean(keys of the frame) after temporal rotation, and keeps the k best. With `plain` descriptors
/// both are as they were before any rotation, so that content alone tells.
///
/// Ties go to the older frame. Forced members (the first `force_sink` rows and the last `force_recent` rows of the visible
/// history) count towards k. With no more than k visible frames all of them are kept. [`Params::route`](crate::Params::route) may say a smaller
/// k, no less than the forced members are, and [`Params::cut`](crate::Params::cut) that no newest frame is forced. Tables as in
/// [`super::Attention`].
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Queries [chunk * tokens, dim].
    pub q: BufferId,
    /// Key means of the ring's frames [slots, dim].
    pub means: BufferId,
    /// Spatial rotations [tokens, head_dim / 2 - temporal_pairs, 2] of the queries, where means are of keys without theirs
    /// ([`Commit::plain`](super::Commit::plain)): they are undone, and there are no temporal ones.
    pub plain: Option<BufferId>,
    /// Frame table u32 [max_history + chunk].
    pub frames: BufferId,
    /// Temporal rotations [max_history + chunk, temporal_pairs, 2].
    pub rotations: BufferId,
    /// Output u32 [chunk * tokens, heads, k]: history rows, ascending, then `u32::MAX`.
    pub routes: BufferId,
    /// Most frames kept.
    pub k: usize,
    /// Oldest visible rows always kept.
    pub force_sink: usize,
    /// Newest visible rows always kept.
    pub force_recent: usize,
    /// Frames of the chunk.
    pub chunk: usize,
    /// Tokens a frame.
    pub tokens: usize,
    /// Heads.
    pub heads: usize,
    /// Features a head.
    pub head_dim: usize,
    /// Leading pairs with temporal rotation.
    pub temporal_pairs: usize,
    /// Slots of the ring.
    pub slots: usize,
    /// Most history frames visible at once.
    pub max_history: usize,
    /// Which of [`Params::history`](crate::Params::history) says how many of them are.
    pub group: usize,
}

impl Operator for Route {
    fn name(&self) -> &'static str {
        "route"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        for id in [self.q, self.means, self.frames, self.rotations].into_iter().chain(self.plain) {
            visit(id, Access::Read);
        }
        visit(self.routes, Access::Write);
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        let (rows, dim) = (self.chunk * self.tokens, self.heads * self.head_dim);
        check.rule(rows * dim > 0, "chunk, tokens, heads and head_dim must be positive")?;
        check.rule(
            self.head_dim.is_multiple_of(2) && 2 * self.temporal_pairs <= self.head_dim,
            "more temporal pairs than pairs",
        )?;
        check.rule(self.k > 0 && self.k <= self.max_history, "k must be in 1..=max_history")?;
        check.rule(self.force_sink + self.force_recent <= self.k, "more forced members than k")?;
        check.rule(self.max_history <= self.slots, "more visible history than ring slots")?;
        check.rule(self.group < GROUPS, "no such group of layers")?;
        check.buffer(self.q, rows * dim)?;
        check.buffer(self.means, self.slots * dim)?;
        check.buffer(self.frames, self.max_history + self.chunk)?;
        check.buffer(self.rotations, (self.max_history + self.chunk) * self.temporal_pairs * 2)?;
        if let Some(plain) = self.plain {
            check.buffer(plain, self.tokens * (self.head_dim - 2 * self.temporal_pairs))?;
        }
        check.buffer(self.routes, rows * self.heads * self.k)
    }

    fn cost(&self) -> Cost {
        let (rows, dim) = (self.chunk * self.tokens, self.heads * self.head_dim);
        Cost {
            flops: 2 * (rows * self.max_history * dim) as u64,
            bytes: 4 * ((rows + self.max_history) * dim) as u64,
            weights: 0,
        }
    }
}
