//! Waypoint 1.5's block (spec 2.14): heads of queries that share heads of keys, norms without weights, values that keep a share of the
//! first layer's, conditions from tables that depend on the noise level alone, and in some layers a fusion with the controls.
//!
//! What a file stores differs from what is published in the order of rows and columns only: in each head the pairs that turn with time come
//! first, and heads of queries that share keys lie a whole set of heads apart (see `import/network/waypoint.rs`).

use alloc::{format, string::String, vec, vec::Vec};

use causeway_ops::{
    BufferId, PlanBuilder,
    op::{
        Activate, Activation, Add, Embed, Gate, Grid, Lerp, Linear, Lookup, Modulated, Patchify, RmsNorm, RmsNormRope,
        Unpatchify,
    },
    plan::{BufferKind, Element, WeightRole},
};

use super::{
    ModelError,
    dit::{Conditions, Levels},
    ring::{Group, Groups, Ring, Rows},
    rope::{Rope, turn},
};
use crate::config::{DitConfig, WaypointConfig};

/// Vectors of a layer's conditions: scale, shift and gate of attention, then of the feed-forward part.
const VECTORS: usize = 6;

/// Buffers of one stream, shared by the passes it emits. A pass has one latent frame.
#[derive(Clone)]
pub(super) struct Waypoint<'a> {
    config: &'a DitConfig,
    own: &'a WaypointConfig,
    pub groups: Vec<Group>,
    rings: Vec<Ring>,
    /// Spatial rotations of every token [tokens, pairs, 2].
    grid: BufferId,
    /// The controls [entries].
    actions: BufferId,
    /// For each level that passes are told, which row of the tables it is, as a vector of zeros and a one [levels, rows].
    rows: BufferId,
    levels: usize,
}

/// What all layers of a pass read.
struct Told {
    /// The pass's row of the tables [rows].
    row: BufferId,
    /// The normed embedding of the controls [dim].
    controls: BufferId,
}

impl<'a> Waypoint<'a> {
    /// Declares the stream's state.
    ///
    /// # Errors
    /// [`ModelError`] where a pass has several frames, or is told a level that the file has no conditions for.
    pub fn new(
        b: &mut PlanBuilder,
        config: &'a DitConfig,
        own: &'a WaypointConfig,
        groups: &Groups,
        most: usize,
        levels: &Levels,
    ) -> Result<Self, ModelError> {
        let unsupported = |what| Err(ModelError::Unsupported(what));
        if most != 1 {
            return unsupported(format!("passes of {most} latent frames; this network takes one"));
        }
        let Levels::Table(timesteps) = levels else {
            return unsupported("noise levels that the host gives; this network knows those of its file".into());
        };
        let mut table = vec![0.0; timesteps.len() * own.levels.len()];
        for (&timestep, row) in timesteps.iter().zip(table.chunks_exact_mut(own.levels.len())) {
            let Some(at) = own.row(timestep) else {
                let known = &own.levels;
                return unsupported(format!("timestep {timestep}: the file has conditions for {known:?} only"));
            };
            row[at] = 1.0;
        }
        let head_dim = config.head_dim();
        let rope = Rope { dims: head_dim / 2, theta: config.rope_theta, repeat: 2 };
        let group = |(index, &past)| Group::new(b, past, index, config.chunk, rope);
        let tables: Vec<Group> = groups.pasts.iter().enumerate().map(group).collect();
        let rows = Rows {
            tokens: config.tokens_per_frame(),
            heads: own.kv_heads,
            shared: config.heads / own.kv_heads,
            head_dim,
            temporal_pairs: rope.dims / 2,
            plain: None,
        };
        let rings = (0..config.layers).map(|n| Ring::new(b, &tables[groups.of(n)], rows, &format!(".{n}")));
        Ok(Self {
            rings: rings.collect(),
            groups: tables,
            grid: b.constant("rope_grid", spatial_rotations(config, own)),
            actions: b.buffer("actions", Element::F32, config.actions.len(), BufferKind::Input),
            rows: b.constant("levels", table),
            levels: timesteps.len(),
            config,
            own,
        })
    }

    /// What the stream is told.
    pub fn conditions(&self) -> Conditions {
        Conditions { actions: Some(self.actions), ..Conditions::default() }
    }

    /// Emits a forward pass of one latent frame `x` and returns the flow.
    pub fn denoise(&self, b: &mut PlanBuilder, x: BufferId) -> BufferId {
        let (hidden, told) = self.forward(b, x, false);
        self.head(b, hidden, &told)
    }

    /// Emits the clean-context pass, which writes the ring slots named in the frame table.
    pub fn commit(&self, b: &mut PlanBuilder, x: BufferId) {
        self.forward(b, x, true);
    }

    fn forward(&self, b: &mut PlanBuilder, x: BufferId, commits: bool) -> (BufferId, Told) {
        let hidden = self.patch_embedding(b, x);
        let told = self.told(b);
        let mut first = None;
        for (n, ring) in self.rings.iter().enumerate() {
            let modulation = self.modulation(b, n, &told);
            let [q, k, v] = self.project(b, n, hidden, modulation);
            match first {
                None => first = Some(v),
                Some(x) => {
                    let name = format!("dit.blocks.{n}.attn.value_residual");
                    let weight = b.weight(name, &[1], WeightRole::Vector);
                    let len = self.tokens() * self.own.kv_heads * self.config.head_dim();
                    b.push(Lerp { x, y: v, weight, len });
                }
            }
            if commits && n + 1 == self.config.layers {
                // Nothing reads the hidden rows of a commit pass after the last keys and values.
                ring.commit(b, &self.groups, k, v, 1);
                break;
            }
            let out = ring.attend(b, &self.groups, [q, k, v], 1, None);
            self.add(b, &format!("dit.blocks.{n}.attn.o"), out, hidden, Some(self.gate(modulation, 2)));
            if commits {
                ring.commit(b, &self.groups, k, v, 1);
            }
            if n.is_multiple_of(self.own.control_every) {
                self.control(b, n, hidden, told.controls);
            }
            self.feed_forward(b, n, hidden, modulation);
        }
        (hidden, told)
    }

    fn tokens(&self) -> usize {
        self.config.tokens_per_frame()
    }

    fn patch_embedding(&self, b: &mut PlanBuilder, x: BufferId) -> BufferId {
        let c = self.config;
        let [_, ph, pw] = c.patch;
        let features = c.latent.channels * ph * pw;
        let patches = b.scratch("patches", self.tokens() * features);
        b.push(Patchify {
            x,
            previous: None,
            apart: false,
            y: patches,
            frames: 1,
            height: c.latent.height,
            width: c.latent.width,
            channels: c.latent.channels,
            patch: [ph, pw],
        });
        // The file keeps the convolution's shape; with stride = kernel it is a linear layer.
        let shape = [c.dim, c.latent.channels, ph, pw];
        let weight = b.weight("dit.patch_embedding.weight", &shape, WeightRole::Matrix);
        let hidden = b.scratch("hidden", self.tokens() * c.dim);
        let op = linear(patches, weight, hidden, [self.tokens(), features, c.dim]);
        b.push(op);
        hidden
    }

    /// The row of the tables that this pass is told, and the controls.
    fn told(&self, b: &mut PlanBuilder) -> Told {
        let (c, entries) = (self.config, self.config.actions.len());
        let rows = self.own.levels.len();
        let row = b.scratch("level", rows);
        b.push(Lookup { table: self.rows, rows: self.levels, y: row, frames: 1, len: rows });
        let mut x = self.actions;
        if self.own.mouse_scale != 1.0 {
            let mut scales = vec![1.0; entries];
            scales[..WaypointConfig::MOUSE].fill(self.own.mouse_scale);
            scales.resize(2 * entries, 0.0);
            let affine = Some((b.constant("mouse_scale", scales), entries));
            let y = b.scratch("controls", entries);
            b.push(Activate { x, y, len: entries, activation: Activation::None, affine });
            x = y;
        }
        let up =
            self.layer(b, "dit.control_embedding.0", [1, entries, c.ffn_dim], Activation::Silu, x, "control_hidden");
        let y = self.layer(b, "dit.control_embedding.2", [1, c.ffn_dim, c.dim], Activation::None, up, "control");
        let controls = b.scratch("control_normed", c.dim);
        b.push(RmsNorm { x: y, y: controls, rows: 1, dim: c.dim, eps: c.eps, modulated: None });
        Told { row, controls }
    }

    /// The condition vectors of layer n [6, dim].
    fn modulation(&self, b: &mut PlanBuilder, n: usize, told: &Told) -> BufferId {
        self.table(b, &format!("dit.blocks.{n}.conditions"), VECTORS, told)
    }

    /// The vectors of the table called so that this pass is told.
    fn table(&self, b: &mut PlanBuilder, name: &str, vectors: usize, told: &Told) -> BufferId {
        let (entries, dim) = (self.own.levels.len(), self.config.dim);
        let weight = b.weight(name, &[entries, vectors, dim], WeightRole::Vector);
        let y = b.scratch("modulation", vectors * dim);
        b.push(Embed { mix: told.row, weight, y, entries, len: vectors * dim });
        y
    }

    /// Queries, keys and values of layer n, normed and spatially rotated.
    fn project(&self, b: &mut PlanBuilder, n: usize, hidden: BufferId, modulation: BufferId) -> [BufferId; 3] {
        let (c, tokens) = (self.config, self.tokens());
        let x = self.norm(b, hidden, Some((modulation, VECTORS, [0, 1])));
        let kv = self.own.kv_heads * c.head_dim();
        let [q, k, v] = [("q", c.dim), ("k", kv), ("v", kv)].map(|(name, outputs)| {
            let sizes = [tokens, c.dim, outputs];
            self.layer(b, &format!("dit.blocks.{n}.attn.{name}"), sizes, Activation::None, x, name)
        });
        for (x, heads) in [(q, c.heads), (k, self.own.kv_heads)] {
            let temporal_pairs = c.head_dim() / 4;
            let grid = Some(Grid { table: self.grid, tokens, rows: heads, heads: 1, temporal_pairs });
            b.push(RmsNormRope { x, weight: None, rows: tokens * heads, dim: c.head_dim(), eps: c.eps, grid });
        }
        [q, k, v]
    }

    /// Adds what the controls make of the hidden rows.
    fn control(&self, b: &mut PlanBuilder, n: usize, hidden: BufferId, controls: BufferId) {
        let (dim, rows) = (self.config.dim, self.tokens());
        let name = |part: &str| format!("dit.blocks.{n}.control.{part}");
        let x = self.norm(b, hidden, None);
        let x = self.layer(b, &name("x"), [rows, dim, dim], Activation::None, x, "fused");
        let z = self.layer(b, &name("c"), [1, dim, dim], Activation::None, controls, "fused_control");
        let y = b.scratch("fusion", rows * dim);
        b.push(Add { x, z, y, rows, dim, every: rows, activation: Activation::Silu });
        self.add(b, &name("o"), y, hidden, None);
    }

    fn feed_forward(&self, b: &mut PlanBuilder, n: usize, hidden: BufferId, modulation: BufferId) {
        let (c, rows) = (self.config, self.tokens());
        let x = self.norm(b, hidden, Some((modulation, VECTORS, [3, 4])));
        let sizes = [rows, c.dim, c.ffn_dim];
        let up = self.layer(b, &format!("dit.blocks.{n}.ffn.0"), sizes, Activation::Silu, x, "ffn");
        let name = format!("dit.blocks.{n}.ffn.2");
        let weight = b.weight(format!("{name}.weight"), &[c.dim, c.ffn_dim], WeightRole::Matrix);
        let op = linear(up, weight, hidden, [rows, c.ffn_dim, c.dim]);
        b.push(Linear { residual: true, gate: Some(self.gate(modulation, 5)), ..op });
    }

    fn head(&self, b: &mut PlanBuilder, hidden: BufferId, told: &Told) -> BufferId {
        let (c, rows) = (self.config, self.tokens());
        let table = self.table(b, "dit.head.conditions", 2, told);
        let x = self.norm(b, hidden, Some((table, 2, [0, 1])));
        let activated = b.scratch("activated", rows * c.dim);
        let len = rows * c.dim;
        b.push(Activate { x, y: activated, len, activation: Activation::Silu, affine: None });
        let patches = b.scratch("flow_patches", rows * c.head_out());
        let weight = b.weight("dit.head.head.weight", &[c.head_out(), c.dim], WeightRole::Matrix);
        let bias = Some(b.weight("dit.head.head.bias", &[c.head_out()], WeightRole::Vector));
        let op = linear(activated, weight, patches, [rows, c.dim, c.head_out()]);
        b.push(Linear { bias, ..op });
        let flow = b.scratch("flow", c.latent_len());
        b.push(Unpatchify {
            x: patches,
            y: flow,
            frames: 1,
            height: c.latent.height,
            width: c.latent.width,
            channels: c.latent.channels,
            patch: [c.patch[1], c.patch[2]],
        });
        flow
    }

    /// The hidden rows' norm, with vectors `scale` and `shift` of `vectors` where there is a modulation.
    fn norm(&self, b: &mut PlanBuilder, x: BufferId, with: Option<(BufferId, usize, [usize; 2])>) -> BufferId {
        let (c, rows) = (self.config, self.tokens());
        let y = b.activation("normed", rows * c.dim);
        let modulated = with.map(|(modulation, vectors, [scale, shift])| Modulated {
            modulation,
            vectors,
            scale,
            shift,
            rows_per_frame: rows,
        });
        b.push(RmsNorm { x, y, rows, dim: c.dim, eps: c.eps, modulated });
        y
    }

    /// The gate at `index` of a layer's conditions.
    fn gate(&self, modulation: BufferId, index: usize) -> Gate {
        Gate { modulation, vectors: VECTORS, index, rows_per_frame: self.tokens() }
    }

    /// `y = act(x W^T)` into a new buffer of activations, of [rows, inputs, outputs].
    fn layer(
        &self,
        b: &mut PlanBuilder,
        name: &str,
        sizes: [usize; 3],
        activation: Activation,
        x: BufferId,
        label: &str,
    ) -> BufferId {
        let [rows, inputs, outputs] = sizes;
        let weight = b.weight(format!("{name}.weight"), &[outputs, inputs], WeightRole::Matrix);
        let y = b.activation(String::from(label), rows * outputs);
        b.push(Linear { activation, ..linear(x, weight, y, sizes) });
        y
    }

    /// `hidden += gate * x W^T` of a square matrix.
    fn add(&self, b: &mut PlanBuilder, name: &str, x: BufferId, hidden: BufferId, gate: Option<Gate>) {
        let dim = self.config.dim;
        let weight = b.weight(format!("{name}.weight"), &[dim, dim], WeightRole::Matrix);
        b.push(Linear { residual: true, gate, ..linear(x, weight, hidden, [self.tokens(), dim, dim]) });
    }
}

/// A linear layer without bias, of [rows, inputs, outputs].
fn linear(x: BufferId, weight: causeway_ops::plan::WeightId, y: BufferId, sizes: [usize; 3]) -> Linear {
    let [rows, inputs, outputs] = sizes;
    let (activation, bias, residual, gate) = (Activation::None, None, false, None);
    Linear { x, weight, bias, y, rows, inputs, outputs, activation, residual, gate }
}

/// (cos, sin) of every token's pairs [tokens, pairs, 2], those of its column before those of its row. Positions are the middles of tokens on
/// [-1, 1]; frequencies rise evenly from pi to `nyquist` of the highest that the shorter side can hold, each for two pairs.
fn spatial_rotations(config: &DitConfig, own: &WaypointConfig) -> Vec<f32> {
    let (rows, columns) = config.token_grid();
    // Of each axis.
    let count = config.head_dim() / 16;
    let highest = f64::from(own.nyquist) * rows.min(columns) as f64 / 2.0;
    let step = if count > 1 { (highest - 1.0) / (count - 1) as f64 } else { 0.0 };
    let middle = |at: usize, side: usize| (2 * at + 1) as f64 / side as f64 - 1.0;
    let mut table = Vec::with_capacity(rows * columns * 8 * count);
    for row in 0..rows {
        for column in 0..columns {
            for position in [middle(column, columns), middle(row, rows)] {
                for pair in 0..2 * count {
                    turn(&mut table, position * core::f64::consts::PI * (1.0 + step * (pair / 2) as f64));
                }
            }
        }
    }
    table
}
