//! The table of operators, shapes and inputs that every backend is tested with: by the tests of this crate, which know what must come
//! out, and by tools that compare backends on the machine at hand.
//!
//! All cases live in one plan, a pass each, so that a backend is created once for the whole table.

mod cases;
mod history;
mod maker;
mod sampling;
#[cfg(feature = "waypoint")]
mod shared;
#[cfg(feature = "matrix-game")]
mod temporal;

use self::maker::Maker;
use crate::{
    backend::{Backend, BackendError},
    buffer::{BufferId, PlanError},
    op::{Access, Op},
    plan::Plan,
};

pub use self::maker::{Case, Weights};

/// The whole table: every operator, in every form that has a kernel of its own.
pub struct Table {
    /// All cases' plan.
    pub plan: Plan,
    /// Its weights.
    pub weights: Weights,
    /// The rows.
    pub cases: Vec<Case>,
    /// Scratch that a case's operator works on, and the buffer that is copied to it and from it.
    beside: Vec<(BufferId, BufferId)>,
}

impl Table {
    /// Makes the table, the same on every run.
    ///
    /// # Errors
    /// A case that breaks its operator's shape rule. None does.
    pub fn new() -> Result<Self, PlanError> {
        Self::made(Maker::default())
    }

    /// The same on scratch of [`Element::F16`](crate::plan::Element::F16), with numbers that half precision has: what it holds is copied from
    /// buffers of [`Element::F32`](crate::plan::Element::F32), and back.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn in_halves() -> Result<Self, PlanError> {
        Self::made(Maker { halves: true, ..Maker::default() })
    }

    fn made(mut maker: Maker) -> Result<Self, PlanError> {
        cases::all(&mut maker);
        let Maker { plan, weights, cases, beside, .. } = maker;
        Ok(Self { plan: plan.build()?, weights, cases, beside })
    }

    /// A case's operator.
    pub fn op(&self, case: &Case) -> &Op {
        &self.plan.pass(case.pass).nodes[case.node]
    }

    /// The buffers that a case's operator writes, or that the scratch that it writes is copied to.
    pub fn written(&self, case: &Case) -> Vec<BufferId> {
        let mut ids = Vec::new();
        self.op(case).operator().buffers(&mut |id, access| {
            if access != Access::Read {
                ids.push(self.beside.iter().find(|(scratch, _)| *scratch == id).map_or(id, |found| found.1));
            }
        });
        ids
    }

    /// The scratch that is copied to a buffer.
    pub fn scratch_of(&self, id: BufferId) -> Option<BufferId> {
        self.beside.iter().find(|(_, filled)| *filled == id).map(|found| found.0)
    }

    /// Runs a case on a backend of [`Self::plan`] and returns the words of [`Self::written`], one buffer after the other.
    ///
    /// # Errors
    /// The backend fails.
    pub fn run(&self, case: &Case, backend: &mut dyn Backend) -> Result<Vec<u32>, BackendError> {
        for (id, words) in &case.fill {
            backend.write(*id, bytemuck::cast_slice(words))?;
        }
        backend.run(case.pass, 0..self.plan.pass(case.pass).nodes.len(), &case.params)?;
        let mut out = Vec::new();
        for id in self.written(case) {
            let start = out.len();
            out.resize(start + self.plan.buffer(id).len, 0);
            backend.read(id, bytemuck::cast_slice_mut(&mut out[start..]))?;
        }
        Ok(out)
    }
}
