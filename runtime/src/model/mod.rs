//! Model families: code that knows a network's shape and emits a [`causeway_ops::Plan`] for it. It knows no backend.

mod clip;
mod codec;
mod decoder;
mod denoiser;
mod dit;
mod encoder;
#[cfg(feature = "matrix-game")]
mod game;
mod inputs;
mod layers;
#[cfg(not(feature = "matrix-game"))]
mod no_game;
mod program;
mod ring;
mod rope;
mod stream;
mod taehv;
mod tensors;
mod umt5;
mod vae;
#[cfg(feature = "waypoint")]
mod waypoint;

#[cfg(not(feature = "matrix-game"))]
use no_game as game;

pub use clip::ClipPlan;
pub use codec::CodecSource;
pub(crate) use decoder::Tiles;
pub use decoder::{DecoderPass, DecoderPlan};
pub(crate) use dit::sinusoid;
pub use dit::{Conditions, Dit, Levels, Text};
pub use encoder::EncoderPlan;
pub use inputs::GameInputs;
pub use layers::Map;
pub use program::{Level, Program, ProgramId, Programs, Recaching, Side, Step, Then};
pub use ring::{Group, Groups, Past};
pub use rope::Rope;
pub use stream::{Exact, Recache, Recent, StreamPlan, StreamShape};
pub use taehv::Taehv;
pub use tensors::Network;
pub use umt5::{Umt5Passes, Umt5Plan};

use alloc::string::String;

use causeway_ops::{
    BufferId, PlanBuilder, PlanError,
    op::{Activation, Gate, Linear},
    plan::WeightRole,
};

/// Why no plan can be made for a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// The configuration asks for something that this cannot run.
    #[error("the model cannot be run this way: {0}")]
    Unsupported(String),
    /// The emitted plan is inconsistent, which is a defect of this library.
    #[error("the model emitted a faulty plan: {0}")]
    Plan(#[from] PlanError),
}

/// A linear layer named as in the file: `NAME.weight` [outputs, inputs] and, unless `bias` is false, `NAME.bias`.
struct Dense<'a> {
    name: &'a str,
    rows: usize,
    inputs: usize,
    outputs: usize,
    activation: Activation,
}

impl Dense<'_> {
    fn build(&self, b: &mut PlanBuilder, x: BufferId, y: BufferId) -> Linear {
        let weight = b.weight(alloc::format!("{}.weight", self.name), &[self.outputs, self.inputs], WeightRole::Matrix);
        let bias = b.weight(alloc::format!("{}.bias", self.name), &[self.outputs], WeightRole::Vector);
        Linear {
            x,
            weight,
            bias: Some(bias),
            y,
            rows: self.rows,
            inputs: self.inputs,
            outputs: self.outputs,
            activation: self.activation,
            residual: false,
            gate: None,
        }
    }

    /// `y = act(linear(x))` into a new scratch buffer.
    fn scratch(&self, b: &mut PlanBuilder, x: BufferId, label: &str) -> BufferId {
        let y = b.scratch(label, self.rows * self.outputs);
        self.write(b, x, y);
        y
    }

    /// The same into a buffer of activations.
    fn activation(&self, b: &mut PlanBuilder, x: BufferId, label: &str) -> BufferId {
        let y = b.activation(label, self.rows * self.outputs);
        self.write(b, x, y);
        y
    }

    /// `y = act(linear(x))`.
    fn write(&self, b: &mut PlanBuilder, x: BufferId, y: BufferId) {
        let op = self.build(b, x, y);
        b.push(op);
    }

    /// `y += gate * act(linear(x))`.
    fn add(&self, b: &mut PlanBuilder, x: BufferId, y: BufferId, gate: Option<Gate>) {
        let op = self.build(b, x, y);
        b.push(Linear { residual: true, gate, ..op });
    }
}
