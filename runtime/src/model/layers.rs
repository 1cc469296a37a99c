//! Pictures on their way through a codec, and the convolutions between them.

use alloc::{format, string::String};

use causeway_ops::{
    BufferId, PlanBuilder,
    op::{Activation, Conv2d},
    plan::WeightRole,
};

/// Channels-last [height, width, channels].
#[derive(Clone, Copy, Debug)]
pub struct Map {
    /// Where it lies.
    pub buffer: BufferId,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Features of a pixel.
    pub channels: usize,
}

impl Map {
    /// Values.
    pub fn values(&self) -> usize {
        self.height * self.width * self.channels
    }
}

/// What differs from a plain 3x3 convolution.
#[derive(Clone, Copy, Default)]
pub(super) struct Extra {
    /// Channels read after those of the input: remembered frames.
    pub past: Option<(BufferId, usize)>,
    pub residual: Option<BufferId>,
    pub pointwise: bool,
    pub halve: bool,
    pub pad_after: bool,
    pub double: bool,
    pub no_bias: bool,
    pub relu: bool,
}

/// A convolution named as in the file: `NAME.weight` and, unless there is none, `NAME.bias`.
pub(super) fn conv(b: &mut PlanBuilder, name: &str, x: Map, outputs: usize, extra: Extra) -> Map {
    let weight = format!("{name}.weight");
    let bias = (!extra.no_bias).then(|| format!("{name}.bias"));
    named(b, (weight, bias), x, outputs, extra)
}

/// As [`conv`] without a bias, with the weight's whole name.
pub(super) fn named(
    b: &mut PlanBuilder,
    (weight, bias): (String, Option<String>),
    x: Map,
    outputs: usize,
    extra: Extra,
) -> Map {
    let kernel = if extra.pointwise { 1 } else { 3 };
    let inputs = x.channels + extra.past.map_or(0, |(_, channels)| channels);
    // The part of a tensor name that tells a reader of the plan where it is.
    let label = weight.split_once('.').map_or(&*weight, |(_, rest)| rest.trim_end_matches(".weight"));
    let label = String::from(label);
    let mut op = Conv2d {
        x: x.buffer,
        x2: extra.past,
        weight: b.weight(weight, &[outputs, inputs, kernel, kernel], WeightRole::Conv),
        bias: bias.map(|bias| b.weight(bias, &[outputs], WeightRole::Vector)),
        residual: extra.residual,
        y: x.buffer,
        height: x.height,
        width: x.width,
        channels: x.channels,
        outputs,
        kernel,
        stride: if extra.halve { 2 } else { 1 },
        pad_after: extra.pad_after,
        upsample: extra.double,
        activation: if extra.relu { Activation::Relu } else { Activation::None },
    };
    let [height, width] = op.out_size();
    op.y = b.scratch(label, height * width * outputs);
    let y = Map { buffer: op.y, height, width, channels: outputs };
    b.push(op);
    y
}
