//! What rows of the table are made with: random buffers and weights, and cases of them.

use std::collections::HashMap;

use half::f16;

use crate::{
    buffer::{BufferId, BufferKind, Element, WeightId, WeightRole},
    kv::Kv,
    op::{Access, Copy, Op},
    params::Params,
    plan::{PassId, PlanBuilder},
    quant::{DType, TensorView, WeightSource, quantise_q4, quantise_q8},
};

/// One row of the table.
#[derive(Clone, Debug)]
pub struct Case {
    /// Operator and dimensions, for people.
    pub name: String,
    /// Its pass, of one node, or with copies around it.
    pub pass: PassId,
    /// The operator's node.
    pub node: usize,
    /// Parameters of the run.
    pub params: Params,
    /// Contents of the buffers before the run, 32-bit words.
    pub fill: Vec<(BufferId, Vec<u32>)>,
    /// Error that a CPU kernel may have: |found - expected| <= tolerance * (1 + |expected|).
    pub tolerance: f64,
}

/// Random weights by name.
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
        Some(TensorView::here(tensor.dtype, &tensor.shape, &tensor.data, scales))
    }
}

/// Collects cases.
#[derive(Default)]
pub(super) struct Maker {
    pub(super) plan: PlanBuilder,
    pub(super) weights: Weights,
    pub(super) cases: Vec<Case>,
    pub(super) fill: Vec<(BufferId, Vec<u32>)>,
    /// Numbers lie in scratch of which half precision is enough: they are copied there, and results back.
    pub(super) halves: bool,
    /// Such scratch, and what is copied to it and from it.
    pub(super) beside: Vec<(BufferId, BufferId)>,
    pub(super) random: u64,
    pub(super) names: usize,
}

impl Maker {
    /// Uniform in [-1, 1), the same on every run (a linear congruential generator's high bits).
    pub(super) fn uniform(&mut self) -> f32 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    /// A number below `n`.
    pub(super) fn below(&mut self, n: usize) -> usize {
        ((self.uniform() + 1.0) * 0.5 * n as f32) as usize % n
    }

    pub(super) fn uniforms(&mut self, n: usize, scale: f32) -> Vec<f32> {
        (0..n).map(|_| self.uniform() * scale).collect()
    }

    /// A buffer of given numbers.
    pub(super) fn numbers(&mut self, name: &str, data: &[f32]) -> BufferId {
        let id = self.plan.buffer(name, Element::F32, data.len(), BufferKind::Input);
        if !self.halves || data.is_empty() {
            self.fill.push((id, data.iter().map(|x| x.to_bits()).collect()));
            return id;
        }
        // Numbers that half precision has, so that a copy is exact; what is none has no place in it.
        let half = |&x: &f32| f16::from_f32(if x.is_finite() { x } else { 0.5 }).to_f32().to_bits();
        self.fill.push((id, data.iter().map(half).collect()));
        self.plan.halves(true);
        let scratch = self.plan.activation(name, data.len());
        self.beside.push((scratch, id));
        scratch
    }

    /// A copy of a whole buffer.
    fn copy(&mut self, x: BufferId, y: BufferId, len: usize) {
        self.plan.push(Copy { x, x_offset: 0, y, y_offset: 0, len });
    }

    /// A buffer of `len` random numbers within `scale`.
    pub(super) fn random(&mut self, name: &str, len: usize, scale: f32) -> BufferId {
        let data = self.uniforms(len, scale);
        self.numbers(name, &data)
    }

    /// A buffer of given integers.
    pub(super) fn integers(&mut self, name: &str, data: Vec<u32>) -> BufferId {
        let id = self.plan.buffer(name, Element::U32, data.len(), BufferKind::Input);
        self.fill.push((id, data));
        id
    }

    /// A ring of `rows` random rows of `head_dim` features within `scale`.
    pub(super) fn ring(&mut self, name: &str, kv: Kv, rows: usize, head_dim: usize, scale: f32) -> BufferId {
        let values = self.uniforms(rows * head_dim, scale);
        if kv == Kv::F32 {
            return self.numbers(name, &values);
        }
        let words = kv.row_words(head_dim);
        let mut data = vec![0; rows * words];
        for (row, words) in values.chunks_exact(head_dim).zip(data.chunks_exact_mut(words)) {
            kv.pack(row, words);
        }
        self.integers(name, data)
    }

    /// A weight of random numbers within `scale`, under a name of its own.
    pub(super) fn weight(&mut self, shape: &[usize], role: WeightRole, dtype: DType, scale: f32) -> WeightId {
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
    pub(super) fn vector(&mut self, shape: &[usize]) -> WeightId {
        self.weight(shape, WeightRole::Vector, DType::F32, 1.0)
    }

    /// A case of the buffers made since the last one.
    pub(super) fn case(&mut self, op: impl Into<Op>, params: Params, tolerance: f64) {
        let op = op.into();
        let text = format!("{op:?}");
        // Ids say nothing to people.
        let name = text.split(", ").filter(|part| !part.contains("Id(")).collect::<Vec<_>>().join(", ");
        let pass = self.plan.pass(op.name());
        let fill = std::mem::take(&mut self.fill);
        let mut touched = Vec::new();
        op.operator().buffers(&mut |id, access| {
            let beside = self.beside.iter().find(|(scratch, _)| *scratch == id);
            let len = beside.and_then(|(_, filled)| Some(fill.iter().find(|(id, _)| id == filled)?.1.len()));
            touched.extend(beside.zip(len).map(|(&(_, filled), len)| (id, filled, len, access)));
        });
        // One buffer may be touched as several, and is copied back if one of these writes.
        touched.sort_by_key(|touch| (touch.0, touch.3 == Access::Read));
        touched.dedup_by_key(|touch| touch.0);
        for &(id, filled, len, _) in &touched {
            self.copy(filled, id, len);
        }
        self.plan.push(op);
        for &(id, filled, len, _) in touched.iter().filter(|touch| touch.3 != Access::Read) {
            self.copy(id, filled, len);
        }
        self.cases.push(Case { name, pass, node: touched.len(), params, fill, tolerance });
    }
}
