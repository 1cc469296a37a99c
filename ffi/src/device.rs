//! Where sessions compute.

use std::sync::Arc;

use causeway_ops::parallel::{Parallel, Serial, ThreadPool};

use crate::{
    error::Error,
    handle::{Handle, Thing},
    host::HostParallel,
    threads,
    types::{CW_DEVICE_AUTO, CW_DEVICE_CPU, CW_DEVICE_GPU, CwAdapterInfo, CwDevice, CwDeviceOptions},
};

/// A device that sessions share.
pub struct Device {
    /// Itself.
    pub inner: causeway_runtime::Device,
    /// Whether it is the host's own GPU, which may take frames from it.
    pub hosts: bool,
}

impl Thing for Device {}

impl Handle for CwDevice {
    type Thing = Device;
    const KIND: usize = 1;
}

impl Device {
    pub fn open(options: &CwDeviceOptions, adapter: Option<&str>) -> Result<Self, Error> {
        match options.kind {
            CW_DEVICE_CPU => Self::cpu(options),
            CW_DEVICE_AUTO => match Self::gpu(options, adapter, false) {
                Ok(gpu) => Ok(gpu),
                Err(why) => {
                    log::info!("computing on the CPU: {}", why.text);
                    Self::cpu(options)
                }
            },
            CW_DEVICE_GPU => Self::gpu(options, adapter, true),
            kind => {
                Err(Error::argument(format!("{kind} is no kind of device; there are CW_DEVICE_AUTO, _CPU and _GPU")))
            }
        }
    }

    fn cpu(options: &CwDeviceOptions) -> Result<Self, Error> {
        let threads = match options.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads @ 1..=1024 => threads as usize,
            threads => {
                return Err(Error::argument(format!("{threads} threads were asked for, at most 1024 are possible")));
            }
        };
        let parallel: Arc<dyn Parallel> = match (options.parallel_for, threads) {
            (Some(call), _) => Arc::new(HostParallel { call, user: options.parallel_user, threads }),
            (None, 1) => Arc::new(Serial),
            (None, _) => Arc::new(ThreadPool::started_by(threads, |name, work| threads::start(&name, work).ok())),
        };
        let cpu = causeway_runtime::Device::on_cpu(parallel);
        Ok(Device { inner: if options.strict != 0 { cpu.strict() } else { cpu }, hosts: false })
    }

    #[cfg(feature = "gpu")]
    fn gpu(options: &CwDeviceOptions, adapter: Option<&str>, software: bool) -> Result<Self, Error> {
        use causeway_ops::gpu::{AdapterChoice, Gpu, GpuOptions, Tier};

        use crate::types::{CW_TIER_AUTO, CW_TIER_COOPERATIVE, CW_TIER_DOT4, CW_TIER_HALF, CW_TIER_PORTABLE};
        let tier = match options.tier {
            CW_TIER_AUTO => None,
            CW_TIER_PORTABLE => Some(Tier::Portable),
            CW_TIER_DOT4 => Some(Tier::Dot4),
            CW_TIER_HALF => Some(Tier::Half),
            CW_TIER_COOPERATIVE => Some(Tier::Cooperative),
            tier => {
                let all = "CW_TIER_AUTO, _PORTABLE, _DOT4, _HALF and _COOPERATIVE";
                let what = format!("{tier} is no tier of kernels; there are {all}");
                return Err(Error::argument(what));
            }
        };
        threads::stay();
        let adapter = match (usize::try_from(options.adapter_index), adapter) {
            (Ok(index), _) => Some(AdapterChoice::Index(index)),
            (_, Some(name)) => Some(AdapterChoice::Name(name.into())),
            _ => None,
        };
        let gpu = Gpu::open(&GpuOptions { adapter, software, tier, ..GpuOptions::default() })?;
        Ok(Device { inner: causeway_runtime::Device::on_gpu(gpu), hosts: false })
    }

    #[cfg(not(feature = "gpu"))]
    fn gpu(_options: &CwDeviceOptions, _adapter: Option<&str>, _software: bool) -> Result<Self, Error> {
        Err(Error::new(crate::types::CW_ERROR_UNSUPPORTED, "this build has no GPU backend"))
    }

    /// `CW_DEVICE_CPU` or `CW_DEVICE_GPU`.
    pub fn kind(&self) -> u32 {
        if self.inner.is_gpu() { CW_DEVICE_GPU } else { CW_DEVICE_CPU }
    }

    /// Whether sessions leave their frames on the GPU too, for the host.
    pub fn keeps_frames(&self) -> bool {
        self.hosts
    }
}

/// All adapters of this machine; none in a build without a GPU backend.
#[cfg(not(feature = "gpu"))]
pub fn adapters() -> Vec<CwAdapterInfo> {
    Vec::new()
}

/// All adapters of this machine; none in a build without a GPU backend.
#[cfg(feature = "gpu")]
pub fn adapters() -> Vec<CwAdapterInfo> {
    use crate::types::{
        CW_ADAPTER_DISCRETE, CW_ADAPTER_INTEGRATED, CW_ADAPTER_OTHER, CW_ADAPTER_SOFTWARE, CW_ADAPTER_VIRTUAL,
    };
    threads::stay();
    let info = |report: &causeway_ops::gpu::AdapterReport| CwAdapterInfo {
        struct_size: size_of::<CwAdapterInfo>() as u32,
        kind: match report.kind.as_str() {
            "DiscreteGpu" => CW_ADAPTER_DISCRETE,
            "IntegratedGpu" => CW_ADAPTER_INTEGRATED,
            "VirtualGpu" => CW_ADAPTER_VIRTUAL,
            "Cpu" => CW_ADAPTER_SOFTWARE,
            _ => CW_ADAPTER_OTHER,
        },
        usable: u32::from(report.unfit.is_none()),
        reserved: 0,
        max_buffer_bytes: report.max_buffer_bytes,
        name: text(&report.name),
        driver: text(&format!("{} {}", report.backend, report.driver)),
    };
    causeway_ops::gpu::adapters().iter().map(info).collect()
}

/// As much of `text` as fits before a NUL.
#[cfg(feature = "gpu")]
fn text<const N: usize>(text: &str) -> [std::ffi::c_char; N] {
    let mut end = text.len().min(N - 1);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut out = [0; N];
    out.iter_mut().zip(text[..end].bytes()).for_each(|(to, from)| *to = from as std::ffi::c_char);
    out
}
