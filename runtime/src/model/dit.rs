//! The causal Wan 2.1 block (spec 1.4) at any size, with the action embedding of small worlds.

use alloc::{format, vec, vec::Vec};

use causeway_ops::{
    BufferId, PlanBuilder,
    op::{
        Activate, Activation, CrossAttention, Embed, Gate, Grid, LayerNorm, Lookup, Modulation, Offsets, Patchify,
        RmsNormRope, Scale, Unpatchify,
    },
    plan::{BufferKind, Element, WeightRole},
};

use super::{
    Dense, ModelError,
    game::Game,
    inputs::GameInputs,
    ring::{Group, Groups, Ring, Rows},
    rope::Rope,
};
use crate::config::{Descriptors, DitConfig};

/// State of one layer: its ring and the keys and values of the context in force.
#[derive(Clone, Copy)]
struct Layer {
    ring: Ring,
    cross_k: BufferId,
    cross_v: BufferId,
}

/// Buffers of one DiT stream, shared by the passes it emits.
#[derive(Clone)]
pub struct Dit<'a> {
    config: &'a DitConfig,
    /// The groups of layers that keep the same frames.
    pub groups: Vec<Group>,
    layers: Vec<Layer>,
    grid: BufferId,
    /// The same, where descriptors are without it.
    plain: Option<BufferId>,
    /// What the stream is told.
    pub conditions: Conditions,
    /// Where the timestep sinusoids of a pass come from.
    sinusoids: Sinusoids,
    /// Last committed latent frame, where the model reads it.
    pub previous: Option<BufferId>,
    /// Each frame of a pass has a previous one of its own.
    apart: bool,
    /// The picture condition and the action modules of a game.
    game: Option<Game<'a>>,
    /// Ages of the frames that heads prefer when a chunk is committed, and of their routes [layers but the last, heads, 2]; none beside a stream.
    pub preferences: Option<BufferId>,
}

/// What a model is told, beside its own past, in inputs that the host writes. A model has some of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Action vectors [most frames of a pass, actions].
    pub actions: Option<BufferId>,
    /// Event mixing weights [events].
    pub events: Option<BufferId>,
    /// A prompt, or a picture's features.
    pub text: Option<Text>,
    /// Rows of actions and a picture, of a game.
    pub game: Option<GameInputs>,
}

impl Conditions {
    /// What a game is told; nothing in a build without feature `matrix-game`.
    pub fn game(&self) -> Option<GameInputs> {
        self.game.filter(|_| cfg!(feature = "matrix-game"))
    }
}

/// The input of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    /// Text embeddings and, after them, rows of zeros [rows, text dim].
    pub embeddings: BufferId,
    /// Logarithm of how many rows each of them stands for [rows]: padding is one row (spec 1.4).
    pub offsets: BufferId,
    /// Rows of both.
    pub rows: usize,
}

/// The timesteps that a stream's passes can be told.
#[derive(Clone, Debug, PartialEq)]
pub enum Levels {
    /// A table of them: a run names a row, which all its frames are told.
    Table(Vec<f32>),
    /// Their sinusoids [most frames of a pass, freq_dim] are an input that the host writes, a row a frame.
    Given,
}

#[derive(Clone, Copy)]
enum Sinusoids {
    /// A constant [rows, freq_dim].
    Table(BufferId, usize),
    Given(BufferId),
}

/// [cos(t f_i) | sin(t f_i)], f_i = 10000^(-i/half), in f64 as the reference does (spec 1.4, step 2).
pub(crate) fn sinusoid(timestep: f32, row: &mut [f32]) {
    let half = row.len() / 2;
    for i in 0..half {
        let angle = f64::from(timestep) * libm::pow(10_000.0, -(i as f64) / half as f64);
        row[i] = libm::cos(angle) as f32;
        row[half + i] = libm::sin(angle) as f32;
    }
}

/// Declares the state of all layers, each in the group that `of` tells; `plain` are the spatial rotations that descriptors are without.
fn layers(
    b: &mut PlanBuilder,
    config: &DitConfig,
    (groups, of): (&[Group], impl Fn(usize) -> usize),
    plain: Option<BufferId>,
    text_rows: usize,
    name: &str,
) -> Vec<Layer> {
    let rows = Rows {
        tokens: config.tokens_per_frame(),
        heads: config.heads,
        shared: 1,
        head_dim: config.head_dim(),
        temporal_pairs: config.rope_dims()[0] / 2,
        plain,
    };
    let context = if config.text.is_some() { text_rows } else { config.event_tokens } * config.dim;
    let layer = |n| Layer {
        ring: Ring::new(b, &groups[of(n)], rows, &format!("{name}.{n}")),
        cross_k: b.state(format!("cross_k{name}.{n}"), context),
        cross_v: b.state(format!("cross_v{name}.{n}"), context),
    };
    (0..config.layers).map(layer).collect()
}

/// What a forward pass is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Predict the flow.
    Denoise,
    /// Commit clean keys and values; nothing else of the output is needed.
    Commit,
}

impl<'a> Dit<'a> {
    /// Declares the stream's state: the rings of `groups`, whose windows are at least a chunk, and `text_rows` rows of text, where the model
    /// reads text. A pass has at most `most` frames and is told one of `levels`.
    pub fn new(
        b: &mut PlanBuilder,
        config: &'a DitConfig,
        groups: &Groups,
        text_rows: usize,
        most: usize,
        levels: &Levels,
    ) -> Self {
        let own = Rope::new(config.rope_dims()[0], config.rope_theta);
        let rope = |index| {
            let game = config.game().filter(|_| groups.actions == Some(index));
            game.map_or(own, |game| Rope::new(game.rotated, game.theta))
        };
        let group = |(index, &past)| Group::new(b, past, index, config.chunk, rope(index));
        let tables: Vec<Group> = groups.pasts.iter().enumerate().map(group).collect();
        let game = Game::new(b, config, &tables[groups.actions.unwrap_or(0)], most);
        let grid = b.constant("rope_grid", spatial_rotations(config));
        let plain = (groups.descriptors == Descriptors::Plain).then_some(grid);
        let layers = layers(b, config, (&tables, |n| groups.of(n)), plain, text_rows, "");
        let sinusoids = match levels {
            Levels::Table(timesteps) => {
                let mut table = vec![0.0; timesteps.len() * config.freq_dim];
                let rows = table.chunks_exact_mut(config.freq_dim);
                rows.zip(timesteps).for_each(|(row, &timestep)| sinusoid(timestep, row));
                Sinusoids::Table(b.constant("levels", table), timesteps.len())
            }
            Levels::Given => {
                Sinusoids::Given(b.buffer("sinusoids", Element::F32, most * config.freq_dim, BufferKind::Input))
            }
        };
        let mut input =
            |name: &str, len: usize| (len > 0).then(|| b.buffer(name, Element::F32, len, BufferKind::Input));
        let actions = input("actions", if game.is_some() { 0 } else { most * config.actions.len() });
        let events = input("events", config.events.len());
        let text = config.text.as_ref().map_or(0, |text| text_rows * text.dim);
        let text = input("text", text).zip(input("text_offsets", text_rows));
        let text = text.map(|(embeddings, offsets)| Text { embeddings, offsets, rows: text_rows });
        Self {
            layers,
            groups: tables,
            grid,
            plain,
            conditions: Conditions { actions, events, text, game: game.as_ref().map(|game| game.inputs) },
            sinusoids,
            previous: config.prev_frame.then(|| b.state("previous", config.latent_len())),
            preferences: (config.layers > 1).then(|| b.state("preferences", config.preferences())),
            apart: false,
            game,
            config,
        }
    }

    /// Frames of a chunk and values of a frame's latents.
    pub fn sizes(&self) -> (usize, usize) {
        (self.config.chunk, self.config.latent_len())
    }

    /// A stream of the same latents under another text, called `name`: ring, context and offsets are its own.
    pub fn beside(&self, b: &mut PlanBuilder, name: &str) -> Self {
        let mut this = self.clone();
        this.preferences = None;
        let mut text_rows = 0;
        if let Some(text) = &mut this.conditions.text {
            // Unlike the text itself, which becomes keys and values at once, they are read by every pass.
            text.offsets = b.buffer(format!("text_offsets{name}"), Element::F32, text.rows, BufferKind::Input);
            text_rows = text.rows;
        }
        this.layers =
            layers(b, self.config, (&self.groups, |n| self.layers[n].ring.group), self.plain, text_rows, name);
        this
    }

    /// The sinusoids that the host writes, where it does.
    pub fn sinusoids(&self) -> Option<BufferId> {
        match self.sinusoids {
            Sinusoids::Table(..) => None,
            Sinusoids::Given(buffer) => Some(buffer),
        }
    }

    /// The same stream for passes that see at most so much history, whose own rows in the tables begin behind it, under these actions and
    /// each frame after its own of these, where the model reads them.
    pub fn seeing(&self, max_history: usize, actions: Option<BufferId>, previous: Option<BufferId>) -> Self {
        let conditions = Conditions { actions, ..self.conditions };
        let groups = self.groups.iter().map(|group| group.seeing(max_history)).collect();
        Self { groups, conditions, previous, apart: true, preferences: None, ..self.clone() }
    }

    /// Emits the cross-attention keys and values of the event mix or text in force, for all layers.
    ///
    /// # Errors
    /// [`ModelError`] of a model that is told neither.
    pub fn condition(&self, b: &mut PlanBuilder) -> Result<(), ModelError> {
        let dim = self.config.dim;
        let (context, rows) = self.context(b)?;
        for (n, layer) in self.layers.iter().enumerate() {
            let at = format!("dit.blocks.{n}.cross_attn");
            dense(&format!("{at}.k"), rows, dim, dim).write(b, context, layer.cross_k);
            self.norm(b, &format!("{at}.norm_k"), layer.cross_k, rows, None);
            dense(&format!("{at}.v"), rows, dim, dim).write(b, context, layer.cross_v);
        }
        Ok(())
    }

    /// The rows that cross-attention reads, and their number.
    fn context(&self, b: &mut PlanBuilder) -> Result<(BufferId, usize), ModelError> {
        let (c, dim) = (self.config, self.config.dim);
        match (self.conditions.text, self.conditions.events) {
            (Some(Text { embeddings, rows, .. }), _) => {
                if let Some(game) = &self.game {
                    return Ok((game.context(b, embeddings, rows), rows));
                }
                let inputs = c.text.map_or(0, |text| text.dim);
                let up = dense("dit.text_embedding.0", rows, inputs, dim);
                let hidden = Dense { activation: Activation::Gelu, ..up }.scratch(b, embeddings, "text_hidden");
                Ok((dense("dit.text_embedding.2", rows, dim, dim).scratch(b, hidden, "context"), rows))
            }
            (None, Some(mix)) => {
                let (entries, rows) = (c.events.len(), c.event_tokens);
                let weight = b.weight("dit.event_embedding", &[entries, rows, dim], WeightRole::Vector);
                let y = b.scratch("context", rows * dim);
                b.push(Embed { mix, weight, y, entries, len: rows * dim });
                Ok((y, rows))
            }
            (None, None) => Err(ModelError::Unsupported("a denoiser without events and text".into())),
        }
    }

    /// Emits a forward pass of `frames` latent frames `x` and returns the answer, which `prediction` of the configuration tells the meaning of.
    pub fn denoise(&self, b: &mut PlanBuilder, x: BufferId, frames: usize) -> BufferId {
        let (hidden, e) = self.forward(b, x, frames, Purpose::Denoise);
        self.head(b, hidden, e, frames)
    }

    /// Emits the clean-context pass, which writes the ring slots named in the frame table.
    pub fn commit(&self, b: &mut PlanBuilder, x: BufferId, frames: usize) {
        self.forward(b, x, frames, Purpose::Commit);
    }

    /// Returns the hidden rows and the time embedding e.
    fn forward(&self, b: &mut PlanBuilder, x: BufferId, frames: usize, purpose: Purpose) -> (BufferId, BufferId) {
        let hidden = self.patch_embedding(b, x, frames);
        let (e, e0) = self.time_embedding(b, frames);
        for n in 0..self.config.layers {
            let m = self.modulation(b, n, e0, frames);
            let [q, k, v] = self.project(b, n, hidden, m, frames);
            let last = purpose == Purpose::Commit && n + 1 == self.config.layers;
            if last && !self.game.as_ref().is_some_and(|game| game.acts(n)) {
                // Nothing reads the hidden rows of a commit pass after the last keys and values.
                self.layers[n].ring.commit(b, &self.groups, k, v, frames);
                break;
            }
            // In the commit pass, which pictures do not wait for.
            let ages = self.preferences.filter(|_| purpose == Purpose::Commit && n + 1 < self.config.layers);
            let ages = ages.map(|ages| (ages, 2 * n * self.config.heads));
            self.self_attention(b, n, [hidden, m], [q, k, v], frames, ages);
            if purpose == Purpose::Commit {
                self.layers[n].ring.commit(b, &self.groups, k, v, frames);
            }
            self.cross_attention(b, n, hidden, frames);
            if let Some(game) = &self.game {
                game.act(b, &self.groups, n, hidden, frames, purpose == Purpose::Commit);
            }
            if last {
                break;
            }
            self.feed_forward(b, n, hidden, m, frames);
        }
        (hidden, e)
    }

    fn rows(&self, frames: usize) -> usize {
        frames * self.config.tokens_per_frame()
    }

    fn patch_embedding(&self, b: &mut PlanBuilder, x: BufferId, frames: usize) -> BufferId {
        let c = self.config;
        let [_, ph, pw] = c.patch;
        let op = Patchify {
            x,
            previous: self.previous,
            apart: self.apart,
            y: BufferId(0),
            frames,
            height: c.latent.height,
            width: c.latent.width,
            channels: c.latent.channels,
            patch: [ph, pw],
        };
        let (mut patches, mut features) = (b.scratch("patches", self.rows(frames) * op.features()), op.features());
        b.push(Patchify { y: patches, ..op });
        if let Some(game) = &self.game {
            (patches, features) = game.patches(b, patches, features, frames);
        }
        // The file keeps the convolution's shape [dim, Cin, 1, ph, pw]; with stride = kernel it is a linear layer.
        let weight = b.weight("dit.patch_embedding.weight", &[c.dim, c.in_channels(), 1, ph, pw], WeightRole::Matrix);
        let hidden = b.scratch("hidden", self.rows(frames) * c.dim);
        let mut op = dense("dit.patch_embedding", self.rows(frames), features, c.dim).build(b, patches, hidden);
        op.weight = weight;
        b.push(op);
        hidden
    }

    /// e [frames, dim] and e0 [frames, 6, dim]; the action embedding is added to e.
    fn time_embedding(&self, b: &mut PlanBuilder, frames: usize) -> (BufferId, BufferId) {
        let c = self.config;
        let silu = Activation::Silu;
        let sinusoid = match self.sinusoids {
            Sinusoids::Given(sinusoids) => sinusoids,
            Sinusoids::Table(table, rows) => {
                let y = b.scratch("sinusoid", frames * c.freq_dim);
                b.push(Lookup { table, rows, y, frames, len: c.freq_dim });
                y
            }
        };
        let t = Dense { activation: silu, ..dense("dit.time_embedding.0", frames, c.freq_dim, c.dim) }
            .scratch(b, sinusoid, "time");
        let e = dense("dit.time_embedding.2", frames, c.dim, c.dim).scratch(b, t, "e");
        if let Some(actions) = self.conditions.actions {
            let up = dense("dit.action_embedding.0", frames, c.actions.len(), c.dim);
            let a = Dense { activation: silu, ..up }.scratch(b, actions, "action");
            dense("dit.action_embedding.2", frames, c.dim, c.dim).add(b, a, e, None);
        }
        let activated = b.scratch("e_silu", frames * c.dim);
        b.push(Activate { x: e, y: activated, len: frames * c.dim, activation: silu, affine: None });
        let e0 = dense("dit.time_projection.1", frames, c.dim, 6 * c.dim).scratch(b, activated, "e0");
        (e, e0)
    }

    /// Queries, keys and values of block n, normed and spatially rotated.
    fn project(&self, b: &mut PlanBuilder, n: usize, hidden: BufferId, m: BufferId, frames: usize) -> [BufferId; 3] {
        let (rows, dim) = (self.rows(frames), self.config.dim);
        let at = format!("dit.blocks.{n}.self_attn");
        let y = self.modulated_norm(b, hidden, m, frames, 0);
        let [q, k, v] =
            ["q", "k", "v"].map(|name| dense(&format!("{at}.{name}"), rows, dim, dim).activation(b, y, name));
        self.norm(b, &format!("{at}.norm_q"), q, rows, Some(self.grid));
        self.norm(b, &format!("{at}.norm_k"), k, rows, Some(self.grid));
        [q, k, v]
    }

    fn self_attention(
        &self,
        b: &mut PlanBuilder,
        n: usize,
        [hidden, m]: [BufferId; 2],
        qkv: [BufferId; 3],
        frames: usize,
        ages: Option<(BufferId, usize)>,
    ) {
        let (rows, dim) = (self.rows(frames), self.config.dim);
        let out = self.layers[n].ring.attend(b, &self.groups, qkv, frames, ages);
        dense(&format!("dit.blocks.{n}.self_attn.o"), rows, dim, dim).add(b, out, hidden, Some(self.gate(m, 2)));
    }

    /// The gate at `index` of the block modulation `m`.
    fn gate(&self, m: BufferId, index: usize) -> Gate {
        Gate { modulation: m, vectors: 6, index, rows_per_frame: self.config.tokens_per_frame() }
    }

    fn cross_attention(&self, b: &mut PlanBuilder, n: usize, hidden: BufferId, frames: usize) {
        let (c, layer) = (self.config, &self.layers[n]);
        let (rows, dim) = (self.rows(frames), c.dim);
        let at = format!("dit.blocks.{n}");
        let y = b.activation("normed", rows * dim);
        let weight = b.weight(format!("{at}.norm3.weight"), &[dim], WeightRole::Vector);
        let bias = b.weight(format!("{at}.norm3.bias"), &[dim], WeightRole::Vector);
        let scale = Scale::Affine { weight, bias };
        b.push(LayerNorm { x: hidden, y, rows, dim, rows_per_frame: rows, eps: c.eps, scale });
        let q = dense(&format!("{at}.cross_attn.q"), rows, dim, dim).activation(b, y, "cross_q");
        self.norm(b, &format!("{at}.cross_attn.norm_q"), q, rows, None);
        let out = b.activation("crossed", rows * dim);
        let (context, offsets) = match self.conditions.text {
            None => (c.event_tokens, None),
            Some(Text { rows, offsets, .. }) => (rows, Some(Offsets::Rows(offsets))),
        };
        b.push(CrossAttention {
            q,
            k: layer.cross_k,
            v: layer.cross_v,
            offsets,
            scaled: true,
            y: out,
            rows,
            context,
            heads: c.heads,
            head_dim: c.head_dim(),
        });
        dense(&format!("{at}.cross_attn.o"), rows, dim, dim).add(b, out, hidden, None);
    }

    fn feed_forward(&self, b: &mut PlanBuilder, n: usize, hidden: BufferId, m: BufferId, frames: usize) {
        let c = self.config;
        let (rows, dim, wide) = (self.rows(frames), c.dim, c.ffn_dim);
        let y = self.modulated_norm(b, hidden, m, frames, 3);
        let up = Dense { activation: Activation::Gelu, ..dense(&format!("dit.blocks.{n}.ffn.0"), rows, dim, wide) }
            .activation(b, y, "ffn");
        dense(&format!("dit.blocks.{n}.ffn.2"), rows, wide, dim).add(b, up, hidden, Some(self.gate(m, 5)));
    }

    fn head(&self, b: &mut PlanBuilder, hidden: BufferId, e: BufferId, frames: usize) -> BufferId {
        let c = self.config;
        let (rows, dim) = (self.rows(frames), c.dim);
        let weight = b.weight("dit.head.modulation", &[1, 2, dim], WeightRole::Vector);
        let modulation = b.scratch("head_modulation", frames * 2 * dim);
        // The head adds to e itself, not to its projection (spec, trap 6).
        b.push(Modulation { x: e, weight, y: modulation, frames, vectors: 2, dim, broadcast: true });
        let y = b.scratch("normed", rows * dim);
        let scale = Scale::Modulation { modulation, vectors: 2, shift: 0, scale: 1 };
        b.push(LayerNorm { x: hidden, y, rows, dim, rows_per_frame: c.tokens_per_frame(), eps: c.eps, scale });
        let patches = dense("dit.head.head", rows, dim, c.head_out()).scratch(b, y, "flow_patches");
        let flow = b.scratch("flow", frames * c.latent_len());
        b.push(Unpatchify {
            x: patches,
            y: flow,
            frames,
            height: c.latent.height,
            width: c.latent.width,
            channels: c.latent.channels,
            patch: [c.patch[1], c.patch[2]],
        });
        flow
    }

    /// LayerNorm with the shift and scale vectors `first` and `first + 1` of the block modulation `m`.
    fn modulated_norm(&self, b: &mut PlanBuilder, x: BufferId, m: BufferId, frames: usize, first: usize) -> BufferId {
        let c = self.config;
        let y = b.activation("normed", self.rows(frames) * c.dim);
        b.push(LayerNorm {
            x,
            y,
            rows: self.rows(frames),
            dim: c.dim,
            rows_per_frame: c.tokens_per_frame(),
            eps: c.eps,
            scale: Scale::Modulation { modulation: m, vectors: 6, shift: first, scale: first + 1 },
        });
        y
    }

    /// The six modulation vectors of block n for each frame: shift, scale, gate of attention, then of the feed-forward.
    fn modulation(&self, b: &mut PlanBuilder, n: usize, e0: BufferId, frames: usize) -> BufferId {
        let dim = self.config.dim;
        let weight = b.weight(format!("dit.blocks.{n}.modulation"), &[1, 6, dim], WeightRole::Vector);
        let y = b.scratch("modulation", frames * 6 * dim);
        b.push(Modulation { x: e0, weight, y, frames, vectors: 6, dim, broadcast: false });
        y
    }

    fn norm(&self, b: &mut PlanBuilder, name: &str, x: BufferId, rows: usize, table: Option<BufferId>) {
        let c = self.config;
        let weight = b.weight(format!("{name}.weight"), &[c.dim], WeightRole::Vector);
        let grid = table.map(|table| Grid {
            table,
            tokens: c.tokens_per_frame(),
            rows: 1,
            heads: c.heads,
            temporal_pairs: c.rope_dims()[0] / 2,
        });
        b.push(RmsNormRope { x, weight: Some(weight), rows, dim: c.dim, eps: c.eps, grid });
    }
}

fn dense(name: &str, rows: usize, inputs: usize, outputs: usize) -> Dense<'_> {
    Dense { name, rows, inputs, outputs, activation: Activation::None }
}

/// (cos, sin) of every token's height and width pairs [tokens, pairs, 2] (spec 1.5), computed in f64.
fn spatial_rotations(config: &DitConfig) -> Vec<f32> {
    let (rows, columns) = config.token_grid();
    let [_, height, width] = config.rope_dims();
    let mut table = Vec::with_capacity(rows * columns * (height + width));
    for row in 0..rows {
        for column in 0..columns {
            Rope::new(height, config.rope_theta).rotate(&mut table, row as f64);
            Rope::new(width, config.rope_theta).rotate(&mut table, column as f64);
        }
    }
    table
}
