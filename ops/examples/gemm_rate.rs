//! How fast linear layers run: ours with f32, f16 and q8 weights, and the crate `gemm` on the same shapes.
//!
//! `cargo run --release -p causeway-ops --features yardstick --example gemm_rate [threads]`. Rounds of all contenders are interleaved, and medians
//! reported, so that a busy machine disturbs all of them alike. GMAC/s counts multiply-adds.

use std::{collections::HashMap, hint::black_box, sync::Arc, time::Instant};

use causeway_ops::{
    Backend, Params, PlanBuilder,
    cpu::{CpuBackend, CpuOptions, Isa},
    op::{Activation, Linear},
    parallel::ThreadPool,
    plan::{BufferKind, Element, PassId, WeightRole},
    quant::{DType, TensorView, WeightSource, quantise_q8},
};

/// Rounds of which the median is taken.
const ROUNDS: usize = 101;

/// (rows, inputs, outputs): the demo's layers at 16 and 64 tokens, and one large product as a measure of the machine.
const SHAPES: [[usize; 3]; 11] = [
    [16, 192, 192],
    [16, 192, 576],
    [16, 576, 192],
    [16, 768, 192],
    [16, 192, 1152],
    [64, 192, 192],
    [64, 192, 576],
    [64, 576, 192],
    [64, 768, 192],
    [64, 192, 1152],
    [768, 768, 768],
];

/// Weights by name.
struct Weights(HashMap<String, Tensor>);

struct Tensor {
    dtype: DType,
    shape: [usize; 2],
    data: Vec<u8>,
    scales: Option<Vec<u8>>,
}

impl WeightSource for Weights {
    fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        let Tensor { dtype, shape, data, scales } = self.0.get(name)?;
        Some(TensorView::here(*dtype, shape, data, scales.as_deref()))
    }
}

fn values(len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 7919 + 13) % 1009) as f32 / 504.5 - 1.0).collect()
}

/// A backend with one pass of layers, each with weights and an output of its own.
fn layers(shapes: &[[usize; 3]], dtype: DType, isa: Isa, threads: usize) -> CpuBackend {
    let mut plan = PlanBuilder::new();
    let widest = shapes.iter().map(|[rows, inputs, _]| rows * inputs).max().unwrap_or(0);
    let x = plan.buffer("x", Element::F32, widest, BufferKind::Input);
    let mut weights = HashMap::new();
    for (index, &[rows, inputs, outputs]) in shapes.iter().enumerate() {
        let y = plan.buffer("y", Element::F32, rows * outputs, BufferKind::Output);
        let weight = plan.weight(index.to_string(), &[outputs, inputs], WeightRole::Matrix);
        let activation = Activation::None;
        plan.push(Linear { x, weight, bias: None, y, rows, inputs, outputs, activation, residual: false, gate: None });
        let values = values(outputs * inputs);
        let (mut data, mut scales) = (Vec::new(), Vec::new());
        match dtype {
            DType::F16 => data.extend(values.iter().flat_map(|&x| half::f16::from_f32(x).to_le_bytes())),
            DType::Q8 => quantise_q8(&values, &mut data, &mut scales),
            _ => data.extend(values.iter().flat_map(|x| x.to_le_bytes())),
        }
        let scales = (dtype == DType::Q8).then_some(scales);
        weights.insert(index.to_string(), Tensor { dtype, shape: [outputs, inputs], data, scales });
    }
    let options = CpuOptions { isa: Some(isa), parallel: Arc::new(ThreadPool::new(threads)), memory_cap: None };
    let plan = plan.build().expect("a valid plan");
    let mut backend = CpuBackend::new(plan, &Weights(weights), options).expect("a backend");
    let bytes: Vec<u8> = values(widest).iter().flat_map(|x| x.to_le_bytes()).collect();
    backend.write(x, &bytes).expect("a write");
    backend
}

/// Microseconds that each of the contenders takes: medians of interleaved rounds of `runs` each, and the best rounds.
fn race(runs: usize, contenders: &mut [Box<dyn FnMut() + '_>]) -> Vec<[f64; 2]> {
    let mut times = vec![Vec::new(); contenders.len()];
    for round in 0..ROUNDS + 5 {
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            let start = Instant::now();
            for _ in 0..runs {
                contender();
            }
            // The first rounds warm caches and threads up.
            if round >= 5 {
                times.push(start.elapsed().as_secs_f64() * 1e6 / runs as f64);
            }
        }
    }
    for times in &mut times {
        times.sort_by(f64::total_cmp);
    }
    times.iter().map(|times| [times[ROUNDS / 2], times[0]]).collect()
}

fn main() {
    let threads = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1);
    let isa = std::env::args().nth(2).and_then(|name| Isa::ALL.into_iter().find(|isa| isa.name() == name));
    let isa = isa.unwrap_or_else(Isa::best);
    println!("{isa}, {threads} thread(s); GMAC/s");
    println!("{:>16} {:>8} {:>8} {:>8} {:>10} {:>10}", "shape", "gemm", "f32", "q8", "f32/gemm", "q8/gemm");
    for shape in SHAPES {
        let [m, k, n] = shape;
        let (x, w) = (values(m * k), values(k * n));
        let mut y = vec![0.0f32; m * n];
        let mut f32s = layers(&[shape], DType::F32, isa, threads);
        let mut q8s = layers(&[shape], DType::Q8, isa, threads);
        let parallelism = gemm::Parallelism::None;
        // The right matrix lies as [inputs, outputs], which spares `gemm` a transposition.
        let yardstick = || {
            // SAFETY: the slices hold m * n, m * k and k * n numbers with these strides.
            unsafe {
                gemm::gemm(
                    m,
                    n,
                    k,
                    y.as_mut_ptr(),
                    1,
                    n as isize,
                    false,
                    x.as_ptr(),
                    1,
                    k as isize,
                    w.as_ptr(),
                    1,
                    n as isize,
                    0.0f32,
                    1.0f32,
                    false,
                    false,
                    false,
                    parallelism,
                );
            }
            black_box(&mut y);
        };
        let times = race(4, &mut [Box::new(yardstick), Box::new(|| run(&mut f32s)), Box::new(|| run(&mut q8s))]);
        let rate: Vec<f64> = times.iter().map(|[median, _]| (m * n * k) as f64 / median / 1e3).collect();
        println!(
            "{:>16} {:>8.1} {:>8.1} {:>8.1} {:>10.2} {:>10.2}",
            format!("{m}x{k}x{n}"),
            rate[0],
            rate[1],
            rate[2],
            rate[1] / rate[0],
            rate[2] / rate[0]
        );
    }
    // A network's weights do not stay in the nearest cache.
    let network: Vec<[usize; 3]> =
        (0..5).flat_map(|_| [[16, 192, 192]; 8].into_iter().chain([[16, 192, 576], [16, 576, 192]])).collect();
    let work: usize = network.iter().map(|shape| shape.iter().product::<usize>()).sum();
    let mut f32s = layers(&network, DType::F32, isa, threads);
    let mut f16s = layers(&network, DType::F16, isa, threads);
    let mut q8s = layers(&network, DType::Q8, isa, threads);
    let times = race(1, &mut [Box::new(|| run(&mut f32s)), Box::new(|| run(&mut f16s)), Box::new(|| run(&mut q8s))]);
    println!("five blocks of the demo, 16 tokens:");
    for (name, [median, best]) in ["f32", "f16", "q8"].into_iter().zip(times) {
        println!("{name:>16} {median:>6.0} us (best {best:.0}: {:.1} GMAC/s)", work as f64 / best / 1e3);
    }
}

/// Runs all layers once.
fn run(backend: &mut CpuBackend) {
    let nodes = backend.plan().pass(PassId(0)).nodes.len();
    backend.run(PassId(0), 0..nodes, &Params::default()).expect("a run");
}
