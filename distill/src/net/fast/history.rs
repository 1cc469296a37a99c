//! Frames that a stream has made, as attention reads them again: rotated for their place and packed for the kernels once a frame,
//! and not in every pass.

use causeway_runtime::config::DitConfig;

use super::attend::{Attend, Turns};
use super::bf16::{Panels, Start};
use super::kernels::Kernels;
use super::linalg::{Router, View, mean_rows, wide};
use crate::net::mask::Best;

/// Keys (not rotated) and values [B * S, dim] of one frame in one layer.
pub type Kv = (Vec<f32>, Vec<f32>);

/// The frames that a stream still sees, oldest first, at the places 0, 1, 2 ... of its window.
pub struct History {
    heads: usize,
    dim: usize,
    tokens: usize,
    turns: Vec<Turns>,
    frames: Vec<Vec<Seen>>,
}

/// One frame in one layer.
struct Seen {
    kv: Kv,
    keys: Factors,
    values: Factors,
}

/// Right sides of products.
enum Factors {
    /// [B * S, dim]; of values, those of [`Seen::kv`].
    F32(Vec<f32>),
    /// For each head of each world.
    Packed(Vec<Panels>),
}

impl History {
    /// None yet.
    pub fn new(c: &DitConfig) -> Self {
        let tokens = c.tokens_per_frame();
        Self { heads: c.heads, dim: c.dim, tokens, turns: vec![Turns::new(c, &[0])], frames: Vec::new() }
    }

    /// Frames.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Keys and values of a frame, a pair a layer.
    pub fn frame(&self, place: usize) -> impl Iterator<Item = &Kv> {
        self.frames[place].iter().map(|seen| &seen.kv)
    }

    /// Makes a frame, a pair a layer, the newest one.
    pub fn push(&mut self, c: &DitConfig, kernels: Kernels, frame: Vec<Kv>) {
        let place = self.len();
        let seen = frame.into_iter().map(|kv| {
            let values = match kernels {
                Kernels::F32 => Factors::F32(Vec::new()),
                Kernels::Bf16(bf16) => {
                    let pack = |x: &[f32]| bf16.panels(&bf16.rows(x, self.dim, [self.tokens, self.dim / self.heads]));
                    Factors::Packed(self.parts(&kv.1).map(pack).collect())
                }
            };
            Seen { keys: self.keys(kernels, place, &kv.0), values, kv }
        });
        let seen = seen.collect();
        self.frames.push(seen);
        // The next frame's own place.
        self.turns.extend((self.turns.len()..=place + 1).map(|p| Turns::new(c, &[p])));
    }

    /// Forgets the frame at a place; those behind it move up.
    pub fn remove(&mut self, place: usize, kernels: Kernels) {
        self.frames.remove(place);
        for place in place..self.len() {
            for layer in 0..self.frames[place].len() {
                self.frames[place][layer].keys = self.keys(kernels, place, &self.frames[place][layer].kv.0);
            }
        }
    }

    /// Keys [B * S, dim] of the frame at a place as products read them.
    fn keys(&self, kernels: Kernels, place: usize, k: &[f32]) -> Factors {
        let mut keys = k.to_vec();
        self.turns[place].apply(&mut keys, self.dim, 1.0, false);
        match kernels {
            Kernels::F32 => Factors::F32(keys),
            Kernels::Bf16(bf16) => {
                let size = [self.tokens, self.dim / self.heads];
                Factors::Packed(
                    self.parts(&keys).map(|keys| bf16.transposed(&bf16.rows(keys, self.dim, size))).collect(),
                )
            }
        }
    }

    /// Means of each frame's keys as they were before they were rotated, [B, frames, dim].
    fn means(&self, layer: usize) -> Vec<f32> {
        let row = self.tokens * self.dim;
        let worlds = self.frames.first().map_or(0, |frame| frame[layer].kv.0.len() / row);
        let of = |world: usize, frame: &Vec<Seen>| mean_rows(&frame[layer].kv.0[world * row..][..row], self.dim);
        (0..worlds).flat_map(|world| self.frames.iter().flat_map(move |frame| of(world, frame))).collect()
    }

    /// Where each head of each world begins in rows [B * S, dim].
    fn parts<'a>(&self, x: &'a [f32]) -> impl Iterator<Item = &'a [f32]> + use<'a> {
        let (heads, row, d) = (self.heads, self.tokens * self.dim, self.dim / self.heads);
        (0..x.len() / row * heads).map(move |i| &x[i / heads * row + i % heads * d..])
    }
}

/// One frame's tokens over the frames of a history and themselves, compact positions.
pub struct Cached<'a> {
    history: &'a History,
    route: Best,
    router: Router,
    /// Keys and values of the frame itself, a pair a layer, for a commit.
    pub staged: Vec<Kv>,
}

impl<'a> Cached<'a> {
    /// Over the `route` best frames of `history`.
    pub fn new(history: &'a History, route: Best) -> Self {
        Self { history, route, router: Router::new(route), staged: Vec::new() }
    }
}

impl Attend for Cached<'_> {
    fn forward(&mut self, kernels: Kernels, layer: usize, mut q: Vec<f32>, k: Vec<f32>, v: Vec<f32>) -> Vec<f32> {
        let past = self.history;
        let (s, dim, n) = (past.tokens, past.dim, past.len());
        let (d, width) = (dim / past.heads, (n + 1) * s);
        // Queries before they are turned and means of keys before they were, if those rank frames.
        let plain = (self.route.apart() && n > 0).then(|| (q.clone(), past.means(layer)));
        past.turns[n].apply(&mut q, dim, 1.0 / (d as f32).sqrt(), false);
        let mut turned = k.clone();
        past.turns[n].apply(&mut turned, dim, 1.0, false);
        let (mut out, mut p) = (vec![0.0; q.len()], vec![0.0; s * width]);
        let mut ranks = vec![0.0; if plain.is_some() { s * n } else { 0 }];
        for part in 0..q.len() / (s * dim) * past.heads {
            let at = part / past.heads * s * dim + part % past.heads * d;
            let queries = kernels.left(View(&q[at..], dim, 1), [s, d]);
            for (f, frame) in past.frames.iter().enumerate() {
                let to = &mut p[f * s..];
                match &frame[layer].keys {
                    Factors::F32(keys) => {
                        let (q, keys) = (View(&q[at..], dim, 1), View(&keys[at..], dim, 1).t());
                        kernels.product(false, [s, d, s], q, keys, to, width);
                    }
                    Factors::Packed(keys) => queries.product(&keys[part], Start::Zero, to, width),
                }
            }
            let keys = View(&turned[at..], dim, 1).t();
            kernels.product(false, [s, d, s], View(&q[at..], dim, 1), keys, &mut p[n * s..], width);
            if let Some((q, means)) = &plain {
                // A world's means have a row a frame where its frame has one a token.
                let means = View(&means[part / past.heads * n * dim + part % past.heads * d..], dim, 1).t();
                kernels.product(false, [s, d, n], View(&q[at..], dim, 1), means, &mut ranks, n);
            }
            self.router.begin(n);
            let router = &mut self.router;
            wide(
                #[inline(always)]
                || {
                    for (i, row) in p.chunks_exact_mut(width).enumerate() {
                        router.softmax(kernels, row, s, ranks.get(i * n..(i + 1) * n).unwrap_or_default());
                    }
                },
            );
            for (f, frame) in past.frames.iter().enumerate().filter(|(f, _)| self.router.used(*f)) {
                let (weights, out) = (View(&p[f * s..], width, 1), &mut out[at..]);
                match &frame[layer].values {
                    Factors::F32(_) => {
                        let values = View(&frame[layer].kv.1[at..], dim, 1);
                        kernels.product(true, [s, s, d], weights, values, out, dim);
                    }
                    Factors::Packed(values) => {
                        kernels.left(weights, [s, s]).product(&values[part], Start::There, out, dim);
                    }
                }
            }
            let weights = View(&p[n * s..], width, 1);
            kernels.product(true, [s, s, d], weights, View(&v[at..], dim, 1), &mut out[at..], dim);
        }
        self.staged.push((k, v));
        out
    }
}
