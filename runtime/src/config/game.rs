//! What Matrix-Game 2.0 and its relatives have beside Wan's block: a picture condition and action modules (spec 2.13).

use alloc::{borrow::ToOwned, format, vec::Vec};

use serde::{Deserialize, Serialize};

use super::{
    ConfigError,
    check::{check, number, within},
};

/// Sizes of the picture condition and of the action modules.
///
/// A model that has this is told a picture as rows of features, under [`DitConfig::text`](super::DitConfig::text), and as `condition` channels of each frame; and of its
/// actions, whose first `keys` entries are keys and the others the mouse, one row for each picture frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GameConfig {
    /// Channels that are read behind those of the latents: a mask and the picture's latents.
    pub condition: usize,
    /// Layers that have an action module.
    pub layers: Vec<usize>,
    /// Leading entries of an action that are keys.
    pub keys: usize,
    /// Rows of actions that a latent frame sees: those before its last picture frame.
    pub rows: usize,
    /// Picture frames of a latent frame; the stream's first has one.
    pub pictures: usize,
    /// Features that a row's keys become.
    pub key_dim: usize,
    /// Heads of the modules' attention over time.
    pub heads: usize,
    /// Features of such a head, even.
    pub head_dim: usize,
    /// Leading features of it that are rotated by the frame's number, even.
    pub rotated: usize,
    /// Base of these rotations.
    pub theta: f32,
}

impl GameConfig {
    /// Features of all heads.
    pub fn wide(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Of a network of so many layers, told so many actions.
    pub(super) fn validate(&self, layers: usize, actions: usize) -> Result<(), ConfigError> {
        within("dit.game.condition", self.condition, 1, 256)?;
        within("the number of dit.game.layers", self.layers.len(), 1, layers)?;
        for (i, &layer) in self.layers.iter().enumerate() {
            let field = format!("dit.game.layers[{i}]");
            within(&field, layer, 0, layers - 1)?;
            check(&field, layer, i == 0 || self.layers[i - 1] < layer, || "rising numbers".to_owned())?;
        }
        within("dit.game.keys", self.keys, 1, actions)?;
        within("dit.game.pictures", self.pictures, 1, 16)?;
        within("dit.game.rows", self.rows, self.pictures, 256)?;
        within("dit.game.key_dim", self.key_dim, 1, 4096)?;
        within("dit.game.heads", self.heads, 1, 256)?;
        within("dit.game.head_dim", self.head_dim, 2, 128)?;
        let head = self.head_dim;
        check("dit.game.head_dim", head, head.is_multiple_of(2), || "an even number".to_owned())?;
        let turned = self.rotated;
        check("dit.game.rotated", turned, turned.is_multiple_of(2) && turned <= head, || {
            format!("an even number up to dit.game.head_dim, {head}")
        })?;
        number("dit.game.theta", self.theta, self.theta >= 1.0 && self.theta <= 1e9, "from 1 to 1e9")
    }
}
