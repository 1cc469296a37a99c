//! When a denoising run looks at a frame: its lists of steps.

use alloc::{borrow::ToOwned, collections::BTreeMap, format, vec::Vec};
use core::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, Visitor},
};

use super::{
    ConfigError,
    check::{check, number, positive, within},
};
use crate::sampler::Sampler;

/// Noise levels of a denoising run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleConfig {
    /// The timestep warp: sigma' = shift * sigma / (1 + (shift - 1) * sigma).
    pub shift: f32,
    /// Nominal (unwarped) timesteps in (0, 1000], falling, by their number.
    #[serde(deserialize_with = "unique_steps")]
    pub steps: BTreeMap<usize, Vec<f32>>,
    /// Nominal timesteps of the stream's first chunk, where it has a list of its own.
    #[cfg_attr(feature = "matrix-game", serde(default, skip_serializing_if = "Vec::is_empty"))]
    #[cfg_attr(not(feature = "matrix-game"), serde(skip))]
    pub first: Vec<f32>,
    /// How latents go from step to step.
    #[cfg_attr(feature = "waypoint", serde(default, skip_serializing_if = "is_few"))]
    #[cfg_attr(not(feature = "waypoint"), serde(skip))]
    pub sampler: Sampler,
    /// The entry of `steps` to use unless the host asks for another.
    pub default_steps: usize,
    /// Timestep in [0, 1000) at which the commit pass sees the clean frame.
    pub context_noise: f32,
}

#[cfg(feature = "waypoint")]
fn is_few(sampler: &Sampler) -> bool {
    *sampler == Sampler::Few
}

impl ScheduleConfig {
    /// The warped noise levels sigma in (0, 1] of the entry with `count` steps, or `None` where there is none.
    ///
    /// Nominal 1000, 750, 500, 250 with shift 5 become 1, 0.9375, 0.83333, 0.625 (spec 2.1).
    pub fn sigmas(&self, count: usize) -> Option<Vec<f32>> {
        Some(self.warped(self.steps.get(&count)?))
    }

    /// The same of the stream's first chunk, where it has a list of its own.
    pub fn first_sigmas(&self) -> Option<Vec<f32>> {
        self.own_first().map(|steps| self.warped(steps))
    }

    /// The first chunk's list; none in a build without feature `matrix-game`.
    fn own_first(&self) -> Option<&Vec<f32>> {
        Some(&self.first).filter(|steps| cfg!(feature = "matrix-game") && !steps.is_empty())
    }

    fn warped(&self, steps: &[f32]) -> Vec<f32> {
        let warp = |step: &f32| {
            let sigma = step / 1000.0;
            self.shift * sigma / (1.0 + (self.shift - 1.0) * sigma)
        };
        steps.iter().map(warp).collect()
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        positive("schedule.shift", self.shift, 100.0)?;
        let lists = self.steps.len();
        check("schedule.steps", format!("a map of {lists}"), (1..=64).contains(&lists), || "1 to 64 lists".to_owned())?;
        let first = self.own_first().map(|steps| (None, steps));
        for (named, list) in self.steps.iter().map(|(&count, list)| (Some(count), list)).chain(first) {
            let field = named.map_or("schedule.first".to_owned(), |count| format!("schedule.steps.{count}"));
            let count = named.unwrap_or(list.len());
            within(&field, count, 1, 1000)?;
            check(&field, format!("a list of {}", list.len()), list.len() == count, || format!("{count} timesteps"))?;
            let mut last = f32::INFINITY;
            for (i, &step) in list.iter().enumerate() {
                let field = format!("{field}[{i}]");
                number(&field, step, step > 0.0 && step <= 1000.0, "above 0 and at most 1000")?;
                check(&field, step, step < last, || format!("less than the step before it, {last}"))?;
                last = step;
            }
        }
        let default = self.default_steps;
        check("schedule.default_steps", default, self.steps.contains_key(&default), || {
            "a key of schedule.steps".to_owned()
        })?;
        let noise = self.context_noise;
        number("schedule.context_noise", noise, (0.0..1000.0).contains(&noise), "from 0 to below 1000")
    }
}

/// A map that refuses repeated keys, which a plain map would silently resolve to the last one.
fn unique_steps<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<usize, Vec<f32>>, D::Error> {
    struct Steps;
    impl<'de> Visitor<'de> for Steps {
        type Value = BTreeMap<usize, Vec<f32>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map from step counts to lists of timesteps")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut steps = BTreeMap::new();
            while let Some((count, list)) = map.next_entry()? {
                if steps.insert(count, list).is_some() {
                    return Err(Error::custom(format!("schedule.steps names {count} twice")));
                }
            }
            Ok(steps)
        }
    }
    deserializer.deserialize_map(Steps)
}
