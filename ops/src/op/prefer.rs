//! Which frames of the past attention looks for: a sample of the queries of a pass, head by head.

use super::operator::{Access, Check, Operator};
use crate::{
    buffer::{BufferId, Cost, PlanError},
    params::GROUPS,
};

/// How old the history frame is that each head prefers, and how old those are that its queries are routed to.
///
/// A frame of the past is as old as there are rows of the visible history from it on, times `every`: the newest is of age `every`. The queries are
/// at most [`Prefer::SAMPLE`], every n-th row. A head prefers the frame with the largest sum over them of q . mean(keys of the frame) after
/// temporal rotation, of several the oldest. Both ages are 0 without a history, that of routes also without routes. Tables and `plain` descriptors as
/// in [`super::Route`].
#[derive(Clone, Debug, PartialEq)]
pub struct Prefer {
    /// Queries [chunk * tokens, dim].
    pub q: BufferId,
    /// Key means of the ring's frames [slots, dim].
    pub means: BufferId,
    /// Spatial rotations [tokens, head_dim / 2 - temporal_pairs, 2] that are undone, in place of temporal ones.
    pub plain: Option<BufferId>,
    /// Frame table u32 [max_history + chunk].
    pub frames: BufferId,
    /// Temporal rotations [max_history + chunk, temporal_pairs, 2].
    pub rotations: BufferId,
    /// History rows u32 [chunk * tokens, heads, k] that the queries are routed to, and k.
    pub routes: Option<(BufferId, usize)>,
    /// Output [heads, 2] from `y_offset` on: age of the preferred frame, mean age of the routes.
    pub y: BufferId,
    /// First element written.
    pub y_offset: usize,
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
    /// Frames of the stream from one that is kept to the next.
    pub every: usize,
    /// Which of [`Params::history`](crate::Params::history) says how many of them are.
    pub group: usize,
}

impl Prefer {
    /// Most queries that are asked.
    pub const SAMPLE: usize = 64;

    /// Rows from one that is asked to the next.
    pub fn stride(&self) -> usize {
        (self.chunk * self.tokens).div_ceil(Self::SAMPLE).max(1)
    }
}

impl Operator for Prefer {
    fn name(&self) -> &'static str {
        "prefer"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        let tables = [self.q, self.means, self.frames, self.rotations];
        for id in tables.into_iter().chain(self.plain).chain(self.routes.map(|(id, _)| id)) {
            visit(id, Access::Read);
        }
        visit(self.y, Access::Update);
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        let (rows, dim) = (self.chunk * self.tokens, self.heads * self.head_dim);
        check.rule(rows * dim > 0, "chunk, tokens, heads and head_dim must be positive")?;
        check.rule(
            self.head_dim.is_multiple_of(2) && 2 * self.temporal_pairs <= self.head_dim,
            "more temporal pairs than pairs",
        )?;
        check.rule(self.max_history <= self.slots && self.slots > 0, "more visible history than ring slots")?;
        check.rule(self.group < GROUPS, "no such group of layers")?;
        check.buffer(self.q, rows * dim)?;
        check.buffer(self.means, self.slots * dim)?;
        check.buffer(self.frames, self.max_history + self.chunk)?;
        check.buffer(self.rotations, (self.max_history + self.chunk) * self.temporal_pairs * 2)?;
        if let Some(plain) = self.plain {
            check.buffer(plain, self.tokens * (self.head_dim - 2 * self.temporal_pairs))?;
        }
        if let Some((routes, k)) = self.routes {
            check.rule(k > 0, "k must be positive")?;
            check.buffer(routes, rows * self.heads * k)?;
        }
        check.buffer(self.y, self.y_offset + 2 * self.heads)
    }

    fn cost(&self) -> Cost {
        let (rows, dim) = ((self.chunk * self.tokens).min(Self::SAMPLE), self.heads * self.head_dim);
        Cost {
            flops: (4 * (rows + self.max_history) * dim) as u64,
            bytes: 4 * ((rows + self.max_history) * dim) as u64,
            weights: 0,
        }
    }
}
