//! The CPU backend: one arena, packed weights, operators' kernels, a [`Parallel`] to run them on.
//!
//! Results do not depend on the number of threads: work is split over outputs, never over a sum.

pub(crate) mod attention;
pub(crate) mod conv;
pub(crate) mod elementwise;
pub(crate) mod gemm;
pub(crate) mod norm;

use crate::{
    params::Params,
    plan::{BufferId, Plan, WeightId},
};

/// What a kernel sees: its buffers, its weights, the run's parameters.
pub struct Context<'a> {
    _plan: &'a Plan,
    /// Per-run parameters.
    pub params: &'a Params,
    _ids: (BufferId, WeightId),
}
