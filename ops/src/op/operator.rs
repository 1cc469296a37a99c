//! What every operator tells of itself, and how a plan checks it.

use alloc::{string::String, vec::Vec};

use crate::buffer::{Buffer, BufferId, Cost, PlanError, Weight, WeightId};

/// How an operator touches a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads only.
    Read,
    /// Overwrites every element it defines; earlier contents do not matter.
    Write,
    /// Reads and writes in place (residual sums, ring slots).
    Update,
}

/// What every operator knows about itself.
pub trait Operator {
    /// The operator's name, also of its kernel files.
    fn name(&self) -> &'static str;

    /// Calls `visit` for every buffer the operator touches.
    fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access));

    /// The shape rule.
    fn shape(&self, check: &Check<'_>) -> Result<(), PlanError>;

    /// Work of one run, with a full history.
    fn cost(&self) -> Cost;
}

/// Checks one node against its plan's buffers and weights; carries the node's name into errors.
pub struct Check<'a> {
    buffers: &'a [Buffer],
    weights: &'a [Weight],
    node: String,
}

impl<'a> Check<'a> {
    pub(crate) fn new(buffers: &'a [Buffer], weights: &'a [Weight], node: String) -> Self {
        Self { buffers, weights, node }
    }

    /// The buffer must hold at least `expected` elements.
    pub fn buffer(&self, id: BufferId, expected: usize) -> Result<(), PlanError> {
        let buffer = &self.buffers[id.0 as usize];
        if buffer.len >= expected {
            return Ok(());
        }
        Err(PlanError::Buffer { node: self.node.clone(), buffer: buffer.name.clone(), found: buffer.len, expected })
    }

    /// The weight must hold exactly `expected` elements.
    pub fn weight(&self, id: WeightId, expected: usize) -> Result<(), PlanError> {
        let weight = &self.weights[id.0 as usize];
        let found = weight.shape.iter().product();
        if found == expected {
            return Ok(());
        }
        Err(PlanError::Weight { node: self.node.clone(), weight: weight.name.clone(), found, expected })
    }

    /// A rule between dimensions.
    pub fn rule(&self, holds: bool, what: &str) -> Result<(), PlanError> {
        if holds {
            return Ok(());
        }
        Err(PlanError::Shape { node: self.node.clone(), what: what.into() })
    }

    /// A buffer that the operator writes must be named once.
    pub(super) fn alias(&self, op: &dyn Operator) -> Result<(), PlanError> {
        let mut touched = Vec::new();
        op.buffers(&mut |id, access| touched.push((id, access)));
        for (i, &(id, access)) in touched.iter().enumerate() {
            let clash = touched
                .iter()
                .enumerate()
                .any(|(j, &(other, how))| i != j && other == id && (access != Access::Read || how != Access::Read));
            if clash {
                let buffer = self.buffers[id.0 as usize].name.clone();
                return Err(PlanError::Alias { node: self.node.clone(), buffer });
            }
        }
        Ok(())
    }
}

/// Cost of an operator that streams `elements` 32-bit values with `flops` operations.
pub(super) fn streamed(flops: usize, elements: usize) -> Cost {
    Cost { flops: flops as u64, bytes: 4 * elements as u64, weights: 0 }
}
