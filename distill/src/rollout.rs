//! Frame-by-frame generation with a K/V cache, as the runtime does it (spec 2.2): several worlds side by side.

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use causeway_runtime::config::DitConfig;

use crate::dit::{self, Attend, Frames};
use crate::rng::Rng;
use crate::rope::Rope;
use crate::weights::{Leaves, floats};

/// Keys and values [B, S, dim] of one frame in one layer; keys not rotated, so that positions can stay compact.
type Kv = (Tensor<3>, Tensor<3>);

/// Worlds in progress.
pub struct Rollout<'a> {
    net: &'a Leaves,
    config: &'a DitConfig,
    batch: usize,
    window: usize,
    history: Vec<Vec<Kv>>,
    previous: Vec<f32>,
}

impl<'a> Rollout<'a> {
    /// `batch` worlds with no history; attention sees `window` frames including the one being made. `before` [B, C, H, W]
    /// is the frame before the first (zeros where a stream begins).
    pub fn new(net: &'a Leaves, config: &'a DitConfig, window: usize, before: Vec<f32>) -> Self {
        let batch = before.len() / config.latent_len();
        Self { net, config, batch, window, history: Vec::new(), previous: before }
    }

    /// v for the next frame at noise levels `sigma` [B]; inputs and result [B, C, H, W], actions [B, A], events [B].
    pub fn velocity(&self, x: &[f32], sigma: &[f32], actions: &[f32], events: &[u8]) -> Vec<f32> {
        let mut attend = Cached::new(self);
        let tokens = self.pass(&mut attend, x, sigma, actions, events);
        dit::from_tokens(self.config, &tokens)
    }

    /// Makes `x` the newest frame of the history: the clean-context pass.
    pub fn commit(&mut self, x: &[f32], actions: &[f32], events: &[u8]) {
        let mut attend = Cached::new(self);
        self.pass(&mut attend, x, &vec![0.0; self.batch], actions, events);
        let staged = attend.staged;
        self.history.push(staged);
        if self.history.len() + 1 > self.window {
            self.history.remove(0);
        }
        self.previous = x.to_vec();
    }

    /// Makes and commits the next frame: consistency sampling over the falling noise levels `sigmas`, fresh noise between.
    pub fn generate(&mut self, sigmas: &[f32], actions: &[f32], events: &[u8], rng: &mut Rng) -> Vec<f32> {
        let mut x = rng.normals(self.batch * self.config.latent_len());
        for (i, &sigma) in sigmas.iter().enumerate() {
            let v = self.velocity(&x, &vec![sigma; self.batch], actions, events);
            x.iter_mut().zip(v).for_each(|(x, v)| *x -= sigma * v);
            if let Some(&next) = sigmas.get(i + 1) {
                x.iter_mut().for_each(|x| *x = (1.0 - next) * *x + next * rng.normal());
            }
        }
        self.commit(&x, actions, events);
        x
    }

    /// Like [`Self::generate`] with deterministic Euler steps of the flow, for a model that is not distilled.
    pub fn integrate(&mut self, sigmas: &[f32], actions: &[f32], events: &[u8], rng: &mut Rng) -> Vec<f32> {
        let mut x = rng.normals(self.batch * self.config.latent_len());
        for (i, &sigma) in sigmas.iter().enumerate() {
            let v = self.velocity(&x, &vec![sigma; self.batch], actions, events);
            let step = sigma - sigmas.get(i + 1).copied().unwrap_or(0.0);
            x.iter_mut().zip(v).for_each(|(x, v)| *x -= step * v);
        }
        self.commit(&x, actions, events);
        x
    }

    fn pass(&self, attend: &mut Cached<'_>, x: &[f32], sigma: &[f32], actions: &[f32], events: &[u8]) -> Vec<f32> {
        let frames = Frames {
            batch: self.batch,
            frames: 1,
            latents: x.to_vec(),
            previous: self.previous.clone(),
            sigma: sigma.to_vec(),
            actions: actions.to_vec(),
            events: events.to_vec(),
        };
        floats(dit::forward(self.net, self.config, &frames, attend))
    }
}

/// One frame's queries over the cached frames and itself.
struct Cached<'a> {
    history: &'a [Vec<Kv>],
    heads: usize,
    all: Rope,
    own: Rope,
    staged: Vec<Kv>,
}

impl<'a> Cached<'a> {
    fn new(rollout: &'a Rollout<'_>) -> Self {
        let (n, device) = (rollout.history.len(), rollout.net.device());
        let positions: Vec<usize> = (0..=n).collect();
        Self {
            history: &rollout.history,
            heads: rollout.config.heads,
            all: Rope::new(rollout.config, &positions, device),
            own: Rope::new(rollout.config, &positions[n..], device),
            staged: Vec::new(),
        }
    }
}

impl Attend for Cached<'_> {
    fn attend(&mut self, layer: usize, q: Tensor<3>, k: Tensor<3>, v: Tensor<3>) -> Tensor<3> {
        let [b, s, dim] = q.dims();
        let (h, d) = (self.heads, dim / self.heads);
        let with_past = |own: &Tensor<3>, pick: fn(&Kv) -> Tensor<3>| {
            let past = self.history.iter().map(|frame| pick(&frame[layer]));
            Tensor::cat(past.chain([own.clone()]).collect(), 1)
        };
        let keys = self.all.apply(with_past(&k, |kv| kv.0.clone()));
        let values = with_past(&v, |kv| kv.1.clone());
        let n = keys.dims()[1];
        let q = (self.own.apply(q) * (1.0 / (d as f32).sqrt())).reshape([b, s, h, d]).swap_dims(1, 2);
        let scores = q.matmul(keys.reshape([b, n, h, d]).permute([0, 2, 3, 1]));
        let out = softmax(scores, 3).matmul(values.reshape([b, n, h, d]).swap_dims(1, 2));
        self.staged.push((k, v));
        out.swap_dims(1, 2).reshape([b, s, dim])
    }
}
