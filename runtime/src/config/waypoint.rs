//! What Waypoint 1.5 has in place of parts of Wan's block (spec 2.14).

use alloc::{borrow::ToOwned, format, vec::Vec};

use serde::{Deserialize, Serialize};

use super::{
    ConfigError,
    check::{check, number, positive, within},
};

/// Sizes of Waypoint's block, and what its tables were computed for.
///
/// A model that has this is told the controls of each latent frame, as one vector: the mouse's way to the right and down, a number for each
/// button (1 while it is pressed), the sign of the wheel's. It reads no text and knows no events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaypointConfig {
    /// Heads of keys and values, which `heads / kv_heads` heads of queries share.
    pub kv_heads: usize,
    /// Every so many layers, from the first on, one is told the controls.
    pub control_every: usize,
    /// Highest spatial frequency of rotary positions, as a share of the highest that the shorter side of the token grid can hold.
    pub nyquist: f32,
    /// Timesteps, 1000 times the noise level, for which the file has rows of conditions; that of clean frames is one of them.
    pub levels: Vec<f32>,
    /// What the two numbers of the mouse are multiplied with: the release does not say which unit it was trained on.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub mouse_scale: f32,
}

fn one() -> f32 {
    1.0
}

fn is_one(scale: &f32) -> bool {
    *scale == 1.0
}

impl WaypointConfig {
    /// Numbers of the mouse, which come first among the controls.
    pub const MOUSE: usize = 2;

    /// The row of the tables for a timestep, where there is one.
    pub fn row(&self, timestep: f32) -> Option<usize> {
        self.levels.iter().position(|level| (level - timestep).abs() <= 1e-3)
    }

    /// Of a network with so many heads of so many features, of layers `layers`.
    pub(super) fn validate(&self, heads: usize, head_dim: usize, layers: usize) -> Result<(), ConfigError> {
        let kv = self.kv_heads;
        within("dit.waypoint.kv_heads", kv, 1, heads)?;
        check("dit.waypoint.kv_heads", kv, heads.is_multiple_of(kv), || format!("a divisor of dit.heads, {heads}"))?;
        check("dit.dim / dit.heads", head_dim, head_dim.is_multiple_of(16), || {
            "a multiple of 16 beside `dit.waypoint`".to_owned()
        })?;
        within("dit.waypoint.control_every", self.control_every, 1, layers)?;
        positive("dit.waypoint.nyquist", self.nyquist, 1.0)?;
        within("the number of dit.waypoint.levels", self.levels.len(), 1, 256)?;
        for (i, &level) in self.levels.iter().enumerate() {
            number(&format!("dit.waypoint.levels[{i}]"), level, (0.0..=1000.0).contains(&level), "from 0 to 1000")?;
        }
        let scale = self.mouse_scale;
        number("dit.waypoint.mouse_scale", scale, scale.abs() <= 1e6, "from -1e6 to 1e6")
    }
}
