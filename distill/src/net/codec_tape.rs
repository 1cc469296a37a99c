//! The codecs of `codec` on the CPU: the same networks and names, the autoencoder's loss on the fast tape.

use causeway_runtime::config::{CodecConfig, CodecKind};

use crate::net::fast::linalg::linear;
use crate::net::tape::{Map, Tape};
use crate::net::weights::Weights;
use crate::rng::Rng;

/// One training clip batch on the tape.
pub struct Pass<'a> {
    weights: &'a Weights,
    config: &'a CodecConfig,
    tape: Tape<'a>,
    time: usize,
}

impl<'a> Pass<'a> {
    /// For clips of `time` frames.
    pub fn new(weights: &'a Weights, config: &'a CodecConfig, time: usize) -> Self {
        Self { weights, config, tape: Tape::new(&weights.data, weights.kernels), time }
    }

    /// Loss of redrawing `frames` [n, 3, h, w] (planar, in [0, 1]) as in `codec::loss` plus the pull on latents; adds the
    /// parameters' gradients to `grad`. `noise` is the standard deviation added to the latents, relative to their own.
    pub fn step(mut self, frames: &[f32], [n, h, w]: [usize; 3], noise: f32, rng: &mut Rng, grad: &mut [f32]) -> f32 {
        let input = self.tape.input(unshuffle(frames, [n, h, w], self.config.patch));
        let latents = self.encode(input);
        let z = self.tape.value(latents).clone();
        let count = (z.n * z.h * z.w * z.c) as f32;
        let square =
            z.pixels().map(|(i, y, x)| z.pixel(i, y, x).iter().map(|v| v * v).sum::<f32>()).sum::<f32>() / count;
        let mut shift = Map::zeros(z.n, z.h, z.w, z.c);
        if noise > 0.0 {
            for (i, y, x) in z.pixels() {
                shift.pixel_mut(i, y, x).iter_mut().for_each(|v| *v = rng.normal() * noise * square.sqrt());
            }
        }
        let noisy = self.tape.shift(latents, &shift);
        let out = self.decode(noisy);
        let made = shuffle(self.tape.value(out), self.config.patch);
        let (loss, slope) = loss(&made, frames, [n, h, w]);
        let mut pull = Map::zeros(z.n, z.h, z.w, z.c);
        for (i, y, x) in z.pixels() {
            pull.pixel_mut(i, y, x).iter_mut().zip(z.pixel(i, y, x)).for_each(|(p, v)| *p = 2.0 * PULL * v / count);
        }
        let seed = unshuffle(&slope, [n, h, w], self.config.patch);
        self.tape.backward(vec![(out, seed), (latents, pull)], grad);
        loss + PULL * square
    }

    fn offset(&self, name: &str) -> (usize, usize) {
        let (entry, _) = self.weights.tensor(name).unwrap_or_else(|| panic!("no tensor named {name}"));
        (entry.offset, entry.shape[0])
    }

    fn conv3(&mut self, name: &str, x: usize, bias: bool, relu: bool) -> usize {
        let (weight, to) = self.offset(&format!("{name}.weight"));
        let bias = bias.then(|| self.offset(&format!("{name}.bias")).0);
        self.tape.conv3(x, to, weight, bias, relu)
    }

    fn conv1(&mut self, name: &str, x: usize) -> usize {
        let (weight, to) = self.offset(&format!("{name}.conv.weight"));
        self.tape.conv1(x, to, weight)
    }

    fn mem_block(&mut self, name: &str, x: usize) -> usize {
        let y = self.tape.join(x, self.time);
        let y = self.conv3(&format!("{name}.conv.0"), y, true, true);
        let y = self.conv3(&format!("{name}.conv.2"), y, true, true);
        let y = self.conv3(&format!("{name}.conv.4"), y, true, false);
        self.tape.residual(x, y)
    }

    fn encode(&mut self, input: usize) -> usize {
        let c = self.config;
        let mut x = self.conv3("taehv.encoder.0", input, true, true);
        let mut i = 2;
        for s in [2, 1, 0] {
            x = self.conv1(&format!("taehv.encoder.{i}"), x);
            x = self.conv3(&format!("taehv.encoder.{}", i + 1), x, false, false);
            if c.space_up[s] {
                x = self.tape.halve(x);
            }
            i += 2;
            for _ in 0..c.blocks {
                x = self.mem_block(&format!("taehv.encoder.{i}"), x);
                i += 1;
            }
        }
        self.conv3(&format!("taehv.encoder.{i}"), x, true, false)
    }

    fn decode(&mut self, latents: usize) -> usize {
        let c = self.config;
        let x = self.tape.clamp(latents);
        let mut x = self.conv3("taehv.decoder.1", x, true, true);
        let mut i = 3;
        for s in 0..3 {
            for _ in 0..c.blocks {
                x = self.mem_block(&format!("taehv.decoder.{i}"), x);
                i += 1;
            }
            // Nearest doubling and a 1x1 convolution commute; this order is a quarter of the work.
            x = self.conv1(&format!("taehv.decoder.{}", i + 1), x);
            if c.space_up[s] {
                x = self.tape.double(x);
            }
            let last = s == 2;
            x = self.conv3(&format!("taehv.decoder.{}", i + 2), x, false, last);
            i += 3;
        }
        self.conv3(&format!("taehv.decoder.{}", i + 1), x, true, false)
    }
}

/// Whether [`encode`] can do what the codec says: one latent for each frame.
pub fn encodes(c: &CodecConfig) -> bool {
    c.kind == CodecKind::Linear || c.time_up == [1, 1, 1]
}

/// How many frames before one change its latent: one for each MemBlock of the encoder.
pub fn reach(c: &CodecConfig) -> usize {
    if c.kind == CodecKind::Linear { 0 } else { 3 * c.blocks }
}

/// Codec latents [n, C, h, w] of consecutive `frames` [n, 3, H, W] in [0, 1], with nothing before them.
pub fn encode(weights: &Weights, c: &CodecConfig, frames: &[f32], size: [usize; 3]) -> Vec<f32> {
    let input = unshuffle(frames, size, c.patch);
    if c.kind == CodecKind::Linear {
        let rows: Vec<f32> = input.pixels().flat_map(|(i, y, x)| input.pixel(i, y, x).iter().copied()).collect();
        let get = |part: &str| weights.tensor(&format!("linear.encoder.{part}")).map_or(&[][..], |(_, values)| values);
        let latents = linear(&rows, get("weight"), get("bias"));
        return planar([input.n, input.h * input.w], c.channels, |i| &latents[i * c.channels..][..c.channels]);
    }
    let mut pass = Pass::new(weights, c, input.n);
    let input = pass.tape.input(input);
    let latents = pass.encode(input);
    let (map, places) = (pass.tape.value(latents), pass.tape.value(latents).pixels().collect::<Vec<_>>());
    planar([map.n, map.h * map.w], c.channels, |i| map.pixel(places[i].0, places[i].1, places[i].2))
}

/// Pixels of `n` images of `area`, numbered through, as planes [n, channels, area].
fn planar<'a>([n, area]: [usize; 2], channels: usize, pixel: impl Fn(usize) -> &'a [f32]) -> Vec<f32> {
    let mut out = vec![0.0; n * channels * area];
    for i in 0..n * area {
        for (c, value) in pixel(i).iter().enumerate() {
            out[(i / area * channels + c) * area + i % area] = *value;
        }
    }
    out
}

/// Weight of the pull that keeps latents inside the decoder's soft clamp.
pub const PULL: f32 = 1e-3;

/// Planar [n, 3, h, w] as a map of 3*p*p channels in PyTorch's pixel-unshuffle order.
fn unshuffle(planes: &[f32], [n, h, w]: [usize; 3], p: usize) -> Map {
    let mut out = Map::zeros(n, h / p, w / p, 3 * p * p);
    for (i, y, x) in out.pixels() {
        let pixel = out.pixel_mut(i, y, x);
        for (k, v) in pixel.iter_mut().enumerate() {
            let (c, dy, dx) = (k / (p * p), k / p % p, k % p);
            *v = planes[((i * 3 + c) * h + y * p + dy) * w + x * p + dx];
        }
    }
    out
}

/// The inverse of [`unshuffle`].
fn shuffle(map: &Map, p: usize) -> Vec<f32> {
    let (h, w) = (map.h * p, map.w * p);
    let mut planes = vec![0.0; map.n * 3 * h * w];
    for (i, y, x) in map.pixels() {
        for (k, v) in map.pixel(i, y, x).iter().enumerate() {
            let (c, dy, dx) = (k / (p * p), k / p % p, k % p);
            planes[((i * 3 + c) * h + y * p + dy) * w + x * p + dx] = *v;
        }
    }
    planes
}

/// Value and slope of `codec::loss` at `made`.
fn loss(made: &[f32], real: &[f32], [n, h, w]: [usize; 3]) -> (f32, Vec<f32>) {
    let count = made.len() as f32;
    let error: Vec<f32> = made.iter().zip(real).map(|(m, r)| m - r).collect();
    let mut value: f64 = error.iter().map(|&e| f64::from(L1 * e.abs() + L2 * e * e)).sum::<f64>() / f64::from(count);
    let mut slope: Vec<f32> = error.iter().map(|&e| (L1 * sign(e) + 2.0 * L2 * e) / count).collect();
    let (across, down) = (EDGE / (n * 3 * h * (w - 1)) as f32, EDGE / (n * 3 * (h - 1) * w) as f32);
    for row in 0..n * 3 * h {
        for x in 0..w {
            let at = row * w + x;
            let mut pair = |other: usize, weight: f32| {
                let d = error[other] - error[at];
                value += f64::from(weight * d.abs());
                slope[other] += weight * sign(d);
                slope[at] -= weight * sign(d);
            };
            if x + 1 < w {
                pair(at + 1, across);
            }
            if row % h + 1 < h {
                pair(at + w, down);
            }
        }
    }
    (value as f32, slope)
}

/// Weight of the absolute error, the squared error, and the absolute error of neighbour differences.
pub const L1: f32 = 0.3;
/// See [`L1`].
pub const L2: f32 = 8.0;
/// See [`L1`].
pub const EDGE: f32 = 0.3;

fn sign(x: f32) -> f32 {
    if x == 0.0 { 0.0 } else { x.signum() }
}
