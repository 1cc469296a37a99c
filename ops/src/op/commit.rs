//! Commits a chunk's clean keys and values to the ring, with each frame's key mean.

use super::operator::{Access, Check, Operator, streamed};
use crate::{
    buffer::{BufferId, Cost, PlanError},
    kv::Kv,
};

/// Copies own frame f to ring slot `frames[max_history + f]` and stores mean(keys) there. Only the clean-context pass runs it
/// (docs/design.md, idea 4). The slot is not yet visible, so an aborted commit leaves no trace. A value that is NaN or infinite becomes 0:
/// a ring with one of these would spoil every frame that sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// The chunk's keys [chunk * tokens, dim].
    pub k: BufferId,
    /// The chunk's values [chunk * tokens, dim].
    pub v: BufferId,
    /// Frame table u32 [max_history + chunk].
    pub frames: BufferId,
    /// Ring of keys [slots, tokens, heads], rows of type `kv`.
    pub ring_k: BufferId,
    /// Ring of values, as that of keys.
    pub ring_v: BufferId,
    /// How the ring stores a row.
    pub kv: Kv,
    /// Key means [slots, dim], of the keys as they came.
    pub means: BufferId,
    /// Spatial rotations [tokens, head_dim / 2 - first, 2] of the keys from their pair `first` on, and `first`: undone in the means, which then tell content
    /// alone.
    pub plain: Option<(BufferId, usize)>,
    /// Frames of the chunk.
    pub chunk: usize,
    /// Tokens a frame.
    pub tokens: usize,
    /// Heads.
    pub heads: usize,
    /// Features a head.
    pub head_dim: usize,
    /// Slots of the ring.
    pub slots: usize,
    /// Rows of history before the chunk's rows in the frame table.
    pub max_history: usize,
}

impl Commit {
    /// Features of a token.
    pub fn dim(&self) -> usize {
        self.heads * self.head_dim
    }
}

impl Operator for Commit {
    fn name(&self) -> &'static str {
        "commit"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        for id in [self.k, self.v, self.frames].into_iter().chain(self.plain.map(|(id, _)| id)) {
            visit(id, Access::Read);
        }
        for id in [self.ring_k, self.ring_v, self.means] {
            visit(id, Access::Update);
        }
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        let row = self.tokens * self.dim();
        check.rule(self.chunk * row > 0, "chunk, tokens, heads and head_dim must be positive")?;
        check.rule(self.slots >= self.max_history + self.chunk, "the ring has no free slots for the chunk")?;
        check.buffer(self.k, self.chunk * row)?;
        check.buffer(self.v, self.chunk * row)?;
        check.buffer(self.frames, self.max_history + self.chunk)?;
        if let Some((table, first)) = self.plain {
            check.rule(
                self.head_dim.is_multiple_of(2) && 2 * first <= self.head_dim,
                "spatial pairs begin behind the last pair",
            )?;
            check.buffer(table, self.tokens * (self.head_dim - 2 * first))?;
        }
        let stored = self.tokens * self.heads * self.kv.row_words(self.head_dim);
        check.buffer(self.ring_k, self.slots * stored)?;
        check.buffer(self.ring_v, self.slots * stored)?;
        check.buffer(self.means, self.slots * self.dim())
    }

    fn cost(&self) -> Cost {
        let rows = self.chunk * self.tokens * self.heads;
        streamed(rows * self.head_dim, 2 * rows * (self.head_dim + self.kv.row_words(self.head_dim)))
    }
}
