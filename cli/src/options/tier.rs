//! `--tier`: which kernels a GPU runs.

use causeway_runtime::{Device, DeviceChoice, SessionError};

use crate::error::Error;

/// Tier of kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Tier {
    /// Those that every GPU can run.
    Portable,
    /// Linear layers with 8- and 4-bit weights by products of four bytes.
    Dot4,
}

/// The device that `choice` says, its CPU `cpu`; with the kernels asked for, if it is a GPU.
///
/// # Errors
/// No such GPU, kernels that it cannot run or computes wrongly with, kernels for the CPU.
pub fn open(choice: &DeviceChoice, tier: Option<Tier>, cpu: Device) -> Result<Device, Error> {
    match (choice, tier) {
        (_, None) => Ok(Device::open(choice, cpu).map_err(SessionError::from)?),
        (DeviceChoice::Cpu, Some(_)) => {
            Err(Error::Usage("--tier names kernels of a GPU, but --backend is cpu".to_owned()))
        }
        (DeviceChoice::Auto, Some(tier)) => with("", false, tier),
        (DeviceChoice::Gpu(adapter), Some(tier)) => with(adapter, true, tier),
    }
}

#[cfg(feature = "gpu")]
impl From<Tier> for causeway_ops::gpu::Tier {
    fn from(tier: Tier) -> Self {
        match tier {
            Tier::Portable => Self::Portable,
            Tier::Dot4 => Self::Dot4,
        }
    }
}

#[cfg(feature = "gpu")]
fn with(adapter: &str, software: bool, tier: Tier) -> Result<Device, Error> {
    use causeway_ops::gpu::{Gpu, GpuOptions};
    // Digits are an adapter's number.
    let adapter = if adapter.is_empty() { None } else { adapter.parse().ok() };
    let gpu = Gpu::open(&GpuOptions { adapter, software, tier: Some(tier.into()), ..GpuOptions::default() });
    Ok(Device::on_gpu(gpu.map_err(SessionError::from)?))
}

#[cfg(not(feature = "gpu"))]
fn with(adapter: &str, _software: bool, _tier: Tier) -> Result<Device, Error> {
    Ok(Device::gpu(adapter).map_err(SessionError::from)?)
}
