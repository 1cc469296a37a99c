//! A decoder's plan: one latent frame in, the pixel frames that it makes out.

use alloc::{format, string::String, vec::Vec};

use causeway_ops::{
    BufferId, Plan, PlanBuilder,
    op::Copy,
    plan::{BufferKind, Element, PassId},
};

use super::{EncoderPlan, Map, ModelError, Taehv, vae::Vae};
use crate::config::{DecoderConfig, DecoderNetwork, LatentConfig};

/// One pass and what it leaves in [`DecoderPlan::frames`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecoderPass {
    /// The pass.
    pub id: PassId,
    /// Frames that it makes.
    pub frames: usize,
    /// How many of them, from the first on, are not shown.
    pub skipped: usize,
}

/// A decoder's plan and the buffers a host touches.
#[derive(Clone, Debug)]
pub struct DecoderPlan {
    /// The plan.
    pub plan: Plan,
    /// For the first latent of a stream.
    pub first: DecoderPass,
    /// For all others.
    pub next: DecoderPass,
    /// Normalised latent [height, width, channels].
    pub latent: BufferId,
    /// Frames [most frames, height, width, 3 * patch^2], before the pixel shuffle.
    pub frames: BufferId,
    /// Height and width of `frames`.
    pub size: [usize; 2],
    /// Side of the pixel shuffle's block.
    pub patch: usize,
    /// The value that is black; 1 is white.
    pub black: f32,
}

impl DecoderPlan {
    /// Emits the plan of `config` for latents of this size.
    ///
    /// # Errors
    /// [`ModelError`] for a size without pixels or beyond 1024.
    pub fn new(config: &DecoderConfig, (height, width): (usize, usize)) -> Result<Self, ModelError> {
        check_size((height, width))?;
        let mut b = PlanBuilder::new();
        let latent = LatentConfig { channels: config.codec.channels(), height, width };
        let input = b.buffer("latent", Element::F32, latent.channels * height * width, BufferKind::Input);
        match &config.codec {
            DecoderNetwork::Taehv(codec) => {
                let network = Taehv::new(&mut b, codec, latent);
                let pass = b.pass("decode");
                let (mut frames, skipped) = (Frames::new(codec.time_factor()), codec.time_factor() - 1);
                network.decode(&mut b, input, &mut |b, frame| frames.take(b, frame));
                let pass = DecoderPass { id: pass, frames: frames.taken, skipped };
                let next = DecoderPass { skipped: 0, ..pass };
                frames.finish(b, [pass, next], input, codec.patch, 0.0)
            }
            DecoderNetwork::Vae(vae) => {
                let mut network = Vae::new(vae);
                let mut frames = Frames::new(vae.time_factor());
                let latent = Map { buffer: input, height, width, channels: vae.channels };
                let mut pass = |name: &str, first: bool| {
                    let id = b.pass(name);
                    frames.taken = 0;
                    network.decode(&mut b, latent, first, &mut |b, frame| frames.take(b, frame));
                    DecoderPass { id, frames: frames.taken, skipped: 0 }
                };
                let passes = [pass("decode.first", true), pass("decode", false)];
                frames.finish(b, passes, input, 1, -1.0)
            }
        }
    }
}

/// Latents of a size that plans are made for.
pub(super) fn check_size((height, width): (usize, usize)) -> Result<(), ModelError> {
    if (1..=1024).contains(&height) && (1..=1024).contains(&width) {
        return Ok(());
    }
    Err(ModelError::Unsupported(format!("latents of {height} x {width}; sides are from 1 to 1024")))
}

/// Names and shapes of the tensors that a valid configuration's plans read, whatever their size.
pub(crate) fn weights(config: &DecoderConfig) -> Vec<(String, Vec<usize>)> {
    let decoder = DecoderPlan::new(config, (1, 1)).map(|plan| plan.plan.weights);
    let encoder = EncoderPlan::new(config, (1, 1)).map(|plan| plan.plan.weights);
    let all = decoder.into_iter().chain(encoder).flatten();
    all.map(|weight| (weight.name, weight.shape)).collect()
}

/// Gathers the frames of a pass in the output.
struct Frames {
    most: usize,
    taken: usize,
    output: Option<(BufferId, [usize; 2])>,
}

impl Frames {
    fn new(most: usize) -> Self {
        Self { most, taken: 0, output: None }
    }

    fn take(&mut self, b: &mut PlanBuilder, frame: Map) {
        let (output, _) = *self.output.get_or_insert_with(|| {
            let output = b.buffer("frames", Element::F32, self.most * frame.values(), BufferKind::Output);
            (output, [frame.height, frame.width])
        });
        let len = frame.values();
        b.push(Copy { x: frame.buffer, x_offset: 0, y: output, y_offset: self.taken * len, len });
        self.taken += 1;
    }

    fn finish(
        self,
        b: PlanBuilder,
        [first, next]: [DecoderPass; 2],
        latent: BufferId,
        patch: usize,
        black: f32,
    ) -> Result<DecoderPlan, ModelError> {
        let Some((frames, size)) = self.output else {
            return Err(ModelError::Unsupported("a decoder without frames".into()));
        };
        Ok(DecoderPlan { plan: b.build()?, first, next, latent, frames, size, patch, black })
    }
}
