//! A denoiser's network found in a checkpoint, of whichever kind.

use causeway_ops::quant::DType;
use causeway_runtime::{
    ModelConfig,
    file::Sink,
    import::{Import, ImportError, Settings, WaypointImport},
};

/// The kinds of networks that are converted to denoisers.
#[derive(Debug)]
pub enum Network {
    /// Wan's, or a game made of it.
    Wan(Box<Import>),
    /// Waypoint's.
    Waypoint(Box<WaypointImport>),
}

impl Network {
    /// The settings that networks of this kind use, as far as the checkpoint and what lies beside it tell.
    pub fn usual(&self) -> Settings {
        match self {
            Self::Wan(import) => import.usual(),
            Self::Waypoint(import) => import.usual(),
        }
    }

    /// The configuration of the network with these settings.
    ///
    /// # Errors
    /// A size is out of range.
    pub fn config(&self, settings: &Settings) -> Result<ModelConfig, ImportError> {
        match self {
            Self::Wan(import) => import.config(settings),
            Self::Waypoint(import) => import.config(settings),
        }
    }

    /// What there is to say of the checkpoint, a sentence each.
    pub fn notes(&self) -> &[String] {
        match self {
            Self::Wan(import) => import.notes(),
            Self::Waypoint(import) => import.notes(),
        }
    }

    /// Tensors that the network does not use.
    pub fn unknown(&self) -> &[String] {
        match self {
            Self::Wan(import) => import.unknown(),
            Self::Waypoint(import) => import.unknown(),
        }
    }

    /// Writes the model file of `config` to `sink`; `choose` gives each tensor's type by its name and shape.
    ///
    /// # Errors
    /// As [`Import::write`].
    pub fn write<W: Sink>(
        &self,
        sink: W,
        config: &ModelConfig,
        choose: impl FnMut(&str, &[usize]) -> DType,
    ) -> Result<W, ImportError> {
        match self {
            Self::Wan(import) => import.write(sink, config, choose),
            Self::Waypoint(import) => import.write(sink, config, choose),
        }
    }
}
