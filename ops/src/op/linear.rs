//! `y = [y +] gate * act(x W^T + b)`.

use super::{
    activate::Activation,
    operator::{Access, Check, Operator},
};
use crate::buffer::{BufferId, Cost, PlanError, WeightId};

/// A gate: row r of the result is multiplied by row `index` of the modulation of r's frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gate {
    /// Modulation vectors [frames, vectors, outputs].
    pub modulation: BufferId,
    /// Vectors a frame.
    pub vectors: usize,
    /// Which of them.
    pub index: usize,
    /// Rows (tokens) a frame.
    pub rows_per_frame: usize,
}

/// A linear layer with its epilogue fused. Weights [outputs, inputs]: f32, f16, q8 or q4. With q8/q4 weights the CPU
/// quantises activations to int8 in blocks of 32 and uses integer dot products.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// Input [rows, inputs].
    pub x: BufferId,
    /// Weight matrix [outputs, inputs].
    pub weight: WeightId,
    /// Bias [outputs].
    pub bias: Option<WeightId>,
    /// Output [rows, outputs].
    pub y: BufferId,
    /// Rows.
    pub rows: usize,
    /// Input features.
    pub inputs: usize,
    /// Output features.
    pub outputs: usize,
    /// Applied to the result (before a residual).
    pub activation: Activation,
    /// Adds the result to `y` instead of overwriting it.
    pub residual: bool,
    /// Multiplies the result before the residual. With a row for each row of x it is the other half of a gated layer.
    pub gate: Option<Gate>,
}

impl Operator for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        visit(self.x, Access::Read);
        if let Some(gate) = &self.gate {
            visit(gate.modulation, Access::Read);
        }
        visit(self.y, if self.residual { Access::Update } else { Access::Write });
    }

    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError> {
        check.rule(self.rows * self.inputs * self.outputs > 0, "rows, inputs and outputs must be positive")?;
        check.buffer(self.x, self.rows * self.inputs)?;
        check.buffer(self.y, self.rows * self.outputs)?;
        check.weight(self.weight, self.outputs * self.inputs)?;
        if let Some(bias) = self.bias {
            check.weight(bias, self.outputs)?;
        }
        if let Some(gate) = &self.gate {
            check.rule(gate.index < gate.vectors && gate.rows_per_frame > 0, "the gate lies outside the modulation")?;
            let frames = self.rows.div_ceil(gate.rows_per_frame);
            check.buffer(gate.modulation, frames * gate.vectors * self.outputs)?;
        }
        Ok(())
    }

    fn cost(&self) -> Cost {
        Cost {
            flops: 2 * (self.rows * self.inputs * self.outputs) as u64,
            bytes: 4 * (self.rows * (self.inputs + self.outputs)) as u64,
            weights: (self.inputs * self.outputs) as u64,
        }
    }
}
