//! The operators, one file each: its shape rule, its cost and its CPU kernel. The GPU kernel of the same name is
//! `shaders/wgsl/NAME.wgsl`, lowered by `gpu/lower.rs`.
//!
//! Layouts: tokens are rows [T, dim], frame-major, then row, then column. Pictures and latents are channels-last
//! [frames, height, width, channels]. Everything is `f32` unless an operator says otherwise.

mod activation;
mod attention;
mod channel_norm;
mod commit;
mod conv2d;
mod copy;
mod cross_attention;
mod denoise;
mod layer_norm;
mod linear;
mod modulation;
mod noise;
mod patch;
mod pixels;
mod remember;
mod rms_norm_rope;
mod route;
mod timestep;

pub use activation::{Activate, Activation};
pub use attention::Attention;
pub use channel_norm::ChannelNorm;
pub use commit::Commit;
pub use conv2d::Conv2d;
pub use copy::{Copy, Embed};
pub use cross_attention::{CrossAttention, Offsets};
pub use denoise::Denoise;
pub use layer_norm::{LayerNorm, Scale};
pub use linear::{Gate, Linear};
pub use modulation::Modulation;
pub use noise::Noise;
pub use patch::{Patchify, Unpatchify};
pub use pixels::{FromPixels, ToPixels};
pub use remember::Remember;
pub use rms_norm_rope::{Grid, RmsNormRope};
pub use route::Route;
pub use timestep::Timestep;

use alloc::{string::String, vec::Vec};

use crate::buffer::{Buffer, BufferId, Cost, PlanError, Weight, WeightId};

/// How an operator touches a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads only.
    Read,
    /// Overwrites every element it defines; earlier contents do not matter.
    Write,
    /// Reads and writes in place (residual sums, ring slots).
    Update,
}

/// What every operator knows about itself.
pub trait Operator {
    /// The operator's name, also of its kernel files.
    fn name(&self) -> &'static str;

    /// Calls `visit` for every buffer the operator touches.
    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access));

    /// The shape rule.
    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError>;

    /// Work of one run, with a full history.
    fn cost(&self) -> Cost;
}

/// Checks one node against its plan's buffers and weights; carries the node's name into errors.
pub struct Check<'a> {
    buffers: &'a [Buffer],
    weights: &'a [Weight],
    node: String,
}

impl<'a> Check<'a> {
    pub(crate) fn new(buffers: &'a [Buffer], weights: &'a [Weight], node: String) -> Self {
        Self { buffers, weights, node }
    }

    /// The buffer must hold at least `expected` elements.
    pub fn buffer(&self, id: BufferId, expected: usize) -> Result<(), PlanError> {
        let buffer = &self.buffers[id.0 as usize];
        if buffer.len >= expected {
            return Ok(());
        }
        Err(PlanError::Buffer { node: self.node.clone(), buffer: buffer.name.clone(), found: buffer.len, expected })
    }

    /// The weight must hold exactly `expected` elements.
    pub fn weight(&self, id: WeightId, expected: usize) -> Result<(), PlanError> {
        let weight = &self.weights[id.0 as usize];
        let found = weight.shape.iter().product();
        if found == expected {
            return Ok(());
        }
        Err(PlanError::Weight { node: self.node.clone(), weight: weight.name.clone(), found, expected })
    }

    /// A rule between dimensions.
    pub fn rule(&self, holds: bool, what: &str) -> Result<(), PlanError> {
        if holds {
            return Ok(());
        }
        Err(PlanError::Shape { node: self.node.clone(), what: what.into() })
    }

    fn alias(&self, op: &dyn Operator) -> Result<(), PlanError> {
        let mut touched = Vec::new();
        op.buffers(&mut |id, access| touched.push((id, access)));
        for (i, &(id, access)) in touched.iter().enumerate() {
            let clash = touched
                .iter()
                .enumerate()
                .any(|(j, &(other, how))| i != j && other == id && (access != Access::Read || how != Access::Read));
            if clash {
                let buffer = self.buffers[id.0 as usize].name.clone();
                return Err(PlanError::Alias { node: self.node.clone(), buffer });
            }
        }
        Ok(())
    }
}

macro_rules! operators {
    ($($kind:ident),* $(,)?) => {
        /// One node of a pass.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs, reason = "each variant wraps the documented operator of its name")]
        pub enum Op {
            $($kind($kind)),*
        }

        $(impl From<$kind> for Op {
            fn from(op: $kind) -> Op {
                Op::$kind(op)
            }
        })*

        impl Op {
            /// How many operators there are.
            pub const COUNT: usize = [$(stringify!($kind)),*].len();

            /// The operator behind the node.
            pub fn operator(&self) -> &dyn Operator {
                match self {
                    $(Op::$kind(op) => op),*
                }
            }
        }
    };
}

operators!(
    Activate,
    Attention,
    ChannelNorm,
    Commit,
    Conv2d,
    Copy,
    CrossAttention,
    Denoise,
    Embed,
    FromPixels,
    LayerNorm,
    Linear,
    Modulation,
    Noise,
    Patchify,
    Remember,
    RmsNormRope,
    Route,
    Timestep,
    ToPixels,
    Unpatchify,
);

impl Op {
    /// The operator's name.
    pub fn name(&self) -> &'static str {
        self.operator().name()
    }

    /// Work of one run.
    pub fn cost(&self) -> Cost {
        self.operator().cost()
    }

    /// Shape rule and aliasing.
    pub fn check(&self, check: &Check<'_>) -> Result<(), PlanError> {
        self.operator().shape(check)?;
        check.alias(self.operator())
    }
}

/// Cost of an operator that streams `elements` 32-bit values with `flops` operations.
pub(crate) fn streamed(flops: usize, elements: usize) -> Cost {
    Cost { flops: flops as u64, bytes: 4 * elements as u64, weights: 0 }
}
