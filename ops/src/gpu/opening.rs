//! Opening a device: an adapter is chosen, and then the tiers of kernels that it computes rightly with.

use std::sync::Arc;

use causeway_shaders::Target;

use super::{
    choice::Choice,
    device::{Gpu, GpuOptions, choose, descriptor, unpacks},
    pipelines::Pipelines,
    probe, selftest,
    tier::{Dropped, Facts, Tier},
    waiting::wait,
};
use crate::backend::BackendError;

/// Tiers to try on an adapter, and those that need not be tried.
#[derive(Default)]
pub(super) struct Candidates {
    pub tiers: Vec<Tier>,
    dropped: Vec<Dropped>,
}

impl Candidates {
    /// What the adapter has and the table knows, or what was asked for.
    pub fn new(facts: &Facts, asked: Option<Tier>) -> Self {
        let mut this = Self::default();
        for tier in Tier::ALL.into_iter().filter(|&tier| asked.is_none_or(|asked| asked == tier)) {
            let refused = || if asked.is_none() { facts.refused(tier) } else { None };
            match facts.lacks(tier).or_else(refused) {
                None => this.tiers.push(tier),
                Some(why) => this.dropped.push(Dropped { tier, why }),
            }
        }
        this
    }
}

/// What kernels' texts are made for, before the size of subgroups is known.
pub(super) fn target(adapter: &wgpu::Adapter, facts: &Facts) -> Target {
    Target {
        unpack: unpacks(adapter),
        scalars: facts.info.backend == wgpu::Backend::Metal,
        edge: facts.edge.unwrap_or(Target::PORTABLE.edge),
        lanes: facts.info.subgroup_max_size.clamp(8, 64),
    }
}

impl Gpu {
    /// Opens the adapter that `options` choose.
    ///
    /// # Errors
    /// [`BackendError::NoAdapter`] says what was asked for and what there is; [`BackendError::Unsupported`] why the tier asked for cannot be had.
    pub fn open(options: &GpuOptions) -> Result<Self, BackendError> {
        wait(Self::open_async(options))?
    }

    /// The same without waiting, which a page cannot. A tier that must pass a test is waited for all the same; the portable one need not.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_async(options: &GpuOptions) -> Result<Self, BackendError> {
        let adapter = choose(options).await?;
        let facts = Facts::new(&adapter);
        let name = &facts.info.name;
        let candidates = Candidates::new(&facts, options.tier);
        let (device, queue) = adapter
            .request_device(&descriptor(&facts, &candidates.tiers))
            .await
            .map_err(|error| BackendError::NoAdapter(format!("{name}: {error}")))?;
        let target = target(&adapter, &facts);
        let gpu = Self::wrap(device, queue, &facts.info, options.checked, target);
        let gpu = gpu.with_tiers(candidates, options.tier, options.lanes)?;
        let Some(path) = &options.tuned else { return Ok(gpu) };
        match gpu.read_tuned(path) {
            Ok(tuned) => Ok(gpu.with(&tuned)),
            Err(why) => {
                log::warn!("GPU: {} is not used: {why}", path.display());
                Ok(gpu)
            }
        }
    }

    /// With the tier asked for, or with all of the candidates whose test the device passes.
    pub(super) fn with_tiers(
        mut self,
        candidates: Candidates,
        asked: Option<Tier>,
        lanes: Option<u32>,
    ) -> Result<Self, BackendError> {
        let mut choice = asked.map_or_else(Choice::default, Choice::only);
        choice.dropped = candidates.dropped;
        for tier in candidates.tiers {
            match self.try_tier(tier, lanes) {
                Ok(()) => choice.add(tier),
                Err(why) => {
                    // What rang in the test would ring in every copy.
                    if tier == Tier::Cooperative {
                        self.alarm = None;
                    }
                    choice.dropped.push(Dropped { tier, why });
                }
            }
        }
        if let (Some(tier), Some(Dropped { why, .. })) = (asked, choice.dropped.first()) {
            return Err(BackendError::Unsupported(format!("{}: no {tier} kernels: {why}", self.name())));
        }
        for Dropped { tier, why } in &choice.dropped {
            log::info!("GPU: no {tier} kernels: {why}");
        }
        let names: Vec<&str> = choice.tiers().iter().map(|tier| tier.name()).collect();
        log::info!("GPU: {} kernels", names.join(", "));
        self.choice = choice;
        Ok(self)
    }

    /// Whether the device computes rightly with a tier.
    fn try_tier(&mut self, tier: Tier, lanes: Option<u32>) -> Result<(), String> {
        if tier == Tier::Portable {
            return Ok(());
        }
        if tier == Tier::Cooperative {
            let lanes = match lanes {
                Some(lanes) => lanes,
                None => probe::lanes(self).map_err(|error| error.to_string())?,
            };
            self.for_subgroups_of(lanes);
        }
        let mut gpu = self.clone();
        gpu.choice = Choice::only(tier);
        selftest::run(&gpu, tier)
    }

    /// Makes texts of kernels for this size of subgroups.
    pub(super) fn for_subgroups_of(&mut self, lanes: u32) {
        let (target, checked) = self.pipelines.target();
        if target.lanes != lanes {
            self.pipelines = Arc::new(Pipelines::new(&self.device, checked, Target { lanes, ..target }));
        }
    }

    /// This device with the kernels of another tier too, if they pass their test. Each operator takes the best for its shape.
    ///
    /// # Errors
    /// [`BackendError::Unsupported`] says why not.
    pub fn and(mut self, tier: Tier) -> Result<Self, BackendError> {
        let enabled = self.device.features().contains(Facts::features_of(tier));
        let tried = if enabled { self.try_tier(tier, None) } else { Err("it was not enabled with the device".into()) };
        tried.map_err(|why| BackendError::Unsupported(format!("{}: no {tier} kernels: {why}", self.name())))?;
        let mut choice = Choice::default();
        self.choice.tiers().iter().for_each(|&tier| choice.add(tier));
        choice.add(tier);
        self.choice = choice;
        Ok(self)
    }

    /// The kernels that plans run with: the best of [`Self::tiers`].
    pub fn tier(&self) -> Tier {
        self.tiers().last().copied().unwrap_or_default()
    }

    /// The tiers that there are kernels of, the portable one first. Each operator takes the best that has one for its shape.
    pub fn tiers(&self) -> &[Tier] {
        self.choice.tiers()
    }

    /// Tiers that it could have had besides, and why it has not.
    pub fn dropped(&self) -> &[Dropped] {
        &self.choice.dropped
    }
}
