//! Where things are computed: opened once, and shared by all that run there.

use alloc::{boxed::Box, string::String, sync::Arc};
#[cfg(feature = "std")]
use alloc::{sync::Weak, vec::Vec};
use core::fmt;

use causeway_ops::{
    Backend, BackendError, Plan,
    backend::Memory,
    cpu::{CpuBackend, CpuOptions, CpuWeights, Isa},
    parallel::{Parallel, Serial},
    quant::WeightSource,
};

#[cfg(feature = "gpu")]
use causeway_ops::gpu::{Frames, Gpu, GpuBackend, GpuOptions, GpuWeights};

/// Which device to open.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The GPU when the build has one and an adapter fits, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU; an adapter whose name contains the text, or the best one for an empty text.
    Gpu(String),
}

/// CPU threads, or a GPU. Clones are the same device. It prepares a model's weights once: sessions of one [`Model`](crate::Model) hold them
/// together, each counts its share of them, and a memory cap counts what a session adds (with `std`; without, each has its own).
///
/// ```
/// # fn f(model: &causeway_runtime::Model<'_>) -> Result<(), causeway_runtime::SessionError> {
/// use causeway_runtime::{Device, Session, SessionOptions};
/// let device = Device::auto(Device::cpu(0));
/// let first = Session::new(model, &device, SessionOptions::default())?;
/// let second = Session::new(model, &device, SessionOptions { seed: 1, ..SessionOptions::default() })?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Device {
    kind: Kind,
    loaded: Loaded,
}

#[derive(Clone)]
enum Kind {
    Cpu(Cpu),
    #[cfg(feature = "gpu")]
    Gpu(Gpu),
    /// A GPU, and the CPU for plans that it cannot run.
    #[cfg(feature = "gpu")]
    Either(Gpu, Cpu),
}

#[derive(Clone)]
struct Cpu {
    parallel: Arc<dyn Parallel>,
    strict: bool,
}

impl Device {
    fn of(kind: Kind) -> Self {
        Self { kind, loaded: Loaded::default() }
    }

    /// The CPU with so many threads; 0 takes what the machine has. Without the feature `std` there is one.
    pub fn cpu(threads: usize) -> Self {
        Self::on_cpu(started(threads))
    }

    /// The CPU with the host's own threads.
    pub fn on_cpu(parallel: Arc<dyn Parallel>) -> Self {
        Self::of(Kind::Cpu(Cpu { parallel, strict: false }))
    }

    /// The same, where it is the CPU, with plain scalar arithmetic: the same bits on every CPU, slowly.
    #[must_use]
    pub fn strict(mut self) -> Self {
        match &mut self.kind {
            Kind::Cpu(cpu) => cpu.strict = true,
            #[cfg(feature = "gpu")]
            Kind::Either(_, cpu) => cpu.strict = true,
            #[cfg(feature = "gpu")]
            Kind::Gpu(_) => {}
        }
        self
    }

    /// What `choice` says; the CPU is `cpu`.
    ///
    /// # Errors
    /// [`BackendError::NoAdapter`], [`BackendError::Unsupported`] for a GPU that was asked for and cannot be had.
    pub fn open(choice: &DeviceChoice, cpu: Device) -> Result<Self, BackendError> {
        match choice {
            DeviceChoice::Auto => Ok(Self::auto(cpu)),
            DeviceChoice::Cpu => Ok(cpu),
            DeviceChoice::Gpu(adapter) => Self::gpu(adapter),
        }
    }

    /// The GPU whose name contains `adapter`, or the best one for an empty text.
    ///
    /// # Errors
    /// As [`Self::open`].
    #[cfg_attr(not(feature = "gpu"), allow(unused_variables))]
    pub fn gpu(adapter: &str) -> Result<Self, BackendError> {
        #[cfg(feature = "gpu")]
        return opened(adapter, true).map(Self::on_gpu);
        #[cfg(not(feature = "gpu"))]
        Err(BackendError::NoAdapter("this build has no GPU backend".into()))
    }

    /// A GPU that is open.
    #[cfg(feature = "gpu")]
    pub fn on_gpu(gpu: Gpu) -> Self {
        Self::of(Kind::Gpu(gpu))
    }

    /// The best GPU, unless it is software, which is slower than the CPU; else, and for plans that the GPU cannot run, `cpu`.
    pub fn auto(cpu: Device) -> Self {
        #[cfg(feature = "gpu")]
        if let Kind::Cpu(threads) = &cpu.kind {
            return match opened("", false) {
                Ok(gpu) => Self::of(Kind::Either(gpu, threads.clone())),
                Err(why) => {
                    log::info!("computing on the CPU, for no GPU can be used: {why}");
                    cpu
                }
            };
        }
        cpu
    }

    /// The GPU, of a device that is or has one.
    #[cfg(feature = "gpu")]
    pub fn as_gpu(&self) -> Option<&Gpu> {
        match &self.kind {
            Kind::Cpu(_) => None,
            Kind::Gpu(gpu) | Kind::Either(gpu, _) => Some(gpu),
        }
    }

    /// Whether it is a GPU; of a device that may be either, whether it has one.
    pub fn is_gpu(&self) -> bool {
        !matches!(self.kind, Kind::Cpu(_))
    }

    /// Exact bytes that [`Self::load`] will add.
    pub(crate) fn memory(&self, weights: &dyn WeightSource, plan: &Plan) -> Result<Memory, BackendError> {
        let memory = match &self.kind {
            Kind::Cpu(cpu) => causeway_ops::cpu::memory(plan, weights, &cpu.options(None))?,
            #[cfg(feature = "gpu")]
            Kind::Gpu(_) | Kind::Either(..) => causeway_ops::gpu::memory(plan, weights)?,
        };
        let there = self.loaded.holds(weights, |held| match (&self.kind, held) {
            (Kind::Cpu(cpu), Held::Cpu(held)) => held.fit(plan, cpu.options(None).isa),
            #[cfg(feature = "gpu")]
            (Kind::Gpu(_) | Kind::Either(..), Held::Gpu(held)) => held.fit(plan),
            #[cfg(feature = "gpu")]
            _ => false,
        });
        Ok(Memory { weights: if there { 0 } else { memory.weights }, ..memory })
    }

    /// Loads a plan and, where this device does not hold them yet, its weights. Of `cap` bytes `own` are the caller's.
    ///
    /// # Errors
    /// [`BackendError::MemoryCap`] with the caller's bytes counted, a weight that is missing, a device that refuses.
    pub(crate) fn load(
        &self,
        weights: &dyn WeightSource,
        plan: &Plan,
        cap: Option<usize>,
        own: usize,
    ) -> Result<Box<dyn Backend>, BackendError> {
        let left = cap.map(|cap| cap.saturating_sub(own));
        let result = match &self.kind {
            Kind::Cpu(cpu) => self.prepared(cpu, weights, plan, left),
            #[cfg(feature = "gpu")]
            Kind::Gpu(gpu) => self.uploaded(gpu, weights, plan, left).map(|backend| Box::new(backend) as _),
            #[cfg(feature = "gpu")]
            Kind::Either(gpu, cpu) => match self.uploaded(gpu, weights, plan, left) {
                Err(BackendError::Unsupported(why)) => {
                    log::info!("computing on the CPU, for the GPU cannot: {why}");
                    self.prepared(cpu, weights, plan, left)
                }
                result => result.map(|backend| Box::new(backend) as _),
            },
        };
        counted(result, cap, own)
    }

    /// As [`Self::load`] on a GPU, where finished frames stay in `frames` too; on the CPU they do not.
    #[cfg(feature = "gpu")]
    pub(crate) fn load_keeping(
        &self,
        weights: &dyn WeightSource,
        plan: &Plan,
        cap: Option<usize>,
        own: usize,
        frames: Option<Arc<Frames>>,
    ) -> Result<Box<dyn Backend>, BackendError> {
        match (&self.kind, frames) {
            (Kind::Gpu(gpu), Some(frames)) => {
                let left = cap.map(|cap| cap.saturating_sub(own));
                let backend = self.uploaded(gpu, weights, plan, left);
                counted(backend.map(|backend| Box::new(backend.keep_frames(frames)) as _), cap, own)
            }
            _ => self.load(weights, plan, cap, own),
        }
    }

    fn prepared(
        &self,
        cpu: &Cpu,
        weights: &dyn WeightSource,
        plan: &Plan,
        cap: Option<usize>,
    ) -> Result<Box<dyn Backend>, BackendError> {
        let backend = self.loaded.share(
            weights,
            |held| match held {
                Held::Cpu(held) => CpuBackend::sharing(plan.clone(), held, cpu.options(cap)),
                #[cfg(feature = "gpu")]
                Held::Gpu(_) => None,
            },
            || CpuBackend::new(plan.clone(), weights, cpu.options(cap)),
            |backend| Held::Cpu(backend.weights().clone()),
        )?;
        Ok(Box::new(backend))
    }

    #[cfg(feature = "gpu")]
    fn uploaded(
        &self,
        gpu: &Gpu,
        weights: &dyn WeightSource,
        plan: &Plan,
        cap: Option<usize>,
    ) -> Result<GpuBackend, BackendError> {
        self.loaded.share(
            weights,
            |held| match held {
                Held::Gpu(held) => GpuBackend::sharing(gpu, plan, held, cap),
                Held::Cpu(_) => None,
            },
            || GpuBackend::on(gpu, plan.clone(), weights, cap),
            |backend| Held::Gpu(backend.weights().clone()),
        )
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpu = |f: &mut fmt::Formatter<'_>, cpu: &Cpu| {
            write!(f, "CPU, {} threads{}", cpu.parallel.threads(), if cpu.strict { ", strict" } else { "" })
        };
        match &self.kind {
            Kind::Cpu(threads) => cpu(f, threads),
            #[cfg(feature = "gpu")]
            Kind::Gpu(gpu) => write!(f, "GPU {}", gpu.name()),
            #[cfg(feature = "gpu")]
            Kind::Either(gpu, threads) => {
                write!(f, "GPU {} or ", gpu.name())?;
                cpu(f, threads)
            }
        }
    }
}

impl Cpu {
    fn options(&self, memory_cap: Option<usize>) -> CpuOptions {
        CpuOptions { isa: self.strict.then_some(Isa::Portable), parallel: self.parallel.clone(), memory_cap }
    }
}

/// A refusal for want of memory names what the caller was granted and needs.
fn counted(
    result: Result<Box<dyn Backend>, BackendError>,
    cap: Option<usize>,
    own: usize,
) -> Result<Box<dyn Backend>, BackendError> {
    result.map_err(|error| match (error, cap) {
        (BackendError::MemoryCap { needed, .. }, Some(cap)) => BackendError::MemoryCap { needed: needed + own, cap },
        (error, _) => error,
    })
}

/// Opens the adapter named, or the best one for an empty name.
#[cfg(feature = "gpu")]
fn opened(adapter: &str, software: bool) -> Result<Gpu, BackendError> {
    // Digits are an adapter's number.
    let adapter = if adapter.is_empty() { None } else { adapter.parse().ok() };
    Gpu::open(&GpuOptions { adapter, software, ..GpuOptions::default() })
}

#[cfg(feature = "std")]
fn started(wanted: usize) -> Arc<dyn Parallel> {
    let all = || std::thread::available_parallelism().map_or(1, usize::from);
    match if wanted == 0 { all() } else { wanted } {
        1 => Arc::new(Serial),
        n => Arc::new(causeway_ops::parallel::ThreadPool::new(n)),
    }
}

#[cfg(not(feature = "std"))]
fn started(_wanted: usize) -> Arc<dyn Parallel> {
    Arc::new(Serial)
}

/// A model's weights on a device.
enum Held {
    Cpu(Arc<CpuWeights>),
    #[cfg(feature = "gpu")]
    Gpu(Arc<GpuWeights>),
}

/// Which models' weights a device holds. Backends hold them; here is only where to find them.
#[cfg(feature = "std")]
#[derive(Clone, Default)]
struct Loaded(Arc<std::sync::Mutex<Vec<Entry>>>);

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

#[cfg(feature = "std")]
impl Loaded {
    /// Weights of the model that are held, and that `fit`.
    fn holds(&self, source: &dyn WeightSource, fit: impl Fn(&Held) -> bool) -> bool {
        let entries = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let files = files(source);
        entries
            .iter()
            .filter(|entry| entry.is_of(&files))
            .filter_map(|entry| entry.weights.get())
            .any(|held| fit(&held))
    }

    /// A backend with weights that are held already, if `sharing` can make one of them, else a `new` one, whose weights are held from now
    /// on. Whoever else loads waits, so that nothing is loaded twice.
    fn share<B>(
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
        let mut entries = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        entries.retain(|entry| entry.weights.get().is_some());
        let known = entries
            .iter()
            .filter(|entry| entry.is_of(&files))
            .filter_map(|entry| sharing(&entry.weights.get()?))
            .next();
        if let Some(backend) = known {
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
struct Loaded;

#[cfg(not(feature = "std"))]
impl Loaded {
    fn holds(&self, _: &dyn WeightSource, _: impl Fn(&Held) -> bool) -> bool {
        false
    }

    fn share<B>(
        &self,
        _: &dyn WeightSource,
        _: impl Fn(&Held) -> Option<Result<B, BackendError>>,
        new: impl FnOnce() -> Result<B, BackendError>,
        _: impl FnOnce(&B) -> Held,
    ) -> Result<B, BackendError> {
        new()
    }
}
