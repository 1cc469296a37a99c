//! Element-wise activations.

use super::operator::{Access, Check, Operator, streamed};
use crate::buffer::{BufferId, Cost, PlanError};

/// A function of one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// Identity.
    #[default]
    None,
    /// max(x, 0).
    Relu,
    /// x * sigmoid(x).
    Silu,
    /// x/2 * (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
    Gelu,
    /// tanh(x/3)*3, TAEHV's soft clamp of latents.
    SoftClamp,
    /// x/2 * (1 + erf(x / sqrt(2))): GELU as it was first defined.
    GeluErf,
}

/// `y = scale_c * act(x) + shift_c` over [elements / channels, channels]; the affine part is optional.
#[derive(Clone, Debug, PartialEq)]
pub struct Activate {
    /// Input.
    pub x: BufferId,
    /// Output.
    pub y: BufferId,
    /// Number of elements.
    pub len: usize,
    /// The function.
    pub activation: Activation,
    /// Per-channel (scale, shift) constants [2, channels] and the channel count: (de)normalises latents.
    pub affine: Option<(BufferId, usize)>,
}

impl Operator for Activate {
    fn name(&self) -> &'static str {
        "activate"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        visit(self.x, Access::Read);
        if let Some((table, _)) = self.affine {
            visit(table, Access::Read);
        }
        visit(self.y, Access::Write);
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        check.rule(self.len > 0, "len must be positive")?;
        check.buffer(self.x, self.len)?;
        check.buffer(self.y, self.len)?;
        if let Some((table, channels)) = self.affine {
            check.rule(channels > 0 && self.len.is_multiple_of(channels), "channels must divide len")?;
            check.buffer(table, 2 * channels)?;
        }
        Ok(())
    }

    fn cost(&self) -> Cost {
        streamed(8 * self.len, 2 * self.len)
    }
}
