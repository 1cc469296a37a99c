//! How long the demo's operators take on the CPU, each alone: medians of interleaved rounds.
//!
//! `cargo run --release -p causeway-ops --example kernel_rate [threads] [instruction set]`.

use std::{collections::HashMap, sync::Arc, time::Instant};

use causeway_ops::{
    Backend, BufferId, GROUPS, Kv, Op, Params, PlanBuilder,
    cpu::{CpuBackend, CpuOptions, Isa},
    op::*,
    parallel::ThreadPool,
    plan::{BufferKind, Element, PassId, WeightRole},
    quant::{DType, TensorView, WeightSource},
};

const ROUNDS: usize = 61;

/// Weights made up on demand.
struct Weights(HashMap<String, (Vec<usize>, Vec<u8>)>);

impl WeightSource for Weights {
    fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        let (shape, data) = self.0.get(name)?;
        Some(TensorView::here(DType::F32, shape, data, None))
    }
}

/// Adds operators, a pass each, with buffers of their own.
#[derive(Default)]
struct Bench {
    plan: PlanBuilder,
    fill: Vec<(BufferId, Vec<u8>)>,
    names: Vec<String>,
}

impl Bench {
    fn buffer(&mut self, len: usize) -> BufferId {
        let id = self.plan.buffer("b", Element::F32, len, BufferKind::Input);
        let values = (0..len).map(|i| ((i * 7919 + 13) % 1009) as f32 / 504.5 - 1.0);
        self.fill.push((id, values.flat_map(f32::to_le_bytes).collect()));
        id
    }

    fn rotations(&mut self, pairs: usize) -> BufferId {
        let id = self.plan.buffer("r", Element::F32, 2 * pairs, BufferKind::Input);
        let values = (0..pairs).flat_map(|i| [(i as f32).cos(), (i as f32).sin()]);
        self.fill.push((id, values.flat_map(f32::to_le_bytes).collect()));
        id
    }

    fn integers(&mut self, data: impl Iterator<Item = u32>) -> BufferId {
        let data: Vec<u8> = data.flat_map(u32::to_le_bytes).collect();
        let id = self.plan.buffer("u", Element::U32, data.len() / 4, BufferKind::Input);
        self.fill.push((id, data));
        id
    }

    fn add(&mut self, name: &str, op: impl Into<Op>) {
        self.names.push(name.into());
        self.plan.pass(name);
        self.plan.push(op);
    }

    fn conv(&mut self, name: &str, [size, channels, channels2, outputs]: [usize; 4], upsample: bool) {
        let up = if upsample { 2 } else { 1 };
        let shape = [outputs, channels + channels2, 3, 3];
        let op = Conv2d {
            x: self.buffer(size * size * channels),
            x2: (channels2 > 0).then(|| (self.buffer(size * size * channels2), channels2)),
            weight: self.plan.weight(format!("{shape:?}"), &shape, WeightRole::Conv),
            bias: None,
            residual: None,
            y: self.buffer(size * size * up * up * outputs),
            height: size,
            width: size,
            channels,
            outputs,
            kernel: 3,
            stride: 1,
            pad_after: false,
            upsample,
            activation: Activation::Relu,
        };
        self.add(name, op);
    }

    fn attention(&mut self, name: &str, [tokens, history, heads, head_dim, route]: [usize; 5]) {
        let dim = heads * head_dim;
        let frames = self.integers(0..history as u32 + 1);
        let temporal_pairs = head_dim / 2 - head_dim / 6 * 2;
        let rotations = self.rotations((history + 1) * temporal_pairs);
        let q = self.buffer(tokens * dim);
        let routes = (route > 0).then(|| self.integers((0..tokens * heads * route).map(|i| (i % route) as u32)));
        if let Some(routes) = routes {
            let means = self.buffer((history + 1) * dim);
            let op = Route {
                q,
                means,
                plain: None,
                frames,
                rotations,
                routes,
                k: route,
                force_sink: 1,
                force_recent: 1,
                chunk: 1,
                tokens,
                heads,
                head_dim,
                temporal_pairs,
                slots: history + 1,
                max_history: history,
                group: 0,
            };
            self.add(&format!("route for {name}"), op);
        }
        let op = Attention {
            q,
            k: self.buffer(tokens * dim),
            v: self.buffer(tokens * dim),
            ring_k: self.buffer((history + 1) * tokens * dim),
            ring_v: self.buffer((history + 1) * tokens * dim),
            kv: Kv::F32,
            frames,
            rotations,
            routes: routes.map(|id| (id, route)),
            y: self.buffer(tokens * dim),
            chunk: 1,
            tokens,
            heads,
            shared: 1,
            head_dim,
            temporal_pairs,
            slots: history + 1,
            max_history: history,
            group: 0,
        };
        self.add(name, op);
    }
}

fn demo(b: &mut Bench) {
    b.conv("conv  8x8  64+64 > 64", [8, 64, 64, 64], false);
    b.conv("conv  8x8  64 > 64", [8, 64, 0, 64], false);
    b.conv("conv  8x8  x2 64 > 48", [8, 64, 0, 48], true);
    b.conv("conv 16x16 48+48 > 48", [16, 48, 48, 48], false);
    b.conv("conv 16x16 x2 48 > 24", [16, 48, 0, 24], true);
    b.conv("conv 32x32 24+24 > 24", [32, 24, 24, 24], false);
    b.conv("conv 32x32 24 > 12", [32, 24, 0, 12], false);
    b.attention("attention 16 tokens x 12 frames, 6 heads of 32", [16, 11, 6, 32, 0]);
    b.attention("attention 64 tokens x 12 frames, 6 heads of 32", [64, 11, 6, 32, 0]);
    for (tokens, routes) in [16, 48, 192].into_iter().flat_map(|tokens| [(tokens, 0), (tokens, 5)]) {
        b.attention(&format!("attention {tokens} tokens x 65 frames, {routes} routes"), [tokens, 64, 6, 32, routes]);
    }
    b.attention("attention 256 tokens x 8 frames, 2 heads of 128", [256, 7, 2, 128, 0]);
    let (q, k, v, y) = (b.buffer(16 * 192), b.buffer(4 * 192), b.buffer(4 * 192), b.buffer(16 * 192));
    b.add(
        "cross_attention 16 x 4",
        CrossAttention { q, k, v, offsets: None, scaled: true, y, rows: 16, context: 4, heads: 6, head_dim: 32 },
    );
    let (x, y, modulation) = (b.buffer(16 * 192), b.buffer(16 * 192), b.buffer(6 * 192));
    let scale = Scale::Modulation { modulation, vectors: 6, shift: 0, scale: 1 };
    b.add("layer_norm 16 x 192", LayerNorm { x, y, rows: 16, dim: 192, rows_per_frame: 16, eps: 1e-6, scale });
    let (x, table) = (b.buffer(16 * 192), b.rotations(16 * 10));
    let weight = b.plan.weight("rms", &[192], WeightRole::Vector);
    let grid = Some(Grid { table, tokens: 16, rows: 1, heads: 6, temporal_pairs: 6 });
    b.add("rms_norm_rope 16 x 192", RmsNormRope { x, weight: Some(weight), rows: 16, dim: 192, eps: 1e-6, grid });
    let y = b.buffer(768);
    b.add("noise 768", Noise { y, frames: 1, len: 768 });
    let (x, v) = (b.buffer(768), b.buffer(768));
    let few = Solve { x, v, negative: None, clean: false, fresh: None, past: None, frames: 1, len: 768 };
    b.add("solve 768", few);
    let (x, v) = (b.buffer(3 * 99_840), b.buffer(3 * 99_840));
    let negative = Some(b.buffer(3 * 99_840));
    let past = Some([(); 3].map(|()| b.buffer(3 * 99_840)));
    let many = Solve { x, v, negative, clean: false, fresh: None, past, frames: 3, len: 99_840 };
    b.add("solve 3 x 99840 with a past", many);
    let (x, previous, y) = (b.buffer(768), Some(b.buffer(768)), b.buffer(1536));
    b.add(
        "patchify",
        Patchify { x, previous, apart: false, y, frames: 1, height: 8, width: 8, channels: 12, patch: [2, 2] },
    );
    let (x, y) = (b.buffer(32 * 32 * 12), b.integers(0..64 * 64));
    b.add("to_pixels 64x64", ToPixels { x, x_offset: 0, y, height: 32, width: 32, patch: 2, black: 0.0 });
    let (table, y) = (b.buffer(4 * 64), b.buffer(64));
    b.add("lookup 64", Lookup { table, rows: 4, y, frames: 1, len: 64 });
    let (x, y) = (b.buffer(16384), b.buffer(16384));
    b.add("activate silu 16384", Activate { x, y, len: 16384, activation: Activation::Silu, affine: None });
}

fn main() {
    let threads = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1);
    let isa = std::env::args().nth(2).and_then(|name| Isa::ALL.into_iter().find(|isa| isa.name() == name));
    let isa = isa.unwrap_or_else(Isa::best);
    let mut bench = Bench::default();
    demo(&mut bench);
    let plan = bench.plan.build().expect("a valid plan");
    let weights = plan.weights.iter().map(|weight| {
        let len: usize = weight.shape.iter().product();
        // Around 1 for norms, so that repeated runs in place do not drift into denormals.
        let (scale, shift) = if weight.role == WeightRole::Vector { (0.0, 1.0) } else { (0.01, -0.08) };
        let data = (0..len).flat_map(|i| (((i * 31) % 17) as f32 * scale + shift).to_le_bytes()).collect();
        (weight.name.clone(), (weight.shape.clone(), data))
    });
    let weights = Weights(weights.collect());
    let options = CpuOptions { isa: Some(isa), parallel: Arc::new(ThreadPool::new(threads)), memory_cap: None };
    let mut backend = CpuBackend::new(plan, &weights, options).expect("a backend");
    for (id, data) in &bench.fill {
        backend.write(*id, data).expect("a write");
    }
    let params =
        Params { history: [u32::MAX; GROUPS], sigma: 0.75, predict: [0.0, 0.5, 0.0, 0.5], ..Params::default() };
    let mut times = vec![Vec::new(); bench.names.len()];
    for round in 0..ROUNDS + 3 {
        for (pass, times) in times.iter_mut().enumerate() {
            let mut start = Instant::now();
            for run in 0..4 {
                backend.run(PassId(pass as u32), 0..1, &params).expect("a run");
                // The first run brings the data into the cache, where its neighbours in a model leave it.
                if run == 0 {
                    start = Instant::now();
                }
            }
            if round >= 3 {
                times.push(start.elapsed().as_secs_f64() * 1e6 / 3.0);
            }
        }
    }
    println!("{isa}, {threads} thread(s)");
    for ((pass, name), times) in bench.names.iter().enumerate().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        let micros = times[ROUNDS / 2];
        let rate = backend.plan().cost(PassId(pass as u32), 0..1).flops as f64 / 2.0 / micros / 1e3;
        println!("{name:>58} {micros:>8.1} us (best {:>7.1}) {rate:>7.1} GMAC/s", times[0]);
    }
}
