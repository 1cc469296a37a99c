//! `causeway bench gpu`: what a GPU can do at best, and how much of that every kernel reaches at the shapes of the models that are meant to run on
//! it.

use std::{fmt::Write, time::Instant};

use causeway_ops::{
    Backend, BufferId, Kv, Params, PlanBuilder,
    gpu::{self, AdapterReport, Gpu, GpuBackend, GpuOptions, Peaks},
    op::{Activation, Attention, Copy, LayerNorm, Linear, Scale},
    plan::{BufferKind, Element, PassId, WeightRole},
    quant::{DType, TensorView, WeightSource},
};
use causeway_runtime::{Budget, Device, Pump, Session, SessionOptions, model::StreamPlan};
use serde_json::{Value, json};

use crate::{
    error::Error,
    options::{session::ModelArgs, tier::Tier},
    tools::{
        output::{print, print_json},
        stop::Stop,
        table::Table,
    },
};

/// Options of `bench gpu`.
#[derive(Clone, Debug, clap::Args)]
pub struct GpuArgs {
    /// GPU whose name contains this text, or its number [default: the best one, software only if there is no other]
    #[arg(long, value_name = "NAME")]
    adapter: Option<String>,
    /// Kernels [default: the best that are known to be faster on it and pass their test]
    #[arg(long, value_enum, value_name = "TIER")]
    tier: Option<Tier>,
    /// Models whose shapes are run [default: all; on software those of small worlds]
    #[arg(long, value_enum, value_name = "MODEL")]
    shapes: Vec<Shapes>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Models whose shapes are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Shapes {
    /// The shipped world: dim 224, one frame of 64 tokens.
    Demo,
    /// Wan 2.1 1.3B at 832x480: dim 1536, chunks of 3 frames of 1560 tokens, 9 frames of history.
    Wan,
    /// Matrix-Game 2 at 640x352: the same network, frames of 880 tokens, 3 frames of history.
    MatrixGame,
    /// Waypoint 1.5 at 360p and 720p: dim 2048, one frame of 128 and of 512 tokens.
    Waypoint,
}

impl Shapes {
    const ALL: [Shapes; 4] = [Shapes::Demo, Shapes::Wan, Shapes::MatrixGame, Shapes::Waypoint];

    fn name(self) -> &'static str {
        match self {
            Shapes::Demo => "demo",
            Shapes::Wan => "Wan 1.3B",
            Shapes::MatrixGame => "Matrix-Game 2",
            Shapes::Waypoint => "Waypoint",
        }
    }

    /// Rows of a pass, widths of the network and of its feed-forward, and attention: frames of a chunk, heads, their size, history.
    fn sizes(self) -> Vec<Size> {
        let size =
            |chunk, tokens, heads, head_dim, wide, history| Size { chunk, tokens, heads, head_dim, wide, history };
        match self {
            Shapes::Demo => vec![size(1, 64, 7, 32, 672, 15)],
            Shapes::Wan => vec![size(3, 1560, 12, 128, 8960, 9)],
            Shapes::MatrixGame => vec![size(3, 880, 12, 128, 8960, 3)],
            Shapes::Waypoint => vec![size(1, 128, 32, 64, 8192, 16), size(1, 512, 32, 64, 8192, 16)],
        }
    }
}

#[derive(Clone, Copy)]
struct Size {
    chunk: usize,
    tokens: usize,
    heads: usize,
    head_dim: usize,
    wide: usize,
    history: usize,
}

impl Size {
    fn rows(&self) -> usize {
        self.chunk * self.tokens
    }

    fn dim(&self) -> usize {
        self.heads * self.head_dim
    }

    /// What a block computes: linear layers by inputs and outputs, attention, the norm before a layer.
    fn items(&self) -> Vec<Item> {
        let (dim, wide) = (self.dim(), self.wide);
        let linear = |what, inputs, outputs| Item::Linear { what, inputs, outputs };
        vec![
            linear("queries, keys, values", dim, 3 * dim),
            linear("projection", dim, dim),
            linear("feed-forward up", dim, wide),
            linear("feed-forward down", wide, dim),
            Item::Attention,
            Item::Norm,
        ]
    }
}

/// Something to run.
#[derive(Clone, Copy)]
enum Item {
    Linear { what: &'static str, inputs: usize, outputs: usize },
    Attention,
    Norm,
}

impl Item {
    fn name(self) -> &'static str {
        match self {
            Item::Linear { what, .. } => what,
            Item::Attention => "self-attention",
            Item::Norm => "norm",
        }
    }

    fn shape(self, size: Size) -> String {
        let rows = size.rows();
        match self {
            Item::Linear { inputs, outputs, .. } => format!("{rows}x{inputs}x{outputs}"),
            Item::Attention => {
                let keys = rows + size.history * size.tokens;
                format!("{rows} queries, {keys} keys, {}x{}", size.heads, size.head_dim)
            }
            Item::Norm => format!("{rows}x{}", size.dim()),
        }
    }

    /// Emits it on buffers of its own; what it writes.
    fn emit(self, b: &mut PlanBuilder, size: Size) -> BufferId {
        let (rows, dim) = (size.rows(), size.dim());
        let mut state = |name: &str, len| b.state(name, len);
        match self {
            Item::Linear { inputs, outputs, .. } => {
                let (x, y) = (state("x", rows * inputs), state("y", rows * outputs));
                let weight = b.weight("weight", &[outputs, inputs], WeightRole::Matrix);
                let activation = Activation::None;
                let op =
                    Linear { x, weight, bias: None, y, rows, inputs, outputs, activation, residual: false, gate: None };
                b.push(op);
                y
            }
            Item::Attention => {
                let [q, k, v, y] = ["q", "k", "v", "y"].map(|name| state(name, rows * dim));
                let slots = size.history + size.chunk;
                let words = slots * size.tokens * size.heads * Kv::F16.row_words(size.head_dim);
                let [ring_k, ring_v] = [(); 2].map(|()| b.buffer("ring", Element::U32, words, BufferKind::State));
                let temporal_pairs = size.head_dim / 6;
                let frames = b.buffer(FRAMES, Element::U32, slots, BufferKind::Input);
                let rotations = b.buffer("rotations", Element::F32, slots * temporal_pairs * 2, BufferKind::Input);
                b.push(Attention {
                    q,
                    k,
                    v,
                    ring_k,
                    ring_v,
                    kv: Kv::F16,
                    frames,
                    rotations,
                    routes: None,
                    y,
                    chunk: size.chunk,
                    tokens: size.tokens,
                    heads: size.heads,
                    shared: 1,
                    head_dim: size.head_dim,
                    temporal_pairs,
                    slots,
                    max_history: size.history,
                    group: 0,
                });
                y
            }
            Item::Norm => {
                let (x, y) = (state("x", rows * dim), state("y", rows * dim));
                let modulation = state("modulation", 2 * size.chunk * dim);
                let scale = Scale::Modulation { modulation, vectors: 2, shift: 0, scale: 1 };
                b.push(LayerNorm { x, y, rows, dim, rows_per_frame: size.tokens, eps: 1e-6, scale });
                y
            }
        }
    }
}

/// The frame table, which must name slots.
const FRAMES: &str = "frames";

/// A q8 matrix.
struct Matrix {
    shape: [usize; 2],
    data: Vec<u8>,
    scales: Vec<u8>,
}

impl Matrix {
    fn new(item: Item) -> Self {
        let Item::Linear { inputs, outputs, .. } = item else {
            return Self { shape: [0; 2], data: Vec::new(), scales: Vec::new() };
        };
        let code = |i: usize| (i.wrapping_mul(2_654_435_761) >> 13) as u8;
        let scale = half::f16::from_f32(1e-4).to_le_bytes();
        let count = inputs * outputs;
        Self { shape: [outputs, inputs], data: (0..count).map(code).collect(), scales: scale.repeat(count / 32) }
    }
}

impl WeightSource for Matrix {
    fn tensor(&self, _name: &str) -> Option<TensorView<'_>> {
        Some(TensorView::here(DType::Q8, &self.shape, &self.data, Some(&self.scales)))
    }
}

/// How an item went.
struct Measured {
    model: Shapes,
    what: &'static str,
    shape: String,
    kernels: String,
    seconds: f64,
    flops: f64,
    /// Least seconds that the device's peaks allow, and which of them that is.
    least: f64,
    limit: &'static str,
    /// Share of that limit which a card must reach for its tier to count as proven.
    gate: Option<f64>,
}

/// Vendors that gates differ by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Maker {
    Nvidia,
    Amd,
    Apple,
    Other,
}

impl Maker {
    /// By PCI number; None of a device that computes on the CPU, for which there are no gates.
    fn of(adapter: Option<&AdapterReport>) -> Option<Self> {
        let adapter = adapter.filter(|adapter| adapter.kind != "Cpu")?;
        Some(match adapter.vendor {
            0x10de => Maker::Nvidia,
            0x1002 => Maker::Amd,
            0x106b => Maker::Apple,
            _ => Maker::Other,
        })
    }

    /// The share of its limit that an item must reach (docs/gpu.md); `kernels` are what it ran.
    fn gate(self, item: Item, size: Size, kernels: &str) -> Option<f64> {
        let by = |nvidia, amd, apple, other| match self {
            Maker::Nvidia => nvidia,
            Maker::Amd => amd,
            Maker::Apple => apple,
            Maker::Other => other,
        };
        let (rows, keys) = (size.rows(), size.rows() + size.history * size.tokens);
        let (matrices, half, dot4) = (kernels.contains("matrices"), kernels.contains("half"), kernels.contains("dot4"));
        match item {
            Item::Linear { .. } if matrices && rows >= 1170 => by(Some(0.45), Some(0.35), Some(0.6), None),
            Item::Linear { .. } if matrices && rows >= 128 => Some(0.5),
            Item::Linear { .. } if dot4 && rows >= 1170 => by(Some(0.4), Some(0.4), None, Some(0.3)),
            Item::Linear { .. } if !(matrices || half || dot4) && rows >= 1170 => {
                by(Some(0.5), Some(0.35), Some(0.4), Some(0.2))
            }
            Item::Attention if matrices && keys >= 4000 => by(Some(0.3), Some(0.22), Some(0.4), None),
            Item::Attention if half => by(Some(0.3), Some(0.25), Some(0.35), Some(0.15)),
            Item::Norm if rows >= 1170 => by(Some(0.7), Some(0.7), Some(0.7), Some(0.6)),
            _ => None,
        }
    }
}

/// A measurement takes at least so long, and the best of so many counts.
const SECONDS: f64 = 0.02;
const ROUNDS: usize = 3;

impl Measured {
    fn new(
        gpu: &Gpu,
        (peaks, maker): (&Peaks, Option<Maker>),
        model: Shapes,
        size: Size,
        item: Item,
    ) -> Result<Self, Error> {
        let mut b = PlanBuilder::new();
        let last = b.buffer("last", Element::F32, 1, BufferKind::Output);
        let pass = b.pass("item");
        let y = item.emit(&mut b, size);
        b.push(Copy { x: y, x_offset: 0, y: last, y_offset: 0, len: 1 });
        let plan = b.build().map_err(|error| Error::Failed(error.to_string()))?;
        let cost = plan.cost(pass, 0..1);
        let mut backend = GpuBackend::on(gpu, plan, &Matrix::new(item), None)?;
        let table = backend.plan().buffers.iter().position(|buffer| buffer.name == FRAMES);
        if let Some(table) = table {
            let slots: Vec<u32> = (0..(size.history + size.chunk) as u32).collect();
            backend.write(BufferId(table as u32), bytemuck::cast_slice(&slots))?;
        }
        let kernels = backend.dispatches(pass, 0..1);
        let params = Params { history: [size.history as u32; causeway_ops::GROUPS], ..Params::default() };
        let mut run = |times: usize| timed(&mut backend, pass, last, &params, times);
        // The first run warms pipelines and caches.
        let (mut times, mut best) = (1, run(1)?.min(run(1)?));
        while best * (times as f64) < SECONDS && times < 1 << 12 {
            times *= 2;
            best = run(times)?;
        }
        for _ in 0..ROUNDS {
            best = best.min(run(times)?);
        }
        let kernels = kernels.join(", ");
        let peak = match &kernels {
            kernels if kernels.contains("dot4") => peaks.dot4,
            kernels if kernels.contains("matrices") => peaks.matrices.unwrap_or(peaks.f32),
            kernels if kernels.contains("half") => peaks.half.unwrap_or(peaks.f32),
            _ => peaks.f32,
        };
        // Weights are codes, and a scale for 32 of them.
        let bytes = cost.bytes as f64 + cost.weights as f64 * (1.0 + 2.0 / 32.0);
        let (compute, memory) = (cost.flops as f64 / peak, bytes / peaks.copy);
        Ok(Self {
            model,
            what: item.name(),
            shape: item.shape(size),
            gate: maker.and_then(|maker| maker.gate(item, size, &kernels)),
            kernels,
            seconds: best,
            flops: cost.flops as f64,
            least: compute.max(memory),
            limit: if compute > memory { "arithmetic" } else { "memory" },
        })
    }

    fn share(&self) -> f64 {
        self.least / self.seconds
    }

    /// Whether it reaches its gate, if it has one.
    fn met(&self) -> Option<bool> {
        self.gate.map(|gate| self.share() >= gate)
    }
}

/// How the demo world streams.
struct Streamed {
    /// Frames a second, with denoise steps, commit and decoder.
    frames: f64,
    /// Seconds of a denoise pass, and of its nodes one by one.
    pass: f64,
    nodes: f64,
}

/// Frames that warm a stream up, and that count.
const STREAM: [usize; 2] = [3, 24];

impl Streamed {
    fn new(gpu: &Gpu, stop: &Stop) -> Result<Self, Error> {
        let model = ModelArgs::default().open()?;
        let options = SessionOptions { kv: Kv::F16, ..SessionOptions::default() };
        let mut session = Session::new(&model, &Device::on_gpu(gpu.clone()), options)?;
        let mut seconds = 0.0;
        for count in STREAM {
            let start = Instant::now();
            for _ in 0..count {
                stop.check()?;
                while session.pump(Budget::Frame)? != Pump::Frame {}
                session.release();
            }
            seconds = start.elapsed().as_secs_f64() / count as f64;
        }
        let plan = session.plan().clone();
        drop(session);
        let failed = || Error::Failed("the plan has no denoise pass or no output".to_owned());
        let pass = StreamPlan::pass(&plan, "denoise").ok_or_else(failed)?;
        let nodes = plan.pass(pass).nodes.len();
        let output = plan.buffers.iter().position(|buffer| buffer.kind == BufferKind::Output).ok_or_else(failed)?;
        let output = BufferId(output as u32);
        let mut bytes = vec![0; 4 * plan.buffer(output).len];
        let mut backend = GpuBackend::on(gpu, plan, &model, None)?;
        let mut time = |ranges: &mut dyn Iterator<Item = std::ops::Range<usize>>| -> Result<f64, Error> {
            let mut sum = 0.0;
            for range in ranges {
                stop.check()?;
                let mut best = f64::INFINITY;
                for _ in 0..=ROUNDS {
                    let start = Instant::now();
                    for _ in 0..PASSES {
                        backend.run(pass, range.clone(), &Params::default())?;
                    }
                    backend.read(output, &mut bytes)?;
                    best = best.min(start.elapsed().as_secs_f64() / f64::from(PASSES));
                }
                sum += best;
            }
            Ok(sum)
        };
        let whole = time(&mut std::iter::once(0..nodes))?;
        let each = time(&mut (0..nodes).map(|node| node..node + 1))?;
        Ok(Self { frames: 1.0 / seconds, pass: whole, nodes: each })
    }
}

/// Passes that are timed together.
const PASSES: u32 = 8;

/// Seconds of one of so many runs of an item's node, at the end of which its output can be read.
fn timed(backend: &mut GpuBackend, pass: PassId, last: BufferId, params: &Params, times: usize) -> Result<f64, Error> {
    let start = Instant::now();
    for _ in 0..times {
        backend.run(pass, 0..1, params)?;
    }
    backend.run(pass, 1..2, params)?;
    backend.read(last, &mut [0; 4])?;
    Ok(start.elapsed().as_secs_f64() / times as f64)
}

/// Runs the benchmark.
///
/// # Errors
/// No such GPU, kernels that it cannot run, no memory for a shape, Ctrl-C.
pub fn run(args: &GpuArgs, stop: &Stop) -> Result<(), Error> {
    let options = GpuOptions {
        adapter: args.adapter.as_deref().and_then(|adapter| adapter.parse().ok()),
        tier: args.tier.map(Into::into),
        ..GpuOptions::default()
    };
    let gpu = match Gpu::open(&options) {
        Err(_) if options.adapter.is_none() => Gpu::open(&GpuOptions { software: true, ..options })?,
        gpu => gpu?,
    };
    let adapter = gpu::adapters().into_iter().find(|adapter| adapter.name == gpu.name());
    let software = adapter.as_ref().is_none_or(|adapter| adapter.kind == "Cpu");
    let (peaks, maker) = (gpu::peaks(&gpu)?, Maker::of(adapter.as_ref()));
    let mut all = Vec::new();
    let usual: &[Shapes] = if software { &[Shapes::Demo] } else { &Shapes::ALL };
    for &model in if args.shapes.is_empty() { usual } else { &args.shapes } {
        for size in model.sizes() {
            for item in size.items() {
                stop.check()?;
                all.push(Measured::new(&gpu, (&peaks, maker), model, size, item)?);
            }
        }
    }
    let streamed = Streamed::new(&gpu, stop)?;
    if args.json {
        return print_json(&to_json(&gpu, adapter.as_ref(), &peaks, &all, &streamed));
    }
    print(&markdown(&gpu, adapter.as_ref(), &peaks, &all, &streamed))
}

fn markdown(
    gpu: &Gpu,
    adapter: Option<&AdapterReport>,
    peaks: &Peaks,
    all: &[Measured],
    streamed: &Streamed,
) -> String {
    let software = Maker::of(adapter).is_none();
    let driver = adapter.map_or(String::new(), |adapter| format!(", {}, {}", adapter.backend, adapter.driver));
    let tiers: Vec<&str> = gpu.tiers().iter().map(|tier| tier.name()).collect();
    let mut text = format!("{}{driver}; {} kernels\n", gpu.name(), tiers.join(", "));
    if software {
        text += "\nThis device computes on the CPU: its figures say nothing of a GPU.\n";
    }
    let more = |what, peak: Option<f64>| peak.map_or(String::new(), |peak| format!(", {what} {:.3}", peak / 1e12));
    let more = more("half", peaks.half) + &more("matrices", peaks.matrices);
    let _ = write!(
        text,
        "\nPeaks: f32 {:.3}{more} TFLOP/s, products of bytes {:.3} TOP/s, workgroup memory {:.1} GB/s, copy {:.1} GB/s\n\n",
        peaks.f32 / 1e12,
        peaks.dot4 / 1e12,
        peaks.workgroup / 1e9,
        peaks.copy / 1e9,
    );
    let mut table = Table::new(&["model", "what", "shape", "kernels", "ms", "TFLOP/s", "limit", "share of it", "gate"]);
    for item in all {
        table.row([
            item.model.name().to_owned(),
            item.what.to_owned(),
            item.shape.clone(),
            item.kernels.clone(),
            format!("{:.3}", item.seconds * 1e3),
            format!("{:.3}", item.flops / item.seconds / 1e12),
            item.limit.to_owned(),
            format!("{:.0} %", 100.0 * item.share()),
            item.gate.zip(item.met()).map_or(String::new(), |(gate, met)| {
                format!("{:.0} %, {}", 100.0 * gate, if met { "met" } else { "missed" })
            }),
        ]);
    }
    text += &table.markdown();
    let _ = write!(
        text,
        "\nThe demo world streams {:.2} frames a second, with commit and decoder. Its denoise pass takes {:.3} ms, its nodes one by one {:.3} ms: {:.0} %.\n",
        streamed.frames,
        streamed.pass * 1e3,
        streamed.nodes * 1e3,
        100.0 * streamed.nodes / streamed.pass,
    );
    text
}

fn to_json(gpu: &Gpu, adapter: Option<&AdapterReport>, peaks: &Peaks, all: &[Measured], streamed: &Streamed) -> Value {
    let item = |item: &Measured| {
        json!({
            "model": item.model.name(), "what": item.what, "shape": item.shape, "kernels": item.kernels,
            "seconds": item.seconds, "flops": item.flops, "limit": item.limit, "share": item.share(), "gate": item.gate, "met": item.met(),
        })
    };
    json!({
        "gpu": gpu.name(),
        "kind": adapter.map(|adapter| adapter.kind.as_str()),
        "api": adapter.map(|adapter| adapter.backend.as_str()),
        "driver": adapter.map(|adapter| adapter.driver.as_str()),
        "tiers": gpu.tiers().iter().map(|tier| tier.name()).collect::<Vec<_>>(),
        "dropped": gpu.dropped().iter().map(|d| json!({"tier": d.tier.name(), "why": d.why})).collect::<Vec<_>>(),
        "peaks": {
            "f32": peaks.f32, "half": peaks.half, "matrices": peaks.matrices, "dot4": peaks.dot4, "workgroup_bytes": peaks.workgroup, "copy_bytes": peaks.copy,
        },
        "kernels": all.iter().map(item).collect::<Vec<_>>(),
        "demo": {
            "frames_per_second": streamed.frames, "pass_seconds": streamed.pass, "nodes_seconds": streamed.nodes,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_are_those_of_the_page() {
        let linear = Item::Linear { what: "", inputs: 1536, outputs: 1536 };
        let sizes = |model: Shapes| model.sizes()[0];
        let (wan, waypoint) = (sizes(Shapes::Wan), sizes(Shapes::Waypoint));
        for (maker, item, size, kernels, gate) in [
            (Maker::Nvidia, linear, wan, "linear_matrices_q8_broad", Some(0.45)),
            (Maker::Amd, linear, wan, "linear_matrices_q8_broad", Some(0.35)),
            (Maker::Amd, linear, waypoint, "linear_matrices_q8", Some(0.5)),
            (Maker::Other, linear, wan, "quantise, linear_dot4_q8_wide", Some(0.3)),
            (Maker::Apple, linear, wan, "linear_q8_wide", Some(0.4)),
            (Maker::Nvidia, Item::Attention, wan, "attention_matrices_128_f16", Some(0.3)),
            (Maker::Nvidia, Item::Attention, wan, "attention_128_f16", None),
            (Maker::Other, Item::Attention, waypoint, "attention_half_64_f16", Some(0.15)),
            (Maker::Other, Item::Norm, wan, "layer_norm", Some(0.6)),
        ] {
            assert_eq!(maker.gate(item, size, kernels), gate, "{maker:?} {kernels}");
        }
    }
}
