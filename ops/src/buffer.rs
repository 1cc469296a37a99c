//! What operators name: buffers, weights, the work they cause and what can be wrong with them. A plan holds lists of these, beside the
//! operators, and passes their names on.

use alloc::{string::String, vec::Vec};

/// Index of a buffer in [`Plan::buffers`](crate::Plan::buffers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(pub u32);

/// Index of a weight in [`Plan::weights`](crate::Plan::weights).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WeightId(pub u32);

/// What 32-bit elements of a buffer hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// IEEE single precision.
    F32,
    /// The same, of which half precision is enough: a GPU may keep what lives within a pass so, in half the room. To a host, and on a CPU, it is
    /// as good as [`Element::F32`].
    F16,
    /// Unsigned integers (tables, routes, packed pixels).
    U32,
}

/// How long a buffer's contents live.
#[derive(Clone, Debug, PartialEq)]
pub enum BufferKind {
    /// Written by the host before a pass.
    Input,
    /// Read by the host after a pass.
    Output,
    /// Survives from pass to pass; part of a snapshot. Zeroed at creation.
    State,
    /// Lives within one pass; the planner may alias it with others.
    Scratch,
    /// Fixed data computed by the model (RoPE tables).
    Constant(Vec<f32>),
}

/// A buffer of `len` 32-bit elements.
#[derive(Clone, Debug, PartialEq)]
pub struct Buffer {
    /// Name for people (`causeway plan`).
    pub name: String,
    /// Element type.
    pub element: Element,
    /// Number of elements.
    pub len: usize,
    /// Lifetime.
    pub kind: BufferKind,
}

/// How an operator uses a weight, which decides the layout a backend prepares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightRole {
    /// Matrix [out, in] of a linear layer.
    Matrix,
    /// Convolution [out, in, kh, kw].
    Conv,
    /// Anything read element by element as `f32`: bias, norm, modulation, embedding rows.
    Vector,
}

/// A weight that the plan reads, by its name in the model file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weight {
    /// Tensor name.
    pub name: String,
    /// Shape, outermost first.
    pub shape: Vec<usize>,
    /// Use.
    pub role: WeightRole,
}

/// Work of a node or a pass.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Floating-point operations (a multiply-add counts two).
    pub flops: u64,
    /// Bytes of activations read and written once.
    pub bytes: u64,
    /// Elements of weights read once.
    pub weights: u64,
}

impl core::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Cost) {
        self.flops += other.flops;
        self.bytes += other.bytes;
        self.weights += other.weights;
    }
}

/// What is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A buffer is smaller than an operator needs.
    #[error("{node}: buffer `{buffer}` holds {found} elements, the operator needs {expected}")]
    Buffer {
        /// Pass and node.
        node: String,
        /// Buffer name.
        buffer: String,
        /// Elements there.
        found: usize,
        /// Elements needed.
        expected: usize,
    },
    /// A weight has another shape than an operator needs.
    #[error("{node}: weight `{weight}` has {found} elements, the operator needs {expected}")]
    Weight {
        /// Pass and node.
        node: String,
        /// Tensor name.
        weight: String,
        /// Elements there.
        found: usize,
        /// Elements needed.
        expected: usize,
    },
    /// A node reads and writes one buffer although its operator is not in-place.
    #[error("{node}: buffer `{buffer}` is read and written by one operator")]
    Alias {
        /// Pass and node.
        node: String,
        /// Buffer name.
        buffer: String,
    },
    /// A dimension is zero or a constraint between dimensions fails.
    #[error("{node}: {what}")]
    Shape {
        /// Pass and node.
        node: String,
        /// The violated rule.
        what: String,
    },
}
