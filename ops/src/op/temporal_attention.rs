//! Attention over time alone: a token sees itself, or what all tokens of a frame share, in other frames.

use super::operator::{Access, Check, Operator};
use crate::{
    buffer::{BufferId, Cost, PlanError},
    kv::Kv,
    params::GROUPS,
};

/// Attention of each token's query over one key a frame: of history rows in the ring, and of the chunk's own frames.
///
/// Tables, ring and rotations are those of [`Attention`](super::Attention). A frame has `keys` rows of keys and values: as many as it has
/// tokens, of which token t sees row t, or one, which all of them see.
#[derive(Clone, Debug, PartialEq)]
pub struct TemporalAttention {
    /// Queries [chunk * tokens, dim].
    pub q: BufferId,
    /// The chunk's own keys [chunk * keys, dim].
    pub k: BufferId,
    /// The chunk's own values [chunk * keys, dim].
    pub v: BufferId,
    /// Ring of keys [slots, keys, heads], rows of type `kv`.
    pub ring_k: BufferId,
    /// Ring of values, as that of keys.
    pub ring_v: BufferId,
    /// How the ring stores a row. The chunk's own keys and values are f32.
    pub kv: Kv,
    /// Frame table u32 [max_history + chunk].
    pub frames: BufferId,
    /// Temporal rotations [max_history + chunk, temporal_pairs, 2].
    pub rotations: BufferId,
    /// Output [chunk * tokens, dim].
    pub y: BufferId,
    /// Frames of the chunk.
    pub chunk: usize,
    /// Queries a frame.
    pub tokens: usize,
    /// Keys a frame: `tokens`, or 1.
    pub keys: usize,
    /// Heads.
    pub heads: usize,
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

impl TemporalAttention {
    /// Features of a row.
    pub fn dim(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Query rows.
    pub fn rows(&self) -> usize {
        self.chunk * self.tokens
    }
}

impl Operator for TemporalAttention {
    fn name(&self) -> &'static str {
        "temporal_attention"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        for id in [self.q, self.k, self.v, self.ring_k, self.ring_v, self.frames, self.rotations] {
            visit(id, Access::Read);
        }
        visit(self.y, Access::Write);
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        let (rows, dim) = (self.rows(), self.dim());
        check.rule(rows * dim > 0, "chunk, tokens, heads and head_dim must be positive")?;
        check.rule(self.keys == 1 || self.keys == self.tokens, "a frame has a key for each token, or one for all")?;
        check.rule(
            self.head_dim.is_multiple_of(2) && 2 * self.temporal_pairs <= self.head_dim,
            "more temporal pairs than pairs",
        )?;
        check.rule(self.max_history <= self.slots, "more visible history than ring slots")?;
        check.rule(self.group < GROUPS, "no such group of layers")?;
        check.buffer(self.q, rows * dim)?;
        check.buffer(self.y, rows * dim)?;
        for id in [self.k, self.v] {
            check.buffer(id, self.chunk * self.keys * dim)?;
        }
        for id in [self.ring_k, self.ring_v] {
            check.buffer(id, self.slots * self.keys * self.heads * self.kv.row_words(self.head_dim))?;
        }
        check.buffer(self.frames, self.max_history + self.chunk)?;
        check.buffer(self.rotations, (self.max_history + self.chunk) * self.temporal_pairs * 2)
    }

    fn cost(&self) -> Cost {
        let (rows, visible) = (self.rows(), self.max_history + self.chunk);
        let past = self.max_history * self.keys * self.heads * self.kv.row_words(self.head_dim);
        Cost {
            flops: 4 * (rows * visible * self.dim()) as u64,
            bytes: 8 * (rows * self.dim() + self.chunk * self.keys * self.dim() + past) as u64,
            weights: 0,
        }
    }
}
