//! Where the figures of a sound stream lie.

use alloc::format;

use serde::{Deserialize, Serialize};

use super::{
    ConfigError,
    check::{check, number},
};

/// What [`Health`](crate::session::Health) may be before it alarms, as measured on footage (`causeway-distill health`). Latents count in standard
/// deviations of what they are in training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthConfig {
    /// Smallest and largest mean of a chunk's latents.
    pub mean: [f32; 2],
    /// Smallest and largest standard deviation.
    pub spread: [f32; 2],
    /// Smallest and largest flatness over the channels, from 0 to 1.
    pub detail: [f32; 2],
    /// Least change from frame to frame, in several running, while something is pressed; 0 where a world may stand still then.
    pub moves: f32,
    /// Most change since a rest began, in which nothing is pressed.
    pub drift: f32,
    /// Largest share of heads that prefer a far frame, from 0 to 1.
    pub far: f32,
}

impl Default for HealthConfig {
    /// Of a file that says nothing: only what latents of no model are.
    fn default() -> Self {
        Self { mean: [-1.0, 1.0], spread: [0.25, 4.0], detail: [0.0, 1.0], moves: 0.0, drift: Self::MOST, far: 1.0 }
    }
}

impl HealthConfig {
    /// Beyond this no figure says anything.
    const MOST: f32 = 1e3;

    /// Whether it is that of a file that says nothing.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let (most, far) = (Self::MOST, [0.0, self.far]);
        for (name, [low, high], least, most) in [
            ("health.mean", self.mean, -most, most),
            ("health.spread", self.spread, 0.0, most),
            ("health.detail", self.detail, 0.0, 1.0),
            ("health.moves", [0.0, self.moves], 0.0, most),
            ("health.drift", [0.0, self.drift], 0.0, most),
            ("health.far", far, 0.0, 1.0),
        ] {
            for value in [low, high] {
                number(name, value, (least..=most).contains(&value), &format!("from {least} to {most}"))?;
            }
            check(name, high, low <= high, || format!("at least {low}"))?;
        }
        Ok(())
    }
}
