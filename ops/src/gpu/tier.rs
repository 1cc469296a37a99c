//! Tiers: sets of kernels that a device may be faster with, what is known of devices, and which of them a device gets.
//!
//! A driver may lack a tier, be slow in it, or compute wrongly. So a tier is chosen by a table, unless it is asked for, and must then pass a
//! test on the device (`selftest.rs`) before anything is computed with it; else the next one is taken, which is said once.

use std::{fmt, str::FromStr};

/// A set of kernels. Where a tier has none for an operator or a shape, the portable one is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tier {
    /// f32 arithmetic and nothing that WebGPU does not guarantee.
    #[default]
    Portable,
    /// Linear layers with 8- and 4-bit weights by products of four bytes: inputs are quantised as the CPU does.
    Dot4,
}

impl Tier {
    /// All of them, the preferred ones last.
    pub const ALL: [Tier; 2] = [Tier::Portable, Tier::Dot4];

    /// Its name in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Tier::Portable => "portable",
            Tier::Dot4 => "dot4",
        }
    }

    /// What is computed how, for people.
    pub fn what(self) -> &'static str {
        match self {
            Tier::Portable => "f32 arithmetic everywhere",
            Tier::Dot4 => {
                "products of bytes in linear layers of q8 and q4 weights of every shape, f32 arithmetic elsewhere"
            }
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Tier {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|tier| tier.name() == text);
        found.ok_or_else(|| {
            format!("`{text}` is no tier of kernels; there are {}", Self::ALL.map(Self::name).join(", "))
        })
    }
}

/// A tier that a device could have had, and why it has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The tier.
    pub tier: Tier,
    /// Why.
    pub why: String,
}

/// The tier of a device, and those dropped before it.
#[derive(Clone, Debug, Default)]
pub(super) struct Chosen {
    pub tier: Tier,
    pub dropped: Vec<Dropped>,
}

/// Drivers that are known to compute a tier wrongly, whatever a test finds.
const DENIED: [(Tier, Driver, &str); 1] = [(
    Tier::Dot4,
    Driver { vendor: AMD, name: "AMD proprietary driver" },
    "products of bytes are wrong in this driver on cards before RDNA 3, which cannot be told apart",
)];

struct Driver {
    vendor: u32,
    /// Part of its name.
    name: &'static str,
}

/// PCI numbers of vendors.
const AMD: u32 = 0x1002;
const NVIDIA: u32 = 0x10de;
const INTEL: u32 = 0x8086;

/// Why the table has no `tier` for an adapter, if it has none. `accelerated` is what the driver says of products of bytes.
pub(super) fn refused(tier: Tier, info: &wgpu::AdapterInfo, accelerated: Option<bool>) -> Option<String> {
    let denied =
        |(_, driver, _): &&(Tier, Driver, &str)| driver.vendor == info.vendor && info.driver.contains(driver.name);
    if let Some((_, _, why)) = DENIED.iter().filter(|entry| entry.0 == tier).find(denied) {
        return Some((*why).into());
    }
    if tier == Tier::Portable {
        return None;
    }
    let why = match (info.backend, accelerated) {
        _ if info.device_type == wgpu::DeviceType::Cpu => "it is a CPU, which gains nothing",
        (wgpu::Backend::Vulkan, Some(true)) => return None,
        (wgpu::Backend::Vulkan, _) => "the driver has no instruction for products of bytes",
        (wgpu::Backend::Dx12, _) if [NVIDIA, INTEL].contains(&info.vendor) => return None,
        (backend, _) => return Some(format!("it is not known to be faster on such a GPU through {backend:?}")),
    };
    Some(why.into())
}

/// What a Vulkan driver says of products of bytes.
#[cfg(not(any(target_vendor = "apple", target_family = "wasm")))]
pub(super) fn accelerated(adapter: &wgpu::Adapter) -> Option<bool> {
    use ash::vk;
    // SAFETY: nothing of the adapter is destroyed.
    let adapter = unsafe { adapter.as_hal::<wgpu::hal::api::Vulkan>() }?;
    let (shared, physical) = (adapter.shared_instance(), adapter.raw_physical_device());
    let instance = shared.raw_instance();
    // SAFETY: the device is of this instance.
    let version = unsafe { instance.get_physical_device_properties(physical) }.api_version;
    if version.min(shared.instance_api_version()) < vk::API_VERSION_1_3 {
        return None;
    }
    let mut products = vk::PhysicalDeviceShaderIntegerDotProductProperties::default();
    let mut properties = vk::PhysicalDeviceProperties2::default().push_next(&mut products);
    // SAFETY: both are of a version that has this function and this struct.
    unsafe { instance.get_physical_device_properties2(physical, &mut properties) };
    Some(products.integer_dot_product4x8_bit_packed_signed_accelerated != 0)
}

#[cfg(any(target_vendor = "apple", target_family = "wasm"))]
pub(super) fn accelerated(_adapter: &wgpu::Adapter) -> Option<bool> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(vendor: u32, backend: wgpu::Backend, driver: &str) -> wgpu::AdapterInfo {
        let mut info = wgpu::AdapterInfo::new(wgpu::DeviceType::DiscreteGpu, backend);
        (info.vendor, info.driver) = (vendor, driver.into());
        info
    }

    #[test]
    fn the_table_asks_the_driver_and_denies_those_that_lie() {
        use wgpu::Backend::{Dx12, Gl, Metal, Vulkan};
        for (vendor, backend, driver, accelerated, taken) in [
            (NVIDIA, Vulkan, "NVIDIA", Some(true), true),
            (NVIDIA, Vulkan, "NVIDIA", Some(false), false),
            (NVIDIA, Vulkan, "NVIDIA", None, false),
            (AMD, Vulkan, "radv", Some(true), true),
            (AMD, Vulkan, "AMD proprietary driver", Some(true), false),
            (AMD, Dx12, "", None, false),
            (INTEL, Dx12, "", None, true),
            (NVIDIA, Gl, "", None, false),
            (0x106b, Metal, "", None, false),
        ] {
            let why = refused(Tier::Dot4, &info(vendor, backend, driver), accelerated);
            assert_eq!(why.is_none(), taken, "{vendor:#x} {backend:?} {driver}: {why:?}");
            assert_eq!(refused(Tier::Portable, &info(vendor, backend, driver), accelerated), None);
        }
    }

    #[test]
    fn names_are_read_back() {
        for tier in Tier::ALL {
            assert_eq!(tier.name().parse(), Ok(tier));
        }
        assert_eq!("fast".parse::<Tier>(), Err("`fast` is no tier of kernels; there are portable, dot4".into()));
    }
}
