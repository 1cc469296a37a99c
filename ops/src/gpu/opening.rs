//! Opening a device: an adapter is chosen, and then the best tier of kernels that it computes rightly with.

use super::{
    device::{Gpu, GpuOptions, choose, features, needed, unpacks},
    selftest,
    tier::{Chosen, Dropped, Tier, accelerated, refused},
};
use crate::backend::BackendError;

impl Gpu {
    /// Opens the adapter that `options` choose.
    ///
    /// # Errors
    /// [`BackendError::NoAdapter`] says what was asked for and what there is; [`BackendError::Unsupported`] why the tier asked for cannot be had.
    pub fn open(options: &GpuOptions) -> Result<Self, BackendError> {
        let adapter = choose(options)?;
        let name = adapter.get_info().name;
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("causeway"),
            required_features: features(adapter.features()),
            required_limits: needed(&adapter.limits()),
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|error| BackendError::NoAdapter(format!("{name}: {error}")))?;
        let unpack = unpacks(&adapter);
        Self::wrap(device, queue, &name, options.checked, unpack).with_tier(&adapter, options.tier)
    }

    /// With the tier asked for, or the best that the table knows and the device passes the test of.
    pub(super) fn with_tier(mut self, adapter: &wgpu::Adapter, asked: Option<Tier>) -> Result<Self, BackendError> {
        let (info, accelerated) = (adapter.get_info(), accelerated(adapter));
        let mut dropped = Vec::new();
        for tier in Tier::ALL.into_iter().rev().filter(|&tier| asked.is_none_or(|asked| asked == tier)) {
            let why = match asked {
                None => refused(tier, &info, accelerated),
                Some(_) => None,
            };
            let why = match why {
                None => self.try_tier(tier).err(),
                why => why,
            };
            let Some(why) = why else {
                log::info!("GPU: {} kernels", tier.name());
                self.chosen.dropped = dropped;
                return Ok(self);
            };
            if asked.is_some() {
                return Err(BackendError::Unsupported(format!("{}: no {tier} kernels: {why}", self.name())));
            }
            log::info!("GPU: no {tier} kernels: {why}");
            dropped.push(Dropped { tier, why });
        }
        self.chosen = Chosen { tier: Tier::Portable, dropped };
        Ok(self)
    }

    /// Takes a tier if the device computes rightly with it.
    fn try_tier(&mut self, tier: Tier) -> Result<(), String> {
        self.chosen.tier = tier;
        if tier == Tier::Portable { Ok(()) } else { selftest::run(self) }
    }

    /// The kernels that plans run with.
    pub fn tier(&self) -> Tier {
        self.chosen.tier
    }

    /// Tiers that it could have had instead, and why it has not.
    pub fn dropped(&self) -> &[Dropped] {
        &self.chosen.dropped
    }
}
