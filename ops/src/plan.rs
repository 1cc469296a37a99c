//! The plan: what a model wants computed, as plain data.

use alloc::{string::String, vec::Vec};
use core::ops::Range;

use crate::op::Op;

/// Index of a buffer in [`Plan::buffers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(pub u32);

/// Index of a weight in [`Plan::weights`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WeightId(pub u32);

/// What 32-bit elements of a buffer hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// IEEE single precision.
    F32,
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

/// A run of operators that a backend executes in order.
#[derive(Clone, Debug, Default)]
pub struct Pass {
    /// Name for people.
    pub name: String,
    /// Operators in order.
    pub nodes: Vec<Op>,
}

/// Index of a pass in [`Plan::passes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PassId(pub u32);

/// Buffers, weights and passes. Built by [`PlanBuilder`], which checks it.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// All buffers.
    pub buffers: Vec<Buffer>,
    /// All weights.
    pub weights: Vec<Weight>,
    /// All passes.
    pub passes: Vec<Pass>,
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

impl Plan {
    /// The buffer `id` names.
    pub fn buffer(&self, id: BufferId) -> &Buffer {
        &self.buffers[id.0 as usize]
    }

    /// The weight `id` names.
    pub fn weight(&self, id: WeightId) -> &Weight {
        &self.weights[id.0 as usize]
    }

    /// The pass `id` names.
    pub fn pass(&self, id: PassId) -> &Pass {
        &self.passes[id.0 as usize]
    }

    /// Work of a range of nodes of a pass.
    pub fn cost(&self, pass: PassId, nodes: Range<usize>) -> Cost {
        let mut total = Cost::default();
        for op in &self.pass(pass).nodes[nodes] {
            total += op.cost();
        }
        total
    }

    /// Bytes that the plan itself holds on the heap: names, shapes, nodes, constants (of an exactly sized
    /// copy, which is what a backend keeps).
    pub fn bytes(&self) -> usize {
        let buffer = |b: &Buffer| {
            let constant = if let BufferKind::Constant(data) = &b.kind { 4 * data.len() } else { 0 };
            b.name.len() + constant
        };
        let weight = |w: &Weight| w.name.len() + size_of::<usize>() * w.shape.len();
        let pass = |p: &Pass| p.name.len() + size_of::<Op>() * p.nodes.len();
        size_of::<Buffer>() * self.buffers.len()
            + size_of::<Weight>() * self.weights.len()
            + size_of::<Pass>() * self.passes.len()
            + self.buffers.iter().map(buffer).sum::<usize>()
            + self.weights.iter().map(weight).sum::<usize>()
            + self.passes.iter().map(pass).sum::<usize>()
    }

    /// Ids of all state buffers, in order: what a snapshot holds.
    pub fn state(&self) -> impl Iterator<Item = BufferId> + '_ {
        (0..self.buffers.len() as u32).map(BufferId).filter(|&id| self.buffer(id).kind == BufferKind::State)
    }
}

/// Builds a [`Plan`] and checks it.
#[derive(Default)]
pub struct PlanBuilder {
    plan: Plan,
}

impl PlanBuilder {
    /// An empty plan.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a buffer.
    pub fn buffer(&mut self, name: impl Into<String>, element: Element, len: usize, kind: BufferKind) -> BufferId {
        self.plan.buffers.push(Buffer { name: name.into(), element, len, kind });
        BufferId(self.plan.buffers.len() as u32 - 1)
    }

    /// Adds a scratch buffer of `len` floats.
    pub fn scratch(&mut self, name: impl Into<String>, len: usize) -> BufferId {
        self.buffer(name, Element::F32, len, BufferKind::Scratch)
    }

    /// Adds a state buffer of `len` floats.
    pub fn state(&mut self, name: impl Into<String>, len: usize) -> BufferId {
        self.buffer(name, Element::F32, len, BufferKind::State)
    }

    /// Adds a table of constants.
    pub fn constant(&mut self, name: impl Into<String>, data: Vec<f32>) -> BufferId {
        let len = data.len();
        self.buffer(name, Element::F32, len, BufferKind::Constant(data))
    }

    /// Adds a weight, or returns the one already added under this name.
    pub fn weight(&mut self, name: impl Into<String>, shape: &[usize], role: WeightRole) -> WeightId {
        let name = name.into();
        if let Some(at) = self.plan.weights.iter().position(|w| w.name == name) {
            return WeightId(at as u32);
        }
        self.plan.weights.push(Weight { name, shape: shape.to_vec(), role });
        WeightId(self.plan.weights.len() as u32 - 1)
    }

    /// Opens a new pass; [`push`](Self::push) appends to the newest one.
    pub fn pass(&mut self, name: impl Into<String>) -> PassId {
        self.plan.passes.push(Pass { name: name.into(), nodes: Vec::new() });
        PassId(self.plan.passes.len() as u32 - 1)
    }

    /// Appends an operator to the newest pass.
    pub fn push(&mut self, op: impl Into<Op>) {
        if self.plan.passes.is_empty() {
            self.pass("main");
        }
        if let Some(pass) = self.plan.passes.last_mut() {
            pass.nodes.push(op.into());
        }
    }

    /// Checks every node's shape rule and aliasing, and returns the plan.
    pub fn build(self) -> Result<Plan, PlanError> {
        for pass in &self.plan.passes {
            for (index, op) in pass.nodes.iter().enumerate() {
                let node = alloc::format!("{}[{index}] {}", pass.name, op.name());
                op.check(&crate::op::Check::new(&self.plan, node))?;
            }
        }
        Ok(self.plan)
    }
}
