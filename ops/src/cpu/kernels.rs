//! Which kernel runs an operator, in what parts, and the scratch memory it needs. The same for GPUs is `gpu/lower/`.

use super::{
    activate, attention, channel_norm, commit, context::Context, conv2d, copy, cross_attention, embed, from_pixels,
    gather, layer_norm, linear, lookup, modulation, noise, parts::Parts, patchify, prefer, remember, rms_norm_rope,
    route, scatter, scratch::Need, simd::Level, solve, to_pixels, unpatchify,
};
#[cfg(feature = "waypoint")]
use super::{add, lerp, rms_norm};
#[cfg(feature = "matrix-game")]
use super::{join, temporal_attention};
use crate::op::Op;

/// Runs one operator.
pub(super) fn run(op: &Op, cx: &Context<'_>) {
    match op {
        Op::Activate(op) => activate::run(op, cx),
        #[cfg(feature = "waypoint")]
        Op::Add(op) => add::run(op, cx),
        Op::Attention(op) => attention::run(op, cx),
        Op::ChannelNorm(op) => channel_norm::run(op, cx),
        Op::Commit(op) => commit::run(op, cx),
        Op::Conv2d(op) => conv2d::run(op, cx),
        Op::Copy(op) => copy::run(op, cx),
        Op::CrossAttention(op) => cross_attention::run(op, cx),
        Op::Embed(op) => embed::run(op, cx),
        Op::FromPixels(op) => from_pixels::run(op, cx),
        Op::Gather(op) => gather::run(op, cx),
        #[cfg(feature = "matrix-game")]
        Op::Join(op) => join::run(op, cx),
        Op::LayerNorm(op) => layer_norm::run(op, cx),
        #[cfg(feature = "waypoint")]
        Op::Lerp(op) => lerp::run(op, cx),
        Op::Linear(op) => linear::run(op, cx),
        Op::Lookup(op) => lookup::run(op, cx),
        Op::Modulation(op) => modulation::run(op, cx),
        Op::Noise(op) => noise::run(op, cx),
        Op::Patchify(op) => patchify::run(op, cx),
        Op::Prefer(op) => prefer::run(op, cx),
        Op::Remember(op) => remember::run(op, cx),
        #[cfg(feature = "waypoint")]
        Op::RmsNorm(op) => rms_norm::run(op, cx),
        Op::RmsNormRope(op) => rms_norm_rope::run(op, cx),
        Op::Route(op) => route::run(op, cx),
        Op::Scatter(op) => scatter::run(op, cx),
        Op::Solve(op) => solve::run(op, cx),
        #[cfg(feature = "matrix-game")]
        Op::TemporalAttention(op) => temporal_attention::run(op, cx),
        Op::ToPixels(op) => to_pixels::run(op, cx),
        Op::Unpatchify(op) => unpatchify::run(op, cx),
    }
}

/// How one operator is cut into parts; None if it is not.
pub(super) fn parts(op: &Op, level: Level) -> Option<Parts> {
    match op {
        Op::Activate(op) => Some(activate::parts(op)),
        #[cfg(feature = "waypoint")]
        Op::Add(op) => Some(add::parts(op)),
        Op::Attention(op) => Some(attention::parts(op, level)),
        Op::ChannelNorm(op) => Some(channel_norm::parts(op)),
        Op::Commit(op) => Some(commit::parts(op)),
        Op::Conv2d(op) => Some(conv2d::parts(op, level)),
        Op::CrossAttention(op) => Some(cross_attention::parts(op, level)),
        #[cfg(feature = "matrix-game")]
        Op::Join(op) => Some(join::parts(op)),
        Op::LayerNorm(op) => Some(layer_norm::parts(op)),
        Op::Linear(op) => Some(linear::parts(op, level)),
        Op::Noise(op) => Some(noise::parts(op)),
        #[cfg(feature = "waypoint")]
        Op::RmsNorm(op) => Some(rms_norm::parts(op)),
        Op::RmsNormRope(op) => Some(rms_norm_rope::parts(op)),
        Op::Solve(op) => Some(solve::parts(op)),
        #[cfg(feature = "matrix-game")]
        Op::TemporalAttention(op) => Some(temporal_attention::parts(op)),
        _ => None,
    }
}

/// Scratch of one operator. `quantised` tells of each of the plan's weights whether it is kept as bytes.
pub(super) fn need(op: &Op, level: Level, quantised: &[bool]) -> Need {
    match op {
        Op::Attention(op) => attention::need(op, level),
        Op::Conv2d(op) => conv2d::need(op),
        Op::CrossAttention(op) => cross_attention::need(op, level),
        Op::Linear(op) => linear::need(op, quantised[op.weight.0 as usize]),
        Op::Prefer(op) => prefer::need(op),
        Op::Route(op) => route::need(op, level),
        #[cfg(feature = "matrix-game")]
        Op::TemporalAttention(op) => temporal_attention::need(op),
        _ => Need::default(),
    }
}
