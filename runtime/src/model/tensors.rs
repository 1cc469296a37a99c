//! Which tensors a file holds: names and shapes are read off the plans of its networks, so that each network is written down once.

use alloc::{format, string::String, vec, vec::Vec};

use causeway_ops::{
    PlanBuilder,
    plan::{BufferKind, Element, Weight},
};

use super::{
    ClipPlan, Levels, ModelError, Past, Umt5Plan,
    codec::{Codec, CodecSource},
    denoiser::Denoiser,
};
use crate::config::{ClipConfig, DecoderConfig, DitConfig, FileConfig, LatentConfig, ModelConfig, Umt5Config};

/// A configuration whose networks this build knows.
pub trait Network: FileConfig {
    /// Names and shapes of all tensors of a valid configuration, in the order they are written.
    fn tensors(&self) -> Vec<(String, Vec<usize>)>;

    /// Bytes of the tokenizer that the file holds beside them; 0 for none.
    fn tokenizer(&self) -> usize {
        0
    }
}

impl Network for ModelConfig {
    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut b = PlanBuilder::new();
        denoiser(&mut b, &self.dit);
        if self.holds_codec() {
            codec(&mut b, CodecSource::World(self));
        }
        let mut list = listed(b.into_weights());
        if let Some(start) = &self.start {
            let LatentConfig { channels, height, width } = self.dit.latent;
            list.push((start.latents.clone(), vec![start.count, channels, height, width]));
        }
        list
    }
}

impl Network for DecoderConfig {
    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut b = PlanBuilder::new();
        codec(&mut b, CodecSource::File(&self.codec));
        listed(b.into_weights())
    }
}

impl Network for Umt5Config {
    fn tokenizer(&self) -> usize {
        self.tokenizer
    }

    /// Tables that are looked up on the host are in no plan.
    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let sizes = &self.encoder;
        let bias = vec![sizes.buckets, sizes.heads];
        let mut list = vec![("umt5.token_embedding.weight".into(), vec![sizes.vocabulary, sizes.dim])];
        if sizes.shared_bias {
            list.push(("umt5.pos_embedding.embedding.weight".into(), bias.clone()));
        }
        // A length of 1 is one that a plan can be made for.
        let weights = Umt5Plan::new(sizes, &[1]).map_or_else(|_| Vec::new(), |plan| plan.plan.weights);
        let (layer, others): (Vec<_>, Vec<_>) =
            listed(weights).into_iter().partition(|(name, _)| name.starts_with(Umt5Plan::LAYER));
        for n in 0..sizes.layers {
            list.extend(layer.iter().map(|(name, shape)| (Umt5Plan::in_file(name, n), shape.clone())));
            if !sizes.shared_bias {
                list.push((format!("umt5.blocks.{n}.pos_embedding.embedding.weight"), bias.clone()));
            }
        }
        list.extend(others);
        list
    }
}

impl Network for ClipConfig {
    /// The first row and the positions are added on the host and are in no plan.
    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let sizes = &self.encoder;
        let mut list = vec![
            ("clip.cls_embedding".into(), vec![sizes.dim]),
            ("clip.pos_embedding".into(), vec![sizes.rows(), sizes.dim]),
        ];
        let weights = ClipPlan::new(sizes).map_or_else(|_| Vec::new(), |plan| plan.plan.weights);
        let (layer, others): (Vec<_>, Vec<_>) =
            listed(weights).into_iter().partition(|(name, _)| name.starts_with(ClipPlan::LAYER));
        list.extend(others);
        for n in 0..sizes.layers {
            list.extend(layer.iter().map(|(name, shape)| (ClipPlan::in_file(name, n), shape.clone())));
        }
        list
    }
}

fn listed(weights: Vec<Weight>) -> Vec<(String, Vec<usize>)> {
    weights.into_iter().map(|weight| (weight.name, weight.shape)).collect()
}

/// Emits a denoiser's passes, as small as they can be: weights do not depend on sizes of streams.
fn denoiser(b: &mut PlanBuilder, config: &DitConfig) {
    let [_, height, width] = config.patch;
    let config = DitConfig { latent: LatentConfig { height, width, ..config.latent }, chunk: 1, ..config.clone() };
    let x = b.buffer("latents", Element::F32, config.latent_len(), BufferKind::Input);
    // A level that it knows, where it knows some only.
    let level = config.waypoint().and_then(|waypoint| waypoint.levels.first().copied()).unwrap_or(0.0);
    let Ok(dit) = Denoiser::new(b, &config, &Past::new(1, 0).into(), 1, 1, &Levels::Table(vec![level])) else { return };
    b.pass("forward");
    // A model that is told nothing has no tensors for it.
    let _: Result<(), ModelError> = dit.condition(b);
    dit.denoise(b, x, 1);
}

/// Emits a codec's passes, both ways where it has both, for the smallest latent.
fn codec(b: &mut PlanBuilder, source: CodecSource<'_>) {
    let (channels, side) = (source.channels(), source.space_factor());
    let mut codec = Codec::new(b, source, LatentConfig { channels, height: 1, width: 1 });
    let x = b.buffer("latent", Element::F32, channels, BufferKind::Input);
    let image = b.buffer("image", Element::U32, side * side, BufferKind::Input);
    for first in [true, false] {
        b.pass("decode");
        codec.decode(b, x, first, &mut |_, _| {});
    }
    if source.encodes() {
        for first in [true, false] {
            b.pass("encode");
            let _: Result<(), ModelError> = codec.encode(b, image, first, x);
        }
    }
}
