//! Whether a device computes a tier's kernels rightly: run when it is opened, before anything depends on it. Each kernel is run on a shape that
//! fills no tile, with other numbers in every tile, several times over, and compared with the CPU's.

use super::{GpuBackend, device::Gpu};
use crate::{
    backend::{Backend, BackendError},
    buffer::{BufferId, BufferKind, Element, WeightRole},
    cpu::{CpuBackend, CpuOptions},
    op::{Activation, LayerNorm, Linear, Scale},
    params::Params,
    philox,
    plan::{PassId, Plan, PlanBuilder},
    quant::{DType, TensorView, WeightSource, quantise_q4, quantise_q8},
};

/// Runs of each kernel, which must agree to the bit: some drivers are wrong now and then.
const RUNS: usize = 8;
/// Most error, in root mean squares of what is expected. Sums of the same products in another order differ by less than the first; behind a norm
/// a number may fall to the other side of a rounding.
const EXACT: f32 = 1e-4;
const NORMED: f32 = 2e-2;

/// One kernel's test.
struct Case {
    pass: PassId,
    x: BufferId,
    y: BufferId,
    bound: f32,
}

/// A quantised matrix.
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
        Some(TensorView::here(*dtype, shape, data, Some(scales)))
    }
}

fn random(seed: u32, len: usize) -> impl Iterator<Item = f32> {
    (0..len).map(move |i| philox::normal4([seed, 0], 0, 0, i as u32 / 4)[i % 4])
}

/// A plan of all cases.
fn cases() -> Result<(Plan, Weights, Vec<Case>), BackendError> {
    let (mut b, mut weights, mut cases) = (PlanBuilder::new(), Weights(Vec::new()), Vec::new());
    for dtype in [DType::Q8, DType::Q4] {
        // Wide tiles, skinny ones, skinny ones behind a norm.
        for (rows, inputs, outputs, normed) in [(70, 96, 1029, false), (19, 160, 37, false), (19, 160, 37, true)] {
            let number = weights.0.len();
            let values: Vec<f32> = random(number as u32, inputs * outputs).collect();
            let (mut data, mut scales) = (Vec::new(), Vec::new());
            if dtype == DType::Q8 {
                quantise_q8(&values, &mut data, &mut scales);
            } else {
                quantise_q4(&values, &mut data, &mut scales);
            }
            weights.0.push(Matrix { dtype, shape: [outputs, inputs], data, scales });
            let weight = b.weight(number.to_string(), &[outputs, inputs], WeightRole::Matrix);
            let pass = b.pass(number.to_string());
            let x = b.buffer("x", Element::F32, rows * inputs, BufferKind::Input);
            let y = b.buffer("y", Element::F32, rows * outputs, BufferKind::Output);
            let modulation = b.constant("modulation", random(99, 2 * inputs).collect());
            let mut from = x;
            if normed {
                from = b.scratch("normed", rows * inputs);
                let scale = Scale::Modulation { modulation, vectors: 2, shift: 0, scale: 1 };
                b.push(LayerNorm { x, y: from, rows, dim: inputs, rows_per_frame: rows, eps: 1e-6, scale });
            }
            let (activation, bias, gate) = (Activation::None, None, None);
            b.push(Linear { x: from, weight, bias, y, rows, inputs, outputs, activation, residual: false, gate });
            cases.push(Case { pass, x, y, bound: if normed { NORMED } else { EXACT } });
        }
    }
    let plan = b.build().map_err(|error| BackendError::Unsupported(error.to_string()))?;
    Ok((plan, weights, cases))
}

/// Numbers that are whole codes in every block of 32: how they are rounded leaves no doubt.
fn input(len: usize) -> Vec<f32> {
    let value =
        |(i, x): (usize, f32)| if i % 32 == i / 32 % 32 { 127.0 } else { (40.0 * x).round().clamp(-127.0, 127.0) };
    random(7, len).enumerate().map(value).map(|code| code / 64.0).collect()
}

/// Tests the tier that `gpu` has. Says what is wrong.
pub(super) fn run(gpu: &Gpu) -> Result<(), String> {
    test(gpu).map_err(|error| error.to_string())?
}

fn test(gpu: &Gpu) -> Result<Result<(), String>, BackendError> {
    let (plan, weights, cases) = cases()?;
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
    let [x, y] = [case.x, case.y].map(|id| backend.plan().buffer(id).len);
    let nodes = backend.plan().pass(case.pass).nodes.len();
    backend.write(case.x, bytemuck::cast_slice(&input(x)))?;
    // What an earlier run left must not pass for this one's.
    backend.write(case.y, bytemuck::cast_slice(&vec![f32::NAN; y]))?;
    backend.run(case.pass, 0..nodes, &Params::default())?;
    let mut found = vec![0.0f32; y];
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
        Some(at) => Err(format!("number {at} is {}, expected {}", found[at], expected[at])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_does_not_pass() {
        let (plan, weights, cases) = cases().unwrap();
        let mut twin = CpuBackend::new(plan, &weights, CpuOptions::default()).unwrap();
        for case in &cases {
            let right = outputs(&mut twin, case).unwrap();
            assert_eq!(judge(&right, &right, case.bound), Ok(()));
            // A tile in another's place, a number that is none, a number that was not written, a code that is off.
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
