//! The operators, one file each: the buffers it touches, its shape rule, its cost. An operator is plain data and knows no backend.
//!
//! NAME.rs here has two twins of its name: `cpu/NAME.rs`, the CPU kernel, called by `cpu/kernels.rs`, and
//! `shaders/wgsl/NAME.wgsl`, the GPU kernel, for which `gpu/lower/` makes a dispatch.
//!
//! Layouts: tokens are rows [T, dim], frame-major, then row, then column. Pictures and latents are channels-last
//! [frames, height, width, channels]. Everything is `f32` unless an operator says otherwise.

mod activate;
#[cfg(feature = "waypoint")]
mod add;
mod attention;
mod channel_norm;
mod commit;
mod conv2d;
mod copy;
mod cross_attention;
mod embed;
mod from_pixels;
mod gather;
#[cfg(feature = "matrix-game")]
mod join;
mod layer_norm;
#[cfg(feature = "waypoint")]
mod lerp;
mod linear;
mod lookup;
mod modulation;
mod noise;
mod operator;
mod patchify;
mod prefer;
mod remember;
#[cfg(feature = "waypoint")]
mod rms_norm;
mod rms_norm_rope;
mod route;
mod scatter;
mod solve;
#[cfg(feature = "matrix-game")]
mod temporal_attention;
mod to_pixels;
mod unpatchify;

pub use self::{
    activate::{Activate, Activation},
    attention::Attention,
    channel_norm::ChannelNorm,
    commit::Commit,
    conv2d::Conv2d,
    copy::Copy,
    cross_attention::{CrossAttention, Offsets},
    embed::Embed,
    from_pixels::FromPixels,
    gather::Gather,
    layer_norm::{LayerNorm, Scale},
    linear::{Gate, Linear},
    lookup::Lookup,
    modulation::Modulation,
    noise::Noise,
    operator::{Access, Check, Operator},
    patchify::Patchify,
    prefer::Prefer,
    remember::Remember,
    rms_norm_rope::{Grid, RmsNormRope},
    route::Route,
    scatter::Scatter,
    solve::Solve,
    to_pixels::ToPixels,
    unpatchify::Unpatchify,
};

#[cfg(feature = "waypoint")]
pub use self::{
    add::Add,
    lerp::Lerp,
    rms_norm::{Modulated, RmsNorm},
};
#[cfg(feature = "matrix-game")]
pub use self::{join::Join, temporal_attention::TemporalAttention};

use crate::buffer::{Cost, PlanError};

macro_rules! operators {
    ($($(#[$when:meta])* $kind:ident),* $(,)?) => {
        /// One node of a pass.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs, reason = "each variant wraps the documented operator of its name")]
        pub enum Op {
            $($(#[$when])* $kind($kind)),*
        }

        $($(#[$when])* impl From<$kind> for Op {
            fn from(op: $kind) -> Op {
                Op::$kind(op)
            }
        })*

        impl Op {
            /// How many operators there are.
            pub const COUNT: usize = [$($(#[$when])* stringify!($kind)),*].len();

            /// The operator behind the node.
            pub fn operator(&self) -> &dyn Operator {
                match self {
                    $($(#[$when])* Op::$kind(op) => op),*
                }
            }
        }
    };
}

operators!(
    Activate,
    #[cfg(feature = "waypoint")]
    Add,
    Attention,
    ChannelNorm,
    Commit,
    Conv2d,
    Copy,
    CrossAttention,
    Embed,
    FromPixels,
    Gather,
    #[cfg(feature = "matrix-game")]
    Join,
    LayerNorm,
    #[cfg(feature = "waypoint")]
    Lerp,
    Linear,
    Lookup,
    Modulation,
    Noise,
    Patchify,
    Prefer,
    Remember,
    #[cfg(feature = "waypoint")]
    RmsNorm,
    RmsNormRope,
    Route,
    Scatter,
    Solve,
    #[cfg(feature = "matrix-game")]
    TemporalAttention,
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
