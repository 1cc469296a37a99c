//! Where a command computes that runs no session.

use causeway_runtime::{BackendChoice, DecoderOptions};

use crate::{
    error::Error,
    options::session::{Backend, choice, threads},
    tools::table::parse_bytes,
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
    /// Most memory to hold, beside the frames themselves, such as 2GB
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub memory_cap: Option<usize>,
    /// CPU threads; 0 for all
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = threads)]
    pub threads: usize,
}

impl ComputeArgs {
    /// The backend asked for.
    ///
    /// # Errors
    /// Options that exclude each other.
    pub fn choice(&self) -> Result<BackendChoice, Error> {
        choice(self.backend, self.adapter.as_deref())
    }

    /// Options of a decoder.
    ///
    /// # Errors
    /// As [`Self::choice`].
    pub fn decoder(&self) -> Result<DecoderOptions, Error> {
        let (threads, memory_cap) = (self.threads, self.memory_cap);
        Ok(DecoderOptions { backend: self.choice()?, threads, memory_cap, strict: false })
    }
}
