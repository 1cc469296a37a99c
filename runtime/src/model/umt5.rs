//! One layer of a T5 encoder (spec 4) as a plan. All layers are alike, so one plan serves them all, each time with other weights:
//! an encoder of billions of parameters never is in memory as a whole.

use alloc::{format, string::String, vec::Vec};

use causeway_ops::{
    BufferId, Plan, PlanBuilder,
    op::{Activation, Copy, CrossAttention, Gate, Linear, Offsets, RmsNormRope},
    plan::{BufferKind, Element, PassId, WeightRole},
};

use super::ModelError;
use crate::config::Umt5Sizes;

/// Passes for prompts of one length. Padding is no part of them: no token sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Umt5Passes {
    /// Tokens of the prompt.
    pub rows: usize,
    /// `x` through the layer.
    pub layer: PassId,
    /// The norm after the last layer, of `x`.
    pub norm: PassId,
}

/// The plan of a layer and the buffers a host touches.
#[derive(Clone, Debug)]
pub struct Umt5Plan {
    /// The plan. Its weights are those of one layer, under [`Umt5Plan::LAYER`].
    pub plan: Plan,
    /// Passes for each length, in the order given.
    pub passes: Vec<Umt5Passes>,
    /// The residual stream [rows, dim].
    pub x: BufferId,
    /// Position biases by distance ([`Umt5Plan::bias`]).
    pub bias: BufferId,
}

impl Umt5Plan {
    /// What weights of the plan that belong to a layer begin with.
    pub const LAYER: &str = "layer.";

    /// Name in a file of the weight `name` of the plan, of layer `layer`.
    pub fn in_file(name: &str, layer: usize) -> String {
        match name.strip_prefix(Self::LAYER) {
            Some(rest) => format!("umt5.blocks.{layer}.{rest}"),
            None => name.into(),
        }
    }

    /// Emits the plan for prompts of these lengths.
    ///
    /// # Errors
    /// [`ModelError::Plan`] for a length of 0.
    pub fn new(sizes: &Umt5Sizes, lengths: &[usize]) -> Result<Self, ModelError> {
        let most = lengths.iter().copied().max().unwrap_or(1);
        let mut b = PlanBuilder::new();
        let x = b.state("x", most * sizes.dim);
        let bias = b.buffer("bias", Element::F32, sizes.heads * (2 * most).saturating_sub(1), BufferKind::Input);
        let passes = lengths.iter().map(|&rows| {
            let mut layer = Layer { b: &mut b, sizes, rows };
            let pass = layer.b.pass(format!("layer.{rows}"));
            layer.attention(x, bias);
            layer.feed_forward(x);
            let norm = layer.b.pass(format!("norm.{rows}"));
            layer.norm_in_place(x, "umt5.norm.weight");
            Umt5Passes { rows, layer: pass, norm }
        });
        let passes = passes.collect();
        Ok(Self { plan: b.build()?, passes, x, bias })
    }

    /// The buffer `bias` for prompts of `rows` tokens, from a layer's table [buckets, heads]: for each head the bias of every
    /// distance, as [`Offsets::Distances`] wants it.
    pub fn bias(&self, sizes: &Umt5Sizes, table: &[f32], rows: usize) -> Vec<f32> {
        let mut out = alloc::vec![0.0; self.plan.buffer(self.bias).len];
        let distances = 2 * rows - 1;
        for at in 0..distances {
            let bucket = sizes.bucket(rows as isize - 1 - at as isize);
            for head in 0..sizes.heads {
                out[head * distances + at] = table[bucket * sizes.heads + head];
            }
        }
        out
    }
}

struct Layer<'a> {
    b: &'a mut PlanBuilder,
    sizes: &'a Umt5Sizes,
    rows: usize,
}

impl Layer<'_> {
    /// x += o(attention(norm(x))).
    fn attention(&mut self, x: BufferId, bias: BufferId) {
        let (rows, dim, inner) = (self.rows, self.sizes.dim, self.sizes.attention_dim());
        let normed = self.norm(x, "norm1");
        let [q, k, v] = ["q", "k", "v"].map(|part| {
            let y = self.b.scratch(part, rows * inner);
            let op = self.linear(&format!("attn.{part}"), normed, y, [dim, inner]);
            self.b.push(op);
            y
        });
        let y = self.b.scratch("attended", rows * inner);
        self.b.push(CrossAttention {
            q,
            k,
            v,
            offsets: Some(Offsets::Distances(bias)),
            scaled: false,
            y,
            rows,
            context: rows,
            heads: self.sizes.heads,
            head_dim: self.sizes.head_dim,
        });
        let op = self.linear("attn.o", y, x, [inner, dim]);
        self.b.push(Linear { residual: true, ..op });
    }

    /// x += fc2(fc1(y) * gelu(gate(y))), y = norm(x).
    fn feed_forward(&mut self, x: BufferId) {
        let (rows, dim, wide) = (self.rows, self.sizes.dim, self.sizes.ffn_dim);
        let normed = self.norm(x, "norm2");
        let modulation = self.b.scratch("gate", rows * wide);
        let op = self.linear("ffn.gate.0", normed, modulation, [dim, wide]);
        self.b.push(Linear { activation: Activation::Gelu, ..op });
        let y = self.b.scratch("ffn", rows * wide);
        let op = self.linear("ffn.fc1", normed, y, [dim, wide]);
        self.b.push(Linear { gate: Some(Gate { modulation, vectors: 1, index: 0, rows_per_frame: 1 }), ..op });
        let op = self.linear("ffn.fc2", y, x, [wide, dim]);
        self.b.push(Linear { residual: true, ..op });
    }

    fn linear(&mut self, name: &str, x: BufferId, y: BufferId, [inputs, outputs]: [usize; 2]) -> Linear {
        let weight = self.b.weight(format!("{}{name}.weight", Umt5Plan::LAYER), &[outputs, inputs], WeightRole::Matrix);
        let (rows, activation) = (self.rows, Activation::None);
        Linear { x, weight, bias: None, y, rows, inputs, outputs, activation, residual: false, gate: None }
    }

    /// A normalised copy of `x`.
    fn norm(&mut self, x: BufferId, name: &str) -> BufferId {
        let len = self.rows * self.sizes.dim;
        let y = self.b.scratch("normed", len);
        self.b.push(Copy { x, x_offset: 0, y, y_offset: 0, len });
        self.norm_in_place(y, &format!("{}{name}.weight", Umt5Plan::LAYER));
        y
    }

    fn norm_in_place(&mut self, x: BufferId, weight: &str) {
        let (rows, dim, eps) = (self.rows, self.sizes.dim, self.sizes.eps);
        let weight = self.b.weight(weight, &[dim], WeightRole::Vector);
        self.b.push(RmsNormRope { x, weight: Some(weight), rows, dim, eps, grid: None });
    }
}
