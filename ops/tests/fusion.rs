//! Nodes that the GPU does in one dispatch against the same nodes one by one, and against the CPU.

use std::collections::{BTreeSet, HashMap};

use causeway_ops::{
    Backend, BufferId, Params, Plan, PlanBuilder,
    cpu::{CpuBackend, CpuOptions},
    gpu::{Gpu, GpuBackend, GpuOptions, Tier},
    op::{Activation, Copy, CrossAttention, Gate, Grid, LayerNorm, Linear, Modulated, RmsNorm, RmsNormRope, Scale},
    philox,
    plan::{BufferKind, Element, PassId, WeightRole},
    quant::{DType, TensorView, WeightSource, quantise_q4, quantise_q8},
};
use causeway_tests::machine;

/// Kernels that no plan of single nodes runs.
const FUSED: [&str; 18] = [
    "cross_attention_128_norm",
    "cross_attention_32_norm",
    "cross_attention_64_norm",
    "cross_attention_half_128_norm",
    "cross_attention_half_32_norm",
    "cross_attention_half_64_norm",
    "cross_attention_matrices_128_norm",
    "cross_attention_matrices_32_norm",
    "cross_attention_matrices_64_norm",
    "layer_norm_codes",
    "linear_dot4_q4_norm",
    "linear_dot4_q8_norm",
    "linear_f16_norm",
    "linear_f32_norm",
    "linear_q4_norm",
    "linear_q8_norm",
    "rms_norm_codes",
    "rms_norm_rope_two",
];

struct Tensor {
    dtype: DType,
    shape: Vec<usize>,
    data: Vec<u8>,
    scales: Option<Vec<u8>>,
}

/// Random weights of a plan, matrices of the type that `dtype` says of their names.
struct Weights(HashMap<String, Tensor>);

impl Weights {
    fn new(plan: &Plan, dtype: &dyn Fn(&str) -> DType) -> Self {
        let tensor = |(seed, weight): (usize, &causeway_ops::plan::Weight)| {
            let matrix = weight.role == WeightRole::Matrix;
            let scale = if matrix { 1.0 / (weight.shape[1] as f32).sqrt() } else { 0.5 };
            let values: Vec<f32> =
                random(seed as u32, weight.shape.iter().product()).iter().map(|x| x * scale).collect();
            let dtype = if matrix { dtype(&weight.name) } else { DType::F32 };
            let (mut data, mut scales) = (Vec::new(), Vec::new());
            match dtype {
                DType::F32 => data.extend(values.iter().flat_map(|x| x.to_le_bytes())),
                DType::F16 => data.extend(values.iter().flat_map(|&x| half::f16::from_f32(x).to_le_bytes())),
                DType::Q8 => quantise_q8(&values, &mut data, &mut scales),
                DType::Q4 => quantise_q4(&values, &mut data, &mut scales),
            }
            let scales = dtype.is_quantised().then_some(scales);
            (weight.name.clone(), Tensor { dtype, shape: weight.shape.clone(), data, scales })
        };
        Self(plan.weights.iter().enumerate().map(tensor).collect())
    }
}

impl WeightSource for Weights {
    fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        let tensor = self.0.get(name)?;
        Some(TensorView::here(tensor.dtype, &tensor.shape, &tensor.data, tensor.scales.as_deref()))
    }
}

fn random(seed: u32, len: usize) -> Vec<f32> {
    (0..len).map(|i| philox::normal4([seed, 7], 0, 0, i as u32 / 4)[i % 4]).collect()
}

/// The type of a matrix called so.
type Types = Box<dyn Fn(&str) -> DType>;

/// Sizes of a block.
#[derive(Clone, Copy)]
struct Size {
    frames: usize,
    tokens: usize,
    heads: usize,
    head_dim: usize,
    context: usize,
    /// Half precision is enough for what is between nodes.
    halves: bool,
}

/// A transformer block: self-attention over its own rows, cross-attention, feed-forward.
struct Block {
    plan: Plan,
    inputs: Vec<(BufferId, Vec<f32>)>,
    output: BufferId,
    pass: PassId,
    nodes: usize,
}

/// With `between` [`BufferKind::Scratch`] nodes may be done together; with outputs between them, which the host may read, they may not.
fn block(size: Size, between: &BufferKind) -> Block {
    let Size { frames, tokens, heads, head_dim, context, halves } = size;
    let (rows, dim, wide) = (frames * tokens, heads * head_dim, 2 * heads * head_dim);
    let mut b = PlanBuilder::new();
    let mut inputs = Vec::new();
    let mut input = |b: &mut PlanBuilder, len| {
        let id = b.buffer("input", Element::F32, len, BufferKind::Input);
        inputs.push((id, random(100 + inputs.len() as u32, len)));
        id
    };
    let [start, m] = [rows * dim, frames * 6 * dim].map(|len| input(&mut b, len));
    let [cross_k, cross_v] = [(); 2].map(|()| input(&mut b, context * dim));
    let grid = b.constant("grid", random(1, tokens * (head_dim / 2 - 1) * 2));
    let output = b.buffer("output", Element::F32, rows * dim, BufferKind::Output);
    let hidden = b.scratch("hidden", rows * dim);
    let pass = b.pass("block");
    b.push(Copy { x: start, x_offset: 0, y: hidden, y_offset: 0, len: rows * dim });
    b.halves(halves);
    let make = |b: &mut PlanBuilder, len: usize| match between {
        BufferKind::Scratch => b.activation("between", len),
        other => b.buffer("between", Element::F32, len, other.clone()),
    };
    let norm = |b: &mut PlanBuilder, first: Option<usize>| {
        let scale = match first {
            Some(first) => Scale::Modulation { modulation: m, vectors: 6, shift: first, scale: first + 1 },
            None => Scale::Affine {
                weight: b.weight("norm.weight", &[dim], WeightRole::Vector),
                bias: b.weight("norm.bias", &[dim], WeightRole::Vector),
            },
        };
        let y = make(b, rows * dim);
        b.push(LayerNorm { x: hidden, y, rows, dim, rows_per_frame: tokens, eps: 1e-5, scale });
        y
    };
    let linear = |b: &mut PlanBuilder, name: &str, x, y: Option<BufferId>, [inputs, outputs]: [usize; 2], gate| {
        let op = Linear {
            x,
            weight: b.weight(format!("{name}.weight"), &[outputs, inputs], WeightRole::Matrix),
            bias: Some(b.weight(format!("{name}.bias"), &[outputs], WeightRole::Vector)),
            y: y.unwrap_or_else(|| make(b, rows * outputs)),
            rows,
            inputs,
            outputs,
            activation: if name == "up" { Activation::Gelu } else { Activation::None },
            residual: y.is_some(),
            gate,
        };
        let y = op.y;
        b.push(op);
        y
    };
    let rms = |b: &mut PlanBuilder, name: &str, x, grid| {
        let weight = b.weight(name, &[dim], WeightRole::Vector);
        b.push(RmsNormRope { x, weight: Some(weight), rows, dim, eps: 1e-5, grid });
    };
    let attend = |b: &mut PlanBuilder, [q, k, v]: [BufferId; 3], context| {
        let y = make(b, rows * dim);
        b.push(CrossAttention { q, k, v, offsets: None, scaled: true, y, rows, context, heads, head_dim });
        y
    };
    let gate = |index| Some(Gate { modulation: m, vectors: 6, index, rows_per_frame: tokens });
    let y = norm(&mut b, Some(0));
    let [q, k, v] = ["q", "k", "v"].map(|name| linear(&mut b, name, y, None, [dim, dim], None));
    let turned = Some(Grid { table: grid, tokens, rows: 1, heads, temporal_pairs: 1 });
    rms(&mut b, "norm_q", q, turned);
    rms(&mut b, "norm_k", k, turned);
    let y = attend(&mut b, [q, k, v], rows);
    linear(&mut b, "o", y, Some(hidden), [dim, dim], gate(2));
    let y = norm(&mut b, None);
    let q = linear(&mut b, "cross_q", y, None, [dim, dim], None);
    rms(&mut b, "cross_norm", q, None);
    let y = attend(&mut b, [q, cross_k, cross_v], context);
    linear(&mut b, "cross_o", y, Some(hidden), [dim, dim], None);
    let y = norm(&mut b, Some(3));
    let y = linear(&mut b, "up", y, None, [dim, wide], None);
    linear(&mut b, "down", y, Some(hidden), [wide, dim], gate(5));
    b.push(Copy { x: hidden, x_offset: 0, y: output, y_offset: 0, len: rows * dim });
    let plan = b.build().unwrap();
    let nodes = plan.pass(pass).nodes.len();
    Block { plan, inputs, output, pass, nodes }
}

/// What a block gives, its nodes run in slices of so many.
fn run(block: &Block, backend: &mut dyn Backend, slice: usize) -> Vec<f32> {
    for (id, values) in &block.inputs {
        backend.write(*id, bytemuck::cast_slice(values)).unwrap();
    }
    for node in (0..block.nodes).step_by(slice) {
        backend.run(block.pass, node..(node + slice).min(block.nodes), &Params::default()).unwrap();
    }
    let mut values = vec![0.0f32; block.plan.buffer(block.output).len];
    backend.read(block.output, bytemuck::cast_slice_mut(&mut values)).unwrap();
    values
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    // Not-a-number is the worst error of all.
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs() / (1.0 + b.abs()))
        .fold(0.0, |worst, error| if error <= worst { worst } else { error })
}

/// Root mean square of the difference, in that of what is expected.
fn deviation(a: &[f32], b: &[f32]) -> f32 {
    let square = |values: &mut dyn Iterator<Item = f32>| values.map(|x| x * x).sum::<f32>();
    (square(&mut a.iter().zip(b).map(|(a, b)| a - b)) / square(&mut b.iter().copied())).sqrt()
}

#[test]
fn nodes_done_together_do_what_they_do_apart() {
    let open = |tier| Gpu::open(&GpuOptions { software: true, tier: Some(tier), ..GpuOptions::default() });
    let [Some(portable), Some(dot4)] = [Tier::Portable, Tier::Dot4].map(|tier| machine::gpu(open(tier))) else {
        return;
    };
    let gpus = [portable, dot4];
    let mut seen = BTreeSet::new();
    let base = Size { frames: 2, tokens: 10, heads: 2, head_dim: 32, context: 7, halves: false };
    let all = |dtype: DType| move |_: &str| dtype;
    let large = Size { tokens: 265, heads: 4, head_dim: 64, ..base };
    let mixed = |name: &str| if name == "k.weight" { DType::Q8 } else { DType::F16 };
    let cases: [(Size, Types, usize); 15] = [
        (base, Box::new(all(DType::F32)), 11),
        (base, Box::new(all(DType::F16)), 11),
        (base, Box::new(all(DType::Q8)), 11),
        (base, Box::new(all(DType::Q4)), 11),
        (Size { heads: 1, head_dim: 64, tokens: 17, ..base }, Box::new(all(DType::F32)), 11),
        (Size { heads: 1, head_dim: 128, tokens: 3, ..base }, Box::new(all(DType::Q8)), 11),
        // Layers of several types are done one by one, each with the norm.
        (base, Box::new(mixed), 13),
        // Enough rows for wide tiles, whose norms are done apart.
        (large, Box::new(all(DType::F32)), 14),
        (large, Box::new(all(DType::Q8)), 14),
        (large, Box::new(all(DType::Q4)), 14),
        // In half precision what layers pass on.
        (Size { halves: true, ..base }, Box::new(all(DType::F32)), 11),
        (Size { halves: true, ..base }, Box::new(all(DType::F16)), 11),
        (Size { halves: true, ..base }, Box::new(mixed), 13),
        (Size { halves: true, ..large }, Box::new(all(DType::F16)), 14),
        (Size { halves: true, ..large }, Box::new(all(DType::Q8)), 14),
    ];
    let all = gpus.iter().flat_map(|gpu| cases.iter().enumerate().map(move |case| (gpu, case)));
    for (gpu, (case, (size, dtype, dispatches))) in all {
        let dot4 = gpu.tier() == Tier::Dot4;
        let (together, apart) = (block(*size, &BufferKind::Scratch), block(*size, &BufferKind::Output));
        let weights = Weights::new(&together.plan, dtype);
        let on_gpu = |block: &Block| GpuBackend::on(gpu, block.plan.clone(), &weights, None).unwrap();
        let (mut first, mut second) = (on_gpu(&together), on_gpu(&apart));
        // Rows that are quantised for wide tiles have a dispatch of their own.
        let all = |backend: &GpuBackend, block: &Block| {
            let mut kernels = backend.dispatches(block.pass, 0..block.nodes);
            kernels.retain(|&kernel| kernel != "quantise");
            kernels
        };
        let quantised = together.plan.weights.iter().any(|weight| dtype(&weight.name).is_quantised());
        if dot4 && quantised && *dispatches == 14 {
            // One of six is left for each layer that reads no norm.
            let count = |backend: &GpuBackend, block: &Block| backend.dispatches(block.pass, 0..block.nodes).len();
            println!("{} dispatches instead of {}", count(&first, &together), count(&second, &apart));
            assert_eq!(count(&first, &together) - *dispatches, 3, "case {case}");
            assert_eq!(count(&second, &apart) - apart.nodes, 8, "case {case}");
        }
        seen.extend(all(&first, &together));
        assert_eq!(all(&second, &apart).len(), apart.nodes);
        assert_eq!(all(&first, &together).len(), *dispatches, "case {case}: {:?}", all(&first, &together));
        let (found, expected) = (run(&together, &mut first, usize::MAX), run(&apart, &mut second, usize::MAX));
        // A norm that differs in the last bit may take a number to the other side of a rounding to bytes.
        let halved = size.halves && gpu.keeps_halves();
        assert_eq!(!first.halves().is_empty(), halved, "case {case}");
        assert!(!halved || 3 * first.memory().activations < 2 * second.memory().activations, "{:?}", first.memory());
        let bound = match (dot4 && quantised, halved) {
            (true, false) => 1e-3,
            (false, false) => 2e-5,
            // Half precision takes one normal number in a hundred to the other side of a rounding to bytes: 1.8e-3 of what a layer answers, in root mean
            // square. Six such layers in a row make 4.4e-3.
            (true, true) => 7e-3,
            (false, true) => 2e-3,
        };
        let measure = if dot4 && quantised || halved { deviation } else { worst };
        let error = measure(&found, &expected);
        assert!(error < bound, "case {case}: off by {error}");
        // Slices may end in the midst of what is done together.
        assert_eq!(run(&together, &mut first, 1), found, "case {case}");
        assert_eq!(run(&together, &mut first, 4), found, "case {case}");
        if dot4 || !quantised {
            let mut cpu = CpuBackend::new(together.plan.clone(), &weights, CpuOptions::default()).unwrap();
            let error = measure(&found, &run(&together, &mut cpu, usize::MAX));
            let bound = match (quantised, halved) {
                (true, false) => 1e-3,
                (false, false) => 2e-4,
                (true, true) => 7e-3,
                (false, true) => 2e-3,
            };
            println!("{}, case {case}: {error:.1e} from the CPU", gpu.tier());
            assert!(error < bound, "case {case}: off by {error} from the CPU");
        }
    }
    // What this block does not run has tests of its own below.
    let ours = |name: &&&str| !["_half_", "_matrices_", "rms_norm_codes"].iter().any(|other| name.contains(other));
    let missing: Vec<_> = FUSED.iter().filter(ours).filter(|name| !seen.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:?} did not run");
    let fused = |name: &str| {
        let plain = ["layer_norm", "channel_norm", "rms_norm"].contains(&name);
        name.ends_with("_norm") && !plain || name.ends_with("_two") || name.ends_with("_codes")
    };
    assert!(causeway_shaders::ALL.iter().all(|kernel| fused(kernel.name) == FUSED.contains(&kernel.name)));
}

/// Tiers that ask for features which an adapter may lack.
#[test]
fn queries_are_normed_on_the_way_to_attention_in_every_tier() {
    let open = |tier| Gpu::open(&GpuOptions { software: true, tier: Some(tier), ..GpuOptions::default() });
    if machine::gpu(open(Tier::Portable)).is_none() {
        return;
    }
    let base = Size { frames: 2, tokens: 10, heads: 2, head_dim: 32, context: 7, halves: false };
    for (tier, name) in [(Tier::Half, "_half_"), (Tier::Cooperative, "_matrices_")] {
        let Some(gpu) = machine::tier(open(tier)) else { continue };
        let mut seen = BTreeSet::new();
        let sizes =
            [base, Size { heads: 1, head_dim: 64, ..base }, Size { heads: 1, head_dim: 128, tokens: 3, ..base }];
        for size in sizes.into_iter().flat_map(|size| [size, Size { halves: true, ..size }]) {
            let block = block(size, &BufferKind::Scratch);
            let weights = Weights::new(&block.plan, &|_| DType::F16);
            let mut backend = GpuBackend::on(&gpu, block.plan.clone(), &weights, None).unwrap();
            seen.extend(backend.kernels());
            let found = run(&block, &mut backend, usize::MAX);
            assert_eq!(run(&block, &mut backend, 1), found);
            let mut cpu = CpuBackend::new(block.plan.clone(), &weights, CpuOptions::default()).unwrap();
            let error = deviation(&found, &run(&block, &mut cpu, usize::MAX));
            println!("{tier}, heads of {}: {error:.1e} from the CPU", size.head_dim);
            let kept = backend.halves().len();
            assert_eq!(kept > 0, size.halves && gpu.keeps_halves(), "{kept} buffers in half precision");
            assert!(error < 2e-3, "{tier}, heads of {}: off by {error}", size.head_dim);
        }
        let missing: Vec<_> = FUSED.iter().filter(|kernel| kernel.contains(name) && !seen.contains(**kernel)).collect();
        assert!(missing.is_empty(), "{missing:?} did not run");
    }
}

/// A norm whose readers all read bytes makes these; with other readers it makes numbers, once, in however many parts the node is run.
#[test]
fn norms_make_bytes_for_layers_that_read_bytes() {
    let open = |tier| Gpu::open(&GpuOptions { software: true, tier: Some(tier), ..GpuOptions::default() });
    let (rows, dim, rows_per_frame) = (640usize, 1024usize, 67usize);
    let sizes = [("q", 2048), ("k", 1024), ("v", 1024)];
    let quantise = "quantise";
    let all_q8 = |_: &str| DType::Q8;
    let mixed = |name: &str| if name == "v" { DType::F16 } else { DType::Q4 };
    let all_f16 = |_: &str| DType::F16;
    type Case<'a> = (Tier, bool, &'a dyn Fn(&str) -> DType, &'a str, usize);
    let cases: [Case<'_>; 5] = [
        (Tier::Dot4, false, &all_q8, "layer_norm_codes", 0),
        (Tier::Dot4, true, &all_q8, "rms_norm_codes", 0),
        (Tier::Dot4, false, &mixed, "layer_norm", 1),
        (Tier::Portable, true, &all_q8, "rms_norm", 0),
        (Tier::Portable, false, &all_f16, "layer_norm", 0),
    ];
    for (tier, bare, dtype, kernel, quantised) in cases {
        let Some(gpu) = machine::gpu(open(tier)) else { return };
        let build = |between: BufferKind| {
            let mut b = PlanBuilder::new();
            let frames = rows.div_ceil(rows_per_frame);
            let [x, m] =
                [rows * dim, frames * 2 * dim].map(|len| b.buffer("input", Element::F32, len, BufferKind::Input));
            let y = b.buffer("normed", Element::F32, rows * dim, between);
            let pass = b.pass("pass");
            if bare {
                let modulated = Some(Modulated { modulation: m, vectors: 2, scale: 1, shift: 0, rows_per_frame });
                b.push(RmsNorm { x, y, rows, dim, eps: 1e-5, modulated });
            } else {
                let scale = Scale::Modulation { modulation: m, vectors: 2, shift: 0, scale: 1 };
                b.push(LayerNorm { x, y, rows, dim, rows_per_frame, eps: 1e-5, scale });
            }
            let outputs = sizes.map(|(name, outputs)| {
                let weight = b.weight(name, &[outputs, dim], WeightRole::Matrix);
                let out = b.buffer("output", Element::F32, rows * outputs, BufferKind::Output);
                let (activation, residual) = (Activation::None, false);
                b.push(Linear {
                    x: y,
                    weight,
                    bias: None,
                    y: out,
                    rows,
                    inputs: dim,
                    outputs,
                    activation,
                    residual,
                    gate: None,
                });
                out
            });
            (b.build().unwrap(), pass, [x, m], outputs)
        };
        let (plan, pass, inputs, outputs) = build(BufferKind::Scratch);
        let weights = Weights::new(&plan, dtype);
        let fill = |backend: &mut dyn Backend| {
            for (seed, id) in (1..).zip(inputs) {
                backend.write(id, bytemuck::cast_slice(&random(seed, backend.plan().buffer(id).len))).unwrap();
            }
        };
        let read = |backend: &mut dyn Backend| -> Vec<f32> {
            let values = outputs.map(|id| {
                let mut values = vec![0.0f32; backend.plan().buffer(id).len];
                backend.read(id, bytemuck::cast_slice_mut(&mut values)).unwrap();
                values
            });
            values.concat()
        };
        let whole = |backend: &mut dyn Backend| {
            fill(backend);
            backend.run(pass, 0..4, &Params::default()).unwrap();
            read(backend)
        };
        let mut together = GpuBackend::on(&gpu, plan.clone(), &weights, None).unwrap();
        let kernels = together.dispatches(pass, 0..4);
        assert_eq!(kernels[0], kernel, "{kernels:?}");
        assert_eq!(kernels.iter().filter(|name| **name == quantise).count(), quantised, "{kernels:?}");
        // A norm alone is done when it is read.
        assert!(together.dispatches(pass, 0..3).is_empty());
        let found = whole(&mut together);
        let mut apart = GpuBackend::on(&gpu, build(BufferKind::Output).0, &weights, None).unwrap();
        let error = deviation(&found, &whole(&mut apart));
        assert!(error < 1e-5, "{tier}, {kernel}: off by {error}");
        if tier == Tier::Dot4 || dtype("q") == DType::F16 {
            let mut cpu = CpuBackend::new(plan.clone(), &weights, CpuOptions::default()).unwrap();
            let error = deviation(&found, &whole(&mut cpu));
            println!("{tier}, {kernel}: {error:.1e} from the CPU");
            assert!(error < 1e-3, "{tier}, {kernel}: off by {error} from the CPU");
        }
        // In parts, each by a backend of its own that goes on from what the one before saved.
        let parts = together.parts(pass, 3);
        println!("{tier}, {kernel}: {} dispatches, {parts} parts", kernels.len());
        assert!(parts > 3 || dtype("v") != dtype("q"), "{parts} parts");
        if parts == 1 {
            continue;
        }
        let mut saved = vec![0; together.arena_bytes()];
        let mut before = GpuBackend::on(&gpu, plan.clone(), &weights, None).unwrap();
        fill(&mut before);
        before.save(&mut saved).unwrap();
        for part in 0..parts {
            let mut next = GpuBackend::on(&gpu, plan.clone(), &weights, None).unwrap();
            next.load(&saved).unwrap();
            next.run_parts(pass, 3, part..part + 1, &Params::default()).unwrap();
            next.save(&mut saved).unwrap();
            before = next;
        }
        assert!(read(&mut before) == found, "{tier}, {kernel}: parts");
    }
}

/// What a layer makes for the next one is more than a GPU should hold: both are done some rows at a time, whole frames of the gate. In memory
/// there is one range, and the ranges are the node's parts.
#[test]
fn wide_layers_are_done_some_rows_at_a_time() {
    let open = |tier| Gpu::open(&GpuOptions { software: true, tier: Some(tier), ..GpuOptions::default() });
    let (frames, tokens, wide) = (9, 128, 65_536);
    let rows = frames * tokens;
    for (tier, dtype, dim) in [(Tier::Portable, DType::F32, 4), (Tier::Dot4, DType::Q8, 32)] {
        let Some(gpu) = machine::gpu(open(tier)) else { return };
        let mut b = PlanBuilder::new();
        let [start, m] =
            [rows * dim, frames * 3 * dim].map(|len| b.buffer("input", Element::F32, len, BufferKind::Input));
        let y = b.buffer("y", Element::F32, rows * dim, BufferKind::Output);
        let (x, between) = (b.scratch("x", rows * dim), b.scratch("between", rows * wide));
        let linear = |b: &mut PlanBuilder,
                      name: &str,
                      [x, y]: [BufferId; 2],
                      [inputs, outputs]: [usize; 2],
                      gate: Option<Gate>| {
            let weight = b.weight(format!("{name}.weight"), &[outputs, inputs], WeightRole::Matrix);
            let bias = Some(b.weight(format!("{name}.bias"), &[outputs], WeightRole::Vector));
            let activation = if gate.is_none() { Activation::Relu } else { Activation::None };
            b.push(Linear { x, weight, bias, y, rows, inputs, outputs, activation, residual: gate.is_some(), gate });
        };
        let pass = b.pass("pass");
        b.push(Copy { x: start, x_offset: 0, y: x, y_offset: 0, len: rows * dim });
        linear(&mut b, "up", [x, between], [dim, wide], None);
        let gate = Gate { modulation: m, vectors: 3, index: 1, rows_per_frame: tokens };
        linear(&mut b, "down", [between, y], [wide, dim], Some(gate));
        let plan = b.build().unwrap();
        let weights = Weights::new(&plan, &|_| dtype);
        let mut cpu = CpuBackend::new(plan.clone(), &weights, CpuOptions::default()).unwrap();
        let mut whole = GpuBackend::on(&gpu, plan.clone(), &weights, None).unwrap();
        let mut parts = GpuBackend::on(&gpu, plan.clone(), &weights, None).unwrap();
        assert!(whole.memory().activations < 4 * rows * wide, "{:?}", whole.memory());
        assert_eq!([1, 2].map(|node| parts.parts(pass, node)), [1, 3]);
        let fill = |backend: &mut dyn Backend| {
            for (seed, id) in (1..).zip([start, m, y]) {
                backend.write(id, bytemuck::cast_slice(&random(seed, plan.buffer(id).len))).unwrap();
            }
        };
        let read = |backend: &mut dyn Backend| {
            let mut values = vec![0.0f32; rows * dim];
            backend.read(y, bytemuck::cast_slice_mut(&mut values)).unwrap();
            values
        };
        for backend in [&mut cpu as &mut dyn Backend, &mut whole, &mut parts] {
            fill(backend);
        }
        cpu.run(pass, 0..3, &Params::default()).unwrap();
        whole.run(pass, 0..3, &Params::default()).unwrap();
        parts.run(pass, 0..2, &Params::default()).unwrap();
        parts.run_parts(pass, 2, 0..1, &Params::default()).unwrap();
        parts.run_parts(pass, 2, 1..3, &Params::default()).unwrap();
        let found = read(&mut whole);
        assert!(read(&mut parts) == found, "{tier}");
        let error = deviation(&found, &read(&mut cpu));
        println!("{tier}: {error:.1e} from the CPU");
        assert!(error < 1e-4, "{tier}: off by {error}");
    }
}
