//! The TAEHV codec (spec 3.2): plain 2-D convolutions and one remembered frame a MemBlock, so it streams by construction.
//!
//! Two rewrites keep the result and save work: the 1x1 TGrow runs before its nearest upsampling, with which it commutes, and the
//! upsampling is fused into the convolution that follows. Frames that a TGrow makes go one by one through all that follows, so
//! that no stage holds more than one.

use alloc::{format, vec::Vec};

use causeway_ops::{
    BufferId, PlanBuilder,
    op::{Activate, Activation, Copy, FromPixels},
};

use super::layers::{Extra, Map, conv, named};
use crate::config::{CodecConfig, LatentConfig, grown};

/// A codec, and the memory of one stream that it decodes.
pub struct Taehv<'a> {
    config: &'a CodecConfig,
    latent: LatentConfig,
    decoder_past: [Vec<BufferId>; 3],
}

impl<'a> Taehv<'a> {
    /// Declares the stream's state.
    pub fn new(b: &mut PlanBuilder, config: &'a CodecConfig, latent: LatentConfig) -> Self {
        let mut side = [latent.height, latent.width];
        let decoder_past = [0, 1, 2].map(|stage| {
            let len = side[0] * side[1] * config.widths[stage];
            if config.space_up[stage] {
                side = side.map(|n| 2 * n);
            }
            (0..config.blocks).map(|block| b.state(format!("past.{stage}.{block}"), len)).collect()
        });
        Self { config, latent, decoder_past }
    }

    /// Emits the decoding of one latent frame with the stream's memory. `emit` takes each frame it makes, before the pixel shuffle.
    pub fn decode(&self, b: &mut PlanBuilder, latent: BufferId, emit: &mut dyn FnMut(&mut PlanBuilder, Map)) {
        let LatentConfig { height, width, channels } = self.latent;
        let clamped = Map { buffer: b.scratch("clamped", height * width * channels), height, width, channels };
        let activation = Activation::SoftClamp;
        b.push(Activate { x: latent, y: clamped.buffer, len: clamped.values(), activation, affine: None });
        let relu = Extra { relu: true, ..Extra::default() };
        let x = conv(b, "taehv.decoder.1", clamped, self.config.widths[0], relu);
        self.stage(b, 0, x, emit);
    }

    /// Emits stage `stage` for one frame, and all that follows.
    fn stage(&self, b: &mut PlanBuilder, stage: usize, mut x: Map, emit: &mut dyn FnMut(&mut PlanBuilder, Map)) {
        let c = self.config;
        let first = 3 + stage * (c.blocks + 3);
        if stage == 3 {
            let shuffled = 3 * c.patch * c.patch;
            let y = conv(b, &format!("taehv.decoder.{}", first + 1), x, shuffled, Extra::default());
            return emit(b, y);
        }
        for (block, &past) in self.decoder_past[stage].iter().enumerate() {
            x = mem_block(b, &format!("taehv.decoder.{}", first + block), x, Some(past));
        }
        let index = first + c.blocks;
        for frame in 0..c.time_up[stage] {
            let grow = format!("taehv.decoder.{}.{}", index + 1, grown(frame, c.time_up[stage]));
            let y = named(b, (grow, None), x, c.widths[stage], Extra { pointwise: true, ..Extra::default() });
            // The sequence's last ReLU directly follows the last stage's convolution.
            let extra = Extra { double: c.space_up[stage], no_bias: true, relu: stage == 2, ..Extra::default() };
            let y = conv(b, &format!("taehv.decoder.{}", index + 2), y, c.widths[stage + 1], extra);
            self.stage(b, stage + 1, y, emit);
        }
    }

    /// Emits the encoding of the RGBA8 picture `image` as the first frame of a stream; returns the (unnormalised) latent.
    pub fn encode(&self, b: &mut PlanBuilder, image: BufferId) -> BufferId {
        let c = self.config;
        let scale = c.space_factor() / c.patch;
        let (height, width) = (self.latent.height * scale, self.latent.width * scale);
        let channels = 3 * c.patch * c.patch;
        let pixels = Map { buffer: b.scratch("unshuffled", height * width * channels), height, width, channels };
        b.push(FromPixels { x: image, y: pixels.buffer, height, width, patch: c.patch, black: 0.0 });
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
    let zeros = past.unwrap_or_else(|| b.constant(format!("{name}.zeros"), alloc::vec![0.0; x.values()]));
    let relu = || Extra { relu: true, ..Extra::default() };
    let y = conv(b, &format!("{name}.conv.0"), x, x.channels, Extra { past: Some((zeros, x.channels)), ..relu() });
    let y = conv(b, &format!("{name}.conv.2"), y, x.channels, relu());
    let y = conv(b, &format!("{name}.conv.4"), y, x.channels, Extra { residual: Some(x.buffer), ..relu() });
    if let Some(past) = past {
        b.push(Copy { x: x.buffer, x_offset: 0, y: past, y_offset: 0, len: x.values() });
    }
    y
}
