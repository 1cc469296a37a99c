//! How large the numbers are that a model was made for.

use serde::{Deserialize, Serialize};

use super::{ConfigError, check::positive};

/// Largest magnitudes of what a host may give. What is larger is refused: it could only make a network overflow.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Of the entries of an action.
    pub action: f32,
    /// Of the values of a prompt.
    pub prompt: f32,
    /// Of normalised latents.
    pub latent: f32,
}

impl Default for LimitsConfig {
    /// A thousand each.
    fn default() -> Self {
        Self { action: 1e3, prompt: 1e3, latent: 1e3 }
    }
}

impl LimitsConfig {
    /// Beyond this no limit protects anything.
    const MOST: f32 = 1e6;

    /// Whether they are those of a file that says nothing.
    pub fn are_default(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        for (name, limit) in
            [("limits.action", self.action), ("limits.prompt", self.prompt), ("limits.latent", self.latent)]
        {
            positive(name, limit, Self::MOST)?;
        }
        Ok(())
    }
}
