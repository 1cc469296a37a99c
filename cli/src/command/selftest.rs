//! Every kernel on two backends, side by side: the table of cases that the operators' own tests use.

use std::collections::BTreeMap;

use causeway_ops::{
    Backend, Op,
    plan::Element,
    quant::{DType, WeightSource},
    table::{Case, Table},
};

use crate::{error::Error, tools::stop::Stop};

/// How one kernel did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Buffers that were compared.
    pub buffers: usize,
    /// Largest error: relative to 1 + the value for numbers, in steps of 255 for colours, as a share for routes.
    pub error: f64,
    /// Whether all of them stayed within tolerance.
    pub passed: bool,
}

impl Verdict {
    /// Takes another buffer into account.
    fn add(&mut self, error: f64, allowed: f64) {
        let passed = error <= allowed;
        *self = match self.buffers {
            0 => Verdict { buffers: 1, error, passed },
            // NaN is the worst error of all, which `max` would lose.
            buffers => Verdict {
                buffers: buffers + 1,
                error: if self.error.is_nan() || error < self.error { self.error } else { error },
                passed: self.passed && passed,
            },
        };
    }
}

/// Verdicts by kernel.
pub type Verdicts = BTreeMap<String, Verdict>;

/// What every case of a table leaves behind, 32-bit words.
pub type Outputs = Vec<Vec<u32>>;

/// Runs all cases on a backend of the table's plan.
///
/// # Errors
/// The backend fails, or Ctrl-C.
pub fn outputs(table: &Table, backend: &mut dyn Backend, stop: &Stop) -> Result<Outputs, Error> {
    let run = |case| {
        stop.check()?;
        Ok(table.run(case, backend)?)
    };
    table.cases.iter().map(run).collect()
}

/// A route may differ where two frames score alike to the last bits: this share of its entries.
const ROUTES: f64 = 0.02;
/// Of numbers on a GPU, whose division, roots and exponentials are its own.
const GPU: f64 = 1e-3;
/// Of products in half precision.
const GPU_HALF: f64 = 2e-2;
/// Of products with 8- and 4-bit weights on a GPU: the CPU computes them with 8-bit activations, the GPU does not.
const GPU_QUANTISED: f64 = 3e-2;

/// What a candidate computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// As the CPU.
    Exact,
    /// As a GPU, whose divisions and exponentials are its own.
    Gpu,
    /// The same, and products in half precision.
    Half,
}

/// Compares what a candidate left behind with the reference's.
pub fn compare(table: &Table, reference: &Outputs, candidate: &Outputs, arithmetic: Arithmetic) -> Verdicts {
    let gpu = arithmetic != Arithmetic::Exact;
    let mut verdicts = Verdicts::new();
    for ((case, right), found) in table.cases.iter().zip(reference).zip(candidate) {
        let verdict: &mut Verdict = verdicts.entry(kernel(table, case)).or_default();
        let mut at = 0;
        for id in table.written(case) {
            let buffer = table.plan.buffer(id);
            let part = at..at + buffer.len;
            at = part.end;
            let (right, found) = (&right[part.clone()], &found[part]);
            let (error, allowed) = match table.op(case) {
                Op::ToPixels(_) => (colours(right, found), 1.0),
                Op::Commit(op) if buffer.element == Element::U32 => {
                    let row = op.kv.row_words(op.head_dim);
                    let unpacked = |words: &[u32]| {
                        let mut values = vec![0.0; words.len() / row * op.head_dim];
                        let rows = values.chunks_exact_mut(op.head_dim).zip(words.chunks_exact(row));
                        rows.for_each(|(values, words)| op.kv.unpack(words, values));
                        values
                    };
                    // A number between two codes may become either: values are within 1, of 127 codes or of 11 bits.
                    (numbers(&unpacked(right), &unpacked(found)), 1e-2)
                }
                _ if buffer.element == Element::U32 => {
                    let wrong = right.iter().zip(found).filter(|(a, b)| a != b).count();
                    (wrong as f64 / buffer.len.max(1) as f64, ROUTES)
                }
                op => {
                    let floats = |words: &[u32]| words.iter().map(|&bits| f32::from_bits(bits)).collect::<Vec<_>>();
                    let allowed = match case.tolerance {
                        0.0 => 0.0,
                        _ if gpu && quantised(table, op) => GPU_QUANTISED,
                        _ if arithmetic == Arithmetic::Half && multiplies(op) => GPU_HALF,
                        _ if gpu => GPU,
                        // Both may be off by as much.
                        tolerance => 2.0 * tolerance,
                    };
                    (numbers(&floats(right), &floats(found)), allowed)
                }
            };
            verdict.add(error, allowed);
        }
    }
    verdicts
}

/// Largest difference of colours, four a word.
fn colours(right: &[u32], found: &[u32]) -> f64 {
    let steps = |(a, b): (&u32, &u32)| (0..4).map(|i| a.to_le_bytes()[i].abs_diff(b.to_le_bytes()[i])).max();
    f64::from(right.iter().zip(found).filter_map(steps).max().unwrap_or(0))
}

/// Largest difference relative to 1 + the value; NaN if there is one.
fn numbers(right: &[f32], found: &[f32]) -> f64 {
    let error = |(right, found): (&f32, &f32)| f64::from((found - right).abs()) / (1.0 + f64::from(right.abs()));
    let worse = |worst: f64, error: f64| if error > worst || error.is_nan() { error } else { worst };
    right.iter().zip(found).map(error).fold(0.0, worse)
}

fn dtype(table: &Table, weight: causeway_ops::WeightId) -> DType {
    table.weights.tensor(&table.plan.weight(weight).name).map_or(DType::F32, |view| view.dtype)
}

fn quantised(table: &Table, op: &Op) -> bool {
    matches!(op, Op::Linear(op) if dtype(table, op.weight).is_quantised())
}

/// Whether its work is products, which kernels may compute in half precision.
fn multiplies(op: &Op) -> bool {
    matches!(op, Op::Linear(_) | Op::Conv2d(_) | Op::Attention(_) | Op::CrossAttention(_))
}

/// The operator of a case, and the form of it that has code of its own.
fn kernel(table: &Table, case: &Case) -> String {
    let op = table.op(case);
    let form = match op {
        Op::Linear(op) => dtype(table, op.weight).name(),
        Op::Conv2d(op) => dtype(table, op.weight).name(),
        Op::Attention(op) => op.kv.name(),
        Op::Commit(op) => op.kv.name(),
        _ => return op.name().to_owned(),
    };
    let routed = matches!(op, Op::Attention(op) if op.routes.is_some());
    format!("{} {form}{}", op.name(), if routed { " routed" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_numbers_are_found() {
        let table = Table::new().unwrap();
        let zeros = |case: &Case| vec![0; table.written(case).iter().map(|id| table.plan.buffer(*id).len).sum()];
        let right: Outputs = table.cases.iter().map(zeros).collect();
        let mut found = right.clone();
        assert!(
            compare(&table, &right, &found, Arithmetic::Half)
                .values()
                .all(|verdict| verdict.passed && verdict.error == 0.0)
        );
        for words in &mut found {
            words.fill(f32::NAN.to_bits());
        }
        for (kernel, verdict) in compare(&table, &right, &found, Arithmetic::Half) {
            assert!(!verdict.passed, "{kernel}: {verdict:?}");
        }
    }
}
