//! The `wan` family: a causal text-to-video DiT without a decoder, as one plan. The host draws the noise and steps the sampler, so
//! that any schedule, guidance or recorded noise can be used.

use alloc::{format, vec::Vec};

use causeway_ops::{
    BufferId, Plan, PlanBuilder,
    op::Copy,
    plan::{BufferKind, Element, PassId},
};

use super::{Condition, Dit, ModelError, Past};
use crate::config::DitConfig;

/// Sizes of a stream that the plan depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WanShape {
    /// Frames of the first chunk, at most `dit.chunk`.
    pub first: usize,
    /// What the stream keeps of its past.
    pub past: Past,
    /// Rows of text, the one that stands for padding included.
    pub text_rows: usize,
    /// Whether there is a second ring, of the negative prompt.
    pub guided: bool,
    /// Passes that compute the window anew.
    pub recache: Vec<Recache>,
}

/// Passes that compute frames of the window anew, all at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recache {
    /// History that they see: the sink, where it keeps what it has.
    pub history: usize,
    /// How many frames there can be.
    pub frames: Vec<usize>,
}

/// Passes over as many frames as one call brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WanPasses {
    /// Latents and timesteps to flow.
    pub denoise: PassId,
    /// Latents and timesteps to the ring.
    pub commit: PassId,
}

/// The passes of one prompt and its ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WanBranch {
    /// Text to cross-attention keys and values.
    pub condition: PassId,
    /// Logarithm of how many rows each row of text stands for [text_rows].
    pub offsets: BufferId,
    /// Passes of the first chunk.
    pub first: WanPasses,
    /// Passes of all others.
    pub chunk: WanPasses,
    /// Frames of history and of their own that passes see which compute the latter anew.
    pub recache: Vec<((usize, usize), PassId)>,
}

/// A Wan model's plan and the buffers a host touches.
#[derive(Clone, Debug)]
pub struct WanPlan {
    /// The plan.
    pub plan: Plan,
    /// The prompt.
    pub positive: WanBranch,
    /// The negative prompt of a guided stream.
    pub negative: Option<WanBranch>,
    /// Latents in [most frames of a pass, height, width, channels].
    pub latents: BufferId,
    /// Predicted flow [chunk, height, width, channels].
    pub flow: BufferId,
    /// Frame table u32 [window].
    pub frames: BufferId,
    /// Temporal rotations [window, pairs, 2].
    pub rotations: BufferId,
    /// Text embeddings [text_rows, text dim].
    pub text: BufferId,
    /// Timestep sinusoids [most frames of a pass, freq_dim].
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
        let recached = shape.recache.iter().flat_map(|recache| &recache.frames).max().copied();
        let most = chunk.max(recached.unwrap_or(0));
        let mut b = PlanBuilder::new();
        let latents = b.buffer("latents", Element::F32, most * len, BufferKind::Input);
        let flow = b.buffer("flow_out", Element::F32, chunk * len, BufferKind::Output);
        let dit = Dit::new(&mut b, config, shape.past, shape.text_rows, most);
        let Condition::Text { text, sinusoids, .. } = dit.condition else { return Err(no_text()) };
        let positive = branch(&mut b, &dit, &shape, (latents, flow), "")?;
        let negative = shape.guided.then(|| dit.beside(&mut b, ".negative"));
        let negative = negative.map(|dit| branch(&mut b, &dit, &shape, (latents, flow), ".negative")).transpose()?;
        let (frames, rotations) = (dit.frames, dit.rotations);
        let plan = b.build()?;
        Ok(Self { plan, positive, negative, latents, flow, frames, rotations, text, sinusoids })
    }
}

fn no_text() -> ModelError {
    ModelError::Unsupported("a model that reads no text; see Session".into())
}

/// Emits the passes of one ring.
fn branch(
    b: &mut PlanBuilder,
    dit: &Dit<'_>,
    shape: &WanShape,
    (latents, out): (BufferId, BufferId),
    name: &str,
) -> Result<WanBranch, ModelError> {
    let Condition::Text { offsets, .. } = dit.condition else { return Err(no_text()) };
    let (chunk, len) = dit.sizes();
    let condition = b.pass(format!("condition{name}"));
    dit.condition(b);
    let mut passes = |frames: usize, which: &str| {
        let denoise = b.pass(format!("denoise{which}{name}"));
        let flow = dit.denoise(b, latents, frames);
        b.push(Copy { x: flow, x_offset: 0, y: out, y_offset: 0, len: frames * len });
        let commit = b.pass(format!("commit{which}{name}"));
        dit.commit(b, latents, frames);
        WanPasses { denoise, commit }
    };
    let all = passes(chunk, "");
    let first = if shape.first == chunk { all } else { passes(shape.first, ".first") };
    let mut recache = Vec::new();
    for Recache { history, frames } in &shape.recache {
        let dit = dit.seeing(*history);
        for &frames in frames {
            let pass = b.pass(format!("recache.{history}.{frames}{name}"));
            dit.commit(b, latents, frames);
            recache.push(((*history, frames), pass));
        }
    }
    Ok(WanBranch { condition, offsets, first, chunk: all, recache })
}
