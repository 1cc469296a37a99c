//! The plan: what a model wants computed, as plain data.

use alloc::{format, string::String, vec::Vec};
use core::ops::Range;

use crate::op::{Access, Check, Op};

pub use crate::buffer::{Buffer, BufferId, BufferKind, Cost, Element, PlanError, Weight, WeightId, WeightRole};

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

    /// One line for `causeway plan`: the operator's name, and the buffers that it reads (<), writes (>) and updates (=).
    pub fn describe(&self, op: &Op) -> String {
        let mut line = String::from(op.name());
        op.operator().buffers(&mut |id, access| {
            let sign = match access {
                Access::Read => "<",
                Access::Write => ">",
                Access::Update => "=",
            };
            line.push_str(&format!(" {sign}{}", self.buffer(id).name));
        });
        line
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
    /// Half precision is enough for activations.
    halves: bool,
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

    /// From now on half precision is enough for activations, or not any more.
    pub fn halves(&mut self, enough: bool) {
        self.halves = enough;
    }

    /// Adds a scratch buffer for `len` activations: what one layer makes for the next and no sum goes on in.
    pub fn activation(&mut self, name: impl Into<String>, len: usize) -> BufferId {
        let element = if self.halves { Element::F16 } else { Element::F32 };
        self.buffer(name, element, len, BufferKind::Scratch)
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

    /// The weights alone, of whatever was emitted: what a network's file must hold.
    pub fn into_weights(self) -> Vec<Weight> {
        self.plan.weights
    }

    /// Checks every node's shape rule and aliasing, and returns the plan.
    pub fn build(self) -> Result<Plan, PlanError> {
        for pass in &self.plan.passes {
            for (index, op) in pass.nodes.iter().enumerate() {
                let node = format!("{}[{index}] {}", pass.name, op.name());
                op.check(&Check::new(&self.plan.buffers, &self.plan.weights, node))?;
            }
        }
        Ok(self.plan)
    }
}
