//! Which tensors a configuration implies, and which of them may be quantised (`docs/model-file.md`).

use crate::config::{CodecConfig, CodecKind, DecoderConfig, DecoderNetwork, DitConfig, Family, ModelConfig};
use crate::model::decoder_weights;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use causeway_ops::quant::BLOCK;

/// Names and shapes of all tensors of a valid configuration, in the order they are written.
pub fn expected_tensors(config: &ModelConfig) -> Vec<(String, Vec<usize>)> {
    let mut list = List(Vec::new());
    match config.family {
        Family::World => {
            dit(&mut list, &config.dit);
            match config.codec.kind {
                CodecKind::Taehv => {
                    taehv_decoder(&mut list, &config.codec);
                    taehv_encoder(&mut list, &config.codec);
                }
                CodecKind::Linear => {
                    let (channels, pixels) = (config.codec.channels, 3 * config.codec.patch * config.codec.patch);
                    list.layer("linear.decoder", &[pixels, channels]);
                    list.layer("linear.encoder", &[channels, pixels]);
                }
            }
        }
        Family::Wan => dit(&mut list, &config.dit),
    }
    if let Some(start) = &config.start {
        let latent = config.dit.latent;
        list.0.push((start.latents.clone(), vec![start.count, latent.channels, latent.height, latent.width]));
    }
    list.0
}

/// Names and shapes of all tensors of a decoder's valid configuration, in the order they are written.
pub(crate) fn decoder_tensors(config: &DecoderConfig) -> Vec<(String, Vec<usize>)> {
    let mut list = List(Vec::new());
    match &config.codec {
        DecoderNetwork::Taehv(codec) => taehv_decoder(&mut list, codec),
        DecoderNetwork::Vae(_) => return decoder_weights(config),
    }
    list.0
}

/// Whether the format lets a tensor be quantised: the matrices of transformer blocks, where rows are whole blocks of
/// 32.
///
/// They are nearly all of a model's bytes, in a text encoder together with its token embedding. The layers around them (embeddings, modulation, head) are small, and shape
/// every token of every step.
pub fn may_quantise(name: &str, shape: &[usize]) -> bool {
    let matrix = name.starts_with("dit.blocks.") || (name.starts_with("umt5.") && !name.contains(".pos_embedding."));
    matrix && name.ends_with(".weight") && shape.len() == 2 && shape[1].is_multiple_of(BLOCK)
}

struct List(Vec<(String, Vec<usize>)>);

impl List {
    fn add(&mut self, name: impl Into<String>, shape: &[usize]) {
        self.0.push((name.into(), shape.to_vec()));
    }

    /// A layer whose weight is `shape` and whose bias has one value for each output.
    fn layer(&mut self, name: &str, shape: &[usize]) {
        self.add(format!("{name}.weight"), shape);
        self.add(format!("{name}.bias"), &shape[..1]);
    }
}

fn dit(list: &mut List, c: &DitConfig) {
    let dim = c.dim;
    list.layer("dit.patch_embedding", &[dim, c.in_channels(), c.patch[0], c.patch[1], c.patch[2]]);
    let condition = match &c.text {
        Some(text) => ("text_embedding", text.dim),
        None => ("action_embedding", c.actions.len()),
    };
    for (name, inputs) in [("time_embedding", c.freq_dim), condition] {
        list.layer(&format!("dit.{name}.0"), &[dim, inputs]);
        list.layer(&format!("dit.{name}.2"), &[dim, dim]);
    }
    list.layer("dit.time_projection.1", &[6 * dim, dim]);
    if c.text.is_none() {
        list.add("dit.event_embedding", &[c.events.len(), c.event_tokens, dim]);
    }
    for block in 0..c.layers {
        let block = format!("dit.blocks.{block}");
        list.add(format!("{block}.modulation"), &[1, 6, dim]);
        attention(list, &format!("{block}.self_attn"), dim);
        list.layer(&format!("{block}.norm3"), &[dim]);
        attention(list, &format!("{block}.cross_attn"), dim);
        list.layer(&format!("{block}.ffn.0"), &[c.ffn_dim, dim]);
        list.layer(&format!("{block}.ffn.2"), &[dim, c.ffn_dim]);
    }
    list.layer("dit.head.head", &[c.head_out(), dim]);
    list.add("dit.head.modulation", &[1, 2, dim]);
}

fn attention(list: &mut List, name: &str, dim: usize) {
    for part in ["q", "k", "v", "o"] {
        list.layer(&format!("{name}.{part}"), &[dim, dim]);
    }
    for norm in ["norm_q", "norm_k"] {
        list.add(format!("{name}.{norm}.weight"), &[dim]);
    }
}

/// TAEHV numbers all elements of a sequence, those without weights included.
fn taehv_decoder(list: &mut List, c: &CodecConfig) {
    let (widths, pixels) = (&c.widths, 3 * c.patch * c.patch);
    let mut indices = 0..;
    let mut next = || format!("taehv.decoder.{}", indices.next().unwrap_or_default());
    next(); // clamp
    list.layer(&next(), &[widths[0], c.channels, 3, 3]);
    next(); // ReLU
    for stage in 0..3 {
        let width = widths[stage];
        for _ in 0..c.blocks {
            mem_block(list, &next(), width);
        }
        next(); // upsampling, or nothing
        let grow = next();
        for frame in 0..c.time_up[stage] {
            list.add(format!("{grow}.{}", grown(frame, c.time_up[stage])), &[width, width, 1, 1]);
        }
        list.add(format!("{}.weight", next()), &[widths[stage + 1], width, 3, 3]);
    }
    next(); // ReLU
    list.layer(&next(), &[pixels, widths[3], 3, 3]);
}

/// Name of the weight of a TGrow that makes frame `frame` of `frames`. Each frame has a tensor of its own, so that a plan can make
/// one after the other.
pub(crate) fn grown(frame: usize, frames: usize) -> String {
    if frames == 1 { "conv.weight".into() } else { format!("conv.{frame}.weight") }
}

fn taehv_encoder(list: &mut List, c: &CodecConfig) {
    let (widths, pixels) = (&c.widths, 3 * c.patch * c.patch);
    let mut indices = 0..;
    let mut next = || format!("taehv.encoder.{}", indices.next().unwrap_or_default());
    list.layer(&next(), &[widths[3], pixels, 3, 3]);
    next(); // ReLU
    for stage in (0..3).rev() {
        let (from, to) = (widths[stage + 1], widths[stage]);
        list.add(format!("{}.conv.weight", next()), &[from, c.time_up[stage] * from, 1, 1]);
        list.add(format!("{}.weight", next()), &[to, from, 3, 3]);
        for _ in 0..c.blocks {
            mem_block(list, &next(), to);
        }
    }
    list.layer(&next(), &[c.channels, widths[0], 3, 3]);
}

fn mem_block(list: &mut List, name: &str, width: usize) {
    for (conv, inputs) in [(0, 2 * width), (2, width), (4, width)] {
        list.layer(&format!("{name}.conv.{conv}"), &[width, inputs, 3, 3]);
    }
}
