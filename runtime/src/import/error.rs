//! What can be wrong with a checkpoint, one sentence each.

use super::kind::Kind;
use crate::config::ConfigError;
use crate::file::FileError;

/// Why a checkpoint was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The operating system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// None of the formats that are read.
    #[error("{0}")]
    Unrecognised(String),
    /// Something that is known and not converted.
    #[error("{}{detail}: {}", kind.name, kind.sentence())]
    Kind {
        /// What it is.
        kind: &'static Kind,
        /// What is known besides, after the name.
        detail: String,
    },
    /// The container contradicts itself or its length.
    #[error("not a sound {format} file: {what}")]
    Container {
        /// Which format it seemed to be.
        format: &'static str,
        /// What is wrong.
        what: String,
    },
    /// The pickle is damaged, or made to run something or to take memory.
    #[error("refused to load the pickle: {0}; only tensors in dicts are read, and nothing is executed")]
    Pickle(String),
    /// A tensor that is needed is stored in a way that cannot be read.
    #[error("tensor {name} {what}")]
    Tensor {
        /// Its name in the checkpoint.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// Two tensors of the checkpoint come to the same name.
    #[error("tensors {first} and {second} are both {name}; choose one part of the checkpoint with a key")]
    Duplicate {
        /// The name they come to.
        name: String,
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
    /// The tensors do not make up a network that can be run.
    #[error("not a Wan 2.1 text-to-video network that can be run: {0}")]
    Network(String),
    /// The tensors, or the file beside them, do not make up a Waypoint network that can be run.
    #[error("not a Waypoint 1.5 network that can be run: {0}")]
    Waypoint(String),
    /// The tensors do not make up a decoder that can be run.
    #[error("not a decoder that can be run: {0}")]
    Decoder(String),
    /// The tensors do not make up a text encoder that can be run.
    #[error("not a text encoder that can be run: {0}")]
    Encoder(String),
    /// The tensors do not make up an image encoder that can be run.
    #[error("not an image encoder that can be run: {0}")]
    Image(String),
    /// The LoRA does not fit.
    #[error("the LoRA does not fit: {0}")]
    Lora(String),
    /// The configuration that the shapes imply is out of range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The model file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl ImportError {
    pub(super) fn container(format: &'static str, what: impl Into<String>) -> Self {
        Self::Container { format, what: what.into() }
    }

    pub(super) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Io { action, path, source }
    }
}
