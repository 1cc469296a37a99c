//! A plain f64 interpreter of plans: each operator exactly as its documentation defines it, and nothing else.

use causeway_ops::{
    Kv, Op, Params, Plan,
    op::*,
    philox,
    plan::{BufferId, BufferKind, Element, WeightId},
    quant::{BLOCK, WeightSource},
};
use half::f16;

/// What a ring keeps of a value.
fn number(x: f64) -> f64 {
    if x.is_finite() { x } else { 0.0 }
}

/// A buffer's contents.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Numbers.
    F(Vec<f64>),
    /// Unsigned integers.
    U(Vec<u32>),
}

/// The state of a plan.
pub struct Machine<'a> {
    plan: &'a Plan,
    weights: &'a dyn WeightSource,
    /// Contents of every buffer.
    pub buffers: Vec<Data>,
    /// Quantise activations where the CPU does: in blocks of 32, for q8 and q4 matrices.
    pub quantise_activations: bool,
    /// Round to half precision what attention in it does before it multiplies: queries that are turned and scaled, keys and values.
    pub halve_attention: bool,
}

/// The nearest number in half precision.
fn halved(x: f64) -> f64 {
    f16::from_f64(x).to_f64()
}

impl<'a> Machine<'a> {
    /// Everything zero but the constants.
    pub fn new(plan: &'a Plan, weights: &'a dyn WeightSource) -> Self {
        let fresh = |buffer: &causeway_ops::plan::Buffer| match (&buffer.kind, buffer.element) {
            (BufferKind::Constant(data), _) => Data::F(data.iter().map(|&x| f64::from(x)).collect()),
            (_, Element::F32 | Element::F16) => Data::F(vec![0.0; buffer.len]),
            (_, Element::U32) => Data::U(vec![0; buffer.len]),
        };
        let buffers = plan.buffers.iter().map(fresh).collect();
        Self { plan, weights, buffers, quantise_activations: false, halve_attention: false }
    }

    /// Gives buffers contents, 32-bit words.
    pub fn fill(&mut self, contents: &[(BufferId, Vec<u32>)]) {
        for (id, words) in contents {
            self.buffers[id.0 as usize] = match self.plan.buffer(*id).element {
                Element::F32 | Element::F16 => {
                    Data::F(words.iter().map(|&bits| f64::from(f32::from_bits(bits))).collect())
                }
                Element::U32 => Data::U(words.clone()),
            };
        }
    }

    /// Runs one operator.
    pub fn run(&mut self, op: &Op, params: &Params) {
        match op {
            Op::Activate(op) => self.activate(op),
            #[cfg(feature = "waypoint")]
            Op::Add(op) => self.add(op),
            Op::Attention(op) => self.attention(op, params),
            Op::ChannelNorm(op) => self.channel_norm(op),
            Op::Commit(op) => self.commit(op),
            Op::Conv2d(op) => self.conv2d(op),
            Op::Copy(op) => self.copy(op),
            Op::CrossAttention(op) => self.cross_attention(op),
            Op::Embed(op) => self.embed(op),
            Op::FromPixels(op) => self.unpack_pixels(op),
            Op::Gather(op) => self.gather(op),
            #[cfg(feature = "matrix-game")]
            Op::Join(op) => self.join(op),
            Op::LayerNorm(op) => self.layer_norm(op),
            #[cfg(feature = "waypoint")]
            Op::Lerp(op) => self.lerp(op),
            Op::Linear(op) => self.linear(op),
            Op::Lookup(op) => self.lookup(op, params),
            Op::Modulation(op) => self.modulation(op),
            Op::Noise(op) => self.noise(op, params),
            Op::Patchify(op) => self.patchify(op),
            Op::Prefer(op) => self.prefer(op, params),
            Op::Remember(op) => self.remember(op),
            #[cfg(feature = "waypoint")]
            Op::RmsNorm(op) => self.rms_norm(op),
            Op::RmsNormRope(op) => self.rms_norm_rope(op),
            Op::Route(op) => self.route(op, params),
            Op::Scatter(op) => self.scatter(op),
            Op::Solve(op) => self.solve(op, params),
            #[cfg(feature = "matrix-game")]
            Op::TemporalAttention(op) => self.temporal_attention(op, params),
            Op::ToPixels(op) => self.pack_pixels(op),
            Op::Unpatchify(op) => self.unpatchify(op),
        }
    }

    /// Numbers of a buffer.
    pub fn f(&self, id: BufferId) -> &[f64] {
        match &self.buffers[id.0 as usize] {
            Data::F(data) => data,
            Data::U(_) => panic!("{} holds integers", self.plan.buffer(id).name),
        }
    }

    /// Integers of a buffer.
    pub fn u(&self, id: BufferId) -> &[u32] {
        match &self.buffers[id.0 as usize] {
            Data::U(data) => data,
            Data::F(_) => panic!("{} holds numbers", self.plan.buffer(id).name),
        }
    }

    fn f_mut(&mut self, id: BufferId) -> &mut [f64] {
        match &mut self.buffers[id.0 as usize] {
            Data::F(data) => data,
            Data::U(_) => panic!("{id:?} holds integers"),
        }
    }

    fn weight(&self, id: WeightId) -> Vec<f64> {
        let view = self.weights.tensor(&self.plan.weight(id).name).expect("the table makes every weight");
        view.to_f32().expect("it is in memory").into_iter().map(f64::from).collect()
    }

    fn activate(&mut self, op: &Activate) {
        let affine = op.affine.map(|(id, channels)| (self.f(id).to_vec(), channels));
        for i in 0..op.len {
            let mut y = apply(op.activation, self.f(op.x)[i]);
            if let Some((table, channels)) = &affine {
                y = y * table[i % channels] + table[channels + i % channels];
            }
            self.f_mut(op.y)[i] = y;
        }
    }

    fn attention(&mut self, op: &Attention, params: &Params) {
        let dim = op.dim();
        let history = params.history[op.group] as usize;
        let mut y = vec![0.0; op.rows() * dim];
        for row in 0..op.rows() {
            for head in 0..op.heads {
                let at = row * dim + head * op.head_dim;
                let q = &self.f(op.q)[at..at + op.head_dim];
                let (mut scores, mut values) = (Vec::new(), Vec::new());
                for j in (0..history).chain(op.max_history..op.max_history + op.chunk) {
                    if let Some((routes, k)) = op.routes.filter(|_| j < op.max_history) {
                        let route = &self.u(routes)[(row * op.heads + head) * k..][..k];
                        if !route.contains(&(j as u32)) {
                            continue;
                        }
                    }
                    let own = op.max_history + row / (op.tokens * op.shared);
                    let q = turn(q, self.f(op.rotations), op.temporal_pairs, own, j);
                    for token in 0..op.tokens {
                        let (k, v) = if j < op.max_history {
                            let slot = self.u(op.frames)[j] as usize;
                            let row = (slot * op.tokens + token) * op.heads + head;
                            [op.ring_k, op.ring_v].map(|ring| self.ring_row(ring, op.kv, row, op.head_dim)).into()
                        } else {
                            let at = ((j - op.max_history) * op.tokens + token) * dim + head * op.head_dim;
                            [op.k, op.v].map(|id| self.f(id)[at..at + op.head_dim].to_vec()).into()
                        };
                        scores.push(self.score(&q, &k, (op.head_dim as f64).sqrt()));
                        values.push(self.rounded(&v, 1.0));
                    }
                }
                mix(&scores, &values, &mut y[at..at + op.head_dim]);
            }
        }
        self.f_mut(op.y)[..y.len()].copy_from_slice(&y);
    }

    /// The product of a query and a key, in units of `scale`.
    fn score(&self, q: &[f64], k: &[f64], scale: f64) -> f64 {
        dot(&self.rounded(q, scale), &self.rounded(k, 1.0))
    }

    /// Numbers in units of `scale`, as attention multiplies them.
    fn rounded(&self, x: &[f64], scale: f64) -> Vec<f64> {
        x.iter().map(|x| if self.halve_attention { halved(x / scale) } else { x / scale }).collect()
    }

    /// Row `row` (a head of a token) of a ring.
    fn ring_row(&self, ring: BufferId, kv: Kv, row: usize, head_dim: usize) -> Vec<f64> {
        match kv {
            Kv::F32 => self.f(ring)[row * head_dim..][..head_dim].to_vec(),
            _ => stored(&self.u(ring)[row * kv.row_words(head_dim)..], kv, head_dim),
        }
    }

    fn commit(&mut self, op: &Commit) {
        for f in 0..op.chunk {
            let slot = self.u(op.frames)[op.max_history + f] as usize;
            let dim = op.dim();
            for c in 0..dim {
                let (head, feature) = (c / op.head_dim * op.head_dim, c % op.head_dim);
                let key = |token: usize| {
                    let row = &self.f(op.k)[(f * op.tokens + token) * dim + head..][..op.head_dim];
                    let row: Vec<f64> = row.iter().map(|&x| number(x)).collect();
                    match op.plain {
                        None => row[feature] / op.tokens as f64,
                        Some((table, first)) => unturned(&row, self.f(table), first, token)[feature] / op.tokens as f64,
                    }
                };
                let mean = (0..op.tokens).map(key).sum();
                self.f_mut(op.means)[slot * dim + c] = mean;
            }
            for row in 0..op.tokens * op.heads {
                let (from, to) = (f * op.tokens * op.heads + row, slot * op.tokens * op.heads + row);
                for (id, ring) in [(op.k, op.ring_k), (op.v, op.ring_v)] {
                    let values: Vec<f64> =
                        self.f(id)[from * op.head_dim..][..op.head_dim].iter().map(|&x| number(x)).collect();
                    let words = op.kv.row_words(op.head_dim);
                    match &mut self.buffers[ring.0 as usize] {
                        Data::F(data) => data[to * words..][..words].copy_from_slice(&values),
                        Data::U(data) => data[to * words..][..words].copy_from_slice(&packed(&values, op.kv)),
                    }
                }
            }
        }
    }

    fn conv2d(&mut self, op: &Conv2d) {
        let weight = self.weight(op.weight);
        let bias = op.bias.map(|id| self.weight(id));
        let [oh, ow] = op.out_size();
        let up = if op.upsample { 2 } else { 1 };
        let pad = if op.pad_after { 0 } else { (op.kernel as isize - 1) / 2 };
        let mut y = Vec::new();
        for (i, j, n) in
            (0..oh * ow * op.outputs).map(|at| (at / op.outputs / ow, at / op.outputs % ow, at % op.outputs))
        {
            let mut sum = bias.as_ref().map_or(0.0, |bias| bias[n]);
            sum += op.residual.map_or(0.0, |id| self.f(id)[(i * ow + j) * op.outputs + n]);
            for (ky, kx) in (0..op.kernel * op.kernel).map(|at| (at / op.kernel, at % op.kernel)) {
                let (si, sj) = ((i * op.stride + ky) as isize - pad, (j * op.stride + kx) as isize - pad);
                if si < 0 || sj < 0 || si >= (op.height * up) as isize || sj >= (op.width * up) as isize {
                    continue;
                }
                let pixel = si as usize / up * op.width + sj as usize / up;
                for c in 0..op.inputs() {
                    let x = match op.x2 {
                        Some((x2, channels)) if c >= op.channels => self.f(x2)[pixel * channels + c - op.channels],
                        _ => self.f(op.x)[pixel * op.channels + c],
                    };
                    sum += x * weight[((n * op.inputs() + c) * op.kernel + ky) * op.kernel + kx];
                }
            }
            y.push(apply(op.activation, sum));
        }
        self.f_mut(op.y)[..y.len()].copy_from_slice(&y);
    }

    fn channel_norm(&mut self, op: &ChannelNorm) {
        let weight = self.weight(op.weight);
        for row in 0..op.rows {
            let x: Vec<f64> = self.f(op.x)[row * op.dim..][..op.dim].to_vec();
            let length = dot(&x, &x).sqrt().max(1e-12);
            let root = (op.dim as f64).sqrt();
            let y: Vec<f64> = x.iter().zip(&weight).map(|(x, w)| apply(op.activation, x / length * root * w)).collect();
            self.f_mut(op.y)[row * op.dim..][..op.dim].copy_from_slice(&y);
        }
    }

    fn remember(&mut self, op: &Remember) {
        for (row, frame, c) in (0..op.rows)
            .flat_map(|row| (0..op.depth).flat_map(move |frame| (0..op.channels).map(move |c| (row, frame, c))))
        {
            let at = |frame: usize| (row * op.depth + frame) * op.channels + c;
            let newer =
                if frame + 1 < op.depth { self.f(op.y)[at(frame + 1)] } else { self.f(op.x)[row * op.channels + c] };
            self.f_mut(op.y)[at(frame)] = newer;
        }
    }

    fn copy(&mut self, op: &Copy) {
        for i in 0..op.len {
            self.f_mut(op.y)[op.y_offset + i] = self.f(op.x)[op.x_offset + i];
        }
    }

    fn cross_attention(&mut self, op: &CrossAttention) {
        let dim = op.heads * op.head_dim;
        let mut y = vec![0.0; op.rows * dim];
        for (row, head) in (0..op.rows * op.heads).map(|at| (at / op.heads, at % op.heads)) {
            let at = row * dim + head * op.head_dim;
            let span = |j: usize| j * dim + head * op.head_dim..j * dim + (head + 1) * op.head_dim;
            let q = &self.f(op.q)[at..at + op.head_dim];
            let offset = |j: usize| match op.offsets {
                Some(Offsets::Rows(id)) => self.f(id)[j],
                Some(Offsets::Distances(id)) => {
                    self.f(id)[head * (op.rows + op.context - 1) + row + op.context - 1 - j]
                }
                None => 0.0,
            };
            let scale = if op.scaled { (op.head_dim as f64).sqrt() } else { 1.0 };
            let score = |j| self.score(q, &self.f(op.k)[span(j)], scale) + offset(j);
            let scores: Vec<f64> = (0..op.context).map(score).collect();
            let values: Vec<Vec<f64>> = (0..op.context).map(|j| self.rounded(&self.f(op.v)[span(j)], 1.0)).collect();
            mix(&scores, &values, &mut y[at..at + op.head_dim]);
        }
        self.f_mut(op.y)[..y.len()].copy_from_slice(&y);
    }

    fn embed(&mut self, op: &Embed) {
        let weight = self.weight(op.weight);
        for i in 0..op.len {
            let sum = (0..op.entries).map(|entry| self.f(op.mix)[entry] * weight[entry * op.len + i]).sum();
            self.f_mut(op.y)[i] = sum;
        }
    }

    fn unpack_pixels(&mut self, op: &FromPixels) {
        for at in 0..op.height * op.width * op.patch * op.patch * 3 {
            let [cell, c, dy, dx] = pixel(at, op.patch);
            let (i, j) = (cell / op.width * op.patch + dy, cell % op.width * op.patch + dx);
            let rgba = self.u(op.x)[i * op.width * op.patch + j];
            let black = f64::from(op.black);
            self.f_mut(op.y)[at] = f64::from(rgba.to_le_bytes()[c]) / 255.0 * (1.0 - black) + black;
        }
    }

    fn gather(&mut self, op: &Gather) {
        for at in 0..op.rows * op.len {
            let slot = self.u(op.table)[op.offset + at / op.len] as usize;
            if slot < op.slots {
                self.f_mut(op.y)[at] = self.f(op.x)[slot * op.len + at % op.len];
            }
        }
    }

    #[cfg(feature = "matrix-game")]
    fn join(&mut self, op: &Join) {
        let [first, second] = op.widths;
        let row = |row: usize| {
            let (x, z) = (self.f(op.x), self.f(op.z));
            [&x[row * first..][..first], &z[row / op.every * second..][..second]].concat()
        };
        let y: Vec<f64> = (0..op.rows).flat_map(row).collect();
        self.f_mut(op.y)[..y.len()].copy_from_slice(&y);
    }

    #[cfg(feature = "matrix-game")]
    fn temporal_attention(&mut self, op: &TemporalAttention, params: &Params) {
        let (dim, history) = (op.dim(), params.history[op.group] as usize);
        let mut y = vec![0.0; op.rows() * dim];
        for (row, head) in (0..op.rows()).flat_map(|row| (0..op.heads).map(move |head| (row, head))) {
            let at = row * dim + head * op.head_dim;
            let token = if op.keys == 1 { 0 } else { row % op.tokens };
            let (mut scores, mut values) = (Vec::new(), Vec::new());
            for j in (0..history).chain(op.max_history..op.max_history + op.chunk) {
                let q = &self.f(op.q)[at..at + op.head_dim];
                let q = turn(q, self.f(op.rotations), op.temporal_pairs, op.max_history + row / op.tokens, j);
                let [k, v] = if j < op.max_history {
                    let row = (self.u(op.frames)[j] as usize * op.keys + token) * op.heads + head;
                    [op.ring_k, op.ring_v].map(|ring| self.ring_row(ring, op.kv, row, op.head_dim))
                } else {
                    let at = ((j - op.max_history) * op.keys + token) * dim + head * op.head_dim;
                    [op.k, op.v].map(|id| self.f(id)[at..at + op.head_dim].to_vec())
                };
                scores.push(dot(&q, &k) / (op.head_dim as f64).sqrt());
                values.push(v);
            }
            mix(&scores, &values, &mut y[at..at + op.head_dim]);
        }
        self.f_mut(op.y)[..y.len()].copy_from_slice(&y);
    }

    fn pack_pixels(&mut self, op: &ToPixels) {
        let mut y = vec![0xff00_0000u32; op.height * op.width * op.patch * op.patch];
        for at in 0..y.len() * 3 {
            let [cell, c, dy, dx] = pixel(at, op.patch);
            let (i, j) = (cell / op.width * op.patch + dy, cell % op.width * op.patch + dx);
            let black = f64::from(op.black);
            let value = (self.f(op.x)[op.x_offset + at] - black) / (1.0 - black);
            let byte = (value.clamp(0.0, 1.0) * 255.0 + 0.5).floor() as u32;
            y[i * op.width * op.patch + j] |= byte << (8 * c);
        }
        match &mut self.buffers[op.y.0 as usize] {
            Data::U(data) => data[..y.len()].copy_from_slice(&y),
            Data::F(_) => panic!("pixels are integers"),
        }
    }

    fn layer_norm(&mut self, op: &LayerNorm) {
        for row in 0..op.rows {
            let x = self.f(op.x)[row * op.dim..][..op.dim].to_vec();
            let mean = x.iter().sum::<f64>() / op.dim as f64;
            let variance = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / op.dim as f64;
            for (c, x) in x.iter().enumerate() {
                let y = (x - mean) / (variance + f64::from(op.eps)).sqrt();
                let (scale, shift) = match op.scale {
                    Scale::Modulation { modulation, vectors, shift, scale } => {
                        let m = |which| self.f(modulation)[(row / op.rows_per_frame * vectors + which) * op.dim + c];
                        (1.0 + m(scale), m(shift))
                    }
                    Scale::Affine { weight, bias } => (self.weight(weight)[c], self.weight(bias)[c]),
                };
                self.f_mut(op.y)[row * op.dim + c] = y * scale + shift;
            }
        }
    }

    fn linear(&mut self, op: &Linear) {
        let weight = self.weight(op.weight);
        let bias = op.bias.map(|id| self.weight(id));
        let mut x = self.f(op.x)[..op.rows * op.inputs].to_vec();
        let quantised = self.weights.tensor(&self.plan.weight(op.weight).name).expect("known").dtype.is_quantised();
        if quantised && self.quantise_activations {
            x.chunks_mut(BLOCK).for_each(quantise);
        }
        for (row, n) in (0..op.rows * op.outputs).map(|at| (at / op.outputs, at % op.outputs)) {
            let sum = dot(&x[row * op.inputs..][..op.inputs], &weight[n * op.inputs..]);
            let mut y = apply(op.activation, sum + bias.as_ref().map_or(0.0, |bias| bias[n]));
            if let Some(gate) = op.gate {
                y *= self.f(gate.modulation)[(row / gate.rows_per_frame * gate.vectors + gate.index) * op.outputs + n];
            }
            let before = self.f(op.y)[row * op.outputs + n];
            self.f_mut(op.y)[row * op.outputs + n] = if op.residual { before + y } else { y };
        }
    }

    fn lookup(&mut self, op: &Lookup, params: &Params) {
        for at in 0..op.frames * op.len {
            let row = (params.level as usize).min(op.rows - 1);
            self.f_mut(op.y)[at] = self.f(op.table)[row * op.len + at % op.len];
        }
    }

    fn modulation(&mut self, op: &Modulation) {
        let weight = self.weight(op.weight);
        for at in 0..op.frames * op.vectors * op.dim {
            let (frame, vector, c) = (at / op.dim / op.vectors, at / op.dim % op.vectors, at % op.dim);
            let x = self.f(op.x)[if op.broadcast { frame * op.dim + c } else { at }];
            self.f_mut(op.y)[at] = x + weight[vector * op.dim + c];
        }
    }

    fn noise(&mut self, op: &Noise, params: &Params) {
        for i in 0..op.frames * op.len {
            self.f_mut(op.y)[i] = normal(params, i / op.len, 0, i % op.len);
        }
    }

    fn patchify(&mut self, op: &Patchify) {
        let [ph, pw] = op.patch;
        let features = op.features();
        let columns = op.width / pw;
        let tokens = op.height / ph * columns;
        for at in 0..op.frames * tokens * features {
            let (token, feature) = (at / features, at % features);
            let (c, dy, dx) = (feature / (ph * pw), feature / pw % ph, feature % pw);
            let (frame, i, j) = (token / tokens, token % tokens / columns * ph + dy, token % columns * pw + dx);
            let y = match op.previous {
                Some(previous) if c >= op.channels => {
                    let frame = if op.apart { frame } else { 0 };
                    self.f(previous)[((frame * op.height + i) * op.width + j) * op.channels + c - op.channels]
                }
                _ => self.f(op.x)[((frame * op.height + i) * op.width + j) * op.channels + c],
            };
            self.f_mut(op.y)[at] = y;
        }
    }

    fn unpatchify(&mut self, op: &Unpatchify) {
        let [ph, pw] = op.patch;
        let (rows, columns) = (op.height / ph, op.width / pw);
        for at in 0..op.frames * op.height * op.width * op.channels {
            let (pixel, c) = (at / op.channels, at % op.channels);
            let (frame, i, j) = (pixel / op.width / op.height, pixel / op.width % op.height, pixel % op.width);
            let token = (frame * rows + i / ph) * columns + j / pw;
            let feature = ((i % ph) * pw + j % pw) * op.channels + c;
            self.f_mut(op.y)[at] = self.f(op.x)[token * ph * pw * op.channels + feature];
        }
    }

    #[cfg(feature = "waypoint")]
    fn rms_norm(&mut self, op: &RmsNorm) {
        for row in 0..op.rows {
            let x = self.f(op.x)[row * op.dim..][..op.dim].to_vec();
            let square = x.iter().map(|x| x * x).sum::<f64>() / op.dim as f64;
            for (i, x) in x.iter().enumerate() {
                let mut y = x / (square + f64::from(op.eps)).sqrt();
                if let Some(m) = op.modulated {
                    let vectors = &self.f(m.modulation)[row / m.rows_per_frame * m.vectors * op.dim..];
                    y = y * (1.0 + vectors[m.scale * op.dim + i]) + vectors[m.shift * op.dim + i];
                }
                self.f_mut(op.y)[row * op.dim + i] = y;
            }
        }
    }

    #[cfg(feature = "waypoint")]
    fn add(&mut self, op: &Add) {
        for at in 0..op.rows * op.dim {
            let z = self.f(op.z)[at / op.dim / op.every * op.dim + at % op.dim];
            self.f_mut(op.y)[at] = apply(op.activation, self.f(op.x)[at] + z);
        }
    }

    #[cfg(feature = "waypoint")]
    fn lerp(&mut self, op: &Lerp) {
        let share = self.weight(op.weight)[0];
        for at in 0..op.len {
            let (x, y) = (self.f(op.x)[at], self.f(op.y)[at]);
            self.f_mut(op.y)[at] = y + share * (x - y);
        }
    }

    fn rms_norm_rope(&mut self, op: &RmsNormRope) {
        let weight = op.weight.map_or(vec![1.0; op.dim], |weight| self.weight(weight));
        for row in 0..op.rows {
            let x = self.f(op.x)[row * op.dim..][..op.dim].to_vec();
            let square = x.iter().map(|x| x * x).sum::<f64>() / op.dim as f64;
            let mut y: Vec<f64> =
                x.iter().zip(&weight).map(|(x, w)| x / (square + f64::from(op.eps)).sqrt() * w).collect();
            if let Some(grid) = op.grid {
                let pairs = op.dim / grid.heads / 2;
                let spatial = pairs - grid.temporal_pairs;
                for pair in (0..op.dim / 2).filter(|pair| pair % pairs >= grid.temporal_pairs) {
                    let at = (row / grid.rows % grid.tokens * spatial + pair % pairs - grid.temporal_pairs) * 2;
                    let (cos, sin) = (self.f(grid.table)[at], self.f(grid.table)[at + 1]);
                    let (a, b) = (y[2 * pair], y[2 * pair + 1]);
                    y[2 * pair] = a * cos - b * sin;
                    y[2 * pair + 1] = a * sin + b * cos;
                }
            }
            self.f_mut(op.x)[row * op.dim..][..op.dim].copy_from_slice(&y);
        }
    }

    /// A query, of row `own.0` of the tables and token `own.1`, as its product with the mean of history row `key` ranks frames.
    fn ranked(
        &self,
        q: &[f64],
        (rotations, plain): (BufferId, Option<BufferId>),
        pairs: usize,
        own: (usize, usize),
        key: usize,
    ) -> Vec<f64> {
        match plain {
            None => turn(q, self.f(rotations), pairs, own.0, key),
            Some(table) => unturned(q, self.f(table), pairs, own.1),
        }
    }

    /// Score of every visible history frame for one query row and head.
    pub fn scores(&self, op: &Route, row: usize, head: usize, history: usize) -> Vec<f64> {
        let dim = op.heads * op.head_dim;
        let q = &self.f(op.q)[row * dim + head * op.head_dim..][..op.head_dim];
        let score = |j: usize| {
            let own = (op.max_history + row / op.tokens, row % op.tokens);
            let q = self.ranked(q, (op.rotations, op.plain), op.temporal_pairs, own, j);
            dot(&q, &self.f(op.means)[self.u(op.frames)[j] as usize * dim + head * op.head_dim..])
        };
        (0..history).map(score).collect()
    }

    fn route(&mut self, op: &Route, params: &Params) {
        let history = params.history[op.group] as usize;
        let mut routes = Vec::new();
        for (row, head) in (0..op.chunk * op.tokens * op.heads).map(|at| (at / op.heads, at % op.heads)) {
            let scores = self.scores(op, row, head, history);
            let recent = if params.cut == 0 { op.force_recent } else { 0 };
            let forced = |j: usize| j < op.force_sink || j + recent >= history;
            let mut order: Vec<usize> = (0..history).collect();
            order.sort_by(|&a, &b| {
                // Not total_cmp: 0 and -0 are a tie.
                let score = scores[b].partial_cmp(&scores[a]).expect("finite scores");
                forced(b).cmp(&forced(a)).then(score).then(a.cmp(&b))
            });
            let asked = params.route[op.group] as usize;
            order.truncate(if asked == 0 { op.k } else { asked.min(op.k) });
            order.sort_unstable();
            routes.extend(order.iter().map(|&j| j as u32));
            routes.extend((order.len()..op.k).map(|_| u32::MAX));
        }
        match &mut self.buffers[op.routes.0 as usize] {
            Data::U(data) => data[..routes.len()].copy_from_slice(&routes),
            Data::F(_) => panic!("routes are integers"),
        }
    }

    fn prefer(&mut self, op: &Prefer, params: &Params) {
        let (history, dim, rows) = (params.history[op.group] as usize, op.heads * op.head_dim, op.chunk * op.tokens);
        let asked: Vec<usize> = (0..rows).filter(|row| row % rows.div_ceil(64) == 0).collect();
        for head in 0..op.heads {
            let score = |j: usize| -> f64 {
                let one = |&row: &usize| {
                    let q = &self.f(op.q)[row * dim + head * op.head_dim..][..op.head_dim];
                    let own = (op.max_history + row / op.tokens, row % op.tokens);
                    let q = self.ranked(q, (op.rotations, op.plain), op.temporal_pairs, own, j);
                    dot(&q, &self.f(op.means)[self.u(op.frames)[j] as usize * dim + head * op.head_dim..])
                };
                asked.iter().map(one).sum()
            };
            let scores: Vec<f64> = (0..history).map(score).collect();
            let best = scores.iter().copied().fold(f64::MIN, f64::max);
            let age = |j: usize| ((history - j) * op.every) as f64;
            let preferred = scores.iter().position(|&score| score == best).map_or(0.0, age);
            let mut ages = Vec::new();
            if let Some((routes, k)) = op.routes {
                for &row in &asked {
                    let route = &self.u(routes)[(row * op.heads + head) * k..][..k];
                    ages.extend(route.iter().filter(|&&j| (j as usize) < history).map(|&j| age(j as usize)));
                }
            }
            let mean = ages.iter().sum::<f64>() / ages.len().max(1) as f64;
            self.f_mut(op.y)[op.y_offset + 2 * head..][..2].copy_from_slice(&[preferred, mean]);
        }
    }

    fn scatter(&mut self, op: &Scatter) {
        for at in 0..op.rows * op.len {
            let slot = self.u(op.table)[op.offset + at / op.len] as usize;
            if slot < op.slots {
                self.f_mut(op.y)[slot * op.len + at % op.len] = self.f(op.x)[op.x_offset + at];
            }
        }
    }

    fn solve(&mut self, op: &Solve, params: &Params) {
        let sum = |terms: &[(f32, f64)]| -> f64 {
            terms.iter().filter(|(weight, _)| *weight != 0.0).map(|(weight, value)| f64::from(*weight) * value).sum()
        };
        for i in 0..op.frames * op.len {
            let (x, v) = (self.f(op.x)[i], self.f(op.v)[i]);
            let without = op.negative.map(|id| self.f(id)[i]);
            let answer = without.map_or(v, |u| u + f64::from(params.guidance) * (v - u));
            let clean = if op.clean { answer } else { x - f64::from(params.sigma) * answer };
            let noise = match op.fresh {
                Some(id) => self.f(id)[i],
                None => normal(params, i / op.len, params.step + 1, i % op.len),
            };
            let past = op.past.map(|past| past.map(|id| self.f(id)[i]));
            let [from, newer, older] = past.unwrap_or_default();
            let c = params.correct;
            let corrected = [(params.keep, x), (c[0], from), (c[1], newer), (c[2], older), (c[3], clean)];
            let sample = if past.is_some() { sum(&corrected) } else { x };
            let p = params.predict;
            let newer = past.map_or((0.0, 0.0), |_| (p[2], newer));
            self.f_mut(op.x)[i] = sum(&[(p[0], sample), (p[1], clean), newer, (p[3], noise)]);
            if let Some([from, newer, older]) = op.past {
                self.f_mut(older)[i] = self.f(newer)[i];
                self.f_mut(newer)[i] = clean;
                self.f_mut(from)[i] = sample;
            }
        }
    }
}

fn apply(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::None => x,
        Activation::Relu => x.max(0.0),
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Gelu => 0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh()),
        #[cfg(feature = "matrix-game")]
        Activation::GeluErf => 0.5 * x * libm::erfc(-x / std::f64::consts::SQRT_2),
        Activation::SoftClamp => (x / 3.0).tanh() * 3.0,
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A row of a ring as words.
pub fn packed(values: &[f64], kv: Kv) -> Vec<u32> {
    match kv {
        Kv::F32 => values.iter().map(|&x| (x as f32).to_bits()).collect(),
        Kv::F16 => {
            let half = |x: Option<&f64>| u32::from(f16::from_f64(x.copied().unwrap_or(0.0)).to_bits());
            values.chunks(2).map(|pair| half(pair.first()) | half(pair.get(1)) << 16).collect()
        }
        Kv::Q8 => {
            let top = values.iter().fold(0.0f64, |top, x| top.max(x.abs()));
            let code = |x: &f64| if top > 0.0 { (x * 127.0 / top).round_ties_even() as i8 as u8 } else { 0 };
            let word = |four: &[f64]| four.iter().rev().fold(0, |word, x| word << 8 | u32::from(code(x)));
            values.chunks(4).map(word).chain([(top as f32 / 127.0).to_bits()]).collect()
        }
    }
}

/// What the words of a row stand for.
pub fn stored(words: &[u32], kv: Kv, head_dim: usize) -> Vec<f64> {
    let value = |i: usize| match kv {
        Kv::F32 => f64::from(f32::from_bits(words[i])),
        Kv::F16 => f64::from(f16::from_bits((words[i / 2] >> (i % 2 * 16)) as u16)),
        Kv::Q8 => {
            let scale = f32::from_bits(words[kv.row_words(head_dim) - 1]);
            f64::from((words[i / 4] >> (i % 4 * 8)) as i8) * f64::from(scale)
        }
    };
    (0..head_dim).map(value).collect()
}

/// Softmax of `scores`, then the mean of `values` weighted by it.
fn mix(scores: &[f64], values: &[impl AsRef<[f64]>], y: &mut [f64]) {
    let top = scores.iter().copied().fold(f64::MIN, f64::max);
    let weights: Vec<f64> = scores.iter().map(|score| (score - top).exp()).collect();
    let sum: f64 = weights.iter().sum();
    for (c, y) in y.iter_mut().enumerate() {
        *y = weights.iter().zip(values).map(|(weight, value)| weight * value.as_ref()[c]).sum::<f64>() / sum;
    }
}

/// A query turned by conj(rotation of `key`) * rotation of `own` on its leading pairs.
fn turn(q: &[f64], rotations: &[f64], pairs: usize, own: usize, key: usize) -> Vec<f64> {
    let mut q = q.to_vec();
    for p in 0..pairs {
        let angle = |frame: usize| {
            let at = (frame * pairs + p) * 2;
            (rotations[at], rotations[at + 1])
        };
        let ((co, so), (ck, sk)) = (angle(own), angle(key));
        let (cos, sin) = (ck * co + sk * so, ck * so - sk * co);
        let (a, b) = (q[2 * p], q[2 * p + 1]);
        q[2 * p] = a * cos - b * sin;
        q[2 * p + 1] = a * sin + b * cos;
    }
    q
}

/// A row of a head without the rotation that token `token` gave its pairs from `first` on.
fn unturned(row: &[f64], table: &[f64], first: usize, token: usize) -> Vec<f64> {
    let mut row = row.to_vec();
    let spatial = row.len() / 2 - first;
    for p in 0..spatial {
        let (at, turn) = (2 * (first + p), 2 * (token * spatial + p));
        let (a, b, cos, sin) = (row[at], row[at + 1], table[turn], table[turn + 1]);
        row[at] = a * cos + b * sin;
        row[at + 1] = b * cos - a * sin;
    }
    row
}

fn normal(params: &Params, frame: usize, step: u32, element: usize) -> f64 {
    f64::from(philox::normal4(params.seed, params.frame + frame as u32, step, element as u32 / 4)[element % 4])
}

/// [cell, colour, dy, dx] of element `at` of a pixel-shuffled picture.
fn pixel(at: usize, p: usize) -> [usize; 4] {
    let (cell, channel) = (at / (3 * p * p), at % (3 * p * p));
    [cell, channel / (p * p), channel / p % p, channel % p]
}

/// What the CPU makes of a block of activations before an integer dot product: the nearest of 255 levels. In f32 because the
/// levels are part of the definition.
fn quantise(block: &mut [f64]) {
    let top = block.iter().fold(0.0f32, |top, &x| top.max((x as f32).abs()));
    let inverse = if top > 0.0 { 127.0 / top } else { 0.0 };
    for x in block {
        *x = f64::from((*x as f32 * inverse).round_ties_even()) * f64::from(top / 127.0);
    }
}
