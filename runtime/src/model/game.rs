//! What Matrix-Game 2.0 adds to Wan's block (spec 2.13): channels of a picture condition beside the latents, rows of a
//! picture's features as context, and in some layers, before the feed-forward part, an action module.
//!
//! An action module is two attentions over time alone, each with a ring of its own that shows the same frames as the layer's. The mouse's is of
//! each position, over what a network makes of the hidden row and of the rows of actions that the frame sees; the keys' is of each position over
//! one key and value a frame, which are made of these rows and nothing else.

use alloc::{format, vec::Vec};

use causeway_ops::{
    BufferId, PlanBuilder,
    op::{Activation, Join, LayerNorm, Linear, Patchify, RmsNormRope, Scale},
    plan::{BufferKind, Element, WeightRole},
};

use super::{
    Dense,
    inputs::GameInputs,
    ring::{Group, Ring, Rows},
};
use crate::config::{DitConfig, GameConfig};

/// Epsilon of the norms with weights and biases here, which are PyTorch's as it makes them.
const EPS: f32 = 1e-5;

/// Buffers of a game's stream.
#[derive(Clone)]
pub(super) struct Game<'a> {
    dit: &'a DitConfig,
    game: &'a GameConfig,
    /// What the host writes.
    pub inputs: GameInputs,
    /// The action module of each layer that has one.
    modules: Vec<Option<Module>>,
}

/// The pasts of an action module.
#[derive(Clone, Copy)]
struct Module {
    keys: Ring,
    mouse: Option<Ring>,
}

impl<'a> Game<'a> {
    /// Declares what the host writes for passes of at most `most` frames, and the rings of all modules, in group `group`; nothing of a model
    /// that is no game.
    pub fn new(b: &mut PlanBuilder, dit: &'a DitConfig, group: &Group, most: usize) -> Option<Self> {
        let game = dit.game()?;
        let mouse = dit.actions.len() - game.keys;
        let mut input = |name: &str, len: usize| b.buffer(name, Element::F32, most * len, BufferKind::Input);
        let inputs = GameInputs {
            keys: input("keys", game.rows * game.keys),
            mouse: (mouse > 0).then(|| input("mouse", game.rows * mouse)),
            condition: input("condition", dit.latent.height * dit.latent.width * game.condition),
        };
        let rows = Rows {
            tokens: 1,
            heads: game.heads,
            shared: 1,
            head_dim: game.head_dim,
            temporal_pairs: game.rotated / 2,
            plain: None,
        };
        let module = |n| {
            game.layers.contains(&n).then(|| Module {
                keys: Ring::new(b, group, rows, &format!(".keys.{n}")),
                mouse: inputs.mouse.map(|_| {
                    Ring::new(b, group, Rows { tokens: dit.tokens_per_frame(), ..rows }, &format!(".mouse.{n}"))
                }),
            })
        };
        Some(Self { dit, game, inputs, modules: (0..dit.layers).map(module).collect() })
    }

    /// Whether layer `n` has an action module.
    pub fn acts(&self, n: usize) -> bool {
        self.modules[n].is_some()
    }

    /// Emits patches of latents, `features` each, with those of the picture condition beside them; returns them and their features.
    pub fn patches(&self, b: &mut PlanBuilder, x: BufferId, features: usize, frames: usize) -> (BufferId, usize) {
        let (dit, rows) = (self.dit, frames * self.dit.tokens_per_frame());
        let [_, ph, pw] = dit.patch;
        let width = self.game.condition * ph * pw;
        let z = b.scratch("condition_patches", rows * width);
        b.push(Patchify {
            x: self.inputs.condition,
            previous: None,
            apart: false,
            y: z,
            frames,
            height: dit.latent.height,
            width: dit.latent.width,
            channels: self.game.condition,
            patch: [ph, pw],
        });
        let y = b.scratch("conditioned", rows * (features + width));
        b.push(Join { x, z, y, rows, widths: [features, width], every: 1 });
        (y, features + width)
    }

    /// Emits the context that cross-attention reads: `rows` rows of a picture's features, as wide as the residual stream.
    pub fn context(&self, b: &mut PlanBuilder, features: BufferId, rows: usize) -> BufferId {
        let (dim, inputs) = (self.dit.dim, self.dit.text.map_or(0, |text| text.dim));
        let x = b.scratch("features", rows * inputs);
        norm(b, "dit.img_emb.proj.0", features, x, [rows, inputs]);
        let up = Dense { activation: Activation::GeluErf, ..dense("dit.img_emb.proj.1", rows, inputs, inputs) };
        let hidden = up.scratch(b, x, "features_hidden");
        let y = dense("dit.img_emb.proj.3", rows, inputs, dim).scratch(b, hidden, "features_out");
        let context = b.scratch("context", rows * dim);
        norm(b, "dit.img_emb.proj.4", y, context, [rows, dim]);
        context
    }

    /// Emits the action module of layer `n`, where it has one: it is added to the hidden rows, and with `commits` its keys and values are
    /// committed.
    pub fn act(&self, b: &mut PlanBuilder, groups: &[Group], n: usize, hidden: BufferId, frames: usize, commits: bool) {
        let Some(Module { keys, mouse }) = self.modules[n] else { return };
        let rows = frames * self.dit.tokens_per_frame();
        if let (Some(ring), Some(actions)) = (mouse, self.inputs.mouse) {
            let qkv = self.mouse(b, n, hidden, actions, rows);
            self.attend(b, groups, (n, "proj_mouse"), ring, qkv, hidden, frames, commits);
        }
        let qkv = self.keys(b, n, hidden, frames);
        self.attend(b, groups, (n, "proj_keyboard"), keys, qkv, hidden, frames, commits);
    }

    /// Queries, keys and values of every position, of the hidden rows and the mouse.
    fn mouse(&self, b: &mut PlanBuilder, n: usize, hidden: BufferId, actions: BufferId, rows: usize) -> [BufferId; 3] {
        let (dim, wide) = (self.dit.dim, self.game.wide());
        let moves = self.game.rows * (self.dit.actions.len() - self.game.keys);
        let name = |name: &str| format!("dit.blocks.{n}.action_model.{name}");
        let x = b.scratch("moved", rows * (dim + moves));
        let every = self.dit.tokens_per_frame();
        b.push(Join { x: hidden, z: actions, y: x, rows, widths: [dim, moves], every });
        let up = name("mouse_mlp.0");
        let up = Dense { activation: Activation::Gelu, ..dense(&up, rows, dim + moves, wide) };
        let up = up.scratch(b, x, "mouse_hidden");
        let out = dense(&name("mouse_mlp.2"), rows, wide, wide).scratch(b, up, "mouse_out");
        let x = b.scratch("mouse_normed", rows * wide);
        norm(b, &name("mouse_mlp.3"), out, x, [rows, wide]);
        let [q, k, v] = ["t_q", "t_k", "t_v"].map(|part| bare(b, &name(part), x, [rows, wide, wide], part));
        self.norm_heads(b, &name("img_attn_q_norm"), q, rows);
        self.norm_heads(b, &name("img_attn_k_norm"), k, rows);
        [q, k, v]
    }

    /// Queries of every position, of the hidden rows; keys and values of every frame, of the keys pressed.
    fn keys(&self, b: &mut PlanBuilder, n: usize, hidden: BufferId, frames: usize) -> [BufferId; 3] {
        let &GameConfig { keys, rows: seen, key_dim, .. } = self.game;
        let (dim, wide, rows) = (self.dit.dim, self.game.wide(), frames * self.dit.tokens_per_frame());
        let name = |name: &str| format!("dit.blocks.{n}.action_model.{name}");
        let up = name("keyboard_embed.0");
        let up = Dense { activation: Activation::Silu, ..dense(&up, frames * seen, keys, key_dim) };
        let up = up.scratch(b, self.inputs.keys, "keys_hidden");
        let x = dense(&name("keyboard_embed.2"), frames * seen, key_dim, key_dim).scratch(b, up, "keys_seen");
        let [k, v] = ["keyboard_attn_k", "keyboard_attn_v"]
            .map(|part| bare(b, &name(part), x, [frames, seen * key_dim, wide], part));
        let q = bare(b, &name("mouse_attn_q"), hidden, [rows, dim, wide], "keys_q");
        self.norm_heads(b, &name("key_attn_q_norm"), q, rows);
        self.norm_heads(b, &name("key_attn_k_norm"), k, frames);
        [q, k, v]
    }

    /// Adds what attention over time gives to the hidden rows.
    #[allow(clippy::too_many_arguments, reason = "both halves of a module end alike")]
    fn attend(
        &self,
        b: &mut PlanBuilder,
        groups: &[Group],
        (n, name): (usize, &str),
        ring: Ring,
        qkv: [BufferId; 3],
        hidden: BufferId,
        frames: usize,
        commits: bool,
    ) {
        let (tokens, dim) = (self.dit.tokens_per_frame(), self.dit.dim);
        let x = ring.attend_over_time(b, groups, qkv, (frames, tokens));
        if commits {
            ring.commit(b, groups, qkv[1], qkv[2], frames);
        }
        let name = format!("dit.blocks.{n}.action_model.{name}");
        let op = no_bias(b, &name, x, hidden, [frames * tokens, self.game.wide(), dim]);
        b.push(Linear { residual: true, ..op });
    }

    /// The root mean square of each head becomes 1. The weights, which no published network's forward pass applies, are ones in the file.
    fn norm_heads(&self, b: &mut PlanBuilder, name: &str, x: BufferId, rows: usize) {
        let dim = self.game.head_dim;
        let weight = b.weight(format!("{name}.weight"), &[dim], WeightRole::Vector);
        b.push(RmsNormRope {
            x,
            weight: Some(weight),
            rows: rows * self.game.heads,
            dim,
            eps: self.dit.eps,
            grid: None,
        });
    }
}

fn dense(name: &str, rows: usize, inputs: usize, outputs: usize) -> Dense<'_> {
    Dense { name, rows, inputs, outputs, activation: Activation::None }
}

/// `y = norm(x)` with the weight and bias called so.
fn norm(b: &mut PlanBuilder, name: &str, x: BufferId, y: BufferId, [rows, dim]: [usize; 2]) {
    let [weight, bias] = ["weight", "bias"].map(|part| b.weight(format!("{name}.{part}"), &[dim], WeightRole::Vector));
    b.push(LayerNorm { x, y, rows, dim, rows_per_frame: rows, eps: EPS, scale: Scale::Affine { weight, bias } });
}

/// A linear layer without bias.
fn no_bias(b: &mut PlanBuilder, name: &str, x: BufferId, y: BufferId, sizes: [usize; 3]) -> Linear {
    let [rows, inputs, outputs] = sizes;
    let weight = b.weight(format!("{name}.weight"), &[outputs, inputs], WeightRole::Matrix);
    let (activation, bias, residual, gate) = (Activation::None, None, false, None);
    Linear { x, weight, bias, y, rows, inputs, outputs, activation, residual, gate }
}

/// The same into a new scratch buffer.
fn bare(b: &mut PlanBuilder, name: &str, x: BufferId, sizes: [usize; 3], label: &str) -> BufferId {
    let y = b.scratch(label, sizes[0] * sizes[2]);
    let op = no_bias(b, name, x, y, sizes);
    b.push(op);
    y
}
