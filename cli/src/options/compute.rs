//! Where a command computes that runs no session.

use causeway_runtime::Device;

use crate::{
    error::Error,
    options::{
        session::{Backend, choice, threads},
        tier::KernelArgs,
    },
    tools::{stop::Stop, table::parse_bytes},
};

/// Where to compute.
#[derive(Clone, Debug, clap::Args)]
pub struct ComputeArgs {
    /// Where to compute
    #[arg(long, value_enum, default_value_t = Backend::Auto)]
    backend: Backend,
    /// GPU whose name contains this text
    #[arg(long, value_name = "NAME")]
    adapter: Option<String>,
    #[command(flatten)]
    kernels: KernelArgs,
    /// Most memory to hold, beside the frames themselves, such as 2GB
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub memory_cap: Option<usize>,
    /// CPU threads; 0 for all
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = threads)]
    pub threads: usize,
}

impl ComputeArgs {
    /// The device asked for, whose CPU has as many threads as were asked for; strict: the same bits on every one.
    ///
    /// # Errors
    /// Options that exclude each other, no such GPU.
    pub fn device(&self, strict: bool) -> Result<Device, Error> {
        self.on(Device::cpu(self.threads), strict)
    }

    /// The same, whose work on the CPU `stop` ends at once ([`stop::caught`](crate::tools::stop::caught)).
    ///
    /// # Errors
    /// As [`Self::device`].
    pub fn stopped(&self, strict: bool, stop: &Stop) -> Result<Device, Error> {
        self.on(Device::on_cpu(stop.parallel(self.threads)), strict)
    }

    fn on(&self, cpu: Device, strict: bool) -> Result<Device, Error> {
        let cpu = if strict { cpu.strict() } else { cpu };
        self.kernels.open(&choice(self.backend, self.adapter.as_deref())?, cpu)
    }
}
