//! Choosing and opening a GPU.

use std::{
    fmt,
    str::FromStr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    choice::Choice,
    pipelines::Pipelines,
    tier::{Facts, STORAGE_BUFFERS, Tier, WORKGROUP_BYTES},
    waiting::wait,
};
use crate::backend::BackendError;
use causeway_shaders::Target;

/// Which adapter to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdapterChoice {
    /// The first whose name contains this text, in any case.
    Name(String),
    /// By its number in [`adapters`].
    Index(usize),
}

impl FromStr for AdapterChoice {
    type Err = std::convert::Infallible;

    /// Digits are a number, anything else is part of a name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.parse().map_or_else(|_| AdapterChoice::Name(text.into()), AdapterChoice::Index))
    }
}

/// How a [`super::GpuBackend`] is opened.
#[derive(Clone, Debug, Default)]
pub struct GpuOptions {
    /// The adapter; None takes the fastest kind there is.
    pub adapter: Option<AdapterChoice>,
    /// Lets the default choice fall on a CPU that poses as a GPU (lavapipe, WARP), which is slower than the CPU backend.
    pub software: bool,
    /// Most bytes that a backend may hold.
    pub memory_cap: Option<usize>,
    /// The kernels to use, which must pass their test on the device; None takes the best that do.
    pub tier: Option<Tier>,
    /// Keeps the driver's and wgpu's bounds checks in kernels: slower, for tests and bug reports.
    pub checked: bool,
    /// Lanes of a subgroup that cooperative kernels are made for, instead of asking the device: a wrong number must fail their test.
    #[doc(hidden)]
    pub lanes: Option<u32>,
    /// What [`Gpu::write_tuned`] wrote, to be used if it is of this device.
    pub tuned: Option<std::path::PathBuf>,
}

/// An adapter of this machine, for `causeway doctor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterReport {
    /// Its number: what [`AdapterChoice::Index`] takes.
    pub index: usize,
    /// Name given by the driver.
    pub name: String,
    /// Vulkan, Metal, Dx12 or Gl.
    pub backend: String,
    /// PCI number of the vendor.
    pub vendor: u32,
    /// DiscreteGpu, IntegratedGpu, VirtualGpu, Cpu or Other.
    pub kind: String,
    /// Driver and its version.
    pub driver: String,
    /// Most bytes of one buffer.
    pub max_buffer_bytes: u64,
    /// Most bytes that a kernel sees of one buffer.
    pub max_binding_bytes: u64,
    /// Bytes of workgroup memory.
    pub workgroup_bytes: u32,
    /// Invocations a workgroup.
    pub workgroup_invocations: u32,
    /// Storage buffers a kernel.
    pub storage_buffers: u32,
    /// 16-bit arithmetic.
    pub f16: bool,
    /// Least and most lanes of a subgroup.
    pub subgroups: [u32; 2],
    /// Rows and columns of cooperative matrices of 16-bit numbers with 32-bit sums, if it has any that kernels are made for.
    pub matrices: Option<u32>,
    /// Timestamps, which make slices of work follow measured times instead of estimates.
    pub timestamps: bool,
    /// Why it cannot run plans; None if it can.
    pub unfit: Option<String>,
}

impl fmt::Display for AdapterReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({}, {}, {})", self.index, self.name, self.kind, self.backend, self.driver)?;
        if let Some(why) = &self.unfit {
            write!(f, ", cannot be used: {why}")?;
        }
        Ok(())
    }
}

/// All adapters of this machine. A page learns of its one when it opens it.
pub fn adapters() -> Vec<AdapterReport> {
    let all = wait(enumerate()).unwrap_or_default();
    all.iter().enumerate().map(|(index, adapter)| report(index, adapter)).collect()
}

async fn enumerate() -> Vec<wgpu::Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    // Validation layers are a developer's tool and print on a host's console.
    descriptor.flags = wgpu::InstanceFlags::empty();
    let mut backends =
        wgpu::Backends::METAL | wgpu::Backends::DX12 | wgpu::Backends::GL | wgpu::Backends::BROWSER_WEBGPU;
    let mut all = Vec::new();
    match hidden_from_wgpu() {
        Some(found) => all = found,
        None => backends |= wgpu::Backends::VULKAN,
    }
    descriptor.backends = backends;
    all.extend(wgpu::Instance::new(descriptor).enumerate_adapters(backends).await);
    all
}

/// Vulkan's adapters, if wgpu must not look for them by itself.
#[cfg(not(any(target_vendor = "apple", target_family = "wasm")))]
fn hidden_from_wgpu() -> Option<Vec<wgpu::Adapter>> {
    super::hidden::adapters(super::tier::ends_programs)
}

#[cfg(any(target_vendor = "apple", target_family = "wasm"))]
fn hidden_from_wgpu() -> Option<Vec<wgpu::Adapter>> {
    None
}

fn report(index: usize, adapter: &wgpu::Adapter) -> AdapterReport {
    let Facts { info, limits, features, edge, .. } = Facts::new(adapter);
    AdapterReport {
        index,
        vendor: info.vendor,
        subgroups: [info.subgroup_min_size, info.subgroup_max_size],
        matrices: edge,
        name: info.name,
        backend: format!("{:?}", info.backend),
        kind: format!("{:?}", info.device_type),
        driver: format!("{} {}", info.driver, info.driver_info).trim().into(),
        max_buffer_bytes: limits.max_buffer_size,
        max_binding_bytes: limits.max_storage_buffer_binding_size,
        workgroup_bytes: limits.max_compute_workgroup_storage_size,
        workgroup_invocations: limits.max_compute_invocations_per_workgroup,
        storage_buffers: limits.max_storage_buffers_per_shader_stage,
        f16: features.contains(wgpu::Features::SHADER_F16),
        timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
        unfit: unfit(adapter),
    }
}

/// What the portable tier asks for (causeway-shaders). Everything else stays at the least that wgpu offers, but for the sizes
/// of buffers, which are the adapter's.
pub(super) fn needed(adapter: &wgpu::Limits) -> wgpu::Limits {
    wgpu::Limits {
        max_storage_buffers_per_shader_stage: 8,
        max_compute_workgroup_storage_size: 16 * 1024,
        max_compute_invocations_per_workgroup: 256,
        max_compute_workgroup_size_x: 256,
        max_compute_workgroups_per_dimension: 65_535,
        max_storage_buffer_binding_size: adapter.max_storage_buffer_binding_size,
        max_buffer_size: adapter.max_buffer_size,
        ..wgpu::Limits::downlevel_defaults()
    }
}

/// Features and limits that are asked of an adapter for these tiers, whether they be experimental. Passes are timed where that is possible
/// (timing.rs).
pub(super) fn descriptor(facts: &Facts, tiers: &[Tier]) -> wgpu::DeviceDescriptor<'static> {
    let timed = facts.features & wgpu::Features::TIMESTAMP_QUERY;
    let required_features = tiers.iter().fold(timed, |all, &tier| all | Facts::features_of(tier));
    let mut required_limits = needed(&facts.limits);
    if required_features != timed {
        required_limits.max_compute_workgroup_storage_size = WORKGROUP_BYTES;
    }
    let mut experimental_features = wgpu::ExperimentalFeatures::disabled();
    if tiers.contains(&Tier::Cooperative) {
        required_limits.max_storage_buffers_per_shader_stage = STORAGE_BUFFERS;
        // SAFETY: what may be undefined is what a driver makes of these kernels, which are valid SPIR-V and index within bounds by
        // construction. A driver that is wrong with them fails the self-test.
        experimental_features = unsafe { wgpu::ExperimentalFeatures::enabled() };
    }
    wgpu::DeviceDescriptor {
        label: Some("causeway"),
        required_features,
        required_limits,
        experimental_features,
        memory_hints: wgpu::MemoryHints::MemoryUsage,
        ..Default::default()
    }
}

/// Why an adapter cannot run plans, if it cannot.
pub(super) fn unfit(adapter: &wgpu::Adapter) -> Option<String> {
    if !adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS) {
        return Some("it has no compute shaders".into());
    }
    let limits = adapter.limits();
    let mut lacking = Vec::new();
    needed(&limits).check_limits_with_fail_fn(&limits, false, |name, wanted, allowed| {
        lacking.push(format!("{name} is {allowed}, {wanted} are needed"));
    });
    if lacking.is_empty() { None } else { Some(lacking.join("; ")) }
}

/// Whether kernels may use the builtin `unpack2x16float`.
pub(super) fn unpacks(adapter: &wgpu::Adapter) -> bool {
    adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::SHADER_F16_IN_F32)
}

/// Lower is better: hardware before software, native interfaces before OpenGL.
fn rank(info: &wgpu::AdapterInfo) -> (u32, u32) {
    let kind = match info.device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    };
    (kind, u32::from(info.backend == wgpu::Backend::Gl))
}

/// Why the default choice passes an adapter by, if it does.
fn refused(adapter: &wgpu::Adapter, software: bool) -> Option<String> {
    if !software && adapter.get_info().device_type == wgpu::DeviceType::Cpu {
        return Some("it is software, slower than the CPU's own kernels".into());
    }
    unfit(adapter)
}

pub(super) async fn choose(options: &GpuOptions) -> Result<wgpu::Adapter, BackendError> {
    let mut all = enumerate().await;
    let list = |all: &[wgpu::Adapter]| -> String {
        let names: Vec<String> = all.iter().enumerate().map(|(i, a)| report(i, a).to_string()).collect();
        if names.is_empty() {
            "this machine has none".into()
        } else {
            format!("this machine has: {}", names.join("; "))
        }
    };
    let found = match &options.adapter {
        Some(AdapterChoice::Index(index)) => (*index < all.len()).then_some(*index),
        Some(AdapterChoice::Name(part)) => {
            let part = part.to_lowercase();
            all.iter().position(|adapter| adapter.get_info().name.to_lowercase().contains(&part))
        }
        None => (0..all.len())
            .filter(|&i| match refused(&all[i], options.software) {
                Some(why) => {
                    log::info!("GPU: {} is not taken: {why}", all[i].get_info().name);
                    false
                }
                None => true,
            })
            .min_by_key(|&i| rank(&all[i].get_info())),
    };
    let Some(index) = found else {
        let wanted = match &options.adapter {
            Some(AdapterChoice::Index(index)) => format!("no adapter has number {index}"),
            Some(AdapterChoice::Name(part)) => format!("no adapter's name contains `{part}`"),
            None if options.software => "none can be used".into(),
            None => "none is a GPU that can be used".into(),
        };
        return Err(BackendError::NoAdapter(format!("{wanted}; {}", list(&all))));
    };
    match unfit(&all[index]) {
        Some(why) => Err(BackendError::NoAdapter(format!("{}: {why}", all[index].get_info().name))),
        None => Ok(all.swap_remove(index)),
    }
}

/// Bytes of the alarm: the least of a binding.
pub(super) const ALARM_BYTES: u64 = 16;

/// What went wrong on a device outside any call that could have returned it.
#[derive(Default)]
pub(super) struct Faults {
    raised: AtomicBool,
    first: Mutex<Option<BackendError>>,
}

impl Faults {
    fn raise(&self, error: BackendError) {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.raised.store(true, Ordering::Release);
    }

    /// The first fault, for ever: a backend that failed once stays failed.
    pub fn check(&self) -> Result<(), BackendError> {
        if !self.raised.load(Ordering::Acquire) {
            return Ok(());
        }
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Err(first.unwrap_or_else(|| BackendError::DeviceLost("for an unknown reason".into())))
    }
}

/// An open GPU. Cheap to clone; backends that share one share its pipelines.
#[derive(Clone)]
pub struct Gpu {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) faults: Arc<Faults>,
    pub(super) pipelines: Arc<Pipelines>,
    pub(super) timestamps: bool,
    pub(super) choice: Choice,
    /// Where kernels say that a subgroup has another size than they were made for, on a device that may have such kernels.
    pub(super) alarm: Option<wgpu::Buffer>,
    name: String,
    /// Adapter, interface, driver and version, for what is kept of it.
    pub(super) driver: String,
}

impl Gpu {
    /// Rows of its cooperative matrices.
    pub(super) fn edge(&self) -> usize {
        self.pipelines.target().0.edge as usize
    }

    /// An open device and its queue.
    pub(super) fn wrap(
        device: wgpu::Device,
        queue: wgpu::Queue,
        info: &wgpu::AdapterInfo,
        checked: bool,
        target: Target,
    ) -> Self {
        let name = &info.name;
        let driver = format!("{name}, {:?}, {} {}", info.backend, info.driver, info.driver_info).replace('\n', " ");
        log::info!("GPU: {name}");
        let faults = Arc::new(Faults::default());
        let lost = faults.clone();
        device.set_device_lost_callback(move |reason, message| {
            lost.raise(BackendError::DeviceLost(format!("{reason:?} {message}").trim().into()));
        });
        let failed = faults.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            log::error!("GPU: {error}");
            failed.raise(BackendError::Unsupported(error.to_string()));
        }));
        let pipelines = Arc::new(Pipelines::new(&device, checked, target));
        let matrices = device.features().contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX);
        let alarm = matrices.then(|| {
            let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
            let (label, size) = (Some("alarm"), ALARM_BYTES);
            device.create_buffer(&wgpu::BufferDescriptor { label, size, usage, mapped_at_creation: false })
        });
        let timestamps = device.features().contains(wgpu::Features::TIMESTAMP_QUERY);
        Self {
            device,
            queue,
            faults,
            pipelines,
            timestamps,
            choice: Choice::default(),
            alarm,
            name: name.into(),
            driver,
        }
    }

    /// The adapter's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the device up, as a driver that resets does: every backend on it fails from now on with
    /// [`BackendError::DeviceLost`]. Hosts use it to rehearse that.
    pub fn lose(&self) {
        self.device.destroy();
        // The callback that raises the fault runs in a poll.
        let _ = self.device.poll(wgpu::PollType::Poll);
    }
}
