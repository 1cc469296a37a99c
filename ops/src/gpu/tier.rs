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
    /// Linear layers, convolutions and attention in half precision: sums of eight products in it, longer ones in f32.
    Half,
    /// Linear layers with 8- and 4-bit weights by products of four bytes: inputs are quantised as the CPU does.
    Dot4,
    /// Linear layers and attention by cooperative matrices of half precision, with sums in f32.
    Cooperative,
}

impl Tier {
    /// All of them, the preferred ones last.
    pub const ALL: [Tier; 4] = [Tier::Portable, Tier::Half, Tier::Dot4, Tier::Cooperative];

    /// Its name in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Tier::Portable => "portable",
            Tier::Half => "half",
            Tier::Dot4 => "dot4",
            Tier::Cooperative => "cooperative",
        }
    }

    /// What is computed how, for people.
    pub fn what(self) -> &'static str {
        match self {
            Tier::Portable => "f32 arithmetic",
            Tier::Half => "half precision in linear layers, convolutions and attention of many rows",
            Tier::Dot4 => "products of bytes in linear layers of q8 and q4 weights",
            Tier::Cooperative => "cooperative matrices of half precision in linear layers and attention of many rows",
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

/// PCI numbers of vendors.
const AMD: u32 = 0x1002;
const NVIDIA: u32 = 0x10de;
const INTEL: u32 = 0x8086;
const ARM: u32 = 0x13b5;
const QUALCOMM: u32 = 0x5143;

/// Drivers that are known to compute a tier wrongly, whatever a test finds: vendor, part of the driver's name.
const DENIED: [(Tier, u32, &str, &str); 2] = [
    (
        Tier::Dot4,
        AMD,
        "AMD proprietary driver",
        "products of bytes are wrong in this driver on cards before RDNA 3, which cannot be told apart",
    ),
    (Tier::Cooperative, INTEL, "", "its drivers have loaded wrong parts of matrices, and its matrices are not square"),
];

/// Whether a Vulkan driver ends the program when it is asked about matrices: AMD's own ones have, RADV has not.
pub(super) fn ends_programs(vendor: u32, driver: &str) -> bool {
    vendor == AMD && !driver.contains("radv")
}

/// What is known of an adapter before it is opened.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub info: wgpu::AdapterInfo,
    pub features: wgpu::Features,
    pub limits: wgpu::Limits,
    /// What the driver says of products of bytes.
    pub accelerated: Option<bool>,
    /// Rows and columns of cooperative matrices of half precision with sums in f32.
    pub edge: Option<u32>,
}

/// Workgroup memory and storage buffers of kernels that need more than the portable ones.
pub(super) const WORKGROUP_BYTES: u32 = 32 * 1024;
pub(super) const STORAGE_BUFFERS: u32 = 10;

impl Facts {
    pub fn new(adapter: &wgpu::Adapter) -> Self {
        let mut info = adapter.get_info();
        if info.name.is_empty() {
            // A browser need not tell.
            info.name = format!("of no name through {:?}", info.backend);
        }
        Self {
            info,
            features: adapter.features(),
            limits: adapter.limits(),
            accelerated: accelerated(adapter),
            edge: edge(&adapter.cooperative_matrix_properties()),
        }
    }

    /// What must be enabled for a tier.
    pub fn features_of(tier: Tier) -> wgpu::Features {
        let half = wgpu::Features::SHADER_F16 | wgpu::Features::SUBGROUP;
        match tier {
            Tier::Portable | Tier::Dot4 => wgpu::Features::empty(),
            Tier::Half => half,
            Tier::Cooperative => half | wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX,
        }
    }

    /// Whether the adapter's matrices are hidden (hidden.rs).
    fn is_not_asked(&self) -> bool {
        self.info.backend == wgpu::Backend::Vulkan && ends_programs(self.info.vendor, &self.info.driver)
    }

    /// Why the adapter cannot have a tier, if it cannot.
    pub fn lacks(&self, tier: Tier) -> Option<String> {
        if Self::features_of(tier).is_empty() {
            return None;
        }
        let (limits, most) = (&self.limits, self.info.subgroup_max_size);
        if tier == Tier::Cooperative && self.is_not_asked() {
            return Some("its driver ends programs that ask it about matrices".into());
        }
        let lacking = Self::features_of(tier) - self.features;
        if !lacking.is_empty() {
            let names: Vec<String> = lacking.iter_names().map(|(name, _)| name.to_lowercase()).collect();
            return Some(format!("the adapter has no {}", names.join(", ")));
        }
        if limits.max_compute_workgroup_storage_size < WORKGROUP_BYTES {
            let there = limits.max_compute_workgroup_storage_size;
            return Some(format!("the adapter has {there} bytes of workgroup memory, {WORKGROUP_BYTES} are needed"));
        }
        match tier {
            Tier::Cooperative if self.edge.is_none() => Some(
                "the adapter has no matrices of 16 or 8 rows and columns in half precision with sums in f32".into(),
            ),
            Tier::Cooperative if limits.max_storage_buffers_per_shader_stage < STORAGE_BUFFERS => {
                Some(format!("the adapter has fewer than {STORAGE_BUFFERS} storage buffers a kernel"))
            }
            Tier::Cooperative if !(8..=64).contains(&most) => Some(format!("its subgroups may have {most} lanes")),
            Tier::Half if self.info.subgroup_min_size < 8 => {
                Some(format!("its subgroups may have {} lanes, 8 are needed", self.info.subgroup_min_size))
            }
            _ => None,
        }
    }

    /// Why the table has no `tier` for the adapter, if it has none.
    pub fn refused(&self, tier: Tier) -> Option<String> {
        use wgpu::Backend::{Dx12, Metal, Vulkan};
        let info = &self.info;
        let denied = DENIED
            .iter()
            .find(|(which, vendor, name, _)| (*which, *vendor) == (tier, info.vendor) && info.driver.contains(name));
        if let Some((.., why)) = denied {
            return Some((*why).into());
        }
        let slow =
            |backend: wgpu::Backend| Some(format!("it is not known to be faster on such a GPU through {backend:?}"));
        let why = match (tier, info.backend) {
            (Tier::Portable, _) => return None,
            _ if info.device_type == wgpu::DeviceType::Cpu => "it is a CPU, which gains nothing",
            (Tier::Dot4, Vulkan) if self.accelerated == Some(true) => return None,
            (Tier::Dot4, Vulkan) => "the driver has no instruction for products of bytes",
            (Tier::Dot4, Dx12) if [NVIDIA, INTEL].contains(&info.vendor) => return None,
            (Tier::Half, Vulkan) if [AMD, INTEL, ARM, QUALCOMM].contains(&info.vendor) => return None,
            (Tier::Cooperative, Vulkan) if [AMD, NVIDIA].contains(&info.vendor) => return None,
            (Tier::Cooperative, Metal) => "what is translated for Metal has been compiled by nobody yet",
            (_, backend) => return slow(backend),
        };
        Some(why.into())
    }
}

/// The largest square matrices of half precision with sums in f32 that kernels are made for.
fn edge(all: &[wgpu::CooperativeMatrixProperties]) -> Option<u32> {
    use wgpu::CooperativeScalarType::{F16, F32};
    let has = |edge: u32| {
        all.iter().any(|one| {
            [one.m_size, one.n_size, one.k_size] == [edge; 3]
                && (one.ab_type, one.cr_type) == (F16, F32)
                && !one.saturating_accumulation
        })
    };
    [16, 8].into_iter().find(|&edge| has(edge))
}

/// What a Vulkan driver says of products of bytes.
#[cfg(not(any(target_vendor = "apple", target_family = "wasm")))]
fn accelerated(adapter: &wgpu::Adapter) -> Option<bool> {
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
fn accelerated(_adapter: &wgpu::Adapter) -> Option<bool> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(vendor: u32, backend: wgpu::Backend, driver: &str, accelerated: Option<bool>) -> Facts {
        let mut info = wgpu::AdapterInfo::new(wgpu::DeviceType::DiscreteGpu, backend);
        (info.vendor, info.driver) = (vendor, driver.into());
        (info.subgroup_min_size, info.subgroup_max_size) = (32, 64);
        let limits = wgpu::Limits {
            max_compute_workgroup_storage_size: 48 << 10,
            max_storage_buffers_per_shader_stage: 64,
            ..wgpu::Limits::default()
        };
        Facts { info, features: wgpu::Features::all(), limits, accelerated, edge: Some(16) }
    }

    #[test]
    fn the_table_asks_the_driver_and_denies_those_that_lie() {
        use wgpu::Backend::{Dx12, Gl, Metal, Vulkan};
        for (vendor, backend, driver, accelerated, taken) in [
            (NVIDIA, Vulkan, "NVIDIA", Some(true), [false, true, true]),
            (NVIDIA, Vulkan, "NVIDIA", Some(false), [false, false, true]),
            (NVIDIA, Vulkan, "NVIDIA", None, [false, false, true]),
            (AMD, Vulkan, "radv", Some(true), [true, true, true]),
            (AMD, Vulkan, "AMD proprietary driver", Some(true), [true, false, false]),
            (AMD, Vulkan, "AMD open-source driver", Some(true), [true, true, false]),
            (AMD, Dx12, "", None, [false; 3]),
            (INTEL, Vulkan, "Intel open-source Mesa driver", Some(true), [true, true, false]),
            (INTEL, Dx12, "", None, [false, true, false]),
            (QUALCOMM, Vulkan, "", Some(false), [true, false, false]),
            (NVIDIA, Gl, "", None, [false; 3]),
            (0x106b, Metal, "", None, [false; 3]),
        ] {
            let facts = facts(vendor, backend, driver, accelerated);
            for (tier, taken) in [Tier::Half, Tier::Dot4, Tier::Cooperative].into_iter().zip(taken) {
                let why = facts.lacks(tier).or_else(|| facts.refused(tier));
                assert_eq!(why.is_none(), taken, "{vendor:#x} {backend:?} {driver} {tier}: {why:?}");
            }
            assert_eq!(facts.refused(Tier::Portable), None);
        }
        let software =
            wgpu::AdapterInfo { device_type: wgpu::DeviceType::Cpu, ..facts(AMD, Vulkan, "radv", Some(true)).info };
        let software = Facts { info: software, ..facts(AMD, Vulkan, "radv", Some(true)) };
        assert!(Tier::ALL[1..].iter().all(|&tier| software.refused(tier).is_some()));
    }

    #[test]
    fn what_an_adapter_lacks_is_named() {
        let whole = facts(AMD, wgpu::Backend::Vulkan, "radv", None);
        assert!(Tier::ALL.iter().all(|&tier| whole.lacks(tier).is_none()));
        let lacks = |facts: Facts| [Tier::Half, Tier::Cooperative].map(|tier| facts.lacks(tier).unwrap_or_default());
        let less = Facts { features: wgpu::Features::SUBGROUP, ..whole.clone() };
        assert_eq!(lacks(less)[0], "the adapter has no shader_f16");
        let mut small = whole.clone();
        small.limits.max_compute_workgroup_storage_size = 16 << 10;
        assert!(lacks(small).iter().all(|why| why.contains("16384 bytes of workgroup memory")));
        assert!(lacks(Facts { edge: None, ..whole.clone() })[1].contains("no matrices"));
        let mut narrow = whole.clone();
        narrow.info.subgroup_min_size = 4;
        assert!(lacks(narrow)[0].contains("4 lanes"));
    }

    #[test]
    fn the_largest_square_matrices_are_taken() {
        use wgpu::CooperativeScalarType::{F16, F32};
        let of = |m, k, ab_type, cr_type| wgpu::CooperativeMatrixProperties {
            m_size: m,
            n_size: m,
            k_size: k,
            ab_type,
            cr_type,
            saturating_accumulation: false,
        };
        assert_eq!(edge(&[of(8, 8, F16, F32), of(16, 16, F16, F32)]), Some(16));
        assert_eq!(edge(&[of(8, 8, F16, F32), of(16, 16, F16, F16), of(16, 8, F16, F32)]), Some(8));
        assert_eq!(edge(&[of(8, 8, F32, F32)]), None);
        assert_eq!(edge(&[]), None);
    }

    #[test]
    fn names_are_read_back() {
        for tier in Tier::ALL {
            assert_eq!(tier.name().parse(), Ok(tier));
        }
        assert_eq!(
            "fast".parse::<Tier>(),
            Err("`fast` is no tier of kernels; there are portable, half, dot4, cooperative".into())
        );
    }
}
