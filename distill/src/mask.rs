//! Which frames see which while training (spec 1.7), chunk 1: [`Mask`] names the arrangements, [`Doubled`] and [`Sequence`] are
//! their attention by the tensor library; `fast::attention` has the twins.
//!
//! Teacher forcing attends over a clean and a noisy copy of the same window at once. Both copies see the same thing: the
//! clean tokens of strictly earlier frames, and all tokens of their own frame in their own copy. So one block of scores over
//! history and one small block for the own frame replace the doubled square mask, which is four fifths empty.

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, TensorData};
use causeway_runtime::config::DitConfig;

use crate::dit::Attend;
use crate::rope::Rope;

/// How the frames of an input are arranged, and which see which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mask {
    /// [clean frames | noisy frames]: teacher forcing. Only the noisy half has a loss. Each query sees its own frame and the
    /// `route` best clean frames before it; 0 for all.
    TeacherForcing {
        /// History frames kept.
        route: usize,
    },
    /// One sequence, each frame sees itself and earlier ones: diffusion forcing.
    Causal,
    /// One sequence, each frame sees all: a bidirectional model.
    Full,
}

impl Mask {
    /// Frames of a window whose input has `frames`.
    pub fn window(self, frames: usize) -> usize {
        if matches!(self, Self::TeacherForcing { .. }) { frames / 2 } else { frames }
    }

    /// Attention by the tensor library over inputs of `frames` frames.
    pub fn library(self, c: &DitConfig, frames: usize, device: &Device) -> Box<dyn Attend> {
        match self {
            Self::TeacherForcing { route } => Box::new(Doubled::new(c, self.window(frames), route, device)),
            Self::Causal => Box::new(Sequence::new(c, frames, true, device)),
            Self::Full => Box::new(Sequence::new(c, frames, false, device)),
        }
    }
}

/// Score added to hide a key. Not -1e9: exp of that is a denormal-slow path, and -60 is already far below f32 resolution.
pub const HIDDEN: f32 = -60.0;

/// Zero for the `route` largest scores along the last dimension, [`HIDDEN`] for others.
pub fn outside_best(scores: Tensor<4>, route: usize) -> Tensor<4> {
    let least = scores.clone().topk(route, 3).min_dim(3).expand(scores.dims());
    scores.lower(least).float() * HIDDEN
}

/// Attention over [clean frames | noisy frames], each `frames` long, positions 0.. in both.
pub struct Doubled {
    heads: usize,
    frames: usize,
    route: usize,
    rope: Rope,
    past: Tensor<4>,
    seen: Tensor<4>,
}

impl Doubled {
    /// For windows of `frames` latent frames; `route` > 0 keeps that many history frames for each query of each head.
    pub fn new(c: &DitConfig, frames: usize, route: usize, device: &Device) -> Self {
        let s = c.tokens_per_frame();
        let positions: Vec<usize> = (0..frames).chain(0..frames).collect();
        let table = |columns: usize, per_frame: usize, newest: f32| {
            let value = move |frame: usize, of: usize| match of {
                of if of >= frame => HIDDEN,
                of if of + 1 == frame => newest,
                _ => 0.0,
            };
            let values =
                (0..2 * frames * s).flat_map(|i| (0..columns).map(move |j| value((i / s) % frames, j / per_frame)));
            Tensor::from_data(TensorData::new(values.collect(), [1, 1, 2 * frames * s, columns]), device)
        };
        let rope = Rope::new(c, &positions, device);
        let (past, seen) = (table(frames * s, s, 0.0), table(frames, 1, -HIDDEN));
        Self { heads: c.heads, frames, route, rope, past, seen }
    }

    /// Zero for keys of the `route` best history frames of each query, [`HIDDEN`] for others. Scores are q . mean(keys of
    /// the frame) after rotation, hence means of the true logits. The newest is always one of them, as in the runtime.
    fn routed(&self, q: Tensor<4>, k: Tensor<4>) -> Tensor<4> {
        let [b, h, n, _] = q.dims();
        let [_, _, m, d] = k.dims();
        let (f, s) = (self.frames, m / self.frames);
        let means = k.detach().reshape([b, h, f, s, d]).mean_dim(3).reshape([b, h, f, d]);
        let scores = q.detach().matmul(means.swap_dims(2, 3)) + self.seen.clone() * 1e4;
        let hidden = outside_best(scores, self.route.min(f));
        hidden.reshape([b, h, n, f, 1]).expand([b, h, n, f, s]).reshape([b, h, n, m])
    }
}

impl Attend for Doubled {
    fn attend(&mut self, _: usize, q: Tensor<3>, k: Tensor<3>, v: Tensor<3>) -> Tensor<3> {
        let [b, n, dim] = q.dims();
        let (h, d, f) = (self.heads, dim / self.heads, self.frames);
        let (half, s) = (n / 2, n / (2 * f));
        let split = |t: Tensor<3>| t.reshape([b, n, h, d]).swap_dims(1, 2);
        let q = split(self.rope.apply(q) * (1.0 / (d as f32).sqrt()));
        let (k, v) = (split(self.rope.apply(k)), split(v));
        let clean = |t: &Tensor<4>| t.clone().slice([0..b, 0..h, 0..half, 0..d]);
        let by_frame = |t: Tensor<4>| t.reshape([b, h, 2 * f, s, d]);

        let (k_past, v_past) = (clean(&k), clean(&v));
        let mut past = q.clone().matmul(k_past.clone().swap_dims(2, 3)) + self.past.clone();
        if self.route > 0 && self.route < f {
            past = past + self.routed(q.clone(), k_past);
        }
        let own = by_frame(q).matmul(by_frame(k).swap_dims(3, 4)).reshape([b, h, n, s]);
        let weights = softmax(Tensor::cat(vec![past, own], 3), 3);
        let past = weights.clone().slice([0..b, 0..h, 0..n, 0..half]).matmul(v_past);
        let own = weights.slice([0..b, 0..h, 0..n, half..half + s]).reshape([b, h, 2 * f, s, s]).matmul(by_frame(v));
        (past + own.reshape([b, h, n, d])).swap_dims(1, 2).reshape([b, n, dim])
    }
}

/// Attention within one sequence of `frames` frames, positions 0.. .
pub struct Sequence {
    heads: usize,
    rope: Rope,
    hidden: Tensor<4>,
}

impl Sequence {
    /// Later frames are hidden if `causal`.
    pub fn new(c: &DitConfig, frames: usize, causal: bool, device: &Device) -> Self {
        let s = c.tokens_per_frame();
        let n = frames * s;
        let hide = |i: usize| if causal && i % n / s > i / n / s { HIDDEN } else { 0.0 };
        let hidden = Tensor::from_data(TensorData::new((0..n * n).map(hide).collect(), [1, 1, n, n]), device);
        Self { heads: c.heads, rope: Rope::new(c, &(0..frames).collect::<Vec<_>>(), device), hidden }
    }
}

impl Attend for Sequence {
    fn attend(&mut self, _: usize, q: Tensor<3>, k: Tensor<3>, v: Tensor<3>) -> Tensor<3> {
        let [b, n, dim] = q.dims();
        let (h, d) = (self.heads, dim / self.heads);
        let split = |t: Tensor<3>| t.reshape([b, n, h, d]).swap_dims(1, 2);
        let q = split(self.rope.apply(q) * (1.0 / (d as f32).sqrt()));
        let scores = q.matmul(split(self.rope.apply(k)).swap_dims(2, 3)) + self.hidden.clone();
        softmax(scores, 3).matmul(split(v)).swap_dims(1, 2).reshape([b, n, dim])
    }
}
