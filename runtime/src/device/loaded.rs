//! Which models' weights a device holds.

use alloc::sync::Arc;
#[cfg(feature = "std")]
use alloc::{sync::Weak, vec::Vec};

use causeway_ops::{
    BackendError, Plan,
    cpu::{CpuBackend, CpuOptions, CpuWeights},
    quant::WeightSource,
};

#[cfg(feature = "gpu")]
use causeway_ops::gpu::{Gpu, GpuBackend, GpuWeights};

/// A model's weights on a device.
pub(super) enum Held {
    Cpu(Arc<CpuWeights>),
    #[cfg(feature = "gpu")]
    Gpu(Arc<GpuWeights>),
}

impl Held {
    /// A backend of the CPU with these weights, where they are its.
    pub fn on_cpu(&self, plan: &Plan, options: CpuOptions) -> Option<Result<CpuBackend, BackendError>> {
        match self {
            Self::Cpu(held) => CpuBackend::sharing(plan.clone(), held, options),
            #[cfg(feature = "gpu")]
            Self::Gpu(_) => None,
        }
    }

    /// A backend of the GPU with these weights, where they are its.
    #[cfg(feature = "gpu")]
    pub fn on_gpu(&self, gpu: &Gpu, plan: &Plan, cap: Option<usize>) -> Option<Result<GpuBackend, BackendError>> {
        match self {
            Self::Gpu(held) => GpuBackend::sharing(gpu, plan, held, cap),
            Self::Cpu(_) => None,
        }
    }
}

/// Which models' weights a device holds. Backends hold them; here is only where to find them.
#[cfg(feature = "std")]
#[derive(Clone, Default)]
pub(super) struct Loaded {
    entries: Arc<std::sync::Mutex<Vec<Entry>>>,
    /// Held by who loads in one piece.
    turn: Arc<std::sync::Mutex<()>>,
}

#[cfg(feature = "std")]
struct Entry {
    /// Held, so that no other files get their addresses.
    files: Vec<Arc<()>>,
    weights: Found,
}

#[cfg(feature = "std")]
impl Entry {
    fn is_of(&self, files: &[Arc<()>]) -> bool {
        self.files.len() == files.len() && self.files.iter().zip(files).all(|(a, b)| Arc::ptr_eq(a, b))
    }
}

/// What tells the files of these weights from all others.
#[cfg(feature = "std")]
fn files(source: &dyn WeightSource) -> Vec<Arc<()>> {
    let mut files = Vec::new();
    source.handles(&mut |file| files.push(file.clone()));
    files
}

#[cfg(feature = "std")]
enum Found {
    Cpu(Weak<CpuWeights>),
    #[cfg(feature = "gpu")]
    Gpu(Weak<GpuWeights>),
}

#[cfg(feature = "std")]
impl Found {
    fn get(&self) -> Option<Held> {
        match self {
            Self::Cpu(weights) => weights.upgrade().map(Held::Cpu),
            #[cfg(feature = "gpu")]
            Self::Gpu(weights) => weights.upgrade().map(Held::Gpu),
        }
    }
}

/// What `sharing` makes of weights of these files; of none there are no entries.
#[cfg(feature = "std")]
fn known<B>(entries: &[Entry], files: &[Arc<()>], sharing: impl Fn(&Held) -> Option<B>) -> Option<B> {
    entries.iter().filter(|entry| entry.is_of(files)).find_map(|entry| sharing(&entry.weights.get()?))
}

#[cfg(feature = "std")]
impl Loaded {
    /// What `sharing` makes of weights of the model that are held already.
    pub fn find<B>(&self, source: &dyn WeightSource, sharing: impl Fn(&Held) -> Option<B>) -> Option<B> {
        known(&self.lock(), &files(source), sharing)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Waits until nobody else loads in one piece.
    pub fn turn(&self) -> std::sync::MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A backend with weights that are held already, if `sharing` can make one of them, else a `new` one, whose weights are held from now
    /// on.
    pub fn share<B>(
        &self,
        source: &dyn WeightSource,
        sharing: impl Fn(&Held) -> Option<Result<B, BackendError>>,
        new: impl FnOnce() -> Result<B, BackendError>,
        held: impl FnOnce(&B) -> Held,
    ) -> Result<B, BackendError> {
        let files = files(source);
        if files.is_empty() {
            return new();
        }
        let mut entries = self.lock();
        entries.retain(|entry| entry.weights.get().is_some());
        if let Some(backend) = known(&entries, &files, sharing) {
            return backend;
        }
        let backend = new()?;
        let weights = match held(&backend) {
            Held::Cpu(weights) => Found::Cpu(Arc::downgrade(&weights)),
            #[cfg(feature = "gpu")]
            Held::Gpu(weights) => Found::Gpu(Arc::downgrade(&weights)),
        };
        entries.push(Entry { files, weights });
        Ok(backend)
    }
}

/// Without locks nothing is shared.
#[cfg(not(feature = "std"))]
#[derive(Clone, Default)]
pub(super) struct Loaded;

#[cfg(not(feature = "std"))]
impl Loaded {
    pub fn turn(&self) {}

    pub fn find<B>(&self, _: &dyn WeightSource, _: impl Fn(&Held) -> Option<B>) -> Option<B> {
        None
    }

    pub fn share<B>(
        &self,
        _: &dyn WeightSource,
        _: impl Fn(&Held) -> Option<Result<B, BackendError>>,
        new: impl FnOnce() -> Result<B, BackendError>,
        _: impl FnOnce(&B) -> Held,
    ) -> Result<B, BackendError> {
        new()
    }
}
