//! Whether a device computes a tier's kernels rightly: run when it is opened, before anything depends on it. Each kernel is run on a shape that
//! fills no tile, with other numbers in every tile, several times over, and compared with the CPU's.

use super::{GpuBackend, device::Gpu, tier::Tier};
use crate::{
    GROUPS, Kv,
    backend::{Backend, BackendError},
    buffer::{BufferId, BufferKind, Element, WeightRole},
    cpu::{CpuBackend, CpuOptions},
    op::{Activation, Attention, CrossAttention, LayerNorm, Linear, Scale},
    params::Params,
    philox,
    plan::{PassId, Plan, PlanBuilder},
    quant::{DType, TensorView, WeightSource, quantise_q4, quantise_q8},
};

/// Runs of each kernel, which must agree to the bit: some drivers are wrong now and then.
const RUNS: usize = 8;
/// Most error, in root mean squares of what is expected. What kernels in half precision round before they multiply is exact in these tests, so
/// that the bounds are those of the arithmetic. A wrong subgroup or tile is off by a thousand times as much.
struct Bounds {
    sums: f32,
    /// Matrices take a softmax's weights in half precision: 2^-11 of the largest values, which are six times the root mean square here.
    attention: f32,
    /// Behind a norm a number may fall to the other side of a rounding.
    normed: f32,
    /// How far scores spread: enough that what they are relative to has to move. Products in half precision have errors that grow with it (1.1e-2
    /// at 3, measured on lavapipe); those of matrices are summed in f32.
    spread: f32,
}

impl Bounds {
    fn of(tier: Tier) -> Self {
        match tier {
            Tier::Portable | Tier::Dot4 => Self { sums: 1e-4, attention: 1e-4, normed: 2e-2, spread: 3.0 },
            Tier::Half => Self { sums: 1e-2, attention: 1e-2, normed: 0.0, spread: 2.0 },
            Tier::Cooperative => Self { sums: 2e-3, attention: 3e-3, normed: 0.0, spread: 3.0 },
        }
    }
}

/// One kernel's test.
struct Case {
    pass: PassId,
    /// What is filled with what.
    fill: Vec<(BufferId, Vec<u32>)>,
    y: BufferId,
    bound: f32,
    params: Params,
}

/// A matrix.
struct Matrix {
    dtype: DType,
    shape: [usize; 2],
    data: Vec<u8>,
    scales: Vec<u8>,
}

/// Matrices by number.
struct Weights(Vec<Matrix>);

impl WeightSource for Weights {
    fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        let Matrix { dtype, shape, data, scales } = self.0.get(name.parse::<usize>().ok()?)?;
        Some(TensorView::here(*dtype, shape, data, dtype.is_quantised().then_some(scales)))
    }
}

fn random(seed: u32, len: usize) -> impl Iterator<Item = f32> {
    (0..len).map(move |i| philox::normal4([seed, 0], 0, 0, i as u32 / 4)[i % 4])
}

/// A plan of all cases of a tier.
fn cases(tier: Tier) -> Result<(Plan, Weights, Vec<Case>), BackendError> {
    let (mut b, mut weights, mut cases) = (PlanBuilder::new(), Weights(Vec::new()), Vec::new());
    let bounds = Bounds::of(tier);
    let dtypes = if tier == Tier::Dot4 { &[DType::Q8, DType::Q4][..] } else { &[DType::Q8, DType::Q4, DType::F16] };
    for &dtype in dtypes {
        // Wide tiles, skinny ones, skinny ones behind a norm, which other tiers leave to portable kernels.
        for (rows, inputs, outputs, normed) in [(70, 96, 1029, false), (19, 160, 37, false), (19, 160, 37, true)] {
            if normed && tier != Tier::Dot4 {
                continue;
            }
            weights.0.push(matrix(dtype, weights.0.len() as u32, inputs, outputs));
            let bound = if normed { bounds.normed } else { bounds.sums };
            cases.push(linear(&mut b, weights.0.len() - 1, [rows, inputs, outputs], normed, bound));
        }
    }
    if tier != Tier::Dot4 {
        for (kv, head_dim) in [(Kv::F16, 128), (Kv::Q8, 64), (Kv::F32, 32)] {
            cases.push(attention(&mut b, kv, head_dim, &bounds));
        }
        cases.push(cross_attention(&mut b, &bounds));
    }
    let plan = b.build().map_err(|error| BackendError::Unsupported(error.to_string()))?;
    Ok((plan, weights, cases))
}

fn matrix(dtype: DType, seed: u32, inputs: usize, outputs: usize) -> Matrix {
    let values: Vec<f32> = random(seed, inputs * outputs).collect();
    let (mut data, mut scales) = (Vec::new(), Vec::new());
    match dtype {
        DType::Q8 => quantise_q8(&values, &mut data, &mut scales),
        DType::Q4 => quantise_q4(&values, &mut data, &mut scales),
        _ => data.extend(values.iter().flat_map(|&x| half::f16::from_f32(x).to_le_bytes())),
    }
    Matrix { dtype, shape: [outputs, inputs], data, scales }
}

fn linear(b: &mut PlanBuilder, weight: usize, shape: [usize; 3], normed: bool, bound: f32) -> Case {
    let [rows, inputs, outputs] = shape;
    let weight = b.weight(weight.to_string(), &[outputs, inputs], WeightRole::Matrix);
    let pass = b.pass("linear");
    let x = b.buffer("x", Element::F32, rows * inputs, BufferKind::Input);
    let y = b.buffer("y", Element::F32, rows * outputs, BufferKind::Output);
    let modulation = b.constant("modulation", random(99, 2 * inputs).collect());
    let mut source = x;
    if normed {
        source = b.scratch("normed", rows * inputs);
        let scale = Scale::Modulation { modulation, vectors: 2, shift: 0, scale: 1 };
        b.push(LayerNorm { x, y: source, rows, dim: inputs, rows_per_frame: rows, eps: 1e-6, scale });
    }
    let (activation, bias, gate) = (Activation::None, None, None);
    b.push(Linear { x: source, weight, bias, y, rows, inputs, outputs, activation, residual: false, gate });
    let fill = vec![(x, bits(codes(7, rows * inputs)))];
    Case { pass, fill, y, bound, params: Params::default() }
}

/// Numbers that are whole codes in every block of 32: how they are rounded leaves no doubt. Half precision has them too.
fn codes(seed: u32, len: usize) -> impl Iterator<Item = f32> {
    let value =
        |(i, x): (usize, f32)| if i % 32 == i / 32 % 32 { 127.0 } else { (40.0 * x).round().clamp(-127.0, 127.0) };
    random(seed, len).enumerate().map(value).map(|code| code / 64.0)
}

/// Numbers that half precision has.
fn halves(seed: u32, len: usize, size: f32) -> impl Iterator<Item = f32> {
    random(seed, len).map(move |x| half::f16::from_f32(size * x).to_f32())
}

/// Queries that half precision has once they are scaled; scores spread by this.
fn queries(seed: u32, len: usize, head_dim: usize, spread: f32) -> impl Iterator<Item = f32> {
    let root = (head_dim as f32).sqrt();
    halves(seed, len, spread / root).map(move |x| x * root)
}

fn bits(numbers: impl Iterator<Item = f32>) -> Vec<u32> {
    numbers.map(f32::to_bits).collect()
}

/// Two frames that see three, of which each query chose two, in slots out of order. Frames fill no tile. Rotations are quarter turns.
fn attention(b: &mut PlanBuilder, kv: Kv, head_dim: usize, bounds: &Bounds) -> Case {
    let (chunk, tokens, heads, slots, max_history, k) = (2, 37, 2, 6, 3, 2);
    let (rows, temporal_pairs) = (chunk * tokens, head_dim / 6);
    let len = rows * heads * head_dim;
    let words = kv.row_words(head_dim);
    let pass = b.pass("attention");
    let mut input = |name: &str, element, len| b.buffer(name, element, len, BufferKind::Input);
    let [q, own_k, own_v] = ["q", "k", "v"].map(|name| input(name, Element::F32, len));
    let [ring_k, ring_v] = [(); 2].map(|()| input("ring", Element::U32, slots * tokens * heads * words));
    let frames = input("frames", Element::U32, max_history + chunk);
    let rotations = input("rotations", Element::F32, (max_history + chunk) * temporal_pairs * 2);
    let routes = input("routes", Element::U32, rows * heads * k);
    let y = b.buffer("y", Element::F32, len, BufferKind::Output);
    b.push(Attention {
        q,
        k: own_k,
        v: own_v,
        ring_k,
        ring_v,
        kv,
        frames,
        rotations,
        routes: Some((routes, k)),
        y,
        chunk,
        tokens,
        heads,
        shared: 1,
        head_dim,
        temporal_pairs,
        slots,
        max_history,
        group: 0,
    });
    let ring = |seed| {
        let mut all = vec![0; slots * tokens * heads * words];
        let values: Vec<f32> = codes(seed, slots * tokens * heads * head_dim).collect();
        for (row, values) in all.chunks_mut(words).zip(values.chunks(head_dim)) {
            kv.pack(values, row);
        }
        all
    };
    let turn = |i: usize| [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]][(i / temporal_pairs * (1 + i % 3)) % 4];
    let turns = (0..(max_history + chunk) * temporal_pairs).flat_map(turn);
    let chosen = (0..rows * heads).flat_map(|row| [[0, 1], [0, 2], [1, 2], [2, u32::MAX]][row / 5 % 4]);
    let fill = vec![
        (q, bits(queries(1, len, head_dim, bounds.spread))),
        (own_k, bits(halves(2, len, 1.0))),
        (own_v, bits(halves(3, len, 1.0))),
        (ring_k, ring(4)),
        (ring_v, ring(5)),
        (frames, vec![5, 0, 3, 1, 2]),
        (rotations, bits(turns)),
        (routes, chosen.collect()),
    ];
    let params = Params { history: [max_history as u32; GROUPS], ..Params::default() };
    Case { pass, fill, y, bound: bounds.attention, params }
}

fn cross_attention(b: &mut PlanBuilder, bounds: &Bounds) -> Case {
    let (rows, context, heads, head_dim) = (70, 45, 2, 64);
    let pass = b.pass("cross_attention");
    let mut input = |name: &str, rows| b.buffer(name, Element::F32, rows * heads * head_dim, BufferKind::Input);
    let (q, k, v) = (input("q", rows), input("k", context), input("v", context));
    let y = b.buffer("y", Element::F32, rows * heads * head_dim, BufferKind::Output);
    b.push(CrossAttention { q, k, v, y, rows, context, heads, head_dim, scaled: true, offsets: None });
    let len = context * heads * head_dim;
    let fill = vec![
        (q, bits(queries(11, rows * heads * head_dim, head_dim, bounds.spread))),
        (k, bits(halves(12, len, 1.0))),
        (v, bits(halves(13, len, 1.0))),
    ];
    Case { pass, fill, y, bound: bounds.attention, params: Params::default() }
}

/// Tests the tier that `gpu` has beside the portable one. Says what is wrong.
pub(super) fn run(gpu: &Gpu, tier: Tier) -> Result<(), String> {
    test(gpu, tier).map_err(|error| error.to_string())?
}

fn test(gpu: &Gpu, tier: Tier) -> Result<Result<(), String>, BackendError> {
    let (plan, weights, cases) = cases(tier)?;
    let mut twin = CpuBackend::new(plan.clone(), &weights, CpuOptions::default())?;
    let mut backend = GpuBackend::on(gpu, plan, &weights, None)?;
    for case in &cases {
        let expected = outputs(&mut twin, case)?;
        let first = outputs(&mut backend, case)?;
        let kernels = backend.dispatches(case.pass, 0..2).join(", ");
        if let Err(why) = judge(&first, &expected, case.bound) {
            return Ok(Err(format!("{kernels}: {why}")));
        }
        for _ in 1..RUNS {
            let again = outputs(&mut backend, case)?;
            if again.iter().zip(&first).any(|(a, b)| a.to_bits() != b.to_bits()) {
                return Ok(Err(format!("{kernels}: another run gave other numbers")));
            }
        }
    }
    Ok(Ok(()))
}

fn outputs(backend: &mut dyn Backend, case: &Case) -> Result<Vec<f32>, BackendError> {
    let len = backend.plan().buffer(case.y).len;
    let nodes = backend.plan().pass(case.pass).nodes.len();
    for (id, words) in &case.fill {
        backend.write(*id, bytemuck::cast_slice(words))?;
    }
    // What an earlier run left must not pass for this one's.
    backend.write(case.y, bytemuck::cast_slice(&vec![f32::NAN; len]))?;
    backend.run(case.pass, 0..nodes, &case.params)?;
    let mut found = vec![0.0f32; len];
    backend.read(case.y, bytemuck::cast_slice_mut(&mut found))?;
    Ok(found)
}

/// Whether all of `found` is within `bound` root mean squares of what is expected.
fn judge(found: &[f32], expected: &[f32], bound: f32) -> Result<(), String> {
    let square: f32 = expected.iter().map(|x| x * x).sum();
    let allowed = bound * (square / expected.len().max(1) as f32).sqrt();
    let wrong = |(a, b): (&f32, &f32)| (a - b).abs().partial_cmp(&allowed).is_none_or(std::cmp::Ordering::is_gt);
    match found.iter().zip(expected).position(wrong) {
        None if found.len() == expected.len() => Ok(()),
        None => Err(format!("{} numbers, expected {}", found.len(), expected.len())),
        Some(at) => {
            let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) * bound / allowed;
            Err(format!(
                "number {at} is {}, expected {}; the worst is off by {worst:.1e} root mean squares",
                found[at], expected[at]
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_does_not_pass() {
        for tier in Tier::ALL {
            let (plan, weights, cases) = cases(tier).unwrap();
            let mut twin = CpuBackend::new(plan, &weights, CpuOptions::default()).unwrap();
            for case in &cases {
                let right = outputs(&mut twin, case).unwrap();
                assert_eq!(judge(&right, &right, case.bound), Ok(()));
                // A tile in another's place, a number that is none, a number that was not written, one that is off.
                let mut moved = right.clone();
                moved.rotate_right(16);
                let change = |at: usize, value: f32| {
                    let mut wrong = right.clone();
                    wrong[at] = value;
                    wrong
                };
                let last = right.len() - 1;
                for wrong in [moved, change(last, f32::NAN), change(last, f32::INFINITY), change(0, right[0] + 1.0)] {
                    assert!(judge(&wrong, &right, case.bound).is_err());
                }
            }
        }
    }
}
