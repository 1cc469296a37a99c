//! CLIP's visual tower (spec 2.13) as the plan of one layer, and of the patches before the first. All layers are alike, so that plan serves
//! them all, each time with other weights.

use alloc::{format, string::String};

use causeway_ops::{
    BufferId, Plan, PlanBuilder,
    op::{Activation, Copy, CrossAttention, LayerNorm, Linear, Scale},
    plan::{BufferKind, Element, PassId, WeightRole},
};

use super::{Dense, ModelError};
use crate::config::ClipSizes;

/// The plan and the buffers that a host touches.
#[derive(Clone, Debug)]
pub struct ClipPlan {
    /// The plan. Its weights are those of one layer, under [`ClipPlan::LAYER`], and those before the layers.
    pub plan: Plan,
    /// Patches of the picture [patches, colours x rows x columns].
    pub patches: BufferId,
    /// What patches are added to: their positions [patches, dim].
    pub positions: BufferId,
    /// Rows before the first norm [rows, dim], of which the first is the host's.
    pub tokens: BufferId,
    /// The residual stream [rows, dim].
    pub x: BufferId,
    /// Patches to `x`.
    pub embed: PassId,
    /// `x` through a layer.
    pub layer: PassId,
}

impl ClipPlan {
    /// What weights of the plan that belong to a layer begin with.
    pub const LAYER: &str = "layer.";

    /// Name in a file of the weight `name` of the plan, of layer `layer`.
    pub fn in_file(name: &str, layer: usize) -> String {
        match name.strip_prefix(Self::LAYER) {
            Some(rest) => format!("clip.blocks.{layer}.{rest}"),
            None => name.into(),
        }
    }

    /// Emits the plan.
    ///
    /// # Errors
    /// [`ModelError::Plan`] for sizes that no configuration has.
    pub fn new(sizes: &ClipSizes) -> Result<Self, ModelError> {
        let &ClipSizes { dim, .. } = sizes;
        let (rows, count, len) = (sizes.rows(), sizes.patches(), sizes.patch_len());
        let mut b = PlanBuilder::new();
        let patches = b.buffer("patches", Element::F32, count * len, BufferKind::Input);
        let positions = b.state("positions", count * dim);
        let [tokens, x] = ["tokens", "x"].map(|name| b.state(name, rows * dim));
        let embed = b.pass("embed");
        let weight = b.weight("clip.patch_embedding.weight", &[dim, len], WeightRole::Matrix);
        b.push(Linear {
            x: patches,
            weight,
            bias: None,
            y: positions,
            rows: count,
            inputs: len,
            outputs: dim,
            activation: Activation::None,
            residual: true,
            gate: None,
        });
        b.push(Copy { x: positions, x_offset: 0, y: tokens, y_offset: dim, len: count * dim });
        let mut layer = Layer { b: &mut b, sizes };
        layer.norm("clip.pre_norm", tokens, x);
        let pass = layer.b.pass("layer");
        layer.attention(x);
        layer.feed_forward(x);
        Ok(Self { plan: b.build()?, patches, positions, tokens, x, embed, layer: pass })
    }
}

struct Layer<'a> {
    b: &'a mut PlanBuilder,
    sizes: &'a ClipSizes,
}

impl Layer<'_> {
    /// x += proj(attention(norm(x))): every row sees all.
    fn attention(&mut self, x: BufferId) {
        let &ClipSizes { dim, heads, .. } = self.sizes;
        let rows = self.sizes.rows();
        let normed = self.b.scratch("normed", rows * dim);
        self.norm("layer.norm1", x, normed);
        let [q, k, v] = ["q", "k", "v"].map(|part| {
            let y = self.b.scratch(part, rows * dim);
            self.linear(&format!("attn.{part}"), [normed, y], [dim, dim], Activation::None, false);
            y
        });
        let y = self.b.scratch("attended", rows * dim);
        let head_dim = dim / heads;
        let op = CrossAttention { q, k, v, offsets: None, scaled: true, y, rows, context: rows, heads, head_dim };
        self.b.push(op);
        self.linear("attn.proj", [y, x], [dim, dim], Activation::None, true);
    }

    /// x += down(gelu(up(norm(x)))).
    fn feed_forward(&mut self, x: BufferId) {
        let &ClipSizes { dim, ffn_dim, .. } = self.sizes;
        let rows = self.sizes.rows();
        let normed = self.b.scratch("normed", rows * dim);
        self.norm("layer.norm2", x, normed);
        let hidden = self.b.scratch("hidden", rows * ffn_dim);
        self.linear("mlp.0", [normed, hidden], [dim, ffn_dim], Activation::GeluErf, false);
        self.linear("mlp.2", [hidden, x], [ffn_dim, dim], Activation::None, true);
    }

    fn linear(
        &mut self,
        name: &str,
        [x, y]: [BufferId; 2],
        [inputs, outputs]: [usize; 2],
        activation: Activation,
        residual: bool,
    ) {
        let (name, rows) = (format!("{}{name}", ClipPlan::LAYER), self.sizes.rows());
        let op = Dense { name: &name, rows, inputs, outputs, activation }.build(self.b, x, y);
        self.b.push(Linear { residual, ..op });
    }

    fn norm(&mut self, name: &str, x: BufferId, y: BufferId) {
        let (rows, dim, eps) = (self.sizes.rows(), self.sizes.dim, self.sizes.eps);
        let [weight, bias] =
            ["weight", "bias"].map(|part| self.b.weight(format!("{name}.{part}"), &[dim], WeightRole::Vector));
        let scale = Scale::Affine { weight, bias };
        self.b.push(LayerNorm { x, y, rows, dim, rows_per_frame: rows, eps, scale });
    }
}
