//! Measures which tier is fastest at a shape, and keeps what was found in a file: a game that ships one, or makes one while it is installed, never
//! waits for measurements.

use std::{collections::BTreeMap, fs, path::Path, time::Instant};

use super::{
    GpuBackend,
    choice::{Choice, Shape},
    device::Gpu,
    fusion::Fusion,
    lower,
    tier::Tier,
    waiting::may_wait,
};
use crate::{
    GROUPS,
    backend::{Backend, BackendError, find_weight},
    buffer::{BufferId, BufferKind, Element, WeightRole},
    op::{Activation, Attention, Copy, CrossAttention, Linear},
    params::Params,
    plan::{PassId, Plan, PlanBuilder},
    quant::{BLOCK, DType, TensorView, WeightSource},
};

/// What was measured of a device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tuned {
    /// The fastest tier of each shape.
    pub tiers: BTreeMap<Shape, Tier>,
    /// Seconds of every tier that was tried, in the order of trial.
    pub seconds: Vec<(Shape, Tier, f64)>,
}

/// A tier must be faster than the one before by this factor: less is noise.
const GAIN: f64 = 1.05;
/// A measurement takes at least so long, and the best of so many counts.
const SECONDS: f64 = 0.005;
const ROUNDS: usize = 3;
/// First line of a cache file.
const FORMAT: &str = "causeway tiers 1";

/// The shapes of a plan of which a choice is to be made, on any device.
#[must_use]
pub fn shapes_of(plan: &Plan, source: &dyn WeightSource) -> Vec<Shape> {
    let dtype = |id| find_weight(plan.weight(id), source).map_or(DType::F32, |view| view.dtype);
    let fusion = Fusion::new(plan, false);
    let mut all: Vec<Shape> = fusion.passes.iter().flatten().flat_map(|step| lower::shapes(step, &dtype)).collect();
    all.sort_unstable();
    all.dedup();
    all.retain(|shape| shape.tiers().count() > 1);
    all
}

impl Gpu {
    /// Measures each shape, but for convolutions, with every tier of this device that has a kernel for it, the table's choice first. `stop` may end it with an error.
    ///
    /// # Errors
    /// The device has no memory, or is lost; what `stop` says.
    pub fn tune<E: From<BackendError>>(
        &self,
        shapes: &[Shape],
        stop: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<Tuned, E> {
        let mut tuned = Tuned::default();
        for &shape in shapes.iter().filter(|shape| !matches!(shape, Shape::Conv { .. })) {
            let first = self.choice.of(shape);
            let others = shape.tiers().filter(|&tier| tier != first && self.choice.has(tier));
            let mut best: Option<(Tier, f64)> = None;
            for tier in std::iter::once(first).chain(others) {
                stop()?;
                let seconds = self.seconds(shape, tier)?;
                tuned.seconds.push((shape, tier, seconds));
                if best.is_none_or(|(_, least)| seconds * GAIN < least) {
                    best = Some((tier, seconds));
                }
            }
            tuned.tiers.extend(best.map(|(tier, _)| (shape, tier)));
        }
        Ok(tuned)
    }

    /// This device, with what was measured of it.
    #[must_use]
    pub fn with(mut self, tuned: &Tuned) -> Self {
        self.choice.measure(tuned.tiers.iter().map(|(shape, tier)| (*shape, *tier)));
        self
    }

    /// Shapes of which was measured which tier is fastest.
    pub fn measured(&self) -> &BTreeMap<Shape, Tier> {
        self.choice.measured()
    }

    /// The tier that a shape gets.
    pub fn tier_of(&self, shape: Shape) -> Tier {
        self.choice.of(shape)
    }

    /// Seconds of one run of a shape by a tier's kernel.
    fn seconds(&self, shape: Shape, tier: Tier) -> Result<f64, BackendError> {
        may_wait()?;
        let mut gpu = self.clone();
        gpu.choice = Choice::only(tier);
        let mut b = PlanBuilder::new();
        let last = b.buffer("last", Element::F32, 1, BufferKind::Output);
        let pass = b.pass("shape");
        let y = emit(&mut b, shape);
        b.push(Copy { x: y, x_offset: 0, y: last, y_offset: 0, len: 1 });
        let plan = b.build().map_err(|error| BackendError::Unsupported(error.to_string()))?;
        let mut backend = GpuBackend::on(&gpu, plan, &Zeros::new(shape), None)?;
        let mut run = |times: usize| timed(&mut backend, pass, last, times);
        let (mut times, mut best) = (1, run(1)?.min(run(1)?));
        while best * (times as f64) < SECONDS && times < 1 << 10 {
            times *= 2;
            best = run(times)?;
        }
        for _ in 0..ROUNDS {
            best = best.min(run(times)?);
        }
        Ok(best)
    }

    /// What a cache file of this device begins with: all that its numbers depend on.
    fn key(&self) -> String {
        let kernels = causeway_shaders::ALL.iter().map(|kernel| kernel.file);
        let kernels = kernels.fold(0u64, |hash, text| hash ^ fingerprint(text).rotate_left(17));
        let tiers: Vec<&str> = self.tiers().iter().map(|tier| tier.name()).collect();
        format!("{FORMAT}\n{}\n{}\n{kernels:016x}\n", self.driver, tiers.join(" "))
    }

    /// Writes what was measured to a file, first under another name beside it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_tuned(&self, tuned: &Tuned, path: &Path) -> std::io::Result<()> {
        let lines: String = tuned.tiers.iter().map(|(shape, tier)| format!("{shape}: {tier}\n")).collect();
        let text = format!("{}{lines}", self.key());
        let text = format!("{text}end {:016x}\n", fingerprint(&text));
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}", std::process::id()));
        fs::write(&beside, text)?;
        fs::rename(&beside, path).inspect_err(|_| {
            let _ = fs::remove_file(&beside);
        })
    }

    /// Reads what [`write_tuned`](Self::write_tuned) wrote for this device and these kernels.
    ///
    /// # Errors
    /// In words: no such file, another device's, driver's or version's, a torn one. The table's choices are right then too.
    pub fn read_tuned(&self, path: &Path) -> Result<Tuned, String> {
        let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
        let body = text.rfind("end ").map(|at| text.split_at(at));
        let whole = |(body, end): &(&str, &str)| *end == format!("end {:016x}\n", fingerprint(body));
        let (body, _) = body.filter(whole).ok_or("it is torn")?;
        let lines = body.strip_prefix(&self.key()).ok_or("it is of another device, driver or version")?;
        let line = |line: &str| {
            let (shape, tier) = line.split_once(": ").ok_or_else(|| format!("`{line}` is no line of it"))?;
            Ok::<_, String>((shape.parse()?, tier.parse()?))
        };
        Ok(Tuned { tiers: lines.lines().map(line).collect::<Result<_, _>>()?, seconds: Vec::new() })
    }
}

/// FNV-1a.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Seconds of one of so many runs of the first node, at the end of which its output can be read.
fn timed(backend: &mut GpuBackend, pass: PassId, last: BufferId, times: usize) -> Result<f64, BackendError> {
    // All frames are there.
    let params = Params { history: [u32::MAX; GROUPS], ..Params::default() };
    let start = Instant::now();
    for _ in 0..times {
        backend.run(pass, 0..1, &params)?;
    }
    backend.run(pass, 1..2, &params)?;
    backend.read(last, &mut [0; 4])?;
    Ok(start.elapsed().as_secs_f64() / times as f64)
}

/// Emits an operator of a shape on buffers of its own; what it writes. Convolutions are not measured.
fn emit(b: &mut PlanBuilder, shape: Shape) -> BufferId {
    let mut state = |name: &str, len| b.state(name, len);
    match shape {
        Shape::Linear { rows, inputs, outputs, .. } => {
            let (x, y) = (state("x", rows * inputs), state("y", rows * outputs));
            let weight = b.weight("weight", &[outputs, inputs], WeightRole::Matrix);
            let (activation, residual) = (Activation::None, false);
            b.push(Linear { x, weight, bias: None, y, rows, inputs, outputs, activation, residual, gate: None });
            y
        }
        Shape::Attention { rows, keys, heads, head_dim, kv } => {
            // One frame of all rows sees as many of them as make the keys.
            let [q, k, v, y] = ["q", "k", "v", "y"].map(|name| state(name, rows * heads * head_dim));
            let max_history = (keys / rows).saturating_sub(1);
            let slots = max_history + 1;
            let words = slots * rows * heads * kv.row_words(head_dim);
            let [ring_k, ring_v] = [(); 2].map(|()| b.buffer("ring", Element::U32, words, BufferKind::State));
            let frames = b.buffer("frames", Element::U32, slots, BufferKind::State);
            let temporal_pairs = (head_dim / 6).max(1);
            let rotations = b.state("rotations", slots * temporal_pairs * 2);
            b.push(Attention {
                q,
                k,
                v,
                ring_k,
                ring_v,
                kv,
                frames,
                rotations,
                routes: None,
                y,
                chunk: 1,
                tokens: rows,
                heads,
                shared: 1,
                head_dim,
                temporal_pairs,
                slots,
                max_history,
                group: 0,
            });
            y
        }
        Shape::CrossAttention { rows, keys, heads, head_dim } => {
            let [q, y] = ["q", "y"].map(|name| state(name, rows * heads * head_dim));
            let [k, v] = ["k", "v"].map(|name| state(name, keys * heads * head_dim));
            b.push(CrossAttention { q, k, v, offsets: None, scaled: true, y, rows, context: keys, heads, head_dim });
            y
        }
        Shape::Conv { .. } => state("y", 1),
    }
}

/// A matrix of zeros: kernels take as long with them as with any other.
struct Zeros {
    dtype: DType,
    shape: [usize; 2],
    data: Vec<u8>,
    scales: Vec<u8>,
}

impl Zeros {
    fn new(shape: Shape) -> Self {
        let Shape::Linear { inputs, outputs, dtype, .. } = shape else {
            return Self { dtype: DType::F32, shape: [0; 2], data: Vec::new(), scales: Vec::new() };
        };
        let count = inputs * outputs;
        let scales = if dtype.is_quantised() { 2 * (count / BLOCK) } else { 0 };
        let data = vec![0; dtype.data_bytes(count).unwrap_or(0)];
        Self { dtype, shape: [outputs, inputs], data, scales: vec![0; scales] }
    }
}

impl WeightSource for Zeros {
    fn tensor(&self, _name: &str) -> Option<TensorView<'_>> {
        let scales = self.dtype.is_quantised().then_some(&self.scales[..]);
        Some(TensorView::here(self.dtype, &self.shape, &self.data, scales))
    }
}
