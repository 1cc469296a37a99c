//! Large nodes in parts: whatever way parts are grouped, the bits are those of the node run in one go.

mod naive;

use std::{collections::HashMap, ops::Range, sync::Arc};

use causeway_ops::{
    Backend, BufferId, GROUPS, Kv, Op, Params, Plan, PlanBuilder,
    cpu::{CpuBackend, CpuOptions, Isa},
    op::*,
    parallel::ThreadPool,
    plan::{BufferKind, Element, PassId, WeightId, WeightRole},
    quant::{DType, TensorView, WeightSource, quantise_q4, quantise_q8},
};
use half::f16;

/// Weights by name.
#[derive(Default)]
struct Weights(HashMap<String, Tensor>);

struct Tensor {
    dtype: DType,
    shape: Vec<usize>,
    data: Vec<u8>,
    scales: Vec<u8>,
}

impl WeightSource for Weights {
    fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        let Tensor { dtype, shape, data, scales } = self.0.get(name)?;
        Some(TensorView::here(*dtype, shape, data, dtype.is_quantised().then_some(scales)))
    }
}

/// Large nodes, a pass each.
#[derive(Default)]
struct Large {
    builder: PlanBuilder,
    weights: Weights,
    fill: Vec<(BufferId, Vec<u32>)>,
    /// What each pass writes.
    written: Vec<BufferId>,
    random: u32,
}

impl Large {
    fn uniforms(&mut self, n: usize, scale: f32) -> Vec<f32> {
        let next = |random: &mut u32| {
            *random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (*random >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..n).map(|_| next(&mut self.random) * scale).collect()
    }

    fn words(&mut self, element: Element, data: Vec<u32>) -> BufferId {
        let id = self.builder.buffer("b", element, data.len(), BufferKind::Input);
        self.fill.push((id, data));
        id
    }

    fn random(&mut self, n: usize, scale: f32) -> BufferId {
        let data = self.uniforms(n, scale).into_iter().map(f32::to_bits).collect();
        self.words(Element::F32, data)
    }

    fn ring(&mut self, kv: Kv, rows: usize, head_dim: usize) -> BufferId {
        if kv == Kv::F32 {
            return self.random(rows * head_dim, 1.0);
        }
        let values: Vec<f64> = self.uniforms(rows * head_dim, 1.0).into_iter().map(f64::from).collect();
        let data = values.chunks_exact(head_dim).flat_map(|row| naive::packed(row, kv)).collect();
        self.words(Element::U32, data)
    }

    fn weight(&mut self, dtype: DType, shape: &[usize], role: WeightRole) -> WeightId {
        let values = self.uniforms(shape.iter().product(), 0.1);
        let (mut data, mut scales) = (Vec::new(), Vec::new());
        match dtype {
            DType::F32 => data.extend(values.iter().flat_map(|x| x.to_le_bytes())),
            DType::F16 => data.extend(values.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes())),
            DType::Q8 => quantise_q8(&values, &mut data, &mut scales),
            DType::Q4 => quantise_q4(&values, &mut data, &mut scales),
        }
        let name = format!("weight {}", self.weights.0.len());
        self.weights.0.insert(name.clone(), Tensor { dtype, shape: shape.to_vec(), data, scales });
        self.builder.weight(name, shape, role)
    }

    fn node(&mut self, written: BufferId, op: impl Into<Op>) {
        self.builder.pass("large");
        self.builder.push(op);
        self.written.push(written);
    }

    fn linear(&mut self, dtype: DType, [rows, inputs, outputs]: [usize; 3]) {
        let y = self.random(rows * outputs, 1.0);
        let rows_per_frame = rows.div_ceil(3);
        let modulation = self.random(3 * 2 * outputs, 1.0);
        let op = Linear {
            x: self.random(rows * inputs, 1.0),
            weight: self.weight(dtype, &[outputs, inputs], WeightRole::Matrix),
            bias: Some(self.weight(DType::F32, &[outputs], WeightRole::Vector)),
            y,
            rows,
            inputs,
            outputs,
            activation: Activation::Gelu,
            residual: true,
            gate: Some(Gate { modulation, vectors: 2, index: 1, rows_per_frame }),
        };
        self.node(y, op);
    }

    /// What goes over rows, each its own.
    fn rows(&mut self, [rows, dim]: [usize; 2]) {
        let (x, y) = (self.random(rows * dim, 1.0), self.random(rows * dim, 1.0));
        let modulation = self.random(3 * 2 * dim, 1.0);
        let scale = Scale::Modulation { modulation, vectors: 2, shift: 0, scale: 1 };
        self.node(y, LayerNorm { x, y, rows, dim, rows_per_frame: rows.div_ceil(3), eps: 1e-6, scale });
        let weight = self.weight(DType::F32, &[dim], WeightRole::Vector);
        self.node(x, RmsNormRope { x, weight: Some(weight), rows, dim, eps: 1e-6, grid: None });
        let (x, y) = (self.random(rows * dim, 1.0), self.random(rows * dim, 1.0));
        self.node(y, ChannelNorm { x, weight, y, rows, dim, activation: Activation::Silu });
        let affine = Some((self.random(2 * dim, 1.0), dim));
        self.node(y, Activate { x, y, len: rows * dim, activation: Activation::Silu, affine });
    }

    fn conv(&mut self, [height, width, channels, channels2, outputs]: [usize; 5], kernel: usize, kind: Kind) {
        let inputs = channels + channels2;
        let mut op = Conv2d {
            x: self.random(height * width * channels, 1.0),
            x2: (channels2 > 0).then(|| (self.random(height * width * channels2, 1.0), channels2)),
            weight: self.weight(DType::F32, &[outputs, inputs, kernel, kernel], WeightRole::Conv),
            bias: Some(self.weight(DType::F32, &[outputs], WeightRole::Vector)),
            residual: None,
            y: BufferId(0),
            height,
            width,
            channels,
            outputs,
            kernel,
            stride: if matches!(kind, Kind::Halved | Kind::HalvedAfter) { 2 } else { 1 },
            pad_after: matches!(kind, Kind::HalvedAfter),
            upsample: matches!(kind, Kind::Doubled),
            activation: Activation::Silu,
        };
        let [height, width] = op.out_size();
        op.residual = Some(self.random(height * width * outputs, 1.0));
        op.y = self.random(height * width * outputs, 1.0);
        self.node(op.y, op);
    }

    /// `route` of 0 is none; `slots` frames are seen before the chunk.
    fn attention(&mut self, kv: Kv, [chunk, tokens, heads, head_dim, slots, route]: [usize; 6]) {
        let (rows, dim, pairs) = (chunk * tokens, heads * head_dim, head_dim / 8);
        let table = (0..rows * heads).flat_map(|row| (0..route).map(move |i| ((row / 5 + i) % slots) as u32));
        let routes: Vec<u32> = table.collect();
        let y = self.random(rows * dim, 1.0);
        let op = Attention {
            q: self.random(rows * dim, 2.0),
            k: self.random(rows * dim, 1.0),
            v: self.random(rows * dim, 1.0),
            ring_k: self.ring(kv, (slots + chunk) * tokens * heads, head_dim),
            ring_v: self.ring(kv, (slots + chunk) * tokens * heads, head_dim),
            kv,
            frames: self.words(Element::U32, (0..(slots + chunk) as u32).rev().collect()),
            rotations: self.random((slots + chunk) * pairs * 2, 1.0),
            routes: (route > 0).then(|| (self.words(Element::U32, routes), route)),
            y,
            chunk,
            tokens,
            heads,
            shared: 1,
            head_dim,
            temporal_pairs: pairs,
            slots: slots + chunk,
            max_history: slots,
            group: 0,
        };
        self.node(y, op);
    }

    fn cross_attention(&mut self, kind: usize, [rows, context, heads, head_dim]: [usize; 4]) {
        let (dim, y) = (heads * head_dim, self.random(rows * heads * head_dim, 1.0));
        let op = CrossAttention {
            q: self.random(rows * dim, 2.0),
            k: self.random(context * dim, 1.0),
            v: self.random(context * dim, 1.0),
            offsets: match kind {
                0 => None,
                1 => Some(Offsets::Rows(self.random(context, 2.0))),
                _ => Some(Offsets::Distances(self.random(heads * (rows + context - 1), 2.0))),
            },
            scaled: true,
            y,
            rows,
            context,
            heads,
            head_dim,
        };
        self.node(y, op);
    }
}

/// Kinds of convolutions.
enum Kind {
    Plain,
    Halved,
    HalvedAfter,
    Doubled,
}

/// Remainders everywhere: of rows, panels, spans, tiles, bands and runs of keys.
fn large() -> Large {
    let mut all = Large::default();
    for dtype in [DType::F32, DType::F16, DType::Q8, DType::Q4] {
        all.linear(dtype, [150, 512, 700]);
        all.linear(dtype, [1, 6400, 2900]);
    }
    all.linear(DType::Q8, [70, 8960, 100]);
    all.conv([20, 200, 24, 0, 41], 3, Kind::Plain);
    all.conv([2, 150, 100, 30, 100], 3, Kind::Doubled);
    all.conv([5, 101, 200, 56, 300], 3, Kind::Halved);
    all.conv([6, 250, 120, 0, 130], 3, Kind::HalvedAfter);
    all.conv([8, 8, 512, 0, 520], 3, Kind::Plain);
    all.conv([3, 110, 600, 0, 700], 1, Kind::Plain);
    for kv in Kv::ALL {
        all.attention(kv, [2, 33, 5, 128, 160, 0]);
        all.attention(kv, [1, 430, 1, 512, 4, 2]);
    }
    // Tiles that are smaller than a part.
    all.attention(Kv::F32, [1, 70, 6, 64, 20, 0]);
    for kind in 0..3 {
        all.cross_attention(kind, [40, 5000, 1, 130]);
    }
    all.cross_attention(0, [300, 900, 2, 64]);
    all.rows([1203, 1540]);
    all
}

fn params() -> Params {
    Params { history: [157; GROUPS], ..Params::default() }
}

struct Runs<'a> {
    plan: &'a Plan,
    fill: &'a [(BufferId, Vec<u32>)],
    written: &'a [BufferId],
}

impl Runs<'_> {
    fn fill(&self, pass: usize, backend: &mut CpuBackend) {
        self.each(pass, |id, words| backend.write(id, bytemuck::cast_slice(words)).unwrap());
    }

    fn wipe(&self, pass: usize, backend: &mut CpuBackend) {
        self.each(pass, |id, words| backend.write(id, &vec![0; 4 * words.len()]).unwrap());
    }

    /// The buffers of a pass and what is to be in them.
    fn each(&self, pass: usize, mut f: impl FnMut(BufferId, &[u32])) {
        let mut touched = Vec::new();
        self.plan.passes[pass].nodes[0].operator().buffers(&mut |id, _| touched.push(id));
        self.fill.iter().filter(|(id, _)| touched.contains(id)).for_each(|(id, words)| f(*id, words));
    }

    fn read(&self, pass: usize, backend: &mut CpuBackend) -> Vec<u32> {
        let mut words = vec![0; self.plan.buffer(self.written[pass]).len];
        backend.read(self.written[pass], bytemuck::cast_slice_mut(&mut words)).unwrap();
        words
    }

    /// Runs a pass's node in groups of `group` parts, `between` after each.
    fn grouped(
        &self,
        pass: usize,
        backend: &mut CpuBackend,
        group: usize,
        mut between: impl FnMut(&mut CpuBackend),
    ) -> Vec<u32> {
        self.fill(pass, backend);
        let id = PassId(pass as u32);
        let count = backend.parts(id, 0);
        for from in (0..count).step_by(group) {
            let parts: Range<usize> = from..count.min(from + group);
            backend.run_parts(id, 0, parts, &params()).unwrap();
            between(backend);
        }
        self.read(pass, backend)
    }
}

fn backend(plan: &Plan, weights: &Weights, isa: Isa, threads: usize) -> CpuBackend {
    let options = CpuOptions { isa: Some(isa), parallel: Arc::new(ThreadPool::new(threads)), memory_cap: None };
    CpuBackend::new(plan.clone(), weights, options).unwrap()
}

#[test]
fn parts_do_not_change_bits() {
    let Large { builder, weights, fill, written, .. } = large();
    let plan = builder.build().unwrap();
    let runs = Runs { plan: &plan, fill: &fill, written: &written };
    for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
        let [mut one, mut two] = [1, 2].map(|threads| backend(&plan, &weights, isa, threads));
        for pass in 0..plan.passes.len() {
            let (id, op) = (PassId(pass as u32), &plan.passes[pass].nodes[0]);
            let name = format!("{isa}: {op:?}");
            let count = one.parts(id, 0);
            assert!(count > 1, "{name} has one part");
            assert_eq!(count, two.parts(id, 0), "{name}");
            let flops = op.cost().flops as f64 / count as f64;
            assert!(flops < 40e6, "{name}: {count} parts of {:.0} MFLOP", flops / 1e6);

            runs.fill(pass, &mut one);
            one.run(id, 0..1, &params()).unwrap();
            let whole = runs.read(pass, &mut one);
            assert!(whole.iter().all(|&bits| f32::from_bits(bits).is_finite()), "{name}");
            assert!(whole == runs.grouped(pass, &mut one, 1, |_| {}), "{name}: one by one");
            for group in [3, 19, 64, count - 1] {
                assert!(whole == runs.grouped(pass, &mut two, group, |_| {}), "{name}: groups of {group}");
            }
        }
    }
}

/// A snapshot between two parts holds all there is, and what the host writes in between does no harm.
#[test]
fn a_node_goes_on_elsewhere() {
    let Large { mut builder, weights, fill, written, .. } = large();
    let other = builder.buffer("other", Element::F32, 8, BufferKind::Input);
    let plan = builder.build().unwrap();
    let runs = Runs { plan: &plan, fill: &fill, written: &written };
    let [mut first, mut second] = [1, 2].map(|threads| backend(&plan, &weights, Isa::best(), threads));
    let mut saved = vec![0; first.arena_bytes()];
    for pass in 0..plan.passes.len() {
        runs.fill(pass, &mut first);
        first.run(PassId(pass as u32), 0..1, &params()).unwrap();
        let whole = runs.read(pass, &mut first);
        let group = first.parts(PassId(pass as u32), 0).div_ceil(4);
        let moved = runs.grouped(pass, &mut first, group, |backend| {
            backend.save(&mut saved).unwrap();
            // What the second has prepared of the same node, with other numbers, is not to be used.
            runs.wipe(pass, &mut second);
            second.run_parts(PassId(pass as u32), 0, 0..group, &params()).unwrap();
            backend.clear().unwrap();
            backend.write(other, &[7; 32]).unwrap();
            second.load(&saved).unwrap();
            std::mem::swap(backend, &mut second);
        });
        assert!(whole == moved, "{:?}", plan.passes[pass].nodes[0]);
    }
}

/// The pieces of large convolutions are cut in another way than those of the table of operators.
#[test]
fn large_convolutions_match_their_definition() {
    let Large { builder, weights, fill, written, .. } = large();
    let plan = builder.build().unwrap();
    let runs = Runs { plan: &plan, fill: &fill, written: &written };
    let mut backend = backend(&plan, &weights, Isa::best(), 2);
    let mut machine = naive::Machine::new(&plan, &weights);
    machine.fill(&fill);
    for (pass, op) in plan.passes.iter().map(|pass| &pass.nodes[0]).enumerate() {
        let Op::Conv2d(conv) = op else { continue };
        runs.fill(pass, &mut backend);
        backend.run(PassId(pass as u32), 0..1, &params()).unwrap();
        machine.run(op, &params());
        for (found, expected) in runs.read(pass, &mut backend).into_iter().zip(machine.f(conv.y)) {
            let found = f64::from(f32::from_bits(found));
            assert!((found - expected).abs() < 1e-4 * (1.0 + expected.abs()), "{found}, expected {expected}: {op:?}");
        }
    }
}

/// Nodes of one part, and those that no kernel cuts, run with their last part.
#[test]
fn small_nodes_have_one_part() {
    let mut b = PlanBuilder::new();
    let [x, y] = ["x", "y"].map(|name| b.buffer(name, Element::F32, 8, BufferKind::Input));
    let pass = b.pass("small");
    b.push(Activate { x, y, len: 8, activation: Activation::Relu, affine: None });
    let plan = b.build().unwrap();
    let mut backend = backend(&plan, &Weights::default(), Isa::best(), 1);
    backend.write(x, bytemuck::bytes_of(&[2.0f32; 8])).unwrap();
    assert_eq!([backend.parts(pass, 0), backend.parts(pass, 5), backend.parts(PassId(9), 0)], [1; 3]);
    let mut found = [0.0f32; 8];
    for (parts, expected) in [(0..0, 0.0), (1..1, 0.0), (0..1, 2.0)] {
        backend.run_parts(pass, 0, parts, &params()).unwrap();
        backend.read(y, bytemuck::bytes_of_mut(&mut found)).unwrap();
        assert_eq!(found, [expected; 8]);
    }
}
