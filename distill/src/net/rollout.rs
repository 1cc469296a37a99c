//! Frame-by-frame generation with a K/V cache, as the runtime does it (spec 2.2): several worlds side by side.

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use causeway_runtime::config::DitConfig;

use crate::net::dit::{self, Attend, Frames};
use crate::net::fast;
use crate::net::fast::history::{History, Kv};
use crate::net::fast::kernels::Kernels;
use crate::net::mask::{self, Best};
use crate::net::rope::Rope;
use crate::net::weights::{Leaves, Weights, floats};
use crate::rng::Rng;

/// Which code computes the passes.
#[derive(Clone, Copy)]
pub enum Engine<'a> {
    /// The tensor library, on the device of the leaves.
    Library(&'a Leaves),
    /// The fast CPU path.
    Fast(&'a Weights),
}

/// Worlds in progress.
pub struct Rollout<'a> {
    engine: Engine<'a>,
    config: &'a DitConfig,
    batch: usize,
    window: usize,
    route: Best,
    sink: usize,
    history: History,
    previous: Vec<f32>,
}

impl<'a> Rollout<'a> {
    /// `batch` worlds with no history; attention sees `window` frames including the one being made. `before` [B, C, H, W]
    /// is the frame before the first (zeros where a stream begins).
    pub fn new(engine: Engine<'a>, config: &'a DitConfig, window: usize, before: Vec<f32>) -> Self {
        let batch = before.len() / config.latent_len();
        Self {
            engine,
            config,
            batch,
            window,
            route: Best::of(0),
            sink: 0,
            history: History::new(config),
            previous: before,
        }
    }

    /// The same worlds, every query of which sees only its `route` best frames of the history.
    #[must_use]
    pub fn routed(self, route: Best) -> Self {
        Self { route, ..self }
    }

    /// The same worlds, whose first `sink` frames stay in the history; less than the window.
    #[must_use]
    pub fn sinking(self, sink: usize) -> Self {
        Self { sink, ..self }
    }

    /// v for the next frame at noise levels `sigma` [B]; inputs and result [B, C, H, W], actions [B, A], events [B].
    pub fn velocity(&self, x: &[f32], sigma: &[f32], actions: &[f32], events: &[u8]) -> Vec<f32> {
        dit::from_tokens(self.config, &self.pass(x, sigma, actions, events).0)
    }

    /// Makes `x` the newest frame of the history: the clean-context pass.
    pub fn commit(&mut self, x: &[f32], actions: &[f32], events: &[u8]) {
        let staged = self.pass(x, &vec![0.0; self.batch], actions, events).1;
        let kernels = match self.engine {
            Engine::Library(_) => Kernels::F32,
            Engine::Fast(weights) => weights.kernels,
        };
        self.history.push(self.config, kernels, staged);
        if self.history.len() + 1 > self.window {
            self.history.remove(self.sink, kernels);
        }
        self.previous = x.to_vec();
    }

    /// Makes and commits the next frame: consistency sampling over the falling noise levels `sigmas`, fresh noise between.
    pub fn generate(&mut self, sigmas: &[f32], actions: &[f32], events: &[u8], rng: &mut Rng) -> Vec<f32> {
        let made = self.denoise(sigmas, actions, events, rng).1;
        self.commit(&made, actions, events);
        made
    }

    /// What [`Self::generate`] would commit, behind the noisy input of its last step.
    pub fn denoise(&self, sigmas: &[f32], actions: &[f32], events: &[u8], rng: &mut Rng) -> (Vec<f32>, Vec<f32>) {
        let mut noisy = rng.normals(self.batch * self.config.latent_len());
        let mut made = Vec::new();
        for (i, &sigma) in sigmas.iter().enumerate() {
            if i > 0 {
                noisy = made.iter().map(|x| (1.0 - sigma) * x + sigma * rng.normal()).collect();
            }
            let v = self.velocity(&noisy, &vec![sigma; self.batch], actions, events);
            made = noisy.iter().zip(v).map(|(x, v)| x - sigma * v).collect();
        }
        (noisy, made)
    }

    /// Like [`Self::generate`] with deterministic Euler steps of the flow, for a model that is not distilled.
    pub fn integrate(&mut self, sigmas: &[f32], actions: &[f32], events: &[u8], rng: &mut Rng) -> Vec<f32> {
        let x = self.sample(sigmas, actions, events, rng);
        self.commit(&x, actions, events);
        x
    }

    /// What [`Self::integrate`] would commit.
    pub fn sample(&self, sigmas: &[f32], actions: &[f32], events: &[u8], rng: &mut Rng) -> Vec<f32> {
        let mut x = rng.normals(self.batch * self.config.latent_len());
        for (i, &sigma) in sigmas.iter().enumerate() {
            let v = self.velocity(&x, &vec![sigma; self.batch], actions, events);
            let step = sigma - sigmas.get(i + 1).copied().unwrap_or(0.0);
            x.iter_mut().zip(v).for_each(|(x, v)| *x -= step * v);
        }
        x
    }

    /// Tokens of v, and the frame's own keys and values in each layer.
    fn pass(&self, x: &[f32], sigma: &[f32], actions: &[f32], events: &[u8]) -> (Vec<f32>, Vec<Kv>) {
        let frames = Frames {
            batch: self.batch,
            frames: 1,
            latents: x.to_vec(),
            previous: self.previous.clone(),
            sigma: sigma.to_vec(),
            actions: actions.to_vec(),
            events: events.to_vec(),
        };
        match self.engine {
            Engine::Library(net) => {
                let mut attend = Cached::new(self, net);
                (floats(dit::forward(net, self.config, &frames, &mut attend)), attend.staged)
            }
            Engine::Fast(weights) => {
                let mut attend = fast::history::Cached::new(&self.history, self.route);
                let network = fast::network::Network::new(weights, self.config);
                (network.forward(&frames, &mut attend, false).0, attend.staged)
            }
        }
    }
}

/// One frame's queries over the cached frames and itself.
struct Cached<'a> {
    history: &'a History,
    net: &'a Leaves,
    heads: usize,
    route: Best,
    all: Rope,
    own: Rope,
    staged: Vec<Kv>,
}

impl<'a> Cached<'a> {
    fn new(rollout: &'a Rollout<'_>, net: &'a Leaves) -> Self {
        let n = rollout.history.len();
        let positions: Vec<usize> = (0..=n).collect();
        Self {
            history: &rollout.history,
            net,
            heads: rollout.config.heads,
            route: rollout.route,
            all: Rope::new(rollout.config, &positions, net.device()),
            own: Rope::new(rollout.config, &positions[n..], net.device()),
            staged: Vec::new(),
        }
    }
}

impl Attend for Cached<'_> {
    fn attend(&mut self, layer: usize, q: Tensor<3>, k: Tensor<3>, v: Tensor<3>) -> Tensor<3> {
        let [b, s, dim] = q.dims();
        let (h, d) = (self.heads, dim / self.heads);
        let with_past = |own: &Tensor<3>, pick: fn(&Kv) -> &Vec<f32>| {
            let kv = |f| self.history.frame(f).nth(layer).expect("a pair a layer");
            let past = (0..self.history.len()).map(|f| self.net.constant(pick(kv(f)).clone(), [b, s, dim]));
            Tensor::cat(past.chain([own.clone()]).collect(), 1)
        };
        let plain_keys = with_past(&k, |kv| &kv.0);
        let n = plain_keys.dims()[1];
        let split = |t: Tensor<3>| t.reshape([b, s, h, d]).swap_dims(1, 2);
        let columns = |t: Tensor<3>| t.reshape([b, n, h, d]).permute([0, 2, 3, 1]);
        let plain = self.route.apart().then(|| split(q.clone()).matmul(columns(plain_keys.clone())));
        let keys = self.all.apply(plain_keys);
        let values = with_past(&v, |kv| &kv.1);
        let q = split(self.own.apply(q) * (1.0 / (d as f32).sqrt()));
        let mut scores = q.matmul(columns(keys));
        if self.route.leaves_out(self.history.len()) {
            // Means of a frame's logits rank it; the newest frame of the history and the frame itself are always seen.
            let f = self.history.len();
            let past = plain.unwrap_or_else(|| scores.clone()).slice([0..b, 0..h, 0..s, 0..f * s]);
            let means = past.reshape([b, h, s, f, s]).mean_dim(4).reshape([b, h, s, f]);
            let newest = self.net.constant((1..=f).map(|n| if n == f { 1e6 } else { 0.0 }).collect(), [1, 1, 1, f]);
            let hidden = mask::outside_best(means + newest, self.route.frames).reshape([b, h, s, f, 1]);
            let hidden = hidden.expand([b, h, s, f, s]).reshape([b, h, s, f * s]);
            scores = scores + Tensor::cat(vec![hidden, Tensor::zeros([b, h, s, s], self.net.device())], 3);
        }
        let out = softmax(scores, 3).matmul(values.reshape([b, n, h, d]).swap_dims(1, 2));
        self.staged.push((floats(k), floats(v)));
        out.swap_dims(1, 2).reshape([b, s, dim])
    }
}
