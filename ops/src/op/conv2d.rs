//! 2-D convolution with the codec's surroundings fused: upsampling before it, a second input, residual and ReLU after it.

use super::{
    activate::Activation,
    operator::{Access, Check, Operator},
};
use crate::buffer::{BufferId, Cost, PlanError, WeightId};

/// `y = act(conv(upsample(cat[x, x2])) + bias + residual)`, channels-last, zero padding (kernel-1)/2 on all sides.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2d {
    /// Input [height, width, channels].
    pub x: BufferId,
    /// Second input of the same height and width and its channels, concatenated after `x` (a MemBlock's past).
    pub x2: Option<(BufferId, usize)>,
    /// Weight [outputs, channels + channels2, kernel, kernel].
    pub weight: WeightId,
    /// Bias [outputs].
    pub bias: Option<WeightId>,
    /// Added before the activation, [out height, out width, outputs].
    pub residual: Option<BufferId>,
    /// Output [out height, out width, outputs].
    pub y: BufferId,
    /// Input height.
    pub height: usize,
    /// Input width.
    pub width: usize,
    /// Channels of `x`.
    pub channels: usize,
    /// Output channels.
    pub outputs: usize,
    /// Kernel size: 1 or 3.
    pub kernel: usize,
    /// Stride: 1 or 2.
    pub stride: usize,
    /// All padding lies at the right and the bottom; for windows of 3 with stride 2 over even sides.
    pub pad_after: bool,
    /// Doubles the input (nearest) before the convolution.
    pub upsample: bool,
    /// Applied last.
    pub activation: Activation,
}

impl Conv2d {
    /// (height, width) of the output.
    pub fn out_size(&self) -> [usize; 2] {
        let up = if self.upsample { 2 } else { 1 };
        [(self.height * up).div_ceil(self.stride), (self.width * up).div_ceil(self.stride)]
    }

    /// Zeros before the first row and the first column.
    pub fn padding(&self) -> usize {
        if self.pad_after { 0 } else { (self.kernel - 1) / 2 }
    }

    /// Channels of both inputs.
    pub fn inputs(&self) -> usize {
        self.channels + self.x2.map_or(0, |(_, channels)| channels)
    }
}

impl Operator for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        visit(self.x, Access::Read);
        if let Some((x2, _)) = self.x2 {
            visit(x2, Access::Read);
        }
        if let Some(residual) = self.residual {
            visit(residual, Access::Read);
        }
        visit(self.y, Access::Write);
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        let pixels = self.height * self.width;
        let [oh, ow] = self.out_size();
        check.rule(pixels * self.channels * self.outputs > 0, "all dimensions must be positive")?;
        check.rule(self.kernel == 1 || self.kernel == 3, "kernel must be 1 or 3")?;
        check.rule(self.stride == 1 || self.stride == 2, "stride must be 1 or 2")?;
        let even = self.height.is_multiple_of(2) && self.width.is_multiple_of(2);
        check.rule(
            !self.pad_after || (self.kernel == 3 && self.stride == 2 && even),
            "padding after the input needs a window of 3, stride 2 and even sides",
        )?;
        check.buffer(self.x, pixels * self.channels)?;
        if let Some((x2, channels)) = self.x2 {
            check.buffer(x2, pixels * channels)?;
        }
        if let Some(residual) = self.residual {
            check.buffer(residual, oh * ow * self.outputs)?;
        }
        if let Some(bias) = self.bias {
            check.weight(bias, self.outputs)?;
        }
        check.weight(self.weight, self.outputs * self.inputs() * self.kernel * self.kernel)?;
        check.buffer(self.y, oh * ow * self.outputs)
    }

    fn cost(&self) -> Cost {
        let [oh, ow] = self.out_size();
        let weights = self.outputs * self.inputs() * self.kernel * self.kernel;
        Cost {
            flops: 2 * (oh * ow * weights) as u64,
            bytes: 4 * (self.height * self.width * self.inputs() + oh * ow * self.outputs) as u64,
            weights: weights as u64,
        }
    }
}
