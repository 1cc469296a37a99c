//! Where sessions compute: adapters, devices, and the job system of a host.

use core::ffi::{c_char, c_void};

/// `CwDeviceOptions.kind`: a hardware GPU if there is one that fits, else the CPU.
pub const CW_DEVICE_AUTO: u32 = 0;
/// `CwDeviceOptions.kind`: the CPU.
pub const CW_DEVICE_CPU: u32 = 1;
/// `CwDeviceOptions.kind`: a GPU, also one that a driver emulates on the CPU.
pub const CW_DEVICE_GPU: u32 = 2;

/// `CwDeviceOptions.tier`: the best kernels that the GPU computes rightly with, of those that are known to be faster on it.
pub const CW_TIER_AUTO: u32 = 0;
/// `CwDeviceOptions.tier`: kernels that every GPU can run.
pub const CW_TIER_PORTABLE: u32 = 1;
/// `CwDeviceOptions.tier`: linear layers with 8- and 4-bit weights by products of four bytes; inputs are rounded as on the CPU.
pub const CW_TIER_DOT4: u32 = 2;
/// `CwDeviceOptions.tier`: linear layers, convolutions and attention in half precision.
pub const CW_TIER_HALF: u32 = 3;
/// `CwDeviceOptions.tier`: linear layers and attention by cooperative matrices of half precision, with sums in 32 bits.
pub const CW_TIER_COOPERATIVE: u32 = 4;

/// `CwAdapterInfo.kind`.
pub const CW_ADAPTER_OTHER: u32 = 0;
/// `CwAdapterInfo.kind`.
pub const CW_ADAPTER_INTEGRATED: u32 = 1;
/// `CwAdapterInfo.kind`.
pub const CW_ADAPTER_DISCRETE: u32 = 2;
/// `CwAdapterInfo.kind`.
pub const CW_ADAPTER_VIRTUAL: u32 = 3;
/// `CwAdapterInfo.kind`: a driver that computes on the CPU.
pub const CW_ADAPTER_SOFTWARE: u32 = 4;

/// Where sessions compute: threads, or an open GPU. Shared by any number of sessions.
pub struct CwDevice {
    _opaque: [u8; 0],
}

/// One piece of work that a host's job system runs. `index` is below the count it was given with.
pub type CwTask = Option<unsafe extern "C" fn(context: *mut c_void, index: u32)>;

/// The host's parallel-for: calls `task(context, i)` once for every i below `count`, on any threads, and returns when all are done.
/// Called by the thread that pumps.
pub type CwParallelFor =
    Option<unsafe extern "C" fn(user: *mut c_void, count: u32, task: CwTask, context: *mut c_void)>;

/// A GPU of this machine.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwAdapterInfo {
    /// Set to sizeof(CwAdapterInfo).
    pub struct_size: u32,
    /// `CW_ADAPTER_...`.
    pub kind: u32,
    /// 1 if it can run models, else 0.
    pub usable: u32,
    /// 0.
    pub reserved: u32,
    /// Most bytes of one buffer.
    pub max_buffer_bytes: u64,
    /// Name given by the driver, UTF-8, ended by NUL.
    pub name: [c_char; 128],
    /// Interface (Vulkan, Metal, Dx12, Gl), driver and its version, UTF-8, ended by NUL.
    pub driver: [c_char; 128],
}

/// Options of a device. Fill it in with `cw_device_options_init`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwDeviceOptions {
    /// Set to sizeof(CwDeviceOptions) before `cw_device_options_init`.
    pub struct_size: u32,
    /// `CW_DEVICE_...`.
    pub kind: u32,
    /// CPU threads, the pumping one among them; 0 takes what the machine has. With `parallel_for`: how many of its threads may
    /// run pieces at once (0: what the machine has).
    pub threads: u32,
    /// 1: plain scalar arithmetic, the same bits on every CPU, slowly.
    pub strict: u32,
    /// Number of the GPU (`cw_adapter_info`), or -1 to choose by `adapter`.
    pub adapter_index: i32,
    /// 0.
    pub reserved: u32,
    /// Part of the GPU's name, UTF-8, any case; NULL or length 0 for the best one.
    pub adapter: *const c_char,
    /// Bytes of `adapter`.
    pub adapter_length: usize,
    /// The host's job system, or NULL for threads of the library's own.
    pub parallel_for: CwParallelFor,
    /// Passed to `parallel_for`.
    pub parallel_user: *mut c_void,
    /// `CW_TIER_...`: which kernels a GPU runs. One that is asked for and fails its test on the GPU is an error.
    pub tier: u32,
    /// 0.
    pub reserved2: u32,
}
