//! Which frames see which while training (spec 1.7), chunk 1: [`Mask`] names the arrangements, [`Causal`] and [`Sequence`] are
//! their attention by the tensor library; `fast` has the twins.
//!
//! Teacher forcing attends over a clean copy of a window and noisy ones at once. All copies see the same thing: the clean
//! tokens of strictly earlier frames, and all tokens of their own frame in their own copy. So scores over history and a small
//! block for the own frame replace the square mask of all copies. Windows may be longer than what the runtime's ring holds; then a frame
//! sees what the ring would. Scores are taken for the frames of a [`Tile`] at a time, over what any of them sees, so that the cost
//! of a window is linear in its length.

use std::ops::Range;

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, TensorData};
use causeway_runtime::config::{Descriptors, DitConfig};
use serde::{Deserialize, Serialize};

use crate::net::dit::{Attend, HIDDEN};
use crate::net::rope::Rope;
use crate::rng::Rng;

/// How the frames of an input are arranged, and which see which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mask {
    /// [clean frames | noisy frames | noisy frames ...]: teacher forcing. Only the noisy copies have a loss. Each query sees its
    /// own frame and the `route` best clean frames before it.
    TeacherForcing {
        /// Clean frames that can be seen at all.
        ring: Ring,
        /// History frames kept.
        route: Best,
        /// Noisy copies of the window.
        copies: usize,
    },
    /// One sequence, each frame sees itself and earlier ones: diffusion forcing.
    Causal(Ring),
    /// One sequence, each frame sees all: a bidirectional model.
    Full,
}

impl Mask {
    /// What `draw` gives when asked for so many, for frames [B, F]: one for each frame, or under [`Mask::Full`] for all of a sequence.
    pub fn drawn<T: Copy>(self, batch: usize, frames: usize, draw: impl FnOnce(usize) -> Vec<T>) -> Vec<T> {
        match self {
            Self::Full => draw(batch).into_iter().flat_map(|one| std::iter::repeat_n(one, frames)).collect(),
            Self::Causal(_) | Self::TeacherForcing { .. } => draw(batch * frames),
        }
    }

    /// Teacher forcing with one noisy copy, each query of which sees the `route` best of all earlier frames; 0 for all.
    pub const fn teacher_forcing(route: usize) -> Self {
        Self::TeacherForcing { ring: Ring::ENDLESS, route: Best::of(route), copies: 1 }
    }

    /// Frames of a window whose input has `frames`.
    pub fn window(self, frames: usize) -> usize {
        if let Self::TeacherForcing { copies, .. } = self { frames / (1 + copies) } else { frames }
    }

    /// Of `frames` frames of an input, or rows of all of them, those that have a loss; they are the last ones.
    pub fn judged(self, frames: usize) -> usize {
        if let Self::TeacherForcing { .. } = self { frames - self.window(frames) } else { frames }
    }

    /// Attention by the tensor library over inputs of `frames` frames.
    pub fn library(self, c: &DitConfig, frames: usize, device: &Device) -> Box<dyn Attend> {
        match self {
            Self::TeacherForcing { ring, route, copies } => {
                Box::new(Causal::new(c, [self.window(frames), copies], ring, route, device))
            }
            Self::Causal(ring) => Box::new(Causal::new(c, [frames, 0], ring, Best::of(0), device)),
            Self::Full => Box::new(Sequence::new(c, frames, device)),
        }
    }
}

/// What the runtime's ring holds for a frame: the first frames of the stream and the newest before it. Positions are compact as
/// there: a query stands behind what it sees, so that the first frames never are further away than the ring is long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ring {
    /// Frames seen, the frame's own included; 0 for all.
    pub window: usize,
    /// First frames that stay.
    pub sink: usize,
}

/// Rows of attention scores that are worth a product of their own; fewer are slow, more are mostly hidden.
const ROWS: usize = 192;

/// Some frames of a window and the history any of them sees, which is the sink and this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// The frames.
    pub frames: Range<usize>,
    /// What they see of the frames behind the sink.
    pub past: Range<usize>,
    /// How many frames of the sink come before that.
    pub sink: usize,
}

impl Tile {
    /// History frames that have a column of scores: those of the sink, then those of `past`.
    pub fn columns(&self) -> usize {
        self.sink + self.past.len()
    }
}

impl Ring {
    /// Holds all frames.
    pub const ENDLESS: Self = Self { window: 0, sink: 0 };

    /// The first frame behind the sink that `frame` sees.
    pub fn oldest(self, frame: usize) -> usize {
        if self.window == 0 { self.sink } else { (frame + 1 + self.sink).saturating_sub(self.window).max(self.sink) }
    }

    /// Where the sink sees a query of `frame`: behind what is left of the frames between.
    pub fn behind_sink(self, frame: usize) -> usize {
        if self.window == 0 { frame } else { frame.min(self.window - 1) }
    }

    /// Whether some frame of a window of `frames` stands nearer to the sink than it is.
    pub fn moves_sink(self, frames: usize) -> bool {
        self.sink > 0 && self.window > 0 && frames > self.window
    }

    /// Columns of `tile` that `frame` sees: of its sink as many from the first on, and of its past these.
    pub fn seen(self, tile: &Tile, frame: usize) -> (usize, Range<usize>) {
        let at = |frame: usize| tile.sink + frame.saturating_sub(tile.past.start).min(tile.past.len());
        (frame.min(tile.sink), at(self.oldest(frame))..at(frame))
    }

    /// Tiles of a window of `frames` frames of which each has `rows` queries.
    pub fn tiles(self, frames: usize, rows: usize) -> Vec<Tile> {
        let height = (ROWS / rows).clamp(1, frames.max(1));
        let tile = |first: usize| {
            let frames = first..(first + height).min(frames);
            let sink = self.sink.min(frames.end - 1);
            // The last frame is no history of any.
            Tile { past: self.oldest(first).min(frames.end - 1)..frames.end - 1, sink, frames }
        };
        (0..frames).step_by(height).map(tile).collect()
    }
}

/// The best frames of history that a query sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Best {
    /// How many; 0 for all.
    pub frames: usize,
    /// By what.
    pub by: Descriptors,
}

impl Best {
    /// The best `frames` by the means of rotated keys.
    pub const fn of(frames: usize) -> Self {
        Self { frames, by: Descriptors::Rotated }
    }

    /// Whether some of `history` frames are left out.
    pub const fn leaves_out(self, history: usize) -> bool {
        self.frames > 0 && self.frames < history
    }

    /// Whether frames are ranked by something else than what attention computes anyway.
    pub fn apart(self) -> bool {
        self.frames > 0 && self.by == Descriptors::Plain
    }
}

/// History frames that queries are routed to. As TOML a number, or `[least, most]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number of frames, or [least, most]")]
pub enum Route {
    /// So many; 0 for all.
    Fixed(usize),
    /// From the least to the most, both included, anew for what each worker does in a step.
    Between(usize, usize),
}

impl Route {
    /// A number of frames, or 0 for all.
    pub fn draw(self, rng: &mut Rng) -> usize {
        match self {
            Self::Fixed(route) => route,
            Self::Between(least, most) => least + rng.below(most + 1 - least),
        }
    }

    /// What a model trained so is played with, unless a host says otherwise: the middle of its range.
    pub fn usual(self) -> usize {
        match self {
            Self::Fixed(route) => route,
            Self::Between(least, most) => least.midpoint(most),
        }
    }

    /// The largest number that can be drawn.
    pub fn most(self) -> usize {
        match self {
            Self::Fixed(most) | Self::Between(_, most) => most,
        }
    }
}

/// Zero for the `route` largest scores along the last dimension, [`HIDDEN`] for others.
pub fn outside_best(scores: Tensor<4>, route: usize) -> Tensor<4> {
    let least = scores.clone().topk(route, 3).min_dim(3).expand(scores.dims());
    scores.lower(least).float() * HIDDEN
}

/// Attention over [clean frames | noisy copies], all of the same length, positions 0.. in each.
pub struct Causal {
    heads: usize,
    frames: usize,
    copies: usize,
    route: Best,
    rope: Rope,
    /// Queries as the sink sees them, where that is another place.
    behind_sink: Option<Rope>,
    tiles: Vec<Table>,
}

/// A tile with what is hidden in it.
struct Table {
    tile: Tile,
    /// [`HIDDEN`] for each query and key that do not see each other.
    past: Tensor<4>,
    /// The same for each query and frame of history, with a mark at the newest.
    newest: Tensor<4>,
}

impl Causal {
    /// For windows of `frames` latent frames and noisy `copies` of them, which see what `ring` holds, of that each query of each
    /// head its `route` best frames.
    pub fn new(c: &DitConfig, [frames, copies]: [usize; 2], ring: Ring, route: Best, device: &Device) -> Self {
        let (s, all) = (c.tokens_per_frame(), 1 + copies);
        let rope = |at: &dyn Fn(usize) -> usize| {
            Rope::new(c, &(0..all * frames).map(|f| at(f % frames)).collect::<Vec<_>>(), device)
        };
        let table = |tile: Tile| {
            let (height, columns) = (tile.frames.len(), tile.columns());
            let values = |per_frame: usize, newest: f32| {
                let value = |row: usize, column: usize| {
                    let frame = tile.frames.start + row / s % height;
                    let (sink, past) = ring.seen(&tile, frame);
                    let last = if past.is_empty() { sink } else { past.end };
                    match column {
                        at if at >= sink && !past.contains(&at) => HIDDEN,
                        at if at + 1 == last => newest,
                        _ => 0.0,
                    }
                };
                let (rows, columns) = (all * height * s, columns * per_frame);
                let values = (0..rows).flat_map(|i| (0..columns).map(move |j| value(i, j / per_frame)));
                Tensor::from_data(TensorData::new(values.collect(), [1, 1, rows, columns]), device)
            };
            Table { past: values(s, 0.0), newest: values(1, -HIDDEN), tile }
        };
        let behind_sink = ring.moves_sink(frames).then(|| rope(&|f| ring.behind_sink(f)));
        let tiles = ring.tiles(frames, all * s).into_iter().map(table).collect();
        Self { heads: c.heads, frames, copies, route, rope: rope(&|f| f), behind_sink, tiles }
    }

    /// Zero for keys of the `route` best history frames of each query, [`HIDDEN`] for others. Scores are means of `past`,
    /// logits or what ranks in place of them, over a frame's keys. The newest is always one of them, as in the runtime.
    fn routed(&self, table: &Table, past: Tensor<4>) -> Tensor<4> {
        let [b, h, n, m] = past.dims();
        let f = table.tile.columns();
        let s = m / f;
        let means = past.detach().reshape([b, h, n, f, s]).mean_dim(4).reshape([b, h, n, f]);
        let hidden = outside_best(means + table.newest.clone() * 1e4, self.route.frames.min(f));
        hidden.reshape([b, h, n, f, 1]).expand([b, h, n, f, s]).reshape([b, h, n, m])
    }
}

impl Attend for Causal {
    fn attend(&mut self, _: usize, q: Tensor<3>, k: Tensor<3>, v: Tensor<3>) -> Tensor<3> {
        let [b, n, dim] = q.dims();
        let (h, d, all) = (self.heads, dim / self.heads, 1 + self.copies);
        let (s, scale) = (n / (all * self.frames), 1.0 / (d as f32).sqrt());
        let split = |t: Tensor<3>| t.reshape([b, n, h, d]).swap_dims(1, 2);
        let far = self.behind_sink.as_ref().map(|rope| split(rope.apply(q.clone()) * scale));
        let plain = self.route.apart().then(|| (split(q.clone()), split(k.clone())));
        let (q, k, v) = (split(self.rope.apply(q) * scale), split(self.rope.apply(k)), split(v));
        let of = |t: &Tensor<4>, copy: usize, frames: &Range<usize>| {
            let first = copy * self.frames;
            t.clone().slice([0..b, 0..h, (first + frames.start) * s..(first + frames.end) * s, 0..d])
        };
        let mut made = vec![Vec::new(); all];
        for table in &self.tiles {
            let (tile, rows) = (&table.tile, all * table.tile.frames.len() * s);
            // All copies of the tile's frames, and clean history.
            let own = |t: &Tensor<4>| match self.tiles.len() {
                1 => t.clone(),
                _ => Tensor::cat((0..all).map(|copy| of(t, copy, &tile.frames)).collect(), 2),
            };
            let history = |t: &Tensor<4>| {
                let parts = [0..tile.sink, tile.past.clone()].into_iter().filter(|frames| !frames.is_empty());
                Tensor::cat(parts.map(|frames| of(t, 0, &frames)).collect(), 2)
            };
            let by_frame = |t: &Tensor<4>| own(t).reshape([b, h, rows / s, s, d]);
            let near = by_frame(&q).matmul(by_frame(&k).swap_dims(3, 4)).reshape([b, h, rows, s]);
            let attend = |weights: Tensor<4>| {
                let weights = weights.reshape([b, h, rows / s, s, s]);
                weights.matmul(by_frame(&v)).reshape([b, h, rows, d])
            };
            let m = tile.columns() * s;
            let out = if m == 0 {
                attend(softmax(near, 3))
            } else {
                let keys = history(&k).swap_dims(2, 3);
                let mut past = own(&q).matmul(keys.clone());
                if let Some(far) = far.as_ref().filter(|_| tile.sink > 0) {
                    let sunk = own(far).matmul(keys.slice([0..b, 0..h, 0..d, 0..tile.sink * s]));
                    past = Tensor::cat(vec![sunk, past.slice([0..b, 0..h, 0..rows, tile.sink * s..m])], 3);
                }
                let mut seen = past.clone() + table.past.clone();
                if self.route.leaves_out(tile.columns()) {
                    let ranks = plain.as_ref().map(|(q, k)| own(q).matmul(history(k).swap_dims(2, 3)));
                    seen = seen + self.routed(table, ranks.unwrap_or(past));
                }
                let weights = softmax(Tensor::cat(vec![seen, near], 3), 3);
                let past = weights.clone().slice([0..b, 0..h, 0..rows, 0..m]).matmul(history(&v));
                past + attend(weights.slice([0..b, 0..h, 0..rows, m..m + s]))
            };
            for (copy, made) in made.iter_mut().enumerate() {
                let one = rows / all;
                made.push(out.clone().slice([0..b, 0..h, copy * one..(copy + 1) * one, 0..d]));
            }
        }
        Tensor::cat(made.concat(), 2).swap_dims(1, 2).reshape([b, n, dim])
    }
}

/// Attention within one sequence of frames that all see each other, positions 0.. .
pub struct Sequence {
    heads: usize,
    rope: Rope,
}

impl Sequence {
    /// For `frames` frames.
    pub fn new(c: &DitConfig, frames: usize, device: &Device) -> Self {
        Self { heads: c.heads, rope: Rope::new(c, &(0..frames).collect::<Vec<_>>(), device) }
    }
}

impl Attend for Sequence {
    fn attend(&mut self, _: usize, q: Tensor<3>, k: Tensor<3>, v: Tensor<3>) -> Tensor<3> {
        let [b, n, dim] = q.dims();
        let (h, d) = (self.heads, dim / self.heads);
        let split = |t: Tensor<3>| t.reshape([b, n, h, d]).swap_dims(1, 2);
        let q = split(self.rope.apply(q) * (1.0 / (d as f32).sqrt()));
        let scores = q.matmul(split(self.rope.apply(k)).swap_dims(2, 3));
        softmax(scores, 3).matmul(split(v)).swap_dims(1, 2).reshape([b, n, dim])
    }
}
