//! Forward and backward pass of the whole denoiser (spec 1.4) over token rows.

use causeway_runtime::config::DitConfig;

use super::attend::{Attend, Trained};
use super::bf16::Start;
use super::kernels::{Input, Side};
use super::linalg::{
    add, column_sums, layer_norm, layer_norm_back, linear, linear_back, rms, rms_back, silu, silu_back, softmax,
    softmax_back, wide,
};
use crate::net::dit::{self, Clean, Frames};
use crate::net::weights::Weights;

/// The denoiser over borrowed weights.
pub struct Network<'a> {
    weights: &'a Weights,
    c: &'a DitConfig,
}

/// What [`Network::backward`] needs of one forward pass.
pub struct Trace {
    rows: Input,
    time: Vec<Vec<f32>>,
    action: Vec<Vec<f32>>,
    e: Vec<f32>,
    silu_e: Vec<f32>,
    modulation: Vec<Vec<f32>>,
    blocks: Vec<Block>,
    normed: (Vec<f32>, Vec<f32>),
    y: Input,
}

/// Intermediate values of one block, in order of computation.
struct Block {
    norm1: (Vec<f32>, Vec<f32>),
    y1: Input,
    q: (Vec<f32>, Vec<f32>),
    k: (Vec<f32>, Vec<f32>),
    attended: Input,
    out1: Vec<f32>,
    norm3: (Vec<f32>, Vec<f32>),
    y3: Input,
    cross: Cross,
    norm2: (Vec<f32>, Vec<f32>),
    y2: Input,
    hidden: Vec<f32>,
    active: Input,
    out2: Vec<f32>,
}

/// Intermediate values of cross-attention.
struct Cross {
    q_raw: (Vec<f32>, Vec<f32>),
    q: Vec<f32>,
    k_raw: (Vec<f32>, Vec<f32>),
    k: Vec<f32>,
    v: Vec<f32>,
    weights: Vec<f32>,
    attended: Input,
}

impl<'a> Network<'a> {
    /// A network of the tensors of `dit::specs`.
    pub fn new(weights: &'a Weights, c: &'a DitConfig) -> Self {
        Self { weights, c }
    }

    fn get(&self, name: &str) -> &'a [f32] {
        self.weights.tensor(name).unwrap_or_else(|| panic!("no tensor named {name}")).1
    }

    fn linear(&self, name: &str, x: &[f32]) -> Vec<f32> {
        linear(x, self.get(&format!("{name}.weight")), self.get(&format!("{name}.bias")))
    }

    /// Adds the gradients of the layer `name` to `grad` and returns that of its input.
    fn linear_back(&self, name: &str, x: &[f32], dy: &[f32], grad: &mut [f32], want: bool) -> Vec<f32> {
        let (w, _) = self.place(&format!("{name}.weight"));
        let (b, bias) = self.place(&format!("{name}.bias"));
        let values = self.get(&format!("{name}.weight"));
        // Weight and bias of a layer are neighbours in the flat array.
        let (dw, db) = grad[w..b + bias].split_at_mut(b - w);
        linear_back(x, values, dy, dw, db, want)
    }

    /// Rows of `columns` values for [`Self::project`].
    fn input(&self, x: Vec<f32>, columns: usize) -> Input {
        self.weights.kernels.input(x, columns)
    }

    /// The layer `name` of rows that are many; those of which there is one for a frame take [`Self::linear`].
    fn project(&self, name: &str, x: &Input) -> Vec<f32> {
        let (bf16, rows) = match x {
            Input::F32(x) => return self.linear(name, x),
            Input::Bf16(bf16, rows) => (*bf16, rows),
        };
        let (at, _) = self.place(&format!("{name}.weight"));
        let bias = self.get(&format!("{name}.bias"));
        let weight = self.weights.data.packed(bf16, at, [bias.len(), rows.columns()], Side::Forward);
        let mut y = vec![0.0; rows.rows() * bias.len()];
        bf16.product(rows, &weight, Start::Row(bias), &mut y, bias.len());
        y
    }

    /// Adds the gradients of all `layers` that read `x` to `grad`, from those of their results; returns that of `x`, if wanted.
    fn project_back(&self, layers: &[(&str, &[f32])], x: &Input, grad: &mut [f32], want: bool) -> Vec<f32> {
        let (bf16, rows) = match x {
            Input::F32(x) => {
                let one = |dx: Option<Vec<f32>>, (name, dy): &(&str, &[f32])| {
                    let more = self.linear_back(name, x, dy, grad, want);
                    Some(match dx {
                        Some(mut dx) => {
                            add(&mut dx, &more);
                            dx
                        }
                        None => more,
                    })
                };
                return layers.iter().fold(None, one).unwrap_or_default();
            }
            Input::Bf16(bf16, rows) => (*bf16, rows),
        };
        let (columns, panels) = (rows.columns(), bf16.panels(rows));
        let mut dx = vec![0.0; if want { rows.rows() * columns } else { 0 }];
        let mut start = Start::Zero;
        for (name, dy) in layers {
            let (w, weight) = self.place(&format!("{name}.weight"));
            let (b, out) = self.place(&format!("{name}.bias"));
            column_sums(dy, &mut grad[b..b + out]);
            let dy = bf16.rows(dy, out, [rows.rows(), out]);
            bf16.transposed_product(&bf16.panels(&dy), &panels, Start::There, &mut grad[w..w + weight], columns);
            if want {
                let values = self.weights.data.packed(bf16, w, [out, columns], Side::Back);
                bf16.product(&dy, &values, start, &mut dx, columns);
                start = Start::There;
            }
        }
        dx
    }

    fn place(&self, name: &str) -> (usize, usize) {
        let entry = self.weights.tensor(name).unwrap_or_else(|| panic!("no tensor named {name}")).0;
        (entry.offset, entry.len())
    }

    /// v for every frame as tokens [B*F*S, head_out]; with `keep`, also what the gradient needs.
    pub fn forward(&self, x: &Frames, attend: &mut dyn Attend, keep: bool) -> (Vec<f32>, Option<Trace>) {
        let (c, d) = (self.c, self.c.dim);
        let rows = self.input(dit::embed_rows(c, x), c.in_channels() * c.patch[1] * c.patch[2]);
        let mut h = self.project("dit.patch_embedding", &rows);
        let time = self.mlp("dit.time_embedding", dit::sinusoids(c, &x.sigma));
        let action = self.mlp("dit.action_embedding", x.actions.clone());
        let mut e = time[2].clone();
        add(&mut e, &action[2]);
        let silu_e = silu(&e);
        let e0 = self.linear("dit.time_projection.1", &silu_e);
        let mut trace = Trace {
            rows,
            time,
            action,
            e,
            silu_e,
            modulation: Vec::new(),
            blocks: Vec::new(),
            normed: Default::default(),
            y: Input::F32(Vec::new()),
        };
        for layer in 0..c.layers {
            let m = broadcast(&e0, self.get(&format!("dit.blocks.{layer}.modulation")));
            let block = self.block(layer, &mut h, &m, x, attend);
            if keep {
                trace.modulation.push(m);
                trace.blocks.push(block);
            }
        }
        let m = self.head_modulation(&trace.e);
        let normed = layer_norm(&h, d, c.eps);
        trace.y = self.input(modulate(&normed.0, &m, 2, 0, d, c.tokens_per_frame()), d);
        trace.normed = normed;
        let mut out = self.project("dit.head.head", &trace.y);
        if let Some(clean) = Clean::of(c, x) {
            clean.flow(&mut out);
        }
        (out, keep.then_some(trace))
    }

    /// Shift and scale of the head for each frame [n, 2, dim].
    fn head_modulation(&self, e: &[f32]) -> Vec<f32> {
        let twice: Vec<f32> = e.chunks_exact(self.c.dim).flat_map(|row| row.iter().chain(row).copied()).collect();
        broadcast(&twice, self.get("dit.head.modulation"))
    }

    /// Input, first layer and result of a two-layer SiLU network.
    fn mlp(&self, name: &str, x: Vec<f32>) -> Vec<Vec<f32>> {
        let hidden = self.linear(&format!("{name}.0"), &x);
        let out = self.linear(&format!("{name}.2"), &silu(&hidden));
        vec![x, hidden, out]
    }

    fn mlp_back(&self, name: &str, saved: &[Vec<f32>], dy: &[f32], grad: &mut [f32]) {
        let mut dh = self.linear_back(&format!("{name}.2"), &silu(&saved[1]), dy, grad, true);
        silu_back(&saved[1], &mut dh);
        self.linear_back(&format!("{name}.0"), &saved[0], &dh, grad, false);
    }

    fn block(&self, layer: usize, h: &mut [f32], m: &[f32], x: &Frames, attend: &mut dyn Attend) -> Block {
        let (c, d, s) = (self.c, self.c.dim, self.c.tokens_per_frame());
        let name = |part: &str| format!("dit.blocks.{layer}.{part}");
        let norm1 = layer_norm(h, d, c.eps);
        let y1 = self.input(modulate(&norm1.0, m, 6, 0, d, s), d);
        let q_raw = self.project(&name("self_attn.q"), &y1);
        let k_raw = self.project(&name("self_attn.k"), &y1);
        let v = self.project(&name("self_attn.v"), &y1);
        let (q, q_scale) = rms(&q_raw, self.get(&name("self_attn.norm_q.weight")), c.eps);
        let (k, k_scale) = rms(&k_raw, self.get(&name("self_attn.norm_k.weight")), c.eps);
        let attended = self.input(attend.forward(self.weights.kernels, layer, q, k, v), d);
        let out1 = self.project(&name("self_attn.o"), &attended);
        gated_add(h, &out1, m, 2, d, s);

        let norm3 = layer_norm(h, d, c.eps);
        let y3 = affine(&norm3.0, self.get(&name("norm3.weight")), self.get(&name("norm3.bias")));
        let y3 = self.input(y3, d);
        let cross = self.cross(layer, &y3, x);
        add(h, &self.project(&name("cross_attn.o"), &cross.attended));

        let norm2 = layer_norm(h, d, c.eps);
        let y2 = self.input(modulate(&norm2.0, m, 6, 3, d, s), d);
        let hidden = self.project(&name("ffn.0"), &y2);
        let active = self.input(self.weights.kernels.gelu(&hidden), c.ffn_dim);
        let out2 = self.project(&name("ffn.2"), &active);
        gated_add(h, &out2, m, 5, d, s);
        let (q, k) = ((q_raw, q_scale), (k_raw, k_scale));
        Block { norm1, y1, q, k, attended, out1, norm3, y3, cross, norm2, y2, hidden, active, out2 }
    }

    fn cross(&self, layer: usize, y: &Input, x: &Frames) -> Cross {
        let (c, d) = (self.c, self.c.dim);
        let name = |part: &str| format!("dit.blocks.{layer}.cross_attn.{part}");
        let rows = self.get("dit.event_embedding");
        let q_raw = self.project(&name("q"), y);
        let k_raw = self.linear(&name("k"), rows);
        let v = self.linear(&name("v"), rows);
        let (q, q_scale) = rms(&q_raw, self.get(&name("norm_q.weight")), c.eps);
        let (k, k_scale) = rms(&k_raw, self.get(&name("norm_k.weight")), c.eps);
        let (t, hd) = (c.event_tokens, c.head_dim());
        let scale = 1.0 / (hd as f32).sqrt();
        let mut weights = vec![0.0; q.len() / d * c.heads * t];
        let mut attended = vec![0.0; q.len()];
        wide(
            #[inline(always)]
            || {
                for (i, (q, out)) in q.chunks_exact(d).zip(attended.chunks_exact_mut(d)).enumerate() {
                    let first = usize::from(x.events[i / c.tokens_per_frame()]) * t;
                    for head in 0..c.heads {
                        let at = head * hd;
                        let p = &mut weights[(i * c.heads + head) * t..][..t];
                        for (j, p) in p.iter_mut().enumerate() {
                            let key = &k[(first + j) * d + at..][..hd];
                            *p = dot(&q[at..at + hd], key) * scale;
                        }
                        softmax(p);
                        for (j, p) in p.iter().enumerate() {
                            let value = &v[(first + j) * d + at..][..hd];
                            out[at..at + hd].iter_mut().zip(value).for_each(|(o, v)| *o += p * v);
                        }
                    }
                }
            },
        );
        let attended = self.input(attended, d);
        Cross { q_raw: (q_raw, q_scale), q, k_raw: (k_raw, k_scale), k, v, weights, attended }
    }

    /// Adds the gradient of every tensor to `grad`, from that of the result `d_out`.
    pub fn backward(&self, x: &Frames, trace: Trace, attend: &mut dyn Trained, d_out: &[f32], grad: &mut [f32]) {
        self.back(x, trace, attend, d_out, grad, false);
    }

    /// The gradients of the latents of `x` and of the frames before them, both [B, F, C, H, W], from that of the result `d_out`.
    pub fn input_gradient(&self, x: &Frames, trace: Trace, attend: &mut dyn Trained, d_out: &[f32]) -> [Vec<f32>; 2] {
        let mut grad = vec![0.0; self.weights.data.len()];
        let mut inputs = dit::embed_back(self.c, &self.back(x, trace, attend, d_out, &mut grad, true));
        if let Some(clean) = Clean::of(self.c, x) {
            let through = dit::from_tokens(self.c, &clean.back(d_out));
            inputs[0].iter_mut().zip(through).for_each(|(sum, d)| *sum -= d);
        }
        inputs
    }

    /// As [`Self::backward`]; returns the gradient of the embedded rows if they are wanted.
    fn back(
        &self,
        x: &Frames,
        trace: Trace,
        attend: &mut dyn Trained,
        d_out: &[f32],
        grad: &mut [f32],
        want: bool,
    ) -> Vec<f32> {
        let (c, d, s) = (self.c, self.c.dim, self.c.tokens_per_frame());
        let frames = x.batch * x.frames;
        let d_answer = Clean::of(c, x).map(|clean| clean.back(d_out));
        let d_answer = d_answer.as_deref().unwrap_or(d_out);
        let dy = self.project_back(&[("dit.head.head", d_answer)], &trace.y, grad, true);
        let m = self.head_modulation(&trace.e);
        let mut dm = vec![0.0; m.len()];
        let dn = modulate_back(&trace.normed.0, &m, 2, 0, &dy, &mut dm, s, d);
        let mut dh = vec![0.0; dn.len()];
        layer_norm_back(&trace.normed.0, &trace.normed.1, &dn, &mut dh);
        let (at, len) = self.place("dit.head.modulation");
        column_sums(&dm, &mut grad[at..at + len]);
        let mut de: Vec<f32> = vec![0.0; frames * d];
        for (de, dm) in de.chunks_exact_mut(d).zip(dm.chunks_exact(2 * d)) {
            add(de, &dm[..d]);
            add(de, &dm[d..]);
        }

        let mut de0 = vec![0.0; frames * 6 * d];
        let blocks = trace.blocks.into_iter().zip(&trace.modulation).enumerate().rev();
        for (layer, (block, m)) in blocks.collect::<Vec<_>>() {
            let mut dm = vec![0.0; m.len()];
            self.block_back(layer, block, m, &mut dm, x, attend, &mut dh, grad);
            let (at, len) = self.place(&format!("dit.blocks.{layer}.modulation"));
            column_sums(&dm, &mut grad[at..at + len]);
            add(&mut de0, &dm);
        }
        let mut d_silu = self.linear_back("dit.time_projection.1", &trace.silu_e, &de0, grad, true);
        silu_back(&trace.e, &mut d_silu);
        add(&mut de, &d_silu);
        self.mlp_back("dit.time_embedding", &trace.time, &de, grad);
        self.mlp_back("dit.action_embedding", &trace.action, &de, grad);
        debug_assert_eq!(c.layers, trace.modulation.len());
        self.project_back(&[("dit.patch_embedding", &dh)], &trace.rows, grad, want)
    }

    #[allow(clippy::too_many_arguments)]
    fn block_back(
        &self,
        layer: usize,
        b: Block,
        m: &[f32],
        dm: &mut [f32],
        x: &Frames,
        attend: &mut dyn Trained,
        dh: &mut [f32],
        grad: &mut [f32],
    ) {
        let (d, s) = (self.c.dim, self.c.tokens_per_frame());
        let name = |part: &str| format!("dit.blocks.{layer}.{part}");

        let d_out = gated_back(&b.out2, m, 5, dh, dm, s, d);
        let mut d_hidden = self.project_back(&[(&name("ffn.2"), &d_out)], &b.active, grad, true);
        self.weights.kernels.gelu_back(&b.hidden, &mut d_hidden);
        let dy = self.project_back(&[(&name("ffn.0"), &d_hidden)], &b.y2, grad, true);
        let dn = modulate_back(&b.norm2.0, m, 6, 3, &dy, dm, s, d);
        layer_norm_back(&b.norm2.0, &b.norm2.1, &dn, dh);

        let d_attended = self.project_back(&[(&name("cross_attn.o"), dh)], &b.cross.attended, grad, true);
        let dy = self.cross_back(layer, &b.cross, &b.y3, &d_attended, x, grad);
        let (gain, _) = self.place(&name("norm3.weight"));
        let (bias, _) = self.place(&name("norm3.bias"));
        column_sums(&dy, &mut grad[bias..bias + d]);
        let values = self.get(&name("norm3.weight"));
        let mut dn = dy;
        for (dn, n) in dn.chunks_exact_mut(d).zip(b.norm3.0.chunks_exact(d)) {
            for i in 0..d {
                grad[gain + i] += dn[i] * n[i];
                dn[i] *= values[i];
            }
        }
        layer_norm_back(&b.norm3.0, &b.norm3.1, &dn, dh);

        let d_out = gated_back(&b.out1, m, 2, dh, dm, s, d);
        let d_attended = self.project_back(&[(&name("self_attn.o"), &d_out)], &b.attended, grad, true);
        let [mut dq, mut dk, dv] = attend.backward(self.weights.kernels, layer, &d_attended);
        for (part, raw, g) in [("q", &b.q, &mut dq), ("k", &b.k, &mut dk)] {
            let (at, len) = self.place(&name(&format!("self_attn.norm_{part}.weight")));
            let gain = self.get(&name(&format!("self_attn.norm_{part}.weight")));
            rms_back(&raw.0, &raw.1, gain, g, &mut grad[at..at + len]);
        }
        let names = ["q", "k", "v"].map(|part| name(&format!("self_attn.{part}")));
        let layers = [(&*names[0], &*dq), (&*names[1], &*dk), (&*names[2], &*dv)];
        let dy = self.project_back(&layers, &b.y1, grad, true);
        let dn = modulate_back(&b.norm1.0, m, 6, 0, &dy, dm, s, d);
        layer_norm_back(&b.norm1.0, &b.norm1.1, &dn, dh);
    }

    fn cross_back(&self, layer: usize, b: &Cross, y: &Input, d_out: &[f32], x: &Frames, grad: &mut [f32]) -> Vec<f32> {
        let (c, d) = (self.c, self.c.dim);
        let name = |part: &str| format!("dit.blocks.{layer}.cross_attn.{part}");
        let (t, hd) = (c.event_tokens, c.head_dim());
        let scale = 1.0 / (hd as f32).sqrt();
        let (mut dq, mut dk, mut dv) = (vec![0.0; b.q.len()], vec![0.0; b.k.len()], vec![0.0; b.v.len()]);
        let mut ds = vec![0.0; t];
        wide(
            #[inline(always)]
            || {
                for (i, (go, dq)) in d_out.chunks_exact(d).zip(dq.chunks_exact_mut(d)).enumerate() {
                    let first = usize::from(x.events[i / c.tokens_per_frame()]) * t;
                    for head in 0..c.heads {
                        let at = head * hd;
                        let p = &b.weights[(i * c.heads + head) * t..][..t];
                        for (j, ds) in ds.iter_mut().enumerate() {
                            let row = (first + j) * d + at;
                            *ds = dot(&go[at..at + hd], &b.v[row..row + hd]);
                            dv[row..row + hd].iter_mut().zip(&go[at..at + hd]).for_each(|(v, g)| *v += p[j] * g);
                        }
                        softmax_back(p, &mut ds);
                        for (j, ds) in ds.iter().enumerate() {
                            let row = (first + j) * d + at;
                            let w = ds * scale;
                            for e in 0..hd {
                                dq[at + e] += w * b.k[row + e];
                                dk[row + e] += w * b.q[i * d + at + e];
                            }
                        }
                    }
                }
            },
        );
        for (part, raw, g) in [("q", &b.q_raw, &mut dq), ("k", &b.k_raw, &mut dk)] {
            let (at, len) = self.place(&name(&format!("norm_{part}.weight")));
            rms_back(&raw.0, &raw.1, self.get(&name(&format!("norm_{part}.weight"))), g, &mut grad[at..at + len]);
        }
        let rows = self.get("dit.event_embedding");
        let mut d_rows = self.linear_back(&name("k"), rows, &dk, grad, true);
        add(&mut d_rows, &self.linear_back(&name("v"), rows, &dv, grad, true));
        let (at, len) = self.place("dit.event_embedding");
        add(&mut grad[at..at + len], &d_rows);
        self.project_back(&[(&name("q"), &dq)], y, grad, true)
    }
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for l in 0..8 {
            lanes[l] += a[l] * b[l];
        }
    }
    let rest = a.len() / 8 * 8;
    lanes.iter().sum::<f32>() + a[rest..].iter().zip(&b[rest..]).map(|(a, b)| a * b).sum::<f32>()
}

/// Every row of `rows` plus `shared`.
fn broadcast(rows: &[f32], shared: &[f32]) -> Vec<f32> {
    rows.chunks_exact(shared.len()).flat_map(|row| row.iter().zip(shared).map(|(a, b)| a + b)).collect()
}

fn affine(n: &[f32], gain: &[f32], bias: &[f32]) -> Vec<f32> {
    let row = |row: &[f32]| -> Vec<f32> { row.iter().zip(gain).zip(bias).map(|((n, g), b)| n * g + b).collect() };
    n.chunks_exact(gain.len()).flat_map(row).collect()
}

/// n (1 + scale) + shift with the vectors `first` (shift) and `first + 1` (scale) of the `parts` of each frame.
fn modulate(n: &[f32], m: &[f32], parts: usize, first: usize, d: usize, s: usize) -> Vec<f32> {
    let mut y = vec![0.0; n.len()];
    wide(
        #[inline(always)]
        || {
            for (i, (y, n)) in y.chunks_exact_mut(d).zip(n.chunks_exact(d)).enumerate() {
                let m = &m[(i / s * parts + first) * d..][..2 * d];
                let (shift, scale) = m.split_at(d);
                for j in 0..d {
                    y[j] = n[j] * (1.0 + scale[j]) + shift[j];
                }
            }
        },
    );
    y
}

/// Gradient of [`modulate`]: returns that of n, adds those of shift and scale to `dm`.
#[allow(clippy::too_many_arguments)]
fn modulate_back(
    n: &[f32],
    m: &[f32],
    parts: usize,
    first: usize,
    dy: &[f32],
    dm: &mut [f32],
    s: usize,
    d: usize,
) -> Vec<f32> {
    let mut dn = vec![0.0; n.len()];
    wide(
        #[inline(always)]
        || {
            for (i, ((dn, n), dy)) in dn.chunks_exact_mut(d).zip(n.chunks_exact(d)).zip(dy.chunks_exact(d)).enumerate()
            {
                let at = (i / s * parts + first) * d;
                let scale = &m[at + d..at + 2 * d];
                let (d_shift, d_scale) = dm[at..at + 2 * d].split_at_mut(d);
                for j in 0..d {
                    dn[j] = dy[j] * (1.0 + scale[j]);
                    d_shift[j] += dy[j];
                    d_scale[j] += dy[j] * n[j];
                }
            }
        },
    );
    dn
}

/// h += gate y.
fn gated_add(h: &mut [f32], y: &[f32], m: &[f32], part: usize, d: usize, s: usize) {
    wide(
        #[inline(always)]
        || {
            for (i, (h, y)) in h.chunks_exact_mut(d).zip(y.chunks_exact(d)).enumerate() {
                let gate = &m[(i / s * 6 + part) * d..][..d];
                for j in 0..d {
                    h[j] += gate[j] * y[j];
                }
            }
        },
    );
}

/// Gradient of [`gated_add`]: returns that of y, adds that of the gate to `dm`.
fn gated_back(y: &[f32], m: &[f32], part: usize, dh: &[f32], dm: &mut [f32], s: usize, d: usize) -> Vec<f32> {
    let mut dy = vec![0.0; y.len()];
    wide(
        #[inline(always)]
        || {
            for (i, ((dy, y), dh)) in dy.chunks_exact_mut(d).zip(y.chunks_exact(d)).zip(dh.chunks_exact(d)).enumerate()
            {
                let at = (i / s * 6 + part) * d;
                let (gate, d_gate) = (&m[at..at + d], &mut dm[at..at + d]);
                for j in 0..d {
                    dy[j] = dh[j] * gate[j];
                    d_gate[j] += dh[j] * y[j];
                }
            }
        },
    );
    dy
}
