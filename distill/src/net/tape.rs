//! A small reverse-mode tape for convolutions on the CPU: 3x3 convolutions as plain matrix products, no im2col.
//!
//! A map keeps its pixels channels-last with one zero column after each row and one zero row after each image. Three
//! neighbours of a row are then contiguous, so a convolution is three matrix products over overlapping views (one for each
//! row of the kernel) of the very same memory, several times faster than the general-purpose operator. On other devices
//! the codec trains through `codec`; a test holds the two together.

use crate::net::fast::bf16::Start;
use crate::net::fast::kernels::Kernels;
use crate::net::fast::linalg::{View, product};

/// `n` images of `h` x `w` pixels and `c` channels, with zero borders.
#[derive(Clone, Debug)]
pub struct Map {
    /// Images.
    pub n: usize,
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
    /// Channels.
    pub c: usize,
    data: Vec<f32>,
}

impl Map {
    /// All zeros.
    pub fn zeros(n: usize, h: usize, w: usize, c: usize) -> Self {
        let pixels = n * (h + 1) * (w + 1) + 2 * (w + 2);
        Self { n, h, w, c, data: vec![0.0; pixels * c] }
    }

    /// Same shape, all zeros, `c` channels.
    fn like(&self, c: usize) -> Self {
        Self::zeros(self.n, self.h, self.w, c)
    }

    /// Pixels of all images, borders between them included.
    fn rows(&self) -> usize {
        self.n * (self.h + 1) * (self.w + 1)
    }

    fn lead(&self) -> usize {
        (self.w + 2) * self.c
    }

    /// Index of the first channel of a pixel.
    fn at(&self, n: usize, y: usize, x: usize) -> usize {
        self.lead() + ((n * (self.h + 1) + y) * (self.w + 1) + x) * self.c
    }

    /// Channels of pixel (x, y) of image `n`.
    pub fn pixel(&self, n: usize, y: usize, x: usize) -> &[f32] {
        let at = self.at(n, y, x);
        &self.data[at..at + self.c]
    }

    /// Channels of pixel (x, y) of image `n`.
    pub fn pixel_mut(&mut self, n: usize, y: usize, x: usize) -> &mut [f32] {
        let at = self.at(n, y, x);
        &mut self.data[at..at + self.c]
    }

    /// One row of pixels.
    fn line(&self, n: usize, y: usize) -> &[f32] {
        let at = self.at(n, y, 0);
        &self.data[at..at + self.w * self.c]
    }

    fn line_mut(&mut self, n: usize, y: usize) -> &mut [f32] {
        let at = self.at(n, y, 0);
        let len = self.w * self.c;
        &mut self.data[at..at + len]
    }

    /// (image, y, x) of every pixel.
    pub fn pixels(&self) -> impl Iterator<Item = (usize, usize, usize)> + use<> {
        let w = self.w;
        self.lines().flat_map(move |(n, y)| (0..w).map(move |x| (n, y, x)))
    }

    /// Calls `f(n, y)` for every row of pixels.
    fn lines(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let h = self.h;
        (0..self.n).flat_map(move |n| (0..h).map(move |y| (n, y)))
    }

    fn clear_borders(&mut self) {
        let (w, c) = (self.w, self.c);
        for n in 0..self.n {
            for y in 0..self.h {
                let at = self.at(n, y, w);
                self.data[at..at + c].fill(0.0);
            }
            let at = self.at(n, self.h, 0);
            self.data[at..at + (w + 1) * c].fill(0.0);
        }
    }
}

/// What made a value of the tape.
enum Op {
    Input,
    /// 3x3 convolution: packed weight, source, weight and bias offsets in the flat parameters, ReLU afterwards.
    Conv3 {
        x: usize,
        weight: usize,
        bias: Option<usize>,
        relu: bool,
    },
    Conv1 {
        x: usize,
        weight: usize,
    },
    /// Channels of x and of the image before it in its clip.
    Join {
        x: usize,
        time: usize,
    },
    /// ReLU(x + y).
    Residual {
        x: usize,
        y: usize,
    },
    Double {
        x: usize,
    },
    Halve {
        x: usize,
    },
    /// 3 tanh(x / 3).
    Clamp {
        x: usize,
    },
    /// x plus a constant.
    Shift {
        x: usize,
    },
}

/// Values in the order they were computed.
pub struct Tape<'a> {
    weights: &'a [f32],
    kernels: Kernels,
    values: Vec<Map>,
    ops: Vec<Op>,
}

impl<'a> Tape<'a> {
    /// An empty tape over flat parameters, whose products `kernels` take.
    pub fn new(weights: &'a [f32], kernels: Kernels) -> Self {
        Self { weights, kernels, values: Vec::new(), ops: Vec::new() }
    }

    /// A value.
    pub fn value(&self, id: usize) -> &Map {
        &self.values[id]
    }

    fn push(&mut self, value: Map, op: Op) -> usize {
        self.values.push(value);
        self.ops.push(op);
        self.values.len() - 1
    }

    /// A value from outside.
    pub fn input(&mut self, value: Map) -> usize {
        self.push(value, Op::Input)
    }

    /// Convolution with the weight [to, c, 3, 3] at offset `weight`, padding 1.
    pub fn conv3(&mut self, x: usize, to: usize, weight: usize, bias: Option<usize>, relu: bool) -> usize {
        let source = &self.values[x];
        let c = source.c;
        let mut out = source.like(to);
        let packed = pack(&self.weights[weight..weight + to * c * 9], to, c);
        taps(self.kernels, source, &packed, &mut out);
        let lead = out.lead();
        let rows = out.rows();
        for row in out.data[lead..lead + rows * to].chunks_exact_mut(to) {
            if let Some(bias) = bias {
                row.iter_mut().zip(&self.weights[bias..bias + to]).for_each(|(o, b)| *o += b);
            }
            if relu {
                row.iter_mut().for_each(|o| *o = o.max(0.0));
            }
        }
        out.clear_borders();
        self.push(out, Op::Conv3 { x, weight, bias, relu })
    }

    /// Convolution with the weight [to, c, 1, 1] at offset `weight`.
    pub fn conv1(&mut self, x: usize, to: usize, weight: usize) -> usize {
        let source = &self.values[x];
        let (c, lead) = (source.c, source.lead());
        let mut out = source.like(to);
        let transposed = transpose(&self.weights[weight..weight + to * c], to, c);
        let at = out.lead();
        let (from, weight_view) = (View(&source.data[lead..], c, 1), View(&transposed, to, 1));
        self.kernels.product(false, [source.rows(), c, to], from, weight_view, &mut out.data[at..], to);
        self.push(out, Op::Conv1 { x, weight })
    }

    /// Each image with the one before it in its clip of `time` (zeros before the first): 2c channels.
    pub fn join(&mut self, x: usize, time: usize) -> usize {
        let source = &self.values[x];
        let c = source.c;
        let mut out = source.like(2 * c);
        for (n, y) in source.lines() {
            let now = source.line(n, y);
            let to = out.line_mut(n, y);
            for (to, from) in to.chunks_exact_mut(2 * c).zip(now.chunks_exact(c)) {
                to[..c].copy_from_slice(from);
            }
            if n % time > 0 {
                for (to, from) in to.chunks_exact_mut(2 * c).zip(source.line(n - 1, y).chunks_exact(c)) {
                    to[c..].copy_from_slice(from);
                }
            }
        }
        self.push(out, Op::Join { x, time })
    }

    /// ReLU(x + y).
    pub fn residual(&mut self, x: usize, y: usize) -> usize {
        let mut out = self.values[x].clone();
        out.data.iter_mut().zip(&self.values[y].data).for_each(|(o, y)| *o = (*o + y).max(0.0));
        self.push(out, Op::Residual { x, y })
    }

    /// Nearest x2.
    pub fn double(&mut self, x: usize) -> usize {
        let source = &self.values[x];
        let c = source.c;
        let mut out = Map::zeros(source.n, source.h * 2, source.w * 2, c);
        for (n, y) in out.lines() {
            let from = source.line(n, y / 2);
            for (to, from) in out.line_mut(n, y).chunks_exact_mut(2 * c).zip(from.chunks_exact(c)) {
                to[..c].copy_from_slice(from);
                to[c..].copy_from_slice(from);
            }
        }
        self.push(out, Op::Double { x })
    }

    /// Every second pixel: a stride-2 convolution is a stride-1 one seen through this.
    pub fn halve(&mut self, x: usize) -> usize {
        let source = &self.values[x];
        let c = source.c;
        let mut out = Map::zeros(source.n, source.h / 2, source.w / 2, c);
        for (n, y) in out.lines() {
            let from = source.line(n, 2 * y);
            for (to, from) in out.line_mut(n, y).chunks_exact_mut(c).zip(from.chunks_exact(2 * c)) {
                to.copy_from_slice(&from[..c]);
            }
        }
        self.push(out, Op::Halve { x })
    }

    /// 3 tanh(x / 3).
    pub fn clamp(&mut self, x: usize) -> usize {
        let mut out = self.values[x].clone();
        out.data.iter_mut().for_each(|o| *o = 3.0 * (*o / 3.0).tanh());
        self.push(out, Op::Clamp { x })
    }

    /// x plus a constant map of the same shape.
    pub fn shift(&mut self, x: usize, by: &Map) -> usize {
        let mut out = self.values[x].clone();
        out.data.iter_mut().zip(&by.data).for_each(|(o, b)| *o += b);
        self.push(out, Op::Shift { x })
    }

    /// Runs the tape backwards from gradients of some values and adds the parameters' gradients to `grad`. Returns those of
    /// inputs; an input that only convolutions read has none, since codecs want none and it is the largest.
    pub fn backward(&self, seeds: Vec<(usize, Map)>, grad: &mut [f32]) -> Vec<(usize, Map)> {
        let mut grads: Vec<Option<Map>> = (0..self.values.len()).map(|_| None).collect();
        for (id, seed) in seeds {
            accumulate(&mut grads, id, seed);
        }
        let mut inputs = Vec::new();
        for id in (0..self.values.len()).rev() {
            match (grads[id].take(), &self.ops[id]) {
                (None, _) => {}
                (Some(g), Op::Input) => inputs.push((id, g)),
                (Some(g), _) => self.undo(id, g, &mut grads, grad),
            }
        }
        inputs
    }

    fn undo(&self, id: usize, mut g: Map, grads: &mut [Option<Map>], grad: &mut [f32]) {
        let value = &self.values[id];
        match self.ops[id] {
            Op::Input => {}
            Op::Conv3 { x, weight, bias, relu } => {
                if relu {
                    gate(&mut g, value);
                }
                let source = &self.values[x];
                let (c, to) = (source.c, g.c);
                if let Some(bias) = bias {
                    let lead = g.lead();
                    for row in g.data[lead..lead + g.rows() * to].chunks_exact(to) {
                        grad[bias..bias + to].iter_mut().zip(row).for_each(|(b, g)| *b += g);
                    }
                }
                let packed = &mut vec![0.0; 9 * c * to];
                tap_weights(self.kernels, source, &g, packed);
                unpack_add(packed, &mut grad[weight..weight + to * c * 9], to, c);
                if !matches!(self.ops[x], Op::Input) {
                    let flipped = flip(&self.weights[weight..weight + to * c * 9], to, c);
                    let mut back = source.like(c);
                    taps(self.kernels, &g, &flipped, &mut back);
                    back.clear_borders();
                    accumulate(grads, x, back);
                }
            }
            Op::Conv1 { x, weight } => {
                let source = &self.values[x];
                let (c, to) = (source.c, g.c);
                let part = &mut vec![0.0; to * c];
                let (from, lead) = (&source.data[source.lead()..], g.lead());
                let (rows, kernels) = (source.rows(), self.kernels);
                kernels.product(false, [to, rows, c], View(&g.data[lead..], to, 1).t(), View(from, c, 1), part, c);
                grad[weight..weight + to * c].iter_mut().zip(part).for_each(|(g, p)| *g += *p);
                let mut back = source.like(c);
                let at = back.lead();
                let matrix = &self.weights[weight..weight + to * c];
                let (g, matrix) = (View(&g.data[lead..], to, 1), View(matrix, c, 1));
                kernels.product(false, [rows, to, c], g, matrix, &mut back.data[at..], c);
                accumulate(grads, x, back);
            }
            Op::Join { x, time } => {
                let c = g.c / 2;
                let mut back = g.like(c);
                for (n, y) in g.lines() {
                    let from = g.line(n, y);
                    for (to, from) in back.line_mut(n, y).chunks_exact_mut(c).zip(from.chunks_exact(2 * c)) {
                        to.iter_mut().zip(&from[..c]).for_each(|(t, f)| *t += f);
                    }
                    if n % time > 0 {
                        for (to, from) in back.line_mut(n - 1, y).chunks_exact_mut(c).zip(from.chunks_exact(2 * c)) {
                            to.iter_mut().zip(&from[c..]).for_each(|(t, f)| *t += f);
                        }
                    }
                }
                accumulate(grads, x, back);
            }
            Op::Residual { x, y } => {
                gate(&mut g, value);
                accumulate(grads, y, g.clone());
                accumulate(grads, x, g);
            }
            Op::Double { x } => {
                let c = g.c;
                let mut back = Map::zeros(g.n, g.h / 2, g.w / 2, c);
                for (n, y) in g.lines() {
                    let from = g.line(n, y);
                    for (to, from) in back.line_mut(n, y / 2).chunks_exact_mut(c).zip(from.chunks_exact(2 * c)) {
                        to.iter_mut().enumerate().for_each(|(i, t)| *t += from[i] + from[c + i]);
                    }
                }
                accumulate(grads, x, back);
            }
            Op::Halve { x } => {
                let c = g.c;
                let mut back = self.values[x].like(c);
                for (n, y) in g.lines() {
                    let from = g.line(n, y);
                    for (to, from) in back.line_mut(n, 2 * y).chunks_exact_mut(2 * c).zip(from.chunks_exact(c)) {
                        to[..c].copy_from_slice(from);
                    }
                }
                accumulate(grads, x, back);
            }
            Op::Shift { x } => accumulate(grads, x, g),
            Op::Clamp { x } => {
                g.data.iter_mut().zip(&value.data).for_each(|(g, y)| *g *= 1.0 - (y / 3.0) * (y / 3.0));
                accumulate(grads, x, g);
            }
        }
    }
}

fn accumulate(grads: &mut [Option<Map>], id: usize, g: Map) {
    match &mut grads[id] {
        Some(sum) => sum.data.iter_mut().zip(g.data).for_each(|(s, g)| *s += g),
        empty => *empty = Some(g),
    }
}

/// Zeroes gradients where the ReLU that made `value` was closed.
fn gate(g: &mut Map, value: &Map) {
    g.data.iter_mut().zip(&value.data).for_each(|(g, v)| *g = if *v > 0.0 { *g } else { 0.0 });
}

/// dst = sum over the kernel's rows of three-neighbour views of `x` times the packed weight [3][3 * x.c, dst.c].
fn taps(kernels: Kernels, x: &Map, packed: &[f32], dst: &mut Map) {
    let (rows, c, to, at) = (x.rows(), x.c, dst.c, dst.lead());
    let weights = packed.chunks_exact(3 * c * to).enumerate();
    let dst = &mut dst.data[at..];
    match kernels {
        Kernels::Bf16(bf16) if c % 2 == 0 => {
            let all = bf16.rows(&x.data, x.data.len(), [1, x.data.len()]);
            for (dy, weight) in weights {
                let weight = bf16.panels(&bf16.rows(weight, to, [3 * c, to]));
                let start = if dy > 0 { Start::There } else { Start::Zero };
                bf16.sliding_product(&all, [dy * (x.w + 1) * c, c], rows, &weight, start, dst, to);
            }
        }
        _ => {
            for (dy, weight) in weights {
                let from = View(&x.data[dy * (x.w + 1) * c..], c, 1);
                product(dy > 0, [rows, 3 * c, to], from, View(weight, to, 1), dst, to);
            }
        }
    }
}

/// The gradient of the packed weight [3][3 * x.c, g.c] of [`taps`] from that of its result.
fn tap_weights(kernels: Kernels, x: &Map, g: &Map, packed: &mut [f32]) {
    let (rows, c, to, slope) = (x.rows(), x.c, g.c, &g.data[g.lead()..]);
    let Kernels::Bf16(bf16) = kernels else {
        for (dy, part) in packed.chunks_exact_mut(3 * c * to).enumerate() {
            let from = View(&x.data[dy * (x.w + 1) * c..], 1, c);
            product(false, [3 * c, rows, to], from, View(slope, to, 1), part, to);
        }
        return;
    };
    let slope = bf16.panels(&bf16.rows(slope, to, [rows, to]));
    // Pairs of pixels that begin with an even one, and with an odd one: each neighbour is a number of pairs away in one of them.
    let pixels = x.data.len() / c;
    let pairs = [0, 1].map(|odd| bf16.panels(&bf16.rows(&x.data[odd * c..], c, [pixels - odd, c])));
    for (k, part) in packed.chunks_exact_mut(c * to).enumerate() {
        let away = k / 3 * (x.w + 1) + k % 3;
        bf16.shifted_product(&pairs[away % 2], away / 2, &slope, Start::Zero, part, to);
    }
}

/// [to, c, 3, 3] as [dy][dx, c][to].
fn pack(weight: &[f32], to: usize, c: usize) -> Vec<f32> {
    let mut out = vec![0.0; weight.len()];
    for (i, &w) in weight.iter().enumerate() {
        let (o, ch, k) = (i / (c * 9), i / 9 % c, i % 9);
        out[(k * c + ch) * to + o] = w;
    }
    out
}

/// Adds [dy][dx, c][to] to [to, c, 3, 3].
fn unpack_add(packed: &[f32], weight: &mut [f32], to: usize, c: usize) {
    for (i, w) in weight.iter_mut().enumerate() {
        let (o, ch, k) = (i / (c * 9), i / 9 % c, i % 9);
        *w += packed[(k * c + ch) * to + o];
    }
}

/// [to, c, 3, 3] as the kernel of the transposed convolution, [dy][dx, to][c].
fn flip(weight: &[f32], to: usize, c: usize) -> Vec<f32> {
    let mut out = vec![0.0; weight.len()];
    for (i, &w) in weight.iter().enumerate() {
        let (o, ch, k) = (i / (c * 9), i / 9 % c, i % 9);
        out[((8 - k) * to + o) * c + ch] = w;
    }
    out
}

fn transpose(matrix: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..rows * columns).map(|i| matrix[(i % rows) * columns + i / rows]).collect()
}
