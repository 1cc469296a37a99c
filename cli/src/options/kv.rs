//! `--kv`: how a ring stores keys and values.

use causeway_runtime::Device;

/// Type of the ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Kv {
    /// f16 on a GPU, f32 on the CPU.
    #[default]
    Auto,
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// 8-bit integers, a scale for each token and head.
    Q8,
}

impl Kv {
    /// The type on a device.
    pub fn on(self, device: &Device) -> causeway_runtime::Kv {
        match self {
            Kv::Auto if device.is_gpu() => causeway_runtime::Kv::F16,
            Kv::Auto | Kv::F32 => causeway_runtime::Kv::F32,
            Kv::F16 => causeway_runtime::Kv::F16,
            Kv::Q8 => causeway_runtime::Kv::Q8,
        }
    }
}
