//! What a command can fail with: one sentence for people and an exit code for scripts.

use std::path::Path;

use causeway_runtime::{FileError, SessionError, config::ConfigError, import::ImportError, model::ModelError};

/// Why a command stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line asks for something that cannot be.
    #[error("{0}")]
    Usage(String),
    /// The command was right and the work failed.
    #[error("{0}")]
    Failed(String),
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
    /// A model file was refused or could not be written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: FileError,
    },
    /// A checkpoint was refused or could not be converted.
    #[error("{path}: {source}")]
    Import {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: ImportError,
    },
    /// The session refused or failed.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// Ctrl-C, or a request to terminate.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// 2 for a command line that cannot work, 130 after Ctrl-C (the shells' convention), 1 for every other failure.
    pub fn code(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            Error::Session(
                SessionError::Option(_)
                | SessionError::UnknownEvent { .. }
                | SessionError::ActionLength { .. }
                | SessionError::ActionValue(_)
                | SessionError::Size { .. }
                | SessionError::NotFinite { .. }
                | SessionError::Prompt { .. }
                | SessionError::NoCodec
                | SessionError::StartSize { .. },
            ) => 2,
            Error::Interrupted => 130,
            _ => 1,
        }
    }

    /// Wraps the system's reason for a failed `action` on `path`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Error::Io { action, path, source }
    }

    /// Wraps an import error; those of the system name the path already.
    pub fn import(path: &Path) -> impl FnOnce(ImportError) -> Self {
        let path = path.display().to_string();
        move |source| match source {
            ImportError::Io { action, path, source } => Error::Io { action, path, source },
            source => Error::Import { path, source },
        }
    }

    /// Wraps a file error; those of the system name the path already.
    pub fn file(path: &Path) -> impl FnOnce(FileError) -> Self {
        let path = path.display().to_string();
        move |source| match source {
            FileError::Io { action, path, source } => Error::Io { action, path, source },
            source => Error::File { path, source },
        }
    }
}

impl From<causeway_ops::BackendError> for Error {
    fn from(error: causeway_ops::BackendError) -> Self {
        Error::Session(error.into())
    }
}

impl From<ModelError> for Error {
    fn from(error: ModelError) -> Self {
        Error::Session(error.into())
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Error::Usage(error.to_string())
    }
}
