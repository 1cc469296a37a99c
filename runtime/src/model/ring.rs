//! The rings of a denoiser: what its layers keep of their past, in groups of layers that keep the same frames.

use alloc::{format, string::String, vec, vec::Vec};

#[cfg(feature = "matrix-game")]
use causeway_ops::op::TemporalAttention;
use causeway_ops::{
    BufferId, Kv, PlanBuilder,
    op::{Attention, Commit, Prefer, Route},
    plan::{BufferKind, Element},
};

use super::rope::Rope;
use crate::config::Descriptors;

/// What a group of layers keeps of its past, and what of it a query sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// Latent frames attention sees, of those that are kept, and including those of the chunk that will be.
    pub window: usize,
    /// A frame is kept if its number in the stream is a multiple of this.
    pub every: usize,
    /// History frames seen by a query; 0 for all.
    pub route: usize,
    /// Up to so many may be asked for while the stream runs; 0 where `route` stays as it is.
    pub most_route: usize,
    /// Of these, oldest visible frames that are always seen.
    pub route_sink: usize,
    /// Newest frames that are always seen.
    pub route_recent: usize,
    /// How the ring stores keys and values.
    pub kv: Kv,
}

impl Past {
    /// An f32 ring of every frame; routes keep the newest one.
    pub fn new(window: usize, route: usize) -> Self {
        Self { window, every: 1, route, most_route: 0, route_sink: 0, route_recent: 1, kv: Kv::F32 }
    }

    /// Most history frames visible at once, when chunks have `chunk` frames.
    pub fn max_history(&self, chunk: usize) -> usize {
        // The fewest frames of a chunk that are kept; those that are will take the place of as many of the oldest.
        self.window - chunk / self.every
    }

    /// Slots of the ring: of all visible history and of every frame of a chunk. Those that are not kept have slots of their own at the end,
    /// which nobody sees.
    pub fn slots(&self, chunk: usize) -> usize {
        self.max_history(chunk) + chunk
    }
}

/// The groups of a denoiser's layers: at most [`GROUPS`](causeway_ops::GROUPS).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    /// What each group keeps.
    pub pasts: Vec<Past>,
    /// The group of every layer; the first one of layers that are not listed.
    pub layers: Vec<usize>,
    /// What routes are found by.
    pub descriptors: Descriptors,
    /// The group of the rings of action modules, whose rows turn at other rates; `None` of a model that has none.
    pub actions: Option<usize>,
}

impl From<Past> for Groups {
    /// One group of all layers, with descriptors of rotated keys.
    fn from(past: Past) -> Self {
        Self { pasts: vec![past], layers: Vec::new(), descriptors: Descriptors::Rotated, actions: None }
    }
}

impl Groups {
    /// The group of a layer.
    pub fn of(&self, layer: usize) -> usize {
        self.layers.get(layer).copied().unwrap_or(0)
    }
}

/// What the host writes for a group before a chunk, and how it is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Group {
    /// What its layers keep.
    pub past: Past,
    /// Frame table u32 [max_history + chunk]: ring slots of the visible frames, then those the chunk will be committed to.
    pub frames: BufferId,
    /// Temporal rotations [max_history + chunk, pairs, 2].
    pub rotations: BufferId,
    /// How leading pairs of a head turn with time.
    pub rope: Rope,
    /// Rows before the chunk's own ones.
    max_history: usize,
    slots: usize,
    index: usize,
}

impl Group {
    /// Declares the tables of group `index`, for chunks of `chunk` frames and such temporal rotations.
    pub(super) fn new(b: &mut PlanBuilder, past: Past, index: usize, chunk: usize, rope: Rope) -> Self {
        let (max_history, slots) = (past.max_history(chunk), past.slots(chunk));
        let name = |what: &str| if index == 0 { what.into() } else { format!("{what}.{index}") };
        let mut input = |what: &str, element, len| b.buffer(name(what), element, len, BufferKind::Input);
        Self {
            past,
            frames: input("frames", Element::U32, slots),
            rotations: input("rotations", Element::F32, slots * rope.dims),
            rope,
            max_history,
            slots,
            index,
        }
    }

    /// The same where at most so much history is seen, behind which the tables go on.
    pub(super) fn seeing(self, max_history: usize) -> Self {
        Self { max_history, ..self }
    }

    /// History frames for which a query's route has room; 0 without one. Keeping every frame is the same as dense attention, which is cheaper
    /// to run.
    fn route(&self) -> usize {
        let Past { route, most_route, .. } = self.past;
        if most_route > 0 {
            return route.max(most_route).min(self.max_history);
        }
        if route >= self.max_history { 0 } else { route }
    }
}

/// Sizes of the rows of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rows {
    /// Rows of a frame.
    pub tokens: usize,
    /// Heads of a row.
    pub heads: usize,
    /// Heads of queries that share one of them.
    pub shared: usize,
    /// Values of a head.
    pub head_dim: usize,
    /// Leading pairs of these with temporal rotation.
    pub temporal_pairs: usize,
    /// Spatial rotations of the others [tokens, pairs, 2], where descriptors are of keys without them.
    pub plain: Option<BufferId>,
}

/// Keys and values of a layer's past.
#[derive(Clone, Copy)]
pub(super) struct Ring {
    k: BufferId,
    v: BufferId,
    means: BufferId,
    rows: Rows,
    /// Index of its group.
    pub group: usize,
}

impl Ring {
    /// Declares the ring of a layer called so.
    pub fn new(b: &mut PlanBuilder, group: &Group, rows: Rows, layer: &str) -> Self {
        let (slots, kv, dim) = (group.slots, group.past.kv, rows.heads * rows.head_dim);
        let element = if kv == Kv::F32 { Element::F32 } else { Element::U32 };
        let len = slots * rows.tokens * rows.heads * kv.row_words(rows.head_dim);
        let mut ring = |name: String| b.buffer(name, element, len, BufferKind::State);
        let [k, v] = ["ring_k", "ring_v"].map(|name| ring(format!("{name}{layer}")));
        Self { k, v, means: b.state(format!("means{layer}"), slots * dim), rows, group: group.index }
    }

    /// Emits the commit of a chunk's keys and values.
    pub fn commit(&self, b: &mut PlanBuilder, groups: &[Group], k: BufferId, v: BufferId, chunk: usize) {
        let (group, Rows { tokens, heads, head_dim, temporal_pairs, plain, .. }) = (&groups[self.group], self.rows);
        b.push(Commit {
            k,
            v,
            frames: group.frames,
            ring_k: self.k,
            ring_v: self.v,
            kv: group.past.kv,
            means: self.means,
            plain: plain.map(|table| (table, temporal_pairs)),
            chunk,
            tokens,
            heads,
            head_dim,
            slots: group.slots,
            max_history: group.max_history,
        });
    }

    /// Emits attention over time alone: each of `tokens` tokens of a frame sees its own row, or the one row that a frame has.
    #[cfg(feature = "matrix-game")]
    pub fn attend_over_time(
        &self,
        b: &mut PlanBuilder,
        groups: &[Group],
        [q, k, v]: [BufferId; 3],
        (chunk, tokens): (usize, usize),
    ) -> BufferId {
        let (group, Rows { tokens: keys, heads, head_dim, temporal_pairs, .. }) = (&groups[self.group], self.rows);
        let &Group { past, frames, rotations, max_history, slots, index, .. } = group;
        let y = b.scratch("attended", chunk * tokens * heads * head_dim);
        b.push(TemporalAttention {
            q,
            k,
            v,
            ring_k: self.k,
            ring_v: self.v,
            kv: past.kv,
            frames,
            rotations,
            y,
            chunk,
            tokens,
            keys,
            heads,
            head_dim,
            temporal_pairs,
            slots,
            max_history,
            group: index,
        });
        y
    }

    /// Emits the attention of a chunk over the visible history and over itself; `ages` is where to put which frames it prefers, if anywhere.
    pub fn attend(
        &self,
        b: &mut PlanBuilder,
        groups: &[Group],
        [q, k, v]: [BufferId; 3],
        chunk: usize,
        ages: Option<(BufferId, usize)>,
    ) -> BufferId {
        let (group, Rows { tokens, heads, shared, head_dim, temporal_pairs, plain }) = (&groups[self.group], self.rows);
        let &Group { past, frames, rotations, max_history, slots, index, .. } = group;
        let rows = chunk * tokens * shared;
        let kept = group.route();
        let routes = (kept > 0).then(|| {
            let routes = b.buffer("routes", Element::U32, rows * heads * kept, BufferKind::Scratch);
            b.push(Route {
                q,
                means: self.means,
                plain,
                frames,
                rotations,
                routes,
                k: kept,
                force_sink: past.route_sink,
                force_recent: past.route_recent,
                chunk,
                // Of the queries: keys are means of frames.
                tokens: tokens * shared,
                heads,
                head_dim,
                temporal_pairs,
                slots,
                max_history,
                group: index,
            });
            (routes, kept)
        });
        if let Some((y, y_offset)) = ages {
            b.push(Prefer {
                q,
                means: self.means,
                plain,
                frames,
                rotations,
                routes,
                y,
                y_offset,
                chunk,
                tokens,
                heads,
                head_dim,
                temporal_pairs,
                slots,
                max_history,
                every: past.every,
                group: index,
            });
        }
        let y = b.activation("attended", rows * heads * head_dim);
        b.push(Attention {
            q,
            k,
            v,
            ring_k: self.k,
            ring_v: self.v,
            kv: past.kv,
            frames,
            rotations,
            routes,
            y,
            chunk,
            tokens,
            heads,
            shared,
            head_dim,
            temporal_pairs,
            slots,
            max_history,
            group: index,
        });
        y
    }
}
