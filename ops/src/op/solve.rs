//! One sampler step (spec 2.2).

use super::operator::{Access, Check, Operator, streamed};
use crate::buffer::{BufferId, Cost, PlanError};

/// One step of a sampler, element by element: few-step students, Euler, and UniPC of order 2 are sets of weights in
/// [`Params`](crate::Params).
///
/// The network's answer is v, or with `negative` u the guided `u + guidance * (v - u)`. From it come the clean latents c: the answer
/// itself where `clean`, else `x - sigma * answer`. Noise n is that of [`Noise`](super::Noise), drawn with `params.step + 1` where
/// that one has 0, or `fresh`.
///
/// * Without `past`: `x = predict[0] * x + predict[1] * c + predict[3] * n`.
/// * With it: `s = keep * x + correct[0] * from + correct[1] * newer + correct[2] * older + correct[3] * c`, then
///   `x = predict[0] * s + predict[1] * c + predict[2] * newer + predict[3] * n`, then older takes newer, newer takes c, from takes s.
///
/// What has weight 0 is not looked at, so that a first step may find anything in `past`.
#[derive(Clone, Debug, PartialEq)]
pub struct Solve {
    /// Latents [frames, len], updated in place.
    pub x: BufferId,
    /// The network's answer [frames, len]: the flow, or with `clean` the clean latents.
    pub v: BufferId,
    /// Its answer without the prompt [frames, len].
    pub negative: Option<BufferId>,
    /// What the network answers with.
    pub clean: bool,
    /// Noise [frames, len] to be used instead of drawn noise.
    pub fresh: Option<BufferId>,
    /// What multistep samplers remember of this chunk: from (the last step's sample), newer and older (the last two clean latents),
    /// each [frames, len], updated in place.
    pub past: Option<[BufferId; 3]>,
    /// Frames.
    pub frames: usize,
    /// Elements a frame, a multiple of 4.
    pub len: usize,
}

impl Operator for Solve {
    fn name(&self) -> &'static str {
        "solve"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        for id in [Some(self.v), self.negative, self.fresh].into_iter().flatten() {
            visit(id, Access::Read);
        }
        visit(self.x, Access::Update);
        for id in self.past.into_iter().flatten() {
            visit(id, Access::Update);
        }
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        let elements = self.frames * self.len;
        check.rule(elements > 0 && self.len.is_multiple_of(4), "len must be a positive multiple of 4")?;
        let optional = [self.negative, self.fresh].into_iter().flatten();
        let mut all = [self.x, self.v].into_iter().chain(optional).chain(self.past.into_iter().flatten());
        all.try_for_each(|id| check.buffer(id, elements))
    }

    fn cost(&self) -> Cost {
        let drawn = if self.fresh.is_some() { 0 } else { 40 };
        let buffers = 3 + usize::from(self.negative.is_some()) + usize::from(self.fresh.is_some());
        let (past, remembered) = if self.past.is_some() { (12, 6) } else { (0, 0) };
        let elements = self.frames * self.len;
        streamed((10 + drawn + past) * elements, (buffers + remembered) * elements)
    }
}
