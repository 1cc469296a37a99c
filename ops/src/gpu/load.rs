//! A backend that is made in short steps, so that a host's loading screen goes on: a weight is uploaded, or a kernel compiled.

use std::sync::Arc;

use causeway_shaders::{Halves, Kernel};

use super::{Fusion, Gpu, GpuBackend, GpuOptions, lower, memory, need::check, weights::Uploading};
use crate::{
    backend::{BackendError, LoadProgress, LoadStage, Memory},
    plan::Plan,
    quant::WeightSource,
};

/// A [`GpuBackend`] on its way.
pub struct GpuLoad {
    gpu: Gpu,
    plan: Plan,
    memory: Memory,
    weights: Uploading,
    /// Kernels that the plan runs, once all weights are there, and how many of them are compiled.
    kernels: Vec<(&'static Kernel, Halves)>,
    compiled: usize,
}

impl GpuLoad {
    /// Checks everything, and makes nothing on the device.
    ///
    /// # Errors
    /// As [`GpuBackend::on`], but for what only shows on the device.
    pub fn new(
        gpu: &Gpu,
        plan: Plan,
        source: &dyn WeightSource,
        memory_cap: Option<usize>,
    ) -> Result<Self, BackendError> {
        let memory = memory(gpu, &plan, source)?;
        check(gpu, &plan, memory, memory_cap)?;
        let weights = Uploading::new(&plan);
        Ok(Self { gpu: gpu.clone(), plan, memory, weights, kernels: Vec::new(), compiled: 0 })
    }

    /// Uploads a weight of the source, which is the same each time, or compiles a kernel; whether there is nothing left of both.
    ///
    /// # Errors
    /// As [`GpuBackend::on`].
    pub fn step(&mut self, source: &dyn WeightSource) -> Result<bool, BackendError> {
        let Self { gpu, plan, weights, kernels, compiled, .. } = self;
        gpu.faults.check()?;
        if let Some((kernel, halves)) = kernels.get(*compiled) {
            gpu.scoped(|| gpu.pipelines.get(&gpu.device, kernel, *halves))?;
            *compiled += 1;
        } else if kernels.is_empty() && gpu.scoped(|| weights.step(&gpu.device, &gpu.queue, source))? {
            let fusion = Fusion::new(plan, gpu.keeps_halves());
            for step in fusion.passes.iter().flatten() {
                for job in lower::lower(step, weights.list(), gpu)? {
                    let (name, halves) = (job.kernel.name, fusion.halves_of(&job));
                    if !kernels.iter().any(|known| (known.0.name, known.1) == (name, halves)) {
                        kernels.push((job.kernel, halves));
                    }
                }
            }
            // A plan without nodes has no kernels.
            return Ok(kernels.is_empty());
        }
        Ok(!kernels.is_empty() && *compiled == kernels.len())
    }

    /// How far it is.
    pub fn progress(&self) -> LoadProgress {
        if self.kernels.is_empty() {
            let (done, total) = (self.weights.done, self.memory.weights);
            return LoadProgress { stage: LoadStage::Weights, done, total };
        }
        LoadProgress { stage: LoadStage::Pipelines, done: self.compiled, total: self.kernels.len() }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The device.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Makes the rest; all weights are uploaded and all kernels compiled.
    ///
    /// # Errors
    /// As [`GpuBackend::on`].
    pub fn finish(self) -> Result<GpuBackend, BackendError> {
        let Self { gpu, plan, memory, weights, .. } = self;
        let scope = gpu.clone();
        scope.scoped(|| GpuBackend::create(gpu, plan, Arc::new(weights.finish()), memory))
    }
}

impl GpuBackend {
    /// Opens a device of its own and loads `plan`.
    ///
    /// # Errors
    /// No adapter fits; a weight is missing or has another shape; the memory cap is too small (the error carries the bytes
    /// needed); the plan exceeds what the device or the kernels can do.
    pub fn new(plan: Plan, source: &dyn WeightSource, options: GpuOptions) -> Result<Self, BackendError> {
        Self::on(&Gpu::open(&options)?, plan, source, options.memory_cap)
    }

    /// Loads `plan` on a device that is open already, sharing its pipelines.
    ///
    /// # Errors
    /// As [`new`](Self::new), but for the adapter.
    pub fn on(
        gpu: &Gpu,
        plan: Plan,
        source: &dyn WeightSource,
        memory_cap: Option<usize>,
    ) -> Result<Self, BackendError> {
        let mut load = GpuLoad::new(gpu, plan, source, memory_cap)?;
        while !load.step(source)? {}
        load.finish()
    }
}
