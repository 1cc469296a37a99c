//! The `wan` family: a causal text-to-video DiT without a decoder, as one plan. The host draws the noise and steps the sampler, so
//! that any schedule, guidance or recorded noise can be used.

use alloc::format;

use causeway_ops::{
    BufferId, Plan, PlanBuilder,
    op::Copy,
    plan::{BufferKind, Element, PassId},
};

use super::{Condition, Dit, ModelError, Past};
use crate::config::DitConfig;

/// Sizes of a stream that the plan depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WanShape {
    /// Frames of the first chunk, at most `dit.chunk`.
    pub first: usize,
    /// What the stream keeps of its past.
    pub past: Past,
    /// Rows of text, the one that stands for padding included.
    pub text_rows: usize,
}

/// Passes over as many frames as one call brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WanPasses {
    /// Latents and timesteps to flow.
    pub denoise: PassId,
    /// Latents and timesteps to the ring.
    pub commit: PassId,
}

/// A Wan model's plan and the buffers a host touches.
#[derive(Clone, Debug)]
pub struct WanPlan {
    /// The plan.
    pub plan: Plan,
    /// Text to cross-attention keys and values.
    pub condition: PassId,
    /// Passes of the first chunk.
    pub first: WanPasses,
    /// Passes of all others.
    pub chunk: WanPasses,
    /// Latents in [chunk, height, width, channels].
    pub latents: BufferId,
    /// Predicted flow, as `latents`.
    pub flow: BufferId,
    /// Frame table u32 [max_history + chunk].
    pub frames: BufferId,
    /// Temporal rotations [max_history + chunk, pairs, 2].
    pub rotations: BufferId,
    /// Text embeddings [text_rows, text dim].
    pub text: BufferId,
    /// Logarithm of how many rows each row of text stands for [text_rows].
    pub offsets: BufferId,
    /// Timestep sinusoids [chunk, freq_dim].
    pub sinusoids: BufferId,
}

impl WanPlan {
    /// Emits the plan of `config`.
    ///
    /// # Errors
    /// [`ModelError`] where the model reads no text or the window does not hold a chunk.
    pub fn new(config: &DitConfig, shape: WanShape) -> Result<Self, ModelError> {
        let (chunk, len) = (config.chunk, config.latent_len());
        if shape.past.window < chunk || !(1..=chunk).contains(&shape.first) || shape.text_rows == 0 {
            return Err(ModelError::Unsupported(format!("chunks of {chunk} frames with {shape:?}")));
        }
        let mut b = PlanBuilder::new();
        let latents = b.buffer("latents", Element::F32, chunk * len, BufferKind::Input);
        let out = b.buffer("flow_out", Element::F32, chunk * len, BufferKind::Output);
        let dit = Dit::new(&mut b, config, shape.past, shape.text_rows);
        let Condition::Text { text, offsets, sinusoids, .. } = dit.condition else {
            return Err(ModelError::Unsupported("a model that reads no text; see Session".into()));
        };
        let condition = b.pass("condition");
        dit.condition(&mut b);
        let mut passes = |frames: usize, name: &str| {
            let denoise = b.pass(format!("denoise{name}"));
            let flow = dit.denoise(&mut b, latents, frames);
            b.push(Copy { x: flow, x_offset: 0, y: out, y_offset: 0, len: frames * len });
            let commit = b.pass(format!("commit{name}"));
            dit.commit(&mut b, latents, frames);
            WanPasses { denoise, commit }
        };
        let all = passes(chunk, "");
        let first = if shape.first == chunk { all } else { passes(shape.first, ".first") };
        let (frames, rotations) = (dit.frames, dit.rotations);
        let plan = b.build()?;
        Ok(Self { plan, condition, first, chunk: all, latents, flow: out, frames, rotations, text, offsets, sinusoids })
    }
}
