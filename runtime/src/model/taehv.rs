//! The TAEHV codec (spec 3.2): plain 2-D convolutions and one remembered frame a MemBlock, so it streams by construction.
//!
//! Two rewrites keep the result and save work: the 1x1 TGrow runs before its nearest upsampling, with which it commutes, and the
//! upsampling is fused into the convolution that follows. Frames that a TGrow makes go one by one through all that follows, so
//! that no stage holds more than one.

use alloc::{format, vec, vec::Vec};

use causeway_ops::{
    BufferId, PlanBuilder,
    op::{Activate, Activation, Copy, FromPixels, Remember},
};

use super::layers::{Extra, Map, conv, named};
use crate::config::{CodecConfig, LatentConfig, grown};

/// A codec, and the memory of one stream that it decodes.
pub struct Taehv<'a> {
    config: &'a CodecConfig,
    /// Channels before the encoder's stages 0, 1, 2 and after its last one; none where there is none.
    encoder: Option<[usize; 4]>,
    latent: LatentConfig,
    decoder_past: [Vec<BufferId>; 3],
}

impl<'a> Taehv<'a> {
    /// Declares the stream's state, of a codec in a file of its own.
    pub fn new(b: &mut PlanBuilder, config: &'a CodecConfig, latent: LatentConfig) -> Self {
        let encoder = (config.encoder > 0).then_some([config.encoder; 4]);
        Self { encoder, ..Self::of_world(b, config, latent) }
    }

    /// The same of a world's, whose encoder is as wide as its decoder.
    pub fn of_world(b: &mut PlanBuilder, config: &'a CodecConfig, latent: LatentConfig) -> Self {
        let mut side = [latent.height, latent.width];
        let decoder_past = [0, 1, 2].map(|stage| {
            let len = side[0] * side[1] * config.widths[stage];
            if config.space_up[stage] {
                side = side.map(|n| 2 * n);
            }
            (0..config.blocks).map(|block| b.state(format!("past.{stage}.{block}"), len)).collect()
        });
        Self { config, encoder: Some(config.widths), latent, decoder_past }
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
            let y = mem_block(b, &format!("taehv.decoder.{}", first + block), x, past);
            b.push(Copy { x: x.buffer, x_offset: 0, y: past, y_offset: 0, len: x.values() });
            x = y;
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

    /// Emits the encoding of the RGBA8 picture `image`, standing still for the frames of the first latent of a stream; returns the
    /// (unnormalised) latent, if there is an encoder.
    pub fn encode(&self, b: &mut PlanBuilder, image: BufferId) -> Option<BufferId> {
        let (c, widths) = (self.config, self.encoder?);
        let scale = c.space_factor() / c.patch;
        let (height, width) = (self.latent.height * scale, self.latent.width * scale);
        let channels = 3 * c.patch * c.patch;
        let pixels = Map { buffer: b.scratch("unshuffled", height * width * channels), height, width, channels };
        b.push(FromPixels { x: image, y: pixels.buffer, height, width, patch: c.patch, black: 0.0 });
        let x = conv(b, "taehv.encoder.0", pixels, widths[3], Extra { relu: true, ..Extra::default() });
        let x = self.encoded(b, x, &widths, 0, &mut Vec::new());
        Some(conv(b, &format!("taehv.encoder.{}", 2 + 3 * (2 + c.blocks)), x, c.channels, Extra::default()).buffer)
    }

    /// Emits the next frame that stage `stage` of the encoder makes, stage 0 being the one next to the latents. `before` has the last inputs of
    /// the MemBlocks. Frames that a TPool joins are read oldest first.
    fn encoded(
        &self,
        b: &mut PlanBuilder,
        pixels: Map,
        widths: &[usize; 4],
        stage: usize,
        before: &mut Vec<(usize, BufferId)>,
    ) -> Map {
        if stage == 3 {
            return pixels;
        }
        let c = self.config;
        let (joined, index) = (c.time_up[stage], 2 + (2 - stage) * (2 + c.blocks));
        let mut x = self.encoded(b, pixels, widths, stage + 1, before);
        let mut past = None;
        if joined > 1 {
            let (depth, rows, channels) = (joined - 1, x.height * x.width, x.channels);
            let memory = b.scratch("pooled", depth * x.values());
            for _ in 0..depth {
                let newer = self.encoded(b, pixels, widths, stage + 1, before);
                b.push(Remember { x: newer.buffer, y: memory, rows, channels, depth });
            }
            past = Some((memory, depth * channels));
        }
        let pool = format!("taehv.encoder.{index}.conv");
        x = conv(b, &pool, x, widths[stage + 1], Extra { past, pointwise: true, no_bias: true, ..Extra::default() });
        let extra = Extra { halve: c.space_up[stage], no_bias: true, ..Extra::default() };
        x = conv(b, &format!("taehv.encoder.{}", index + 1), x, widths[stage], extra);
        for block in index + 2..index + 2 + c.blocks {
            let zeros = |b: &mut PlanBuilder| b.constant(format!("taehv.encoder.{block}.zeros"), vec![0.0; x.values()]);
            let past = before.iter().rfind(|(of, _)| *of == block).map_or_else(|| zeros(b), |&(_, past)| past);
            before.push((block, x.buffer));
            x = mem_block(b, &format!("taehv.encoder.{block}"), x, past);
        }
        x
    }
}

/// `ReLU(conv(cat[x, past]) + x)`.
fn mem_block(b: &mut PlanBuilder, name: &str, x: Map, past: BufferId) -> Map {
    let relu = || Extra { relu: true, ..Extra::default() };
    let y = conv(b, &format!("{name}.conv.0"), x, x.channels, Extra { past: Some((past, x.channels)), ..relu() });
    let y = conv(b, &format!("{name}.conv.2"), y, x.channels, relu());
    conv(b, &format!("{name}.conv.4"), y, x.channels, Extra { residual: Some(x.buffer), ..relu() })
}
