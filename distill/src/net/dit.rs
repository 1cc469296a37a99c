//! The causal Wan-type denoiser (docs/model-file.md, spec 1.4) as differentiable tensor code.
//!
//! Pictures stay on the host: inputs are cut into tokens there and outputs come back as tokens, so that the device sees
//! nothing but matrices. How tokens attend is left to an [`Attend`], because training looks at a clean and a noisy copy of
//! a window at once (`mask`) while a roll-out looks at a cache (`rollout`); everything else is the same code for both.

use burn::tensor::Tensor;
use burn::tensor::activation::{sigmoid, silu, softmax};
use causeway_runtime::config::{DitConfig, Prediction};

use crate::net::weights::{Init, Leaves, Spec};

/// Self-attention between the tokens of some frames. `q`, `k` and `v` are [B, N, dim], `q` and `k` already RMS-normalised
/// but not rotated; the result has the shape of `q`.
pub trait Attend {
    /// Attention of one layer.
    fn attend(&mut self, layer: usize, q: Tensor<3>, k: Tensor<3>, v: Tensor<3>) -> Tensor<3>;
}

/// Score added to hide a key. Not -1e9: exp of that is a denormal-slow path, and -60 is already far below f32 resolution.
pub const HIDDEN: f32 = -60.0;

/// What the network is told about `batch` x `frames` latent frames; all arrays in that order.
#[derive(Clone, Default)]
pub struct Frames {
    /// Sequences.
    pub batch: usize,
    /// Latent frames of each.
    pub frames: usize,
    /// The frames themselves at their noise level [B, F, C, H, W].
    pub latents: Vec<f32>,
    /// The clean frame before each [B, F, C, H, W].
    pub previous: Vec<f32>,
    /// Noise level of each frame in [0, 1].
    pub sigma: Vec<f32>,
    /// Action vectors [B, F, A].
    pub actions: Vec<f32>,
    /// Event in force at each frame.
    pub events: Vec<u8>,
}

/// Names, shapes and starts of all tensors.
pub fn specs(c: &DitConfig) -> Vec<Spec> {
    let d = c.dim;
    let mut out = Vec::new();
    let mut add = |name: String, shape: &[usize], init: Init| out.push(Spec::new(format!("dit.{name}"), shape, init));
    let fan = |n: usize| Init::Normal((1.0 / n as f32).sqrt());
    let (ph, pw) = (c.patch[1], c.patch[2]);
    add("patch_embedding.weight".into(), &[d, c.in_channels(), 1, ph, pw], fan(c.in_channels() * ph * pw));
    add("patch_embedding.bias".into(), &[d], Init::Zero);
    for (name, width) in [("time_embedding", c.freq_dim), ("action_embedding", c.actions.len())] {
        add(format!("{name}.0.weight"), &[d, width], fan(width));
        add(format!("{name}.0.bias"), &[d], Init::Zero);
        add(format!("{name}.2.weight"), &[d, d], fan(d));
        add(format!("{name}.2.bias"), &[d], Init::Zero);
    }
    add("time_projection.1.weight".into(), &[6 * d, d], Init::Normal(0.02));
    add("time_projection.1.bias".into(), &[6 * d], Init::Zero);
    add("event_embedding".into(), &[c.events.len(), c.event_tokens, d], Init::Normal(1.0));
    for n in 0..c.layers {
        add(format!("blocks.{n}.modulation"), &[1, 6, d], Init::Gates);
        for attention in ["self_attn", "cross_attn"] {
            for part in ["q", "k", "v", "o"] {
                // Branches that add to the residual stream start small, so that depth does not blow it up.
                let init = if part == "o" { Init::Normal(0.3 / (d as f32).sqrt()) } else { fan(d) };
                add(format!("blocks.{n}.{attention}.{part}.weight"), &[d, d], init);
                add(format!("blocks.{n}.{attention}.{part}.bias"), &[d], Init::Zero);
            }
            add(format!("blocks.{n}.{attention}.norm_q.weight"), &[d], Init::One);
            add(format!("blocks.{n}.{attention}.norm_k.weight"), &[d], Init::One);
        }
        add(format!("blocks.{n}.norm3.weight"), &[d], Init::One);
        add(format!("blocks.{n}.norm3.bias"), &[d], Init::Zero);
        add(format!("blocks.{n}.ffn.0.weight"), &[c.ffn_dim, d], fan(d));
        add(format!("blocks.{n}.ffn.0.bias"), &[c.ffn_dim], Init::Zero);
        add(format!("blocks.{n}.ffn.2.weight"), &[d, c.ffn_dim], Init::Normal(0.3 / (c.ffn_dim as f32).sqrt()));
        add(format!("blocks.{n}.ffn.2.bias"), &[d], Init::Zero);
    }
    add("head.modulation".into(), &[1, 2, d], Init::Zero);
    add("head.head.weight".into(), &[c.head_out(), d], Init::Normal(0.02));
    add("head.head.bias".into(), &[c.head_out()], Init::Zero);
    out
}

/// The network's answer v = eps - x0 for every frame, as tokens [B * F * S, head_out] (see [`to_tokens`]).
pub fn forward(p: &Leaves, c: &DitConfig, x: &Frames, attend: &mut dyn Attend) -> Tensor<2> {
    let (n, s, d) = (x.batch * x.frames, c.tokens_per_frame(), c.dim);
    let input = p.constant(embed_rows(c, x), [n * s, c.in_channels() * c.patch[1] * c.patch[2]]);
    let mut h = linear(p, "dit.patch_embedding", input).reshape([n, s, d]);
    let time = p.constant(sinusoids(c, &x.sigma), [n, c.freq_dim]);
    let action = p.constant(x.actions.clone(), [n, c.actions.len()]);
    let e = mlp(p, "dit.time_embedding", time) + mlp(p, "dit.action_embedding", action);
    let e0 = linear(p, "dit.time_projection.1", silu(e.clone())).reshape([n, 6, d]);
    let context = Context::new(p, c, x);
    for layer in 0..c.layers {
        h = block(p, c, layer, h, e0.clone(), x, &context, attend);
    }
    let m = p.get::<3>("dit.head.modulation").expand([n, 2, d]) + e.reshape([n, 1, d]).expand([n, 2, d]);
    let (shift, scale) = (row(&m, 0), row(&m, 1));
    let y = layer_norm(h, c.eps) * (scale + 1.0) + shift;
    let answer = linear(p, "dit.head.head", y.reshape([n * s, d]));
    match Clean::of(c, x) {
        None => answer,
        Some(clean) => {
            let size = answer.dims();
            let each = clean.inverse.iter().flat_map(|&r| std::iter::repeat_n(r, s * c.head_out())).collect();
            (p.constant(clean.noisy, size) - answer) * p.constant(each, size)
        }
    }
}

/// How the answer of a network that predicts the clean frame becomes its flow, (noisy - answer) / sigma.
pub struct Clean {
    /// The noisy frames as tokens [B * F * S, head_out].
    pub noisy: Vec<f32>,
    /// 1 / sigma of each frame [B * F], bounded.
    pub inverse: Vec<f32>,
}

impl Clean {
    /// For the frames `x`; `None` where the network answers with the flow.
    pub fn of(c: &DitConfig, x: &Frames) -> Option<Self> {
        let inverse = |&sigma: &f32| 1.0 / sigma.max(Prediction::LEAST_SIGMA);
        let inverse = || x.sigma.iter().map(inverse).collect();
        (!c.prediction.is_flow()).then(|| Self { noisy: to_tokens(c, &x.latents), inverse: inverse() })
    }

    /// Turns `answer` into the flow.
    pub fn flow(&self, answer: &mut [f32]) {
        let frame = answer.len() / self.inverse.len();
        for ((answer, noisy), r) in
            answer.chunks_exact_mut(frame).zip(self.noisy.chunks_exact(frame)).zip(&self.inverse)
        {
            answer.iter_mut().zip(noisy).for_each(|(a, x)| *a = (x - *a) * r);
        }
    }

    /// The gradient of the answer from that of the flow, `d`; that of the noisy frames is its negative.
    pub fn back(&self, d: &[f32]) -> Vec<f32> {
        let frame = d.len() / self.inverse.len();
        d.chunks_exact(frame).zip(&self.inverse).flat_map(|(d, r)| d.iter().map(move |d| -d * r)).collect()
    }
}

#[allow(clippy::too_many_arguments)]
fn block(
    p: &Leaves,
    c: &DitConfig,
    layer: usize,
    x: Tensor<3>,
    e0: Tensor<3>,
    frames: &Frames,
    context: &Context,
    attend: &mut dyn Attend,
) -> Tensor<3> {
    let [n, s, d] = x.dims();
    let name = |part: &str| format!("dit.blocks.{layer}.{part}");
    let m = e0 + p.get::<3>(&name("modulation"));
    let m = |i: usize| row(&m, i);

    let y = (layer_norm(x.clone(), c.eps) * (m(1) + 1.0) + m(0)).reshape([n * s, d]);
    let q = rms(linear(p, &name("self_attn.q"), y.clone()), p.get(&name("self_attn.norm_q.weight")), c.eps);
    let k = rms(linear(p, &name("self_attn.k"), y.clone()), p.get(&name("self_attn.norm_k.weight")), c.eps);
    let v = linear(p, &name("self_attn.v"), y);
    let rows = |t: Tensor<2>| t.reshape([frames.batch, frames.frames * s, d]);
    let y = attend.attend(layer, rows(q), rows(k), rows(v)).reshape([n * s, d]);
    let x = x + linear(p, &name("self_attn.o"), y).reshape([n, s, d]) * m(2);

    let gain = p.get::<1>(&name("norm3.weight")).reshape([1, 1, d]);
    let bias = p.get::<1>(&name("norm3.bias")).reshape([1, 1, d]);
    let y = layer_norm(x.clone(), c.eps) * gain + bias;
    let x = x + context.attend(p, c, layer, y);

    let y = (layer_norm(x.clone(), c.eps) * (m(4) + 1.0) + m(3)).reshape([n * s, d]);
    let y = linear(p, &name("ffn.2"), gelu(linear(p, &name("ffn.0"), y)));
    x + y.reshape([n, s, d]) * m(5)
}

/// Cross-attention over the rows of all events at once; a mask leaves each frame those of its own event, which is
/// cheaper than gathering keys for every frame.
struct Context {
    rows: Tensor<2>,
    mask: Tensor<3>,
}

impl Context {
    fn new(p: &Leaves, c: &DitConfig, x: &Frames) -> Self {
        let (events, tokens, s) = (c.events.len(), c.event_tokens, c.tokens_per_frame());
        let mut mask = Vec::with_capacity(x.events.len() * s * events * tokens);
        for &event in &x.events {
            for _ in 0..s {
                mask.extend((0..events * tokens).map(|j| if j / tokens == usize::from(event) { 0.0 } else { HIDDEN }));
            }
        }
        let mask = p.constant(mask, [1, x.events.len() * s, events * tokens]);
        Self { rows: p.get::<3>("dit.event_embedding").reshape([events * tokens, c.dim]), mask }
    }

    fn attend(&self, p: &Leaves, c: &DitConfig, layer: usize, x: Tensor<3>) -> Tensor<3> {
        let [n, s, d] = x.dims();
        let name = |part: &str| format!("dit.blocks.{layer}.cross_attn.{part}");
        let heads = |t: Tensor<2>| {
            let rows = t.dims()[0];
            t.reshape([rows, c.heads, d / c.heads]).swap_dims(0, 1)
        };
        let q = rms(linear(p, &name("q"), x.reshape([n * s, d])), p.get(&name("norm_q.weight")), c.eps);
        let k = rms(linear(p, &name("k"), self.rows.clone()), p.get(&name("norm_k.weight")), c.eps);
        let v = linear(p, &name("v"), self.rows.clone());
        let scale = 1.0 / (c.head_dim() as f32).sqrt();
        let scores = heads(q * scale).matmul(heads(k).swap_dims(1, 2)) + self.mask.clone();
        let y = softmax(scores, 2).matmul(heads(v));
        linear(p, &name("o"), y.swap_dims(0, 1).reshape([n * s, d])).reshape([n, s, d])
    }
}

fn row(m: &Tensor<3>, i: usize) -> Tensor<3> {
    let [n, _, d] = m.dims();
    m.clone().slice([0..n, i..i + 1, 0..d])
}

fn linear(p: &Leaves, name: &str, x: Tensor<2>) -> Tensor<2> {
    let weight = p.get::<2>(&format!("{name}.weight"));
    p.product(x, weight.transpose()) + p.get::<1>(&format!("{name}.bias")).unsqueeze::<2>()
}

fn mlp(p: &Leaves, name: &str, x: Tensor<2>) -> Tensor<2> {
    linear(p, &format!("{name}.2"), silu(linear(p, &format!("{name}.0"), x)))
}

fn layer_norm(x: Tensor<3>, eps: f32) -> Tensor<3> {
    let centred = x.clone() - x.mean_dim(2);
    let variance = (centred.clone() * centred.clone()).mean_dim(2);
    centred * (variance + eps).sqrt().recip()
}

fn rms(x: Tensor<2>, gain: Tensor<1>, eps: f32) -> Tensor<2> {
    let square = (x.clone() * x.clone()).mean_dim(1);
    x * (square + eps).sqrt().recip() * gain.unsqueeze::<2>()
}

/// GELU(tanh) written with a sigmoid, 0.5 (1 + tanh a) = sigmoid(2a): the library's tanh is several times slower.
fn gelu(x: Tensor<2>) -> Tensor<2> {
    let two_a = x.clone() * (x.clone() * x.clone() * (1.595_769_1 * 0.044_715) + 1.595_769_1);
    x * sigmoid(two_a)
}

/// [cos(t f_i) | sin(t f_i)] with t = 1000 sigma.
pub fn sinusoids(c: &DitConfig, sigma: &[f32]) -> Vec<f32> {
    let half = c.freq_dim / 2;
    let mut out = Vec::with_capacity(sigma.len() * c.freq_dim);
    for &sigma in sigma {
        let angle = |i: usize| 1000.0 * f64::from(sigma) * 10_000f64.powf(-(i as f64) / half as f64);
        out.extend((0..half).map(|i| angle(i).cos() as f32));
        out.extend((0..half).map(|i| angle(i).sin() as f32));
    }
    out
}

/// Rows of the patch embedding [B*F*S, Cin*ph*pw], channel slowest as in its convolution weight.
pub fn embed_rows(c: &DitConfig, x: &Frames) -> Vec<f32> {
    let len = c.latent_len();
    let mut out = Vec::with_capacity(x.latents.len() * 2);
    let (rows, columns) = c.token_grid();
    for frame in 0..x.batch * x.frames {
        let now = &x.latents[frame * len..(frame + 1) * len];
        let before = if c.prev_frame { &x.previous[frame * len..(frame + 1) * len] } else { &[][..] };
        for token in 0..rows * columns {
            for source in [now, before] {
                for plane in source.chunks_exact(c.latent.height * c.latent.width) {
                    patch(c, token, |at| out.push(plane[at]));
                }
            }
        }
    }
    out
}

/// The gradients of latents and of the frames before them, both [n, C, H, W], from that of their [`embed_rows`]; the latter
/// empty where a network does not see them.
pub fn embed_back(c: &DitConfig, rows: &[f32]) -> [Vec<f32>; 2] {
    let (area, row) = (c.latent.height * c.latent.width, c.in_channels() * c.patch[1] * c.patch[2]);
    let len = rows.len() / row / c.tokens_per_frame() * c.latent_len();
    let mut out = [vec![0.0; len], vec![0.0; if c.prev_frame { len } else { 0 }]];
    for (i, row) in rows.chunks_exact(row).enumerate() {
        let mut values = row.iter();
        for frames in out.iter_mut().filter(|frames| !frames.is_empty()) {
            let frame = &mut frames[i / c.tokens_per_frame() * c.latent_len()..][..c.latent_len()];
            for plane in frame.chunks_exact_mut(area) {
                patch(c, i % c.tokens_per_frame(), |at| plane[at] = *values.next().unwrap_or(&0.0));
            }
        }
    }
    out
}

/// Frames [n, C, H, W] as the rows the head writes: [n * S, ph*pw*C], channel fastest.
pub fn to_tokens(c: &DitConfig, frames: &[f32]) -> Vec<f32> {
    let mut out = Vec::with_capacity(frames.len());
    walk(c, frames.len(), |at| out.push(frames[at]));
    out
}

/// The inverse of [`to_tokens`].
pub fn from_tokens(c: &DitConfig, tokens: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; tokens.len()];
    let mut next = tokens.iter();
    walk(c, tokens.len(), |at| out[at] = *next.next().unwrap_or(&0.0));
    out
}

fn walk(c: &DitConfig, len: usize, mut visit: impl FnMut(usize)) {
    let area = c.latent.height * c.latent.width;
    for frame in 0..len / c.latent_len() {
        for token in 0..c.tokens_per_frame() {
            patch(c, token, |at| {
                for channel in 0..c.latent.channels {
                    visit(frame * c.latent_len() + channel * area + at);
                }
            });
        }
    }
}

fn patch(c: &DitConfig, token: usize, mut visit: impl FnMut(usize)) {
    let (_, columns) = c.token_grid();
    let (top, left) = (token / columns * c.patch[1], token % columns * c.patch[2]);
    for y in top..top + c.patch[1] {
        for x in left..left + c.patch[2] {
            visit(y * c.latent.width + x);
        }
    }
}
