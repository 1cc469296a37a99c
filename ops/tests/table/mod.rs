//! The table of operators, shapes and inputs that every backend is tested with.
//!
//! All cases live in one plan, a pass each, so that a backend is created once for the whole table.

use std::collections::HashMap;

use causeway_ops::{
    Backend, Kv, Op, Params, Plan, PlanBuilder,
    op::{Access, Commit, Route},
    plan::{BufferId, BufferKind, Element, PassId, WeightId, WeightRole},
    quant::{DType, TensorView, WeightSource, quantise_q4, quantise_q8},
};
use half::f16;

use crate::naive::{Data, Machine, packed, stored};

mod cases;

/// One row of the table.
pub struct Case {
    /// Operator and dimensions, for people.
    pub name: String,
    /// Its pass, of one node.
    pub pass: PassId,
    /// Parameters of the run.
    pub params: Params,
    /// Contents of every buffer before the run.
    fill: Vec<(BufferId, Data)>,
    /// Error allowed: |found - expected| <= tolerance * (1 + |expected|).
    tolerance: f64,
}

/// Weights by name.
#[derive(Default)]
pub struct Weights(HashMap<String, Tensor>);

struct Tensor {
    dtype: DType,
    shape: Vec<usize>,
    data: Vec<u8>,
    scales: Option<Vec<u8>>,
}

impl WeightSource for Weights {
    fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        let tensor = self.0.get(name)?;
        let scales = tensor.scales.as_deref();
        Some(TensorView { dtype: tensor.dtype, shape: &tensor.shape, data: &tensor.data, scales })
    }
}

/// The whole table.
pub struct Table {
    /// All cases' plan.
    pub plan: Plan,
    /// Its weights.
    pub weights: Weights,
    /// The rows.
    pub cases: Vec<Case>,
}

/// What each case of a table leaves in the buffers it writes.
pub type Expected = Vec<Vec<(BufferId, Data)>>;

/// The buffers a node writes.
fn written(op: &Op) -> Vec<BufferId> {
    let mut ids = Vec::new();
    op.operator().buffers(&mut |id, access| {
        if access != Access::Read {
            ids.push(id);
        }
    });
    ids
}

impl Table {
    /// Makes the table.
    pub fn new() -> Self {
        let mut maker = Maker::default();
        cases::all(&mut maker);
        Self {
            plan: maker.plan.build().expect("the table is a valid plan"),
            weights: maker.weights,
            cases: maker.cases,
        }
    }

    fn op(&self, case: &Case) -> &Op {
        &self.plan.pass(case.pass).nodes[0]
    }

    /// Runs the naive interpreter over all cases.
    pub fn expected(&self, quantise_activations: bool) -> Expected {
        let mut machine = Machine::new(&self.plan, &self.weights);
        machine.quantise_activations = quantise_activations;
        let mut run = |case: &Case| {
            for (id, data) in &case.fill {
                machine.buffers[id.0 as usize] = data.clone();
            }
            machine.run(self.op(case), &case.params);
            written(self.op(case)).into_iter().map(|id| (id, machine.buffers[id.0 as usize].clone())).collect()
        };
        self.cases.iter().map(&mut run).collect()
    }

    /// Runs a backend over all cases and returns the bytes of everything they write.
    pub fn outputs(&self, backend: &mut dyn Backend) -> Vec<Vec<u8>> {
        let mut run = |case: &Case| {
            for (id, data) in &case.fill {
                backend.write(*id, &bytes(data)).expect("a write of the right size");
            }
            backend.run(case.pass, 0..1, &case.params).expect("a run");
            let mut out = Vec::new();
            for id in written(self.op(case)) {
                let mut bytes = vec![0; 4 * self.plan.buffer(id).len];
                backend.read(id, &mut bytes).expect("a read of the right size");
                out.extend(bytes);
            }
            out
        };
        self.cases.iter().map(&mut run).collect()
    }

    /// Compares a backend's outputs with what is expected, tolerances times the operator's `slack`; panics with every failing row.
    pub fn check(&self, label: &str, outputs: &[Vec<u8>], expected: &Expected, slack: impl Fn(&Op) -> f64) {
        let mut failures = Vec::new();
        for ((case, output), expected) in self.cases.iter().zip(outputs).zip(expected) {
            let mut output = output.as_slice();
            for (id, expected) in expected {
                let buffer = self.plan.buffer(*id);
                let (found, rest) = output.split_at(4 * buffer.len);
                output = rest;
                let failure = match (expected, self.op(case)) {
                    (Data::F(expected), _) => differ(found, expected, case.tolerance * slack(self.op(case))),
                    (Data::U(expected), Op::Route(op)) => self.routes_differ(case, op, found, expected),
                    (Data::U(expected), Op::Commit(op)) => rows_differ(op, found, expected),
                    (Data::U(expected), _) => integers_differ(found, expected),
                };
                if let Some(failure) = failure {
                    failures.push(format!("{label}: {}: {}: {failure}", case.name, buffer.name));
                }
            }
        }
        assert!(failures.is_empty(), "{} rows fail:\n{}", failures.len(), failures.join("\n"));
    }

    /// Routes may differ from the expected ones only by frames that score the same but for rounding.
    fn routes_differ(&self, case: &Case, op: &Route, found: &[u8], expected: &[u32]) -> Option<String> {
        let mut machine = Machine::new(&self.plan, &self.weights);
        for (id, data) in &case.fill {
            machine.buffers[id.0 as usize] = data.clone();
        }
        let found: Vec<u32> = words(found).collect();
        for (at, (found, expected)) in found.chunks(op.k).zip(expected.chunks(op.k)).enumerate() {
            let scores = machine.scores(op, at / op.heads, at % op.heads, case.params.history as usize);
            let count = |route: &[u32]| route.iter().filter(|&&j| j != u32::MAX).count();
            let sorted = found.windows(2).all(|pair| pair[0] < pair[1] || pair == [u32::MAX; 2]);
            let close = found.iter().filter(|j| !expected.contains(j)).all(|&j| {
                let others = expected.iter().filter(|other| !found.contains(other));
                let gap = |other: &u32| (scores[j as usize] - scores[*other as usize]).abs();
                case.tolerance > 0.0 && others.map(gap).all(|gap| gap < case.tolerance)
            });
            if !sorted || count(found) != count(expected) || !close {
                return Some(format!("row {} head {}: {found:?}, expected {expected:?}", at / op.heads, at % op.heads));
            }
        }
        None
    }
}

fn differ(found: &[u8], expected: &[f64], tolerance: f64) -> Option<String> {
    let found: Vec<f32> = words(found).map(f32::from_bits).collect();
    let error = |(found, expected): (&f32, &f64)| (f64::from(*found) - expected).abs() / (1.0 + expected.abs());
    // Not-a-number must not pass: it is the worst error of all.
    let rank = |error: f64| if error.is_nan() { f64::INFINITY } else { error };
    let errors = found.iter().zip(expected).map(|pair| rank(error(pair)));
    let (at, worst) = errors.enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
    (worst > tolerance).then(|| {
        format!("element {at} is {}, expected {}: error {worst:.2e} > {tolerance:.2e}", found[at], expected[at])
    })
}

fn integers_differ(found: &[u8], expected: &[u32]) -> Option<String> {
    let found: Vec<u32> = words(found).collect();
    let at = found.iter().zip(expected).position(|(found, expected)| found != expected)?;
    Some(format!("element {at} is {:#x}, expected {:#x}", found[at], expected[at]))
}

/// Packed rows of a ring may differ by one step, in one of a hundred numbers: GPUs divide with an error of their own, and so a number
/// between two codes may go either way.
fn rows_differ(op: &Commit, found: &[u8], expected: &[u32]) -> Option<String> {
    let found: Vec<u32> = words(found).collect();
    let (row, mut others, mut all) = (op.kv.row_words(op.head_dim), 0, 0);
    for (at, (found, expected)) in found.chunks(row).zip(expected.chunks(row)).enumerate() {
        let (x, y) = (stored(found, op.kv, op.head_dim), stored(expected, op.kv, op.head_dim));
        let top = y.iter().fold(0.0f64, |top, y| top.max(y.abs()));
        let step = if op.kv == Kv::Q8 { top / 127.0 } else { top / 1024.0 };
        for (x, y) in x.iter().zip(&y) {
            let off = (x - y).abs();
            if off.is_nan() || off > 1.001 * step {
                return Some(format!("row {at} holds {x}, expected {y}"));
            }
            others += usize::from(off > 0.01 * step);
            all += 1;
        }
    }
    (others * 100 > all).then(|| format!("{others} of {all} numbers are one step off"))
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word))
}

fn bytes(data: &Data) -> Vec<u8> {
    match data {
        Data::F(data) => data.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect(),
        Data::U(data) => data.iter().flat_map(|x| x.to_le_bytes()).collect(),
    }
}

/// Collects cases.
#[derive(Default)]
pub struct Maker {
    plan: PlanBuilder,
    weights: Weights,
    cases: Vec<Case>,
    fill: Vec<(BufferId, Data)>,
    random: u64,
    names: usize,
}

impl Maker {
    /// Uniform in [-1, 1), the same on every run (a linear congruential generator's high bits).
    fn uniform(&mut self) -> f32 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    /// A number below `n`.
    fn below(&mut self, n: usize) -> usize {
        ((self.uniform() + 1.0) * 0.5 * n as f32) as usize % n
    }

    fn uniforms(&mut self, n: usize, scale: f32) -> Vec<f32> {
        (0..n).map(|_| self.uniform() * scale).collect()
    }

    /// A buffer of given numbers.
    fn numbers(&mut self, name: &str, data: &[f32]) -> BufferId {
        let id = self.plan.buffer(name, Element::F32, data.len(), BufferKind::Input);
        self.fill.push((id, Data::F(data.iter().map(|&x| f64::from(x)).collect())));
        id
    }

    /// A buffer of `len` random numbers within `scale`.
    fn random(&mut self, name: &str, len: usize, scale: f32) -> BufferId {
        let data = self.uniforms(len, scale);
        self.numbers(name, &data)
    }

    /// A buffer of given integers.
    fn integers(&mut self, name: &str, data: Vec<u32>) -> BufferId {
        let id = self.plan.buffer(name, Element::U32, data.len(), BufferKind::Input);
        self.fill.push((id, Data::U(data)));
        id
    }

    /// A ring of `rows` random rows of `head_dim` features within `scale`.
    fn ring(&mut self, name: &str, kv: Kv, rows: usize, head_dim: usize, scale: f32) -> BufferId {
        let values = self.uniforms(rows * head_dim, scale);
        if kv == Kv::F32 {
            return self.numbers(name, &values);
        }
        let row = |row: &[f32]| packed(&row.iter().map(|&x| f64::from(x)).collect::<Vec<_>>(), kv);
        self.integers(name, values.chunks(head_dim).flat_map(row).collect())
    }

    /// A weight of random numbers within `scale`, under a name of its own.
    fn weight(&mut self, shape: &[usize], role: WeightRole, dtype: DType, scale: f32) -> WeightId {
        let values = self.uniforms(shape.iter().product(), scale);
        self.names += 1;
        let name = format!("weight {}", self.names);
        let (mut data, mut scales) = (Vec::new(), Vec::new());
        match dtype {
            DType::F32 => data.extend(values.iter().flat_map(|x| x.to_le_bytes())),
            DType::F16 => data.extend(values.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes())),
            DType::Q8 => quantise_q8(&values, &mut data, &mut scales),
            DType::Q4 => quantise_q4(&values, &mut data, &mut scales),
        }
        let scales = dtype.is_quantised().then_some(scales);
        self.weights.0.insert(name.clone(), Tensor { dtype, shape: shape.to_vec(), data, scales });
        self.plan.weight(name, shape, role)
    }

    /// A vector read element by element.
    fn vector(&mut self, shape: &[usize]) -> WeightId {
        self.weight(shape, WeightRole::Vector, DType::F32, 1.0)
    }

    /// A case of the buffers made since the last one.
    fn case(&mut self, op: impl Into<Op>, params: Params, tolerance: f64) {
        let op = op.into();
        let text = format!("{op:?}");
        // Ids say nothing to people.
        let name = text.split(", ").filter(|part| !part.contains("Id(")).collect::<Vec<_>>().join(", ");
        let pass = self.plan.pass(op.name());
        self.plan.push(op);
        self.cases.push(Case { name, pass, params, fill: std::mem::take(&mut self.fill), tolerance });
    }
}
