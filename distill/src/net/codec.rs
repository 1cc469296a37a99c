//! The codecs: squares of pixels by one matrix (`principal` fits it), and the TAEHV-shaped autoencoder (docs/model-file.md, spec 3.2): a frame to a small latent and back, one frame at a time.
//!
//! Every MemBlock also sees its own input of the frame before, so a stream decodes without flicker. Clips and streams are
//! the same code: a clip shifts its frames by one, a stream carries [`Past`] from call to call.

use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use causeway_runtime::config::{CodecConfig, CodecKind};

use crate::net::codec_tape::{EDGE, L1, L2};
use crate::net::weights::{Init, Leaves, Spec};

/// What the MemBlocks of one direction remember between calls: each block's last input [B, C, h, w].
#[derive(Default)]
pub struct Past {
    slots: Vec<Option<Tensor<4>>>,
    next: usize,
}

/// Tensors of encoder and decoder with He-scaled starts.
pub fn specs(c: &CodecConfig) -> Vec<Spec> {
    let mut out = Vec::new();
    let picture = 3 * c.patch * c.patch;
    if c.kind == CodecKind::Linear {
        for (name, from, to) in [("encoder", picture, c.channels), ("decoder", c.channels, picture)] {
            out.push(Spec::new(format!("linear.{name}.weight"), &[to, from], Init::Zero));
            out.push(Spec::new(format!("linear.{name}.bias"), &[to], Init::Zero));
        }
        return out;
    }
    let w = c.widths;
    conv(&mut out, "taehv.encoder.0", picture, w[3], 3, true, 1.0);
    let mut i = 2;
    for s in [2, 1, 0] {
        conv(&mut out, &format!("taehv.encoder.{i}.conv"), c.time_up[s] * w[s + 1], w[s + 1], 1, false, 1.0);
        conv(&mut out, &format!("taehv.encoder.{}", i + 1), w[s + 1], w[s], 3, false, 1.0);
        i += 2;
        for _ in 0..c.blocks {
            mem_block_specs(&mut out, &format!("taehv.encoder.{i}"), w[s]);
            i += 1;
        }
    }
    conv(&mut out, &format!("taehv.encoder.{i}"), w[0], c.channels, 3, true, 1.0);

    conv(&mut out, "taehv.decoder.1", c.channels, w[0], 3, true, 2.0);
    let mut i = 3;
    for s in 0..3 {
        for _ in 0..c.blocks {
            mem_block_specs(&mut out, &format!("taehv.decoder.{i}"), w[s]);
            i += 1;
        }
        conv(&mut out, &format!("taehv.decoder.{}.conv", i + 1), w[s], w[s] * c.time_up[s], 1, false, 1.0);
        conv(&mut out, &format!("taehv.decoder.{}", i + 2), w[s], w[s + 1], 3, false, 1.0);
        i += 3;
    }
    conv(&mut out, &format!("taehv.decoder.{}", i + 1), w[3], picture, 3, true, 0.5);
    out
}

fn conv(out: &mut Vec<Spec>, name: &str, from: usize, to: usize, k: usize, bias: bool, gain: f32) {
    let std = (gain / (from * k * k) as f32).sqrt();
    out.push(Spec::new(format!("{name}.weight"), &[to, from, k, k], Init::Normal(std)));
    if bias {
        out.push(Spec::new(format!("{name}.bias"), &[to], Init::Zero));
    }
}

fn mem_block_specs(out: &mut Vec<Spec>, name: &str, width: usize) {
    conv(out, &format!("{name}.conv.0"), 2 * width, width, 3, true, 2.0);
    conv(out, &format!("{name}.conv.2"), width, width, 3, true, 2.0);
    // A small last convolution starts every block near the identity.
    conv(out, &format!("{name}.conv.4"), width, width, 3, true, 0.1);
}

/// Frames [B*T, 3, H, W] in [0, 1], `time` = T consecutive frames of each clip, to latents [B*T', C, h, w].
pub fn encode(p: &Leaves, c: &CodecConfig, frames: Tensor<4>, time: usize, past: &mut Past) -> Tensor<4> {
    if c.kind == CodecKind::Linear {
        return matrix(p, "linear.encoder", unshuffle(frames, c.patch));
    }
    past.next = 0;
    let mut time = time;
    let mut x = relu(conv3(p, "taehv.encoder.0", unshuffle(frames, c.patch), true, 1));
    let mut i = 2;
    for s in [2, 1, 0] {
        let [n, ch, h, w] = x.dims();
        let pool = c.time_up[s];
        time /= pool;
        x = conv1(p, &format!("taehv.encoder.{i}.conv"), x.reshape([n / pool, pool * ch, h, w]));
        let stride = if c.space_up[s] { 2 } else { 1 };
        x = conv3(p, &format!("taehv.encoder.{}", i + 1), x, false, stride);
        i += 2;
        for _ in 0..c.blocks {
            x = mem_block(p, &format!("taehv.encoder.{i}"), x, time, past);
            i += 1;
        }
    }
    conv3(p, &format!("taehv.encoder.{i}"), x, true, 1)
}

/// Codec latents [B*T, C, h, w] (not normalised) to frames [B*T', 3, H, W], not yet clamped to [0, 1].
pub fn decode(p: &Leaves, c: &CodecConfig, latents: Tensor<4>, time: usize, past: &mut Past) -> Tensor<4> {
    if c.kind == CodecKind::Linear {
        return shuffle(matrix(p, "linear.decoder", latents), c.patch);
    }
    past.next = 0;
    let mut time = time;
    let mut x = relu(conv3(p, "taehv.decoder.1", (latents / 3.0).tanh() * 3.0, true, 1));
    let mut i = 3;
    for s in 0..3 {
        for _ in 0..c.blocks {
            x = mem_block(p, &format!("taehv.decoder.{i}"), x, time, past);
            i += 1;
        }
        if c.space_up[s] {
            x = double(x);
        }
        x = conv1(p, &format!("taehv.decoder.{}.conv", i + 1), x);
        let [n, ch, h, w] = x.dims();
        let grow = c.time_up[s];
        time *= grow;
        x = conv3(p, &format!("taehv.decoder.{}", i + 2), x.reshape([n * grow, ch / grow, h, w]), false, 1);
        i += 3;
    }
    shuffle(conv3(p, &format!("taehv.decoder.{}", i + 1), relu(x), true, 1), c.patch)
}

/// out = ReLU(conv(cat[x, past]) + x).
fn mem_block(p: &Leaves, name: &str, x: Tensor<4>, time: usize, past: &mut Past) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    let batch = n / time;
    if past.slots.len() <= past.next {
        past.slots.push(None);
    }
    let slot = &mut past.slots[past.next];
    past.next += 1;
    let before = slot.take().unwrap_or_else(|| Tensor::zeros([batch, c, h, w], p.device()));
    let clip = x.clone().reshape([batch, time, c * h * w]);
    let last = clip.clone().slice([0..batch, time - 1..time]).reshape([batch, c, h, w]);
    let before = before.reshape([batch, 1, c * h * w]);
    let shifted = if time == 1 { before } else { Tensor::cat(vec![before, clip.slice([0..batch, 0..time - 1])], 1) };
    *slot = Some(last);
    let y = Tensor::cat(vec![x.clone(), shifted.reshape([n, c, h, w])], 1);
    let y = relu(conv3(p, &format!("{name}.conv.0"), y, true, 1));
    let y = relu(conv3(p, &format!("{name}.conv.2"), y, true, 1));
    relu(conv3(p, &format!("{name}.conv.4"), y, true, 1) + x)
}

fn conv3(p: &Leaves, name: &str, x: Tensor<4>, bias: bool, stride: usize) -> Tensor<4> {
    let weight = p.get(&format!("{name}.weight"));
    let bias = bias.then(|| p.get(&format!("{name}.bias")));
    conv2d(x, weight, bias, ConvOptions::new([stride, stride], [1, 1], [1, 1], 1))
}

fn conv1(p: &Leaves, name: &str, x: Tensor<4>) -> Tensor<4> {
    conv2d(x, p.get(&format!("{name}.weight")), None, ConvOptions::new([1, 1], [0, 0], [1, 1], 1))
}

/// One matrix for every pixel of [N, C, h, w].
fn matrix(p: &Leaves, name: &str, x: Tensor<4>) -> Tensor<4> {
    let weight = p.get::<2>(&format!("{name}.weight"));
    let [to, from] = weight.dims();
    let bias = p.get(&format!("{name}.bias"));
    conv2d(x, weight.reshape([to, from, 1, 1]), Some(bias), ConvOptions::new([1, 1], [0, 0], [1, 1], 1))
}

/// Nearest x2 as a broadcast; its gradient is then a plain sum.
fn double(x: Tensor<4>) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    x.reshape([n * c, h, 1, w, 1]).expand([n * c, h, 2, w, 2]).reshape([n, c, 2 * h, 2 * w])
}

/// [N, 3, H, W] to [N, 3*p*p, H/p, W/p], PyTorch's pixel-unshuffle order.
fn unshuffle(x: Tensor<4>, p: usize) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    x.reshape([n, c, h / p, p, w / p, p]).permute([0, 1, 3, 5, 2, 4]).reshape([n, c * p * p, h / p, w / p])
}

/// The inverse of [`unshuffle`].
fn shuffle(x: Tensor<4>, p: usize) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    x.reshape([n, c / (p * p), p, p, h, w]).permute([0, 1, 4, 2, 5, 3]).reshape([n, c / (p * p), h * p, w * p])
}

/// Reconstruction loss of `made` against `real` [N, 3, H, W]: L1 and L2, plus L1 of neighbour differences, which is what
/// keeps edges crisp where a plain average would blur them.
pub fn loss(made: Tensor<4>, real: Tensor<4>) -> Tensor<1> {
    let [n, c, h, w] = real.dims();
    let error = made - real;
    let across = error.clone().slice([0..n, 0..c, 0..h, 1..w]) - error.clone().slice([0..n, 0..c, 0..h, 0..w - 1]);
    let down = error.clone().slice([0..n, 0..c, 1..h, 0..w]) - error.clone().slice([0..n, 0..c, 0..h - 1, 0..w]);
    let l2 = (error.clone() * error.clone()).mean();
    error.abs().mean() * L1 + l2 * L2 + (across.abs().mean() + down.abs().mean()) * EDGE
}
