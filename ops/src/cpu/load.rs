//! A backend that is made in short steps, so that a host's loading screen goes on.

use alloc::sync::Arc;

use super::{CpuBackend, CpuOptions, check, choose, measure, scratch::Need, weights::Preparing};
use crate::{
    backend::{BackendError, LoadProgress, LoadStage, Memory},
    plan::Plan,
    quant::WeightSource,
};

/// A [`CpuBackend`] on its way.
pub struct CpuLoad {
    plan: Plan,
    options: CpuOptions,
    need: Need,
    memory: Memory,
    weights: Preparing,
}

impl CpuLoad {
    /// Checks everything, and allocates nothing that is large.
    ///
    /// # Errors
    /// As [`CpuBackend::new`].
    pub fn new(plan: Plan, weights: &dyn WeightSource, options: CpuOptions) -> Result<Self, BackendError> {
        let (need, memory) = measure(&plan, weights, &options)?;
        check(memory, &options)?;
        let weights = Preparing::new(&plan, choose(&options)?);
        Ok(Self { plan, options, need, memory, weights })
    }

    /// Prepares about so many bytes of weights, of the same source each time; whether all are prepared.
    ///
    /// # Errors
    /// A weight that cannot be read any more, no memory.
    pub fn step(&mut self, weights: &dyn WeightSource, bytes: usize) -> Result<bool, BackendError> {
        self.weights.step(weights, bytes)
    }

    /// How far it is.
    pub fn progress(&self) -> LoadProgress {
        LoadProgress { stage: LoadStage::Weights, done: self.weights.bytes(), total: self.memory.weights }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How it will compute.
    pub fn options(&self) -> &CpuOptions {
        &self.options
    }

    /// Allocates the rest; all weights are prepared.
    ///
    /// # Errors
    /// No memory.
    pub fn finish(self) -> Result<CpuBackend, BackendError> {
        let Self { plan, options, need, memory, weights } = self;
        CpuBackend::create(plan, Arc::new(weights.finish()), options, need, memory)
    }
}

impl CpuBackend {
    /// Allocates the plan's memory and prepares its weights.
    ///
    /// # Errors
    /// A weight is missing or has another shape, the memory cap is too small (the error carries the bytes needed), or the
    /// instruction set is not available.
    pub fn new(plan: Plan, weights: &dyn WeightSource, options: CpuOptions) -> Result<Self, BackendError> {
        let mut load = CpuLoad::new(plan, weights, options)?;
        while !load.step(weights, usize::MAX)? {}
        load.finish()
    }
}
