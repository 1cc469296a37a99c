//! The denoiser of a stream: whichever block its network is made of. The rest of a stream does not ask which.

use causeway_ops::{BufferId, PlanBuilder};

#[cfg(feature = "waypoint")]
use super::waypoint::Waypoint;
use super::{
    ModelError,
    dit::{Conditions, Dit, Levels},
    ring::{Group, Groups},
};
use crate::config::DitConfig;

/// Buffers of one stream's denoiser, shared by the passes it emits.
#[derive(Clone)]
pub(super) enum Denoiser<'a> {
    /// Wan's block, and what games add to it.
    Wan(Dit<'a>),
    /// Waypoint's block.
    #[cfg(feature = "waypoint")]
    Waypoint(Waypoint<'a>),
}

impl<'a> Denoiser<'a> {
    /// As [`Dit::new`].
    ///
    /// # Errors
    /// [`ModelError`] where the network cannot be told one of the levels, or so many frames at once.
    pub fn new(
        b: &mut PlanBuilder,
        config: &'a DitConfig,
        groups: &Groups,
        text_rows: usize,
        most: usize,
        levels: &Levels,
    ) -> Result<Self, ModelError> {
        #[cfg(feature = "waypoint")]
        if let Some(waypoint) = config.waypoint() {
            return Waypoint::new(b, config, waypoint, groups, most, levels).map(Self::Waypoint);
        }
        Ok(Self::Wan(Dit::new(b, config, groups, text_rows, most, levels)))
    }

    /// As [`Dit::beside`]; of a network that reads no text it is the same.
    pub fn beside(&self, b: &mut PlanBuilder, name: &str) -> Self {
        match self {
            Self::Wan(dit) => Self::Wan(dit.beside(b, name)),
            #[cfg(feature = "waypoint")]
            Self::Waypoint(_) => self.clone(),
        }
    }

    /// As [`Dit::seeing`]; a network of several groups of layers has no passes that see less.
    pub fn seeing(&self, max_history: usize, actions: Option<BufferId>, previous: Option<BufferId>) -> Self {
        match self {
            Self::Wan(dit) => Self::Wan(dit.seeing(max_history, actions, previous)),
            #[cfg(feature = "waypoint")]
            Self::Waypoint(_) => self.clone(),
        }
    }

    /// The groups of layers that keep the same frames.
    pub fn groups(&self) -> &[Group] {
        match self {
            Self::Wan(dit) => &dit.groups,
            #[cfg(feature = "waypoint")]
            Self::Waypoint(waypoint) => &waypoint.groups,
        }
    }

    /// What the stream is told.
    pub fn conditions(&self) -> Conditions {
        match self {
            Self::Wan(dit) => dit.conditions,
            #[cfg(feature = "waypoint")]
            Self::Waypoint(waypoint) => waypoint.conditions(),
        }
    }

    /// Last committed latent frame, where the model reads it.
    pub fn previous(&self) -> Option<BufferId> {
        match self {
            Self::Wan(dit) => dit.previous,
            #[cfg(feature = "waypoint")]
            Self::Waypoint(_) => None,
        }
    }

    /// Which frames heads prefer, where that is looked at.
    pub fn preferences(&self) -> Option<BufferId> {
        match self {
            Self::Wan(dit) => dit.preferences,
            #[cfg(feature = "waypoint")]
            Self::Waypoint(_) => None,
        }
    }

    /// The sinusoids that the host writes, where it does.
    pub fn sinusoids(&self) -> Option<BufferId> {
        match self {
            Self::Wan(dit) => dit.sinusoids(),
            #[cfg(feature = "waypoint")]
            Self::Waypoint(_) => None,
        }
    }

    /// Whether there is something to be computed of a condition once, before frames are told it.
    pub fn conditioned(&self) -> bool {
        match self {
            Self::Wan(_) => true,
            #[cfg(feature = "waypoint")]
            Self::Waypoint(_) => false,
        }
    }

    /// As [`Dit::condition`].
    ///
    /// # Errors
    /// [`ModelError`] of a model that is told nothing of the kind.
    pub fn condition(&self, b: &mut PlanBuilder) -> Result<(), ModelError> {
        match self {
            Self::Wan(dit) => dit.condition(b),
            #[cfg(feature = "waypoint")]
            Self::Waypoint(_) => Err(ModelError::Unsupported("a denoiser without events and text".into())),
        }
    }

    /// Emits a forward pass of `frames` latent frames `x` and returns the answer.
    pub fn denoise(&self, b: &mut PlanBuilder, x: BufferId, frames: usize) -> BufferId {
        match self {
            Self::Wan(dit) => dit.denoise(b, x, frames),
            #[cfg(feature = "waypoint")]
            Self::Waypoint(waypoint) => waypoint.denoise(b, x),
        }
    }

    /// Emits the clean-context pass, which writes the ring slots named in the frame table.
    pub fn commit(&self, b: &mut PlanBuilder, x: BufferId, frames: usize) {
        match self {
            Self::Wan(dit) => dit.commit(b, x, frames),
            #[cfg(feature = "waypoint")]
            Self::Waypoint(waypoint) => waypoint.commit(b, x),
        }
    }
}
