//! A small discriminator of latents: the adversarial term of stage `dmd`.
//!
//! Distribution matching pulls a student towards what its teacher would draw, so a teacher that is soft makes a soft student.
//! The GAN variant of Self Forcing (spec 5.5) also lets real latents speak: a relativistic discriminator, here a few
//! convolutions over a frame and the one before it, small enough for the CPU whatever trains the rest. In place of the
//! gradient penalties R1 and R2, which need second derivatives, its answer may change little under a little noise.

use causeway_runtime::config::DitConfig;

use crate::net::tape::{Map, Tape};
use crate::net::weights::{Init, Spec, Weights};
use crate::rng::Rng;

/// Channels of the hidden layers.
const WIDTH: usize = 48;

/// Spread of the noise that must not change the answer, and the weight of its square.
const NOISE: f32 = 0.1;
const PENALTY: f32 = 20.0;

/// Tensors of the discriminator of a model's latents.
pub fn specs(c: &DitConfig) -> Vec<Spec> {
    let sizes = [2 * c.latent.channels, WIDTH, WIDTH, WIDTH, 1];
    let layer = |i: usize| {
        let (from, to) = (sizes[i], sizes[i + 1]);
        let std = (2.0 / (9 * from) as f32).sqrt();
        [
            Spec::new(format!("adversary.{i}.weight"), &[to, from, 3, 3], Init::Normal(std)),
            Spec::new(format!("adversary.{i}.bias"), &[to], Init::Zero),
        ]
    };
    (0..4).flat_map(layer).collect()
}

/// Latent frames [C, H, W] with the frame before each, as the discriminator sees them.
pub struct Pairs {
    map: Map,
}

impl Pairs {
    /// From (frame, frame before) of a model with the latents of `c`.
    pub fn new(c: &DitConfig, frames: &[(&[f32], &[f32])]) -> Self {
        let (channels, h, w) = (c.latent.channels, c.latent.height, c.latent.width);
        let mut map = Map::zeros(frames.len(), h, w, 2 * channels);
        for (n, (now, before)) in frames.iter().enumerate() {
            for (at, value) in now.iter().chain(*before).enumerate() {
                map.pixel_mut(n, at / w % h, at % w)[at / (h * w)] = *value;
            }
        }
        Self { map }
    }

    /// All of these, then all of `other`.
    fn then(&self, other: &Self) -> Self {
        let (a, b) = (&self.map, &other.map);
        let mut map = Map::zeros(a.n + b.n, a.h, a.w, a.c);
        for (part, start) in [(a, 0), (b, a.n)] {
            for (n, y, x) in part.pixels() {
                map.pixel_mut(start + n, y, x).copy_from_slice(part.pixel(n, y, x));
            }
        }
        Self { map }
    }

    fn disturbed(&self, rng: &mut Rng) -> Self {
        let mut map = self.map.clone();
        for (n, y, x) in self.map.pixels() {
            map.pixel_mut(n, y, x).iter_mut().for_each(|v| *v += NOISE * rng.normal());
        }
        Self { map }
    }
}

/// One pass over some pairs.
struct Judged<'a> {
    tape: Tape<'a>,
    out: usize,
    /// The answer for each pair, larger for more real.
    answers: Vec<f32>,
}

impl<'a> Judged<'a> {
    fn new(weights: &'a Weights, pairs: Pairs) -> Self {
        let offset = |name: String| {
            let (entry, _) = weights.tensor(&name).unwrap_or_else(|| panic!("no tensor named {name}"));
            (entry.offset, entry.shape[0])
        };
        let mut tape = Tape::new(&weights.data, weights.kernels);
        let (n, h, w) = (pairs.map.n, pairs.map.h, pairs.map.w);
        let nothing = Map::zeros(n, h, w, pairs.map.c);
        let input = tape.input(pairs.map);
        // Through this the tape finds the input's own gradient.
        let mut x = tape.shift(input, &nothing);
        for i in 0..4 {
            let (weight, to) = offset(format!("adversary.{i}.weight"));
            x = tape.conv3(x, to, weight, Some(offset(format!("adversary.{i}.bias")).0), i < 3);
        }
        let mut answers = vec![0.0; n];
        let map = tape.value(x);
        for (i, y, column) in map.pixels() {
            answers[i] += map.pixel(i, y, column)[0] / (h * w) as f32;
        }
        Self { tape, out: x, answers }
    }

    /// Adds the parameters' gradients to `grad`, given those of the answers; returns that of the pairs.
    fn backward(&self, slopes: &[f32], grad: &mut [f32]) -> Map {
        let out = self.tape.value(self.out);
        let mut seed = Map::zeros(out.n, out.h, out.w, 1);
        for (n, y, x) in out.pixels() {
            seed.pixel_mut(n, y, x)[0] = slopes[n] / (out.h * out.w) as f32;
        }
        self.tape.backward(vec![(self.out, seed)], grad).remove(0).1
    }
}

fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// Loss of the discriminator `weights`: each real pair should look more real than the generated one of its place, and
/// noise should change no answer. Adds its gradient to `grad`.
pub fn tell_apart(weights: &Weights, real: &Pairs, made: &Pairs, rng: &mut Rng, grad: &mut [f32]) -> f32 {
    let n = real.map.n;
    let clean = real.then(made);
    let judged = Judged::new(weights, clean.then(&clean.disturbed(rng)));
    let a = &judged.answers;
    let (mut loss, mut slopes) = (0.0, vec![0.0; 4 * n]);
    for i in 0..n {
        loss += softplus(a[n + i] - a[i]) / n as f32;
        let slope = sigmoid(a[n + i] - a[i]) / n as f32;
        slopes[i] -= slope;
        slopes[n + i] += slope;
    }
    for i in 0..2 * n {
        let change = a[2 * n + i] - a[i];
        loss += PENALTY * change * change / n as f32;
        slopes[2 * n + i] += 2.0 * PENALTY * change / n as f32;
        slopes[i] -= 2.0 * PENALTY * change / n as f32;
    }
    judged.backward(&slopes, grad);
    loss
}

/// Loss of the generated frames, which should look more real than the real ones of their places, and its gradient with
/// respect to each [C, H, W]; the frames before them are taken as they are.
pub fn pass_for_real(weights: &Weights, real: &Pairs, made: &Pairs) -> (f32, Vec<Vec<f32>>) {
    let n = real.map.n;
    let judged = Judged::new(weights, real.then(made));
    let a = &judged.answers;
    let (mut loss, mut slopes) = (0.0, vec![0.0; 2 * n]);
    for i in 0..n {
        loss += softplus(a[i] - a[n + i]) / n as f32;
        slopes[n + i] = -sigmoid(a[i] - a[n + i]) / n as f32;
    }
    let back = judged.backward(&slopes, &mut vec![0.0; weights.data.len()]);
    let (h, w) = (back.h, back.w);
    let frame = |i: usize| {
        (0..back.c / 2 * h * w).map(|at| back.pixel(n + i, at / w % h, at % w)[at / (h * w)]).collect::<Vec<_>>()
    };
    (loss, (0..n).map(frame).collect())
}
