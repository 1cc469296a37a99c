//! The `world` family: a causal DiT with actions and events, and its codec, as one plan.

use alloc::{format, vec::Vec};

use causeway_ops::{
    BufferId, Plan, PlanBuilder,
    op::{Activate, Activation, Copy, Denoise, Noise, ToPixels},
    plan::{BufferKind, Element, PassId},
};

use super::{Condition, Dit, ModelError, Past, codec::Codec, layers::Map};
use crate::config::{ModelConfig, Prediction};

/// The passes of a world, in the order a session runs them.
#[derive(Clone, Debug)]
pub struct WorldPasses {
    /// Event mix to cross-attention keys and values.
    pub condition: PassId,
    /// Noise into the chunk.
    pub noise: PassId,
    /// One denoise step of the chunk.
    pub denoise: PassId,
    /// Frame f of the chunk to pixels.
    pub decode: Vec<PassId>,
    /// Clean-context pass of the chunk.
    pub commit: PassId,
    /// Clean-context pass of one frame (frame 0 of the chunk's buffer): the frames a stream starts from.
    pub commit_one: PassId,
    /// `image` to frame 0 of the chunk's buffer.
    pub encode: PassId,
}

/// A world's plan and the buffers a session touches.
#[derive(Clone, Debug)]
pub struct WorldPlan {
    /// The plan.
    pub plan: Plan,
    /// Its passes.
    pub passes: WorldPasses,
    /// Normalised latents of the chunk in flight [chunk, height, width, channels].
    pub latents: BufferId,
    /// Frame table u32 [max_history + chunk].
    pub frames: BufferId,
    /// Temporal rotations [max_history + chunk, pairs, 2].
    pub rotations: BufferId,
    /// Action vectors [chunk, actions].
    pub actions: BufferId,
    /// Event mixing weights [events].
    pub events: BufferId,
    /// RGBA8 output.
    pub pixels: BufferId,
    /// RGBA8 input of `encode`.
    pub image: BufferId,
}

impl WorldPlan {
    /// Emits the plan of `config`.
    ///
    /// # Errors
    /// [`ModelError`] where the configuration asks for what this build cannot run.
    pub fn new(config: &ModelConfig, past: Past) -> Result<Self, ModelError> {
        let mut b = PlanBuilder::new();
        let dit_config = &config.dit;
        let chunk = dit_config.chunk;
        let len = dit_config.latent_len();
        if !len.is_multiple_of(4) {
            return Err(ModelError::Unsupported(format!(
                "a latent frame of {len} values, which is not a multiple of 4"
            )));
        }
        let latents = b.state("latents", chunk * len);
        let dit = Dit::new(&mut b, dit_config, past, 0, chunk);
        let Condition::World { actions, events } = dit.condition else {
            return Err(ModelError::Unsupported("a text-to-video model has no actions and events; see Rollout".into()));
        };
        if config.codec.time_factor() != 1 {
            return Err(ModelError::Unsupported(format!(
                "codec.time_up is {:?}; a world's codec keeps the frame rate",
                config.codec.time_up
            )));
        }
        let (width, height) = config.picture();
        let codec = Codec::new(&mut b, &config.codec, dit_config.latent);
        let pixels = b.buffer("pixels", Element::U32, width * height, BufferKind::Output);
        let image = b.buffer("image", Element::U32, width * height, BufferKind::Input);

        let condition = b.pass("condition");
        dit.condition(&mut b);
        let noise = b.pass("noise");
        b.push(Noise { y: latents, frames: chunk, len });
        let denoise = b.pass("denoise");
        let answer = dit.denoise(&mut b, latents, chunk);
        let clean = dit_config.prediction == Prediction::Clean;
        b.push(Denoise { x: latents, v: answer, clean, frames: chunk, len });
        let decode = decode_passes(&mut b, config, &codec, latents, pixels);
        let commit = commit_pass(&mut b, &dit, "commit", latents, chunk, len);
        let commit_one = if chunk == 1 { commit } else { commit_pass(&mut b, &dit, "commit_one", latents, 1, len) };
        let encode = encode_pass(&mut b, config, &codec, image, latents);

        let passes = WorldPasses { condition, noise, denoise, decode, commit, commit_one, encode };
        let (frames, rotations) = (dit.frames, dit.rotations);
        Ok(Self { plan: b.build()?, passes, latents, frames, rotations, actions, events, pixels, image })
    }
}

fn commit_pass(b: &mut PlanBuilder, dit: &Dit<'_>, name: &str, x: BufferId, frames: usize, len: usize) -> PassId {
    let pass = b.pass(name);
    dit.commit(b, x, frames);
    if let Some(previous) = dit.previous {
        b.push(Copy { x, x_offset: (frames - 1) * len, y: previous, y_offset: 0, len });
    }
    pass
}

fn decode_passes(
    b: &mut PlanBuilder,
    config: &ModelConfig,
    codec: &Codec<'_>,
    latents: BufferId,
    pixels: BufferId,
) -> Vec<PassId> {
    let dit = &config.dit;
    let len = dit.latent_len();
    // z * std + mean.
    let table = b.constant("denormalise", [dit.latent_std.as_slice(), dit.latent_mean.as_slice()].concat());
    let mut decode = |frame: usize| {
        let pass = b.pass(format!("decode.{frame}"));
        let (one, raw) = (b.scratch("latent", len), b.scratch("raw_latent", len));
        b.push(Copy { x: latents, x_offset: frame * len, y: one, y_offset: 0, len });
        let affine = Some((table, dit.latent.channels));
        b.push(Activate { x: one, y: raw, len, activation: Activation::None, affine });
        codec.decode(b, raw, &mut |b, Map { buffer, height, width, .. }| {
            b.push(ToPixels { x: buffer, y: pixels, height, width, patch: config.codec.patch });
        });
        pass
    };
    (0..dit.chunk).map(&mut decode).collect()
}

fn encode_pass(
    b: &mut PlanBuilder,
    config: &ModelConfig,
    codec: &Codec<'_>,
    image: BufferId,
    latents: BufferId,
) -> PassId {
    let dit = &config.dit;
    let len = dit.latent_len();
    // (z - mean) / std as z * scale + shift.
    let scale = dit.latent_std.iter().map(|std| 1.0 / std);
    let shift = dit.latent_mean.iter().zip(&dit.latent_std).map(|(mean, std)| -mean / std);
    let table = b.constant("normalise", scale.chain(shift).collect());
    let pass = b.pass("encode");
    let raw = codec.encode(b, image);
    let one = b.scratch("latent", len);
    b.push(Activate { x: raw, y: one, len, activation: Activation::None, affine: Some((table, dit.latent.channels)) });
    b.push(Copy { x: one, x_offset: 0, y: latents, y_offset: 0, len });
    pass
}
