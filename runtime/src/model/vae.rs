//! The Wan 2.1 VAE (spec 3.1): convolutions over time remember two frames each, so that it decodes and encodes streams frame by frame.
//!
//! A convolution over three frames is a 2-D convolution over their channels: the frame itself, then the two remembered ones, the older
//! first. Frames go one by one through all that follows, so that no level holds more than one beside its memory. Names are the published
//! ones behind `vae.`.

use alloc::{format, string::String, vec::Vec};

use causeway_ops::{
    BufferId, PlanBuilder,
    op::{Activate, Activation, ChannelNorm, CrossAttention, Remember},
    plan::WeightRole,
};

use super::{
    Dense,
    layers::{Extra, Map, conv},
};
use crate::config::VaeConfig;

/// Frames that a convolution over time remembers.
const DEPTH: usize = 2;

/// A network, and the memories of one stream by the names of their convolutions.
pub(super) struct Vae<'a> {
    config: &'a VaeConfig,
    memories: Vec<(String, BufferId)>,
}

/// What takes the frames that come out of a network.
type Emit<'e> = &'e mut dyn FnMut(&mut PlanBuilder, Map);

impl<'a> Vae<'a> {
    pub(super) fn new(config: &'a VaeConfig) -> Self {
        Self { config, memories: Vec::new() }
    }

    /// Pixels along one side for each latent.
    pub(super) fn space_factor(&self) -> usize {
        self.config.space_factor()
    }

    /// Frames of each latent frame but the first.
    pub(super) fn time_factor(&self) -> usize {
        self.config.time_factor()
    }

    /// Emits the part of the decoding of a latent frame that keeps the latents' size. Attention over the frame is in it, so that only
    /// convolutions are left to [`Self::decode`]. Little memory is here: the rest holds a frame at up to the pixels' size.
    pub(super) fn features(&mut self, b: &mut PlanBuilder, latent: Map) -> Map {
        let c = self.config;
        // z * std + mean.
        let x = affine(b, "latent", latent, c.latent_std.iter().chain(&c.latent_mean).copied());
        let x = conv(b, "vae.conv2", x, c.channels, point());
        let x = self.causal(b, "vae.decoder.conv1", x, c.widths[c.widths.len() - 1], None);
        let x = self.middle(b, "vae.decoder", x);
        self.level(b, 0, x)
    }

    /// Emits the decoding of [`Self::features`], of the first latent of a stream or of a later one. `emit` takes frames of values from
    /// -1 to 1.
    pub(super) fn decode(&mut self, b: &mut PlanBuilder, features: Map, first: bool, emit: Emit<'_>) {
        self.up(b, 0, features, first, emit);
    }

    /// Emits the blocks of level `level` of the decoder, counted from the latents.
    fn level(&mut self, b: &mut PlanBuilder, level: usize, x: Map) -> Map {
        let c = self.config;
        let (width, base) = (c.widths[c.widths.len() - 1 - level], level * (c.blocks + 2));
        let block = |x, block| self.residual(b, &format!("vae.decoder.upsamples.{block}"), x, width);
        (base..=base + c.blocks).fold(x, block)
    }

    /// Emits what follows the blocks of level `level`.
    fn up(&mut self, b: &mut PlanBuilder, level: usize, x: Map, first: bool, emit: Emit<'_>) {
        let c = self.config;
        let left = c.widths.len() - 1 - level;
        let width = c.widths[left];
        if left == 0 {
            let x = self.head(b, "vae.decoder", x, 3);
            return emit(b, x);
        }
        let name = format!("vae.decoder.upsamples.{}", level * (c.blocks + 2) + c.blocks + 1);
        // The first latent of a stream stands for one frame, and is not remembered here.
        let frames = if c.time_down[left - 1] && !first { 2 } else { 1 };
        let time = format!("{name}.time_conv");
        for frame in 0..frames {
            let mut y = x;
            if frames == 2 {
                let past = self.past(b, &time, x);
                y = conv(b, &format!("{time}.{frame}"), x, width, Extra { past: Some(past), ..point() });
                if frame == 1 {
                    remember(b, x, past);
                }
            }
            y = conv(b, &format!("{name}.resample.1"), y, width / 2, Extra { double: true, ..Extra::default() });
            let y = self.level(b, level + 1, y);
            self.up(b, level + 1, y, first, emit);
        }
    }

    /// Emits the encoding of frame `index` of a pass, values from -1 to 1. `emit` takes the latent, where this frame completes one.
    pub(super) fn encode(&mut self, b: &mut PlanBuilder, frame: Map, index: usize, first: bool, emit: Emit<'_>) {
        let x = self.causal(b, "vae.encoder.conv1", frame, self.config.widths[0], None);
        self.down(b, x, index, first, emit);
    }

    fn down(&mut self, b: &mut PlanBuilder, mut x: Map, mut index: usize, first: bool, emit: Emit<'_>) {
        let c = self.config;
        for (level, &width) in c.widths.iter().enumerate() {
            let base = level * (c.blocks + 1);
            for block in base..base + c.blocks {
                x = self.residual(b, &format!("vae.encoder.downsamples.{block}"), x, width);
            }
            let Some(&halves_time) = c.time_down.get(level) else { break };
            let name = format!("vae.encoder.downsamples.{}", base + c.blocks);
            x = conv(
                b,
                &format!("{name}.resample.1"),
                x,
                width,
                Extra { halve: true, pad_after: true, ..Extra::default() },
            );
            if halves_time {
                let time = format!("{name}.time_conv");
                let past = self.past(b, &time, x);
                let newest = x;
                // The first frame of a stream is kept as it is; of later ones each second completes a pair.
                if !first && index % 2 == 1 {
                    x = conv(b, &time, x, width, Extra { past: Some(past), ..point() });
                }
                remember(b, newest, past);
                if !first && index.is_multiple_of(2) {
                    return;
                }
                index /= 2;
            }
        }
        let x = self.middle(b, "vae.encoder", x);
        let x = self.head(b, "vae.encoder", x, 2 * c.channels);
        // The mean alone: the file leaves out the rows that make the variance.
        let x = conv(b, "vae.conv1", x, c.channels, point());
        let shift = c.latent_mean.iter().zip(&c.latent_std).map(|(mean, std)| -mean / std);
        let latent = affine(b, "normalised", x, c.latent_std.iter().map(|std| 1.0 / std).chain(shift));
        emit(b, latent);
    }

    fn middle(&mut self, b: &mut PlanBuilder, side: &str, x: Map) -> Map {
        let x = self.residual(b, &format!("{side}.middle.0"), x, x.channels);
        attention(b, &format!("{side}.middle.1"), x);
        self.residual(b, &format!("{side}.middle.2"), x, x.channels)
    }

    fn head(&mut self, b: &mut PlanBuilder, side: &str, x: Map, outputs: usize) -> Map {
        let x = norm(b, &format!("{side}.head.0.gamma"), x, Activation::Silu);
        self.causal(b, &format!("{side}.head.2"), x, outputs, None)
    }

    fn residual(&mut self, b: &mut PlanBuilder, name: &str, x: Map, outputs: usize) -> Map {
        let skip = if x.channels == outputs { x } else { conv(b, &format!("{name}.shortcut"), x, outputs, point()) };
        let y = norm(b, &format!("{name}.residual.0.gamma"), x, Activation::Silu);
        let y = self.causal(b, &format!("{name}.residual.2"), y, outputs, None);
        let y = norm(b, &format!("{name}.residual.3.gamma"), y, Activation::Silu);
        self.causal(b, &format!("{name}.residual.6"), y, outputs, Some(skip.buffer))
    }

    /// A 3x3x3 convolution.
    fn causal(&mut self, b: &mut PlanBuilder, name: &str, x: Map, outputs: usize, residual: Option<BufferId>) -> Map {
        let past = self.past(b, name, x);
        let y = conv(b, name, x, outputs, Extra { past: Some(past), residual, ..Extra::default() });
        remember(b, x, past);
        y
    }

    /// The memory of a convolution over maps like `x`, and its channels.
    fn past(&mut self, b: &mut PlanBuilder, name: &str, x: Map) -> (BufferId, usize) {
        let known = self.memories.iter().find(|(of, _)| of == name).map(|&(_, memory)| memory);
        let memory = known.unwrap_or_else(|| {
            let memory = b.state(format!("past.{}", &name[4..]), DEPTH * x.values());
            self.memories.push((name.into(), memory));
            memory
        });
        (memory, DEPTH * x.channels)
    }
}

fn point() -> Extra {
    Extra { pointwise: true, ..Extra::default() }
}

fn remember(b: &mut PlanBuilder, x: Map, (memory, _): (BufferId, usize)) {
    b.push(Remember { x: x.buffer, y: memory, rows: x.height * x.width, channels: x.channels, depth: DEPTH });
}

/// `scale * x + shift` by channels, scales first.
fn affine(b: &mut PlanBuilder, label: &str, x: Map, table: impl Iterator<Item = f32>) -> Map {
    let table = b.constant(format!("{label}.affine"), table.collect());
    let y = Map { buffer: b.scratch(label, x.values()), ..x };
    let affine = Some((table, x.channels));
    b.push(Activate { x: x.buffer, y: y.buffer, len: x.values(), activation: Activation::None, affine });
    y
}

fn norm(b: &mut PlanBuilder, gamma: &str, x: Map, activation: Activation) -> Map {
    let weight = b.weight(gamma, &[x.channels], WeightRole::Vector);
    let y = Map { buffer: b.scratch(gamma.trim_start_matches("vae.").trim_end_matches(".gamma"), x.values()), ..x };
    let (rows, dim) = (x.height * x.width, x.channels);
    b.push(ChannelNorm { x: x.buffer, weight, y: y.buffer, rows, dim, activation });
    y
}

/// `x += attention(norm(x))`: one head over the pixels of the frame.
fn attention(b: &mut PlanBuilder, name: &str, x: Map) {
    let (rows, dim) = (x.height * x.width, x.channels);
    let normed = norm(b, &format!("{name}.norm.gamma"), x, Activation::None).buffer;
    let mut project = |part: &str| {
        let name = format!("{name}.{part}");
        let dense = Dense { name: &name, rows, inputs: dim, outputs: dim, activation: Activation::None };
        dense.scratch(b, normed, &name[4..])
    };
    let [q, k, v] = ["to_q", "to_k", "to_v"].map(&mut project);
    let y = b.scratch("attended", rows * dim);
    b.push(CrossAttention { q, k, v, offsets: None, scaled: true, y, rows, context: rows, heads: 1, head_dim: dim });
    let name = format!("{name}.proj");
    Dense { name: &name, rows, inputs: dim, outputs: dim, activation: Activation::None }.add(b, y, x.buffer, None);
}
