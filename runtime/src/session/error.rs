//! What a session can answer with instead of a frame.

use alloc::string::String;

use causeway_ops::{BackendError, memory::Refused};

use crate::model::ModelError;

/// Why a session was refused, or what went wrong in one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// An option is out of range for this model.
    #[error("{0}")]
    Option(String),
    /// No event of that index or name.
    #[error("there is no event {found}; this model has: {known}")]
    UnknownEvent {
        /// Index asked for.
        found: usize,
        /// Names of the model's events.
        known: String,
    },
    /// An action vector of the wrong length.
    #[error("an action vector of this model has {expected} entries, {found} were given")]
    ActionLength {
        /// Entries the model takes.
        expected: usize,
        /// Entries given.
        found: usize,
    },
    /// An action entry is NaN or infinite.
    #[error("entry {0} of the action vector is not a finite number")]
    ActionValue(usize),
    /// Too many events wait.
    #[error("{0} events are waiting, which is as many as the queue holds")]
    EventsFull(usize),
    /// A start picture or start latents of the wrong size.
    #[error("the start {what} has {found} values, this model takes {expected}")]
    StartSize {
        /// Picture, latents or actions.
        what: &'static str,
        /// Values expected.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// The model file's stored start latents cannot be used.
    #[error("the model file's start latents `{0}` are missing or of the wrong shape")]
    StoredStart(String),
    /// The system, or the host's allocator, has no memory.
    #[error("{bytes} bytes could not be allocated")]
    OutOfMemory {
        /// Bytes asked for.
        bytes: usize,
    },
    /// The caller's memory cap is too small.
    #[error("the session needs {needed} bytes, the memory cap is {cap}")]
    MemoryCap {
        /// Bytes needed.
        needed: usize,
        /// Bytes granted.
        cap: usize,
    },
    /// Not a snapshot, or a damaged one.
    #[error("the snapshot cannot be read: {0}")]
    Snapshot(&'static str),
    /// A snapshot of another model, other options or another kind of backend.
    #[error("the snapshot belongs to another model or to other session options")]
    SnapshotOfAnother,
    /// The model cannot be run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The backend failed.
    #[error(transparent)]
    Backend(BackendError),
}

impl From<BackendError> for SessionError {
    fn from(error: BackendError) -> Self {
        match error {
            BackendError::MemoryCap { needed, cap } => Self::MemoryCap { needed, cap },
            error => Self::Backend(error),
        }
    }
}

impl From<Refused> for SessionError {
    fn from(Refused(bytes): Refused) -> Self {
        SessionError::OutOfMemory { bytes }
    }
}
