//! `--tier` and `--tuned`: which kernels a GPU runs.

use std::path::PathBuf;

use causeway_runtime::{Device, DeviceChoice, SessionError};

use crate::error::Error;

/// Tier of kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Tier {
    /// Those that every GPU can run.
    Portable,
    /// Linear layers, convolutions and attention in half precision.
    Half,
    /// Linear layers with 8- and 4-bit weights by products of four bytes.
    Dot4,
    /// Linear layers and attention by cooperative matrices of half precision.
    Cooperative,
}

/// Which kernels a GPU runs.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct KernelArgs {
    /// Kernels of the GPU [default: those that are known to be faster on it and pass their test]
    #[arg(long, value_enum, value_name = "TIER")]
    pub tier: Option<Tier>,
    /// What `bench tune` found to be fastest at each shape
    #[arg(long, value_name = "FILE", conflicts_with = "tier")]
    pub tuned: Option<PathBuf>,
}

impl KernelArgs {
    /// Whether a GPU is meant.
    pub fn name_a_gpu(&self) -> bool {
        self.tier.is_some() || self.tuned.is_some()
    }

    /// The device that `choice` says, its CPU `cpu`; with the kernels asked for, if it is a GPU.
    ///
    /// # Errors
    /// No such GPU, kernels that it cannot run or computes wrongly with, kernels for the CPU.
    pub fn open(&self, choice: &DeviceChoice, cpu: Device) -> Result<Device, Error> {
        match choice {
            choice if !self.name_a_gpu() => Ok(Device::open(choice, cpu).map_err(SessionError::from)?),
            DeviceChoice::Cpu => {
                Err(Error::Usage("--tier and --tuned name kernels of a GPU, but --backend is cpu".to_owned()))
            }
            DeviceChoice::Auto => self.gpu("", false),
            DeviceChoice::Gpu(adapter) => self.gpu(adapter, true),
        }
    }

    #[cfg(feature = "gpu")]
    fn gpu(&self, adapter: &str, software: bool) -> Result<Device, Error> {
        use causeway_ops::gpu::{Gpu, GpuOptions};
        // Digits are an adapter's number.
        let adapter = if adapter.is_empty() { None } else { adapter.parse().ok() };
        let (tier, tuned) = (self.tier.map(Into::into), self.tuned.clone());
        let gpu = Gpu::open(&GpuOptions { adapter, software, tier, tuned, ..GpuOptions::default() });
        Ok(Device::on_gpu(gpu.map_err(SessionError::from)?))
    }

    #[cfg(not(feature = "gpu"))]
    fn gpu(&self, adapter: &str, _software: bool) -> Result<Device, Error> {
        Ok(Device::gpu(adapter).map_err(SessionError::from)?)
    }
}

#[cfg(feature = "gpu")]
impl From<Tier> for causeway_ops::gpu::Tier {
    fn from(tier: Tier) -> Self {
        match tier {
            Tier::Portable => Self::Portable,
            Tier::Half => Self::Half,
            Tier::Dot4 => Self::Dot4,
            Tier::Cooperative => Self::Cooperative,
        }
    }
}
