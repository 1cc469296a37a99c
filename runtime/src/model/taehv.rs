//! The TAEHV codec (spec 3.2): plain 2-D convolutions and one remembered frame a MemBlock, so it streams by construction.
//!
//! Two rewrites keep the result and save work: the 1x1 TGrow runs before its nearest upsampling, with which it commutes, and the
//! upsampling is fused into the convolution that follows.

use alloc::{format, string::String};

use causeway_ops::{
    BufferId, PlanBuilder,
    op::{Activate, Activation, Conv2d, Copy, FromPixels, ToPixels},
    plan::{BufferKind, Element, WeightRole},
};

use super::ModelError;
use crate::config::{CodecConfig, LatentConfig};

/// Buffers of one codec stream.
pub struct Taehv<'a> {
    config: &'a CodecConfig,
    latent: LatentConfig,
    /// Decoded RGBA8 picture [height, width].
    pub pixels: BufferId,
    /// RGBA8 picture to encode [height, width].
    pub image: BufferId,
    decoder_past: [alloc::vec::Vec<BufferId>; 3],
}

/// A picture on its way through the codec: channels-last [height, width, channels].
#[derive(Clone, Copy)]
struct Map {
    buffer: BufferId,
    height: usize,
    width: usize,
    channels: usize,
}

impl Map {
    fn len(&self) -> usize {
        self.height * self.width * self.channels
    }
}

/// What differs from a plain 3x3 convolution.
#[derive(Default)]
struct Extra {
    past: Option<BufferId>,
    residual: Option<BufferId>,
    pointwise: bool,
    halve: bool,
    double: bool,
    no_bias: bool,
    relu: bool,
}

impl<'a> Taehv<'a> {
    /// Declares the stream's state.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] for codecs that change the frame rate.
    pub fn new(b: &mut PlanBuilder, config: &'a CodecConfig, latent: LatentConfig) -> Result<Self, ModelError> {
        if config.time_factor() != 1 {
            return Err(ModelError::Unsupported(format!(
                "codec.time_up is {:?}; codecs with several frames a latent are not supported yet",
                config.time_up
            )));
        }
        let scale = config.space_factor();
        let picture = latent.height * scale * latent.width * scale;
        let mut side = [latent.height, latent.width];
        let decoder_past = [0, 1, 2].map(|stage| {
            let len = side[0] * side[1] * config.widths[stage];
            if config.space_up[stage] {
                side = side.map(|n| 2 * n);
            }
            (0..config.blocks).map(|block| b.state(format!("past.{stage}.{block}"), len)).collect()
        });
        Ok(Self {
            config,
            latent,
            pixels: b.buffer("pixels", Element::U32, picture, BufferKind::Output),
            image: b.buffer("image", Element::U32, picture, BufferKind::Input),
            decoder_past,
        })
    }

    /// Emits the decoding of one (denormalised) latent frame into `pixels`, with the stream's memory.
    pub fn decode(&self, b: &mut PlanBuilder, latent: BufferId) {
        let c = self.config;
        let LatentConfig { height, width, channels } = self.latent;
        let clamped = Map { buffer: b.scratch("clamped", height * width * channels), height, width, channels };
        let activation = Activation::SoftClamp;
        b.push(Activate { x: latent, y: clamped.buffer, len: clamped.len(), activation, affine: None });
        let mut x = conv(b, "taehv.decoder.1", clamped, c.widths[0], Extra { relu: true, ..Extra::default() });
        let mut index = 3;
        for stage in 0..3 {
            for &past in &self.decoder_past[stage] {
                x = mem_block(b, &format!("taehv.decoder.{index}"), x, Some(past));
                index += 1;
            }
            let grow = format!("taehv.decoder.{}.conv", index + 1);
            x = conv(b, &grow, x, c.widths[stage], Extra { pointwise: true, no_bias: true, ..Extra::default() });
            // The sequence's last ReLU directly follows the last stage's convolution.
            let extra = Extra { double: c.space_up[stage], no_bias: true, relu: stage == 2, ..Extra::default() };
            x = conv(b, &format!("taehv.decoder.{}", index + 2), x, c.widths[stage + 1], extra);
            index += 3;
        }
        let shuffled = 3 * c.patch * c.patch;
        x = conv(b, &format!("taehv.decoder.{}", index + 1), x, shuffled, Extra::default());
        b.push(ToPixels { x: x.buffer, y: self.pixels, height: x.height, width: x.width, patch: c.patch });
    }

    /// Emits the encoding of `image` as the first frame of a stream; returns the (unnormalised) latent.
    pub fn encode(&self, b: &mut PlanBuilder) -> BufferId {
        let c = self.config;
        let scale = c.space_factor() / c.patch;
        let (height, width) = (self.latent.height * scale, self.latent.width * scale);
        let channels = 3 * c.patch * c.patch;
        let pixels = Map { buffer: b.scratch("unshuffled", height * width * channels), height, width, channels };
        b.push(FromPixels { x: self.image, y: pixels.buffer, height, width, patch: c.patch });
        let mut x = conv(b, "taehv.encoder.0", pixels, c.widths[3], Extra { relu: true, ..Extra::default() });
        let mut index = 2;
        for stage in [2, 1, 0] {
            let pool = format!("taehv.encoder.{index}.conv");
            x = conv(b, &pool, x, c.widths[stage + 1], Extra { pointwise: true, no_bias: true, ..Extra::default() });
            let extra = Extra { halve: c.space_up[stage], no_bias: true, ..Extra::default() };
            x = conv(b, &format!("taehv.encoder.{}", index + 1), x, c.widths[stage], extra);
            index += 2;
            for _ in 0..c.blocks {
                x = mem_block(b, &format!("taehv.encoder.{index}"), x, None);
                index += 1;
            }
        }
        conv(b, &format!("taehv.encoder.{index}"), x, c.channels, Extra::default()).buffer
    }
}

/// `ReLU(conv(cat[x, past]) + x)`; without a past it is zero, as at the start of a stream. The past then takes x.
fn mem_block(b: &mut PlanBuilder, name: &str, x: Map, past: Option<BufferId>) -> Map {
    let zeros = past.unwrap_or_else(|| b.constant(format!("{name}.zeros"), alloc::vec![0.0; x.len()]));
    let relu = || Extra { relu: true, ..Extra::default() };
    let y = conv(b, &format!("{name}.conv.0"), x, x.channels, Extra { past: Some(zeros), ..relu() });
    let y = conv(b, &format!("{name}.conv.2"), y, x.channels, relu());
    let y = conv(b, &format!("{name}.conv.4"), y, x.channels, Extra { residual: Some(x.buffer), ..relu() });
    if let Some(past) = past {
        b.push(Copy { x: x.buffer, x_offset: 0, y: past, y_offset: 0, len: x.len() });
    }
    y
}

fn conv(b: &mut PlanBuilder, name: &str, x: Map, outputs: usize, extra: Extra) -> Map {
    let kernel = if extra.pointwise { 1 } else { 3 };
    let inputs = if extra.past.is_some() { 2 * x.channels } else { x.channels };
    let mut op = Conv2d {
        x: x.buffer,
        x2: extra.past.map(|past| (past, x.channels)),
        weight: b.weight(format!("{name}.weight"), &[outputs, inputs, kernel, kernel], WeightRole::Conv),
        bias: (!extra.no_bias).then(|| b.weight(format!("{name}.bias"), &[outputs], WeightRole::Vector)),
        residual: extra.residual,
        y: x.buffer,
        height: x.height,
        width: x.width,
        channels: x.channels,
        outputs,
        kernel,
        stride: if extra.halve { 2 } else { 1 },
        upsample: extra.double,
        activation: if extra.relu { Activation::Relu } else { Activation::None },
    };
    let [height, width] = op.out_size();
    op.y = b.scratch(label(name), height * width * outputs);
    let y = Map { buffer: op.y, height, width, channels: outputs };
    b.push(op);
    y
}

/// The part of a tensor name that tells a reader of the plan where it is.
fn label(name: &str) -> String {
    name.trim_start_matches("taehv.").into()
}
