//! Which kernel runs an operator, and the scratch memory it needs. The same for GPUs is `gpu/lower.rs`.

use super::{
    activate, attention, channel_norm, commit, context::Context, conv2d, copy, cross_attention, denoise, embed,
    from_pixels, layer_norm, linear, modulation, noise, patchify, remember, rms_norm_rope, route, scratch::Need,
    simd::Level, timestep, to_pixels, unpatchify,
};
use crate::op::Op;

/// Runs one operator.
pub(super) fn run(op: &Op, cx: &Context<'_>) {
    match op {
        Op::Activate(op) => activate::run(op, cx),
        Op::Attention(op) => attention::run(op, cx),
        Op::ChannelNorm(op) => channel_norm::run(op, cx),
        Op::Commit(op) => commit::run(op, cx),
        Op::Conv2d(op) => conv2d::run(op, cx),
        Op::Copy(op) => copy::run(op, cx),
        Op::CrossAttention(op) => cross_attention::run(op, cx),
        Op::Denoise(op) => denoise::run(op, cx),
        Op::Embed(op) => embed::run(op, cx),
        Op::FromPixels(op) => from_pixels::run(op, cx),
        Op::LayerNorm(op) => layer_norm::run(op, cx),
        Op::Linear(op) => linear::run(op, cx),
        Op::Modulation(op) => modulation::run(op, cx),
        Op::Noise(op) => noise::run(op, cx),
        Op::Patchify(op) => patchify::run(op, cx),
        Op::Remember(op) => remember::run(op, cx),
        Op::RmsNormRope(op) => rms_norm_rope::run(op, cx),
        Op::Route(op) => route::run(op, cx),
        Op::Timestep(op) => timestep::run(op, cx),
        Op::ToPixels(op) => to_pixels::run(op, cx),
        Op::Unpatchify(op) => unpatchify::run(op, cx),
    }
}

/// Scratch of one operator. `quantised` tells of each of the plan's weights whether it is kept as bytes.
pub(super) fn need(op: &Op, level: Level, quantised: &[bool]) -> Need {
    match op {
        Op::Attention(op) => attention::need(op, level),
        Op::Conv2d(op) => conv2d::need(op),
        Op::CrossAttention(op) => cross_attention::need(op, level),
        Op::Linear(op) => linear::need(op, quantised[op.weight.0 as usize]),
        Op::Route(op) => route::need(op, level),
        _ => Need::default(),
    }
}
