//! A backend that is made in steps.

use alloc::boxed::Box;
#[cfg(feature = "gpu")]
use alloc::sync::Arc;

use causeway_ops::{
    Backend, BackendError, Plan,
    backend::LoadProgress,
    cpu::{CpuBackend, CpuLoad, CpuOptions},
    quant::WeightSource,
};

#[cfg(feature = "gpu")]
use causeway_ops::gpu::{Frames, Gpu, GpuBackend, GpuLoad};

use super::loaded::{Held, Loaded};

/// Bytes of weights that a step prepares: about a third of a millisecond.
const STEP_BYTES: usize = 1 << 18;

/// What is done next.
enum Stage {
    Cpu(Box<CpuLoad>),
    #[cfg(feature = "gpu")]
    Gpu(Box<GpuLoad>),
    /// It was given, or failed.
    Over,
}

/// A backend on its way to a device.
pub(crate) struct Loading {
    stage: Stage,
    loaded: Loaded,
    /// What the CPU does where the GPU turns out not to be able.
    #[cfg(feature = "gpu")]
    fallback: Option<(Plan, CpuOptions)>,
}

/// A backend, made.
pub(crate) enum Made {
    Cpu(Box<CpuBackend>),
    #[cfg(feature = "gpu")]
    Gpu(Box<GpuBackend>),
}

impl Loading {
    /// On a CPU.
    pub(super) fn on_cpu(
        plan: Plan,
        weights: &dyn WeightSource,
        options: CpuOptions,
        loaded: Loaded,
    ) -> Result<Self, BackendError> {
        let stage = Stage::Cpu(Box::new(CpuLoad::new(plan, weights, options)?));
        Ok(Self {
            stage,
            loaded,
            #[cfg(feature = "gpu")]
            fallback: None,
        })
    }

    /// On a GPU.
    #[cfg(feature = "gpu")]
    pub(super) fn on_gpu(
        gpu: &Gpu,
        plan: Plan,
        weights: &dyn WeightSource,
        loaded: Loaded,
    ) -> Result<Self, BackendError> {
        let stage = Stage::Gpu(Box::new(GpuLoad::new(gpu, plan, weights, None)?));
        Ok(Self { stage, loaded, fallback: None })
    }

    /// On the CPU, should the GPU turn out not to be able.
    #[cfg(feature = "gpu")]
    pub(super) fn or(self, plan: Plan, options: CpuOptions) -> Self {
        Self { fallback: Some((plan, options)), ..self }
    }

    /// How far it is; none once it is over.
    pub fn progress(&self) -> Option<LoadProgress> {
        match &self.stage {
            Stage::Cpu(load) => Some(load.progress()),
            #[cfg(feature = "gpu")]
            Stage::Gpu(load) => Some(load.progress()),
            _ => None,
        }
    }

    /// A short piece of work, with the weights that it was begun with. Some when the backend is there.
    ///
    /// # Errors
    /// As [`super::Device`] loading in one piece.
    pub fn step(&mut self, weights: &dyn WeightSource) -> Result<Option<Made>, BackendError> {
        match core::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Cpu(mut load) => {
                // Another session may hold them, or be as far first: what is here is given up for its.
                let shared = |held: &Held| held.on_cpu(load.plan(), load.options().clone());
                if let Some(shared) = self.loaded.find(weights, shared) {
                    return shared.map(|backend| Some(Made::Cpu(Box::new(backend))));
                }
                if !load.step(weights, STEP_BYTES)? {
                    self.stage = Stage::Cpu(load);
                    return Ok(None);
                }
                let (plan, options) = (load.plan().clone(), load.options().clone());
                let backend = self.loaded.share(
                    weights,
                    |held| held.on_cpu(&plan, options.clone()),
                    || load.finish(),
                    |backend| Held::Cpu(backend.weights().clone()),
                )?;
                Ok(Some(Made::Cpu(Box::new(backend))))
            }
            Stage::Over => Err(BackendError::Unsupported("it failed before".into())),
            #[cfg(feature = "gpu")]
            Stage::Gpu(load) => {
                let made = self.step_on_gpu(load, weights);
                if let Err(BackendError::Unsupported(why)) = &made
                    && let Some((plan, options)) = self.fallback.take()
                {
                    log::info!("computing on the CPU, for the GPU cannot: {why}");
                    self.stage = Stage::Cpu(Box::new(CpuLoad::new(plan, weights, options)?));
                    return Ok(None);
                }
                made
            }
        }
    }

    #[cfg(feature = "gpu")]
    fn step_on_gpu(
        &mut self,
        mut load: Box<GpuLoad>,
        weights: &dyn WeightSource,
    ) -> Result<Option<Made>, BackendError> {
        if let Some(shared) = self.loaded.find(weights, |held| held.on_gpu(load.gpu(), load.plan(), None)) {
            return shared.map(|backend| Some(Made::Gpu(Box::new(backend))));
        }
        if !load.step(weights)? {
            self.stage = Stage::Gpu(load);
            return Ok(None);
        }
        let (gpu, plan) = (load.gpu().clone(), load.plan().clone());
        let backend = self.loaded.share(
            weights,
            |held| held.on_gpu(&gpu, &plan, None),
            || load.finish(),
            |backend| Held::Gpu(backend.weights().clone()),
        )?;
        Ok(Some(Made::Gpu(Box::new(backend))))
    }
}

impl Made {
    /// As any other.
    pub fn plain(self) -> Box<dyn Backend> {
        match self {
            Self::Cpu(backend) => backend,
            #[cfg(feature = "gpu")]
            Self::Gpu(backend) => backend,
        }
    }

    /// The same; finished frames stay in `frames` too, if it is on a GPU.
    #[cfg(feature = "gpu")]
    pub fn keeping(self, frames: Option<Arc<Frames>>) -> Box<dyn Backend> {
        match (self, frames) {
            (Self::Gpu(backend), Some(frames)) => Box::new(backend.keep_frames(frames)),
            (made, _) => made.plain(),
        }
    }
}
