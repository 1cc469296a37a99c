//! Where things are computed: opened once, and shared by all that run there.

use alloc::{string::String, sync::Arc};
use core::fmt;

use causeway_ops::{
    BackendError, Plan,
    backend::Memory,
    cpu::{CpuOptions, Isa},
    parallel::{Parallel, Serial},
    quant::WeightSource,
};

#[cfg(feature = "gpu")]
use causeway_ops::gpu::{Gpu, GpuOptions};

use super::{
    loaded::{Held, Loaded},
    loading::{Loading, Made},
};

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
            Kind::Gpu(gpu) | Kind::Either(gpu, _) => causeway_ops::gpu::memory(gpu, plan, weights)?,
        };
        let fit = |held: &Held| match (&self.kind, held) {
            (Kind::Cpu(cpu), Held::Cpu(held)) => held.fit(plan, cpu.options(None).isa),
            #[cfg(feature = "gpu")]
            (Kind::Gpu(_) | Kind::Either(..), Held::Gpu(held)) => held.fit(plan),
            #[cfg(feature = "gpu")]
            _ => false,
        };
        let there = self.loaded.find(weights, |held| fit(held).then_some(())).is_some();
        Ok(Memory { weights: if there { 0 } else { memory.weights }, ..memory })
    }

    /// Loads a plan and, where this device does not hold them yet, its weights. Of `cap` bytes `own` are the caller's. Whoever else loads in one piece
    /// waits, so that nothing is loaded twice.
    ///
    /// # Errors
    /// [`BackendError::MemoryCap`] with the caller's bytes counted, a weight that is missing, a device that refuses.
    pub(crate) fn load(
        &self,
        weights: &dyn WeightSource,
        plan: &Plan,
        cap: Option<usize>,
        own: usize,
    ) -> Result<Made, BackendError> {
        let _turn = self.loaded.turn();
        let mut loading = self.begin(weights, plan.clone(), cap, own)?;
        loop {
            if let Some(made) = loading.step(weights)? {
                return Ok(made);
            }
        }
    }

    /// Begins to load what [`Self::load`] loads: all is checked, and nothing large is allocated.
    ///
    /// # Errors
    /// As [`Self::load`], but for weights that cannot be read and what only shows on a GPU.
    pub(crate) fn begin(
        &self,
        weights: &dyn WeightSource,
        plan: Plan,
        cap: Option<usize>,
        own: usize,
    ) -> Result<Loading, BackendError> {
        let needed = self.memory(weights, &plan)?.total() + own;
        if let Some(cap) = cap.filter(|&cap| cap < needed) {
            return Err(BackendError::MemoryCap { needed, cap });
        }
        // What it needs is within the cap; weights that are held count nothing.
        match &self.kind {
            Kind::Cpu(cpu) => Loading::on_cpu(plan, weights, cpu.options(None), self.loaded.clone()),
            #[cfg(feature = "gpu")]
            Kind::Gpu(gpu) => Loading::on_gpu(gpu, plan, weights, self.loaded.clone()),
            #[cfg(feature = "gpu")]
            Kind::Either(gpu, cpu) => {
                let options = cpu.options(cap.map(|cap| cap.saturating_sub(own)));
                match Loading::on_gpu(gpu, plan.clone(), weights, self.loaded.clone()) {
                    Err(BackendError::Unsupported(why)) => {
                        log::info!("computing on the CPU, for the GPU cannot: {why}");
                        Loading::on_cpu(plan, weights, options, self.loaded.clone())
                    }
                    loading => Ok(loading?.or(plan, options)),
                }
            }
        }
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
