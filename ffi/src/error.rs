//! Errors on their way to a status code and a text.

use std::{borrow::Cow, cell::RefCell};

use causeway_ops::{BackendError, stored::ReadError};
use causeway_runtime::{FileError, SessionError, session::SharedError};

use crate::types::*;

/// A status below 0 and what to tell people.
#[derive(Debug)]
pub struct Error {
    pub status: CwStatus,
    pub text: Cow<'static, str>,
}

impl Error {
    pub fn new(status: CwStatus, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, text: text.into() }
    }

    pub fn argument(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(CW_ERROR_ARGUMENT, text)
    }

    pub fn state(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(CW_ERROR_STATE, text)
    }

    pub fn memory(bytes: usize) -> Self {
        Self::new(CW_ERROR_OUT_OF_MEMORY, format!("{bytes} bytes could not be allocated"))
    }
}

impl From<BackendError> for Error {
    fn from(error: BackendError) -> Self {
        let status = match &error {
            BackendError::Weight { .. } => CW_ERROR_MODEL,
            BackendError::WeightLost { .. } => CW_ERROR_IO,
            BackendError::MemoryCap { .. } => CW_ERROR_MEMORY_CAP,
            BackendError::OutOfMemory { .. } => CW_ERROR_OUT_OF_MEMORY,
            BackendError::Isa(_) | BackendError::NoAdapter(_) | BackendError::Unsupported(_) => CW_ERROR_DEVICE,
            BackendError::DeviceLost(_) => CW_ERROR_DEVICE_LOST,
            BackendError::Size { .. } => CW_ERROR_ARGUMENT,
        };
        Self::new(status, error.to_string())
    }
}

impl From<SharedError> for Error {
    fn from(error: SharedError) -> Self {
        let status = match error {
            SharedError::Busy(_) => CW_ERROR_BUSY,
            SharedError::State(_) => CW_ERROR_STATE,
            SharedError::Closed => CW_ERROR_DESTROYED,
            SharedError::Broken(_) => CW_ERROR_PANIC,
            SharedError::Thread(_) => CW_ERROR_HOST,
            SharedError::Refused(_) => CW_ERROR_OUT_OF_MEMORY,
            SharedError::Session(inner) => return inner.into(),
        };
        Self::new(status, error.to_string())
    }
}

impl From<SessionError> for Error {
    fn from(error: SessionError) -> Self {
        let status = match &error {
            SessionError::Option(_) | SessionError::NoCodec | SessionError::NoRecache => CW_ERROR_OPTION,
            SessionError::NoPrompt | SessionError::NoNegative | SessionError::SlotInUse(_) => CW_ERROR_STATE,
            SessionError::Condition { .. } => CW_ERROR_CONDITION,
            SessionError::Prompt { .. }
            | SessionError::NoSlot { .. }
            | SessionError::Mix { .. }
            | SessionError::Size { .. }
            | SessionError::NotFinite { .. }
            | SessionError::UnknownEvent { .. }
            | SessionError::ActionLength { .. }
            | SessionError::ActionRows { .. }
            | SessionError::ActionValue(_)
            | SessionError::Beyond { .. }
            | SessionError::Quality { .. }
            | SessionError::PictureSize { .. }
            | SessionError::PictureFrames { .. }
            | SessionError::StartSize { .. } => CW_ERROR_ARGUMENT,
            SessionError::ChunkNotFinite { .. } => CW_ERROR_NOT_FINITE,
            SessionError::Unhealthy { .. } => CW_ERROR_UNHEALTHY,
            SessionError::EventsFull(_) => CW_ERROR_EVENTS_FULL,
            SessionError::StoredStart(_) | SessionError::Model(_) => CW_ERROR_MODEL,
            SessionError::MemoryCap { .. } => CW_ERROR_MEMORY_CAP,
            SessionError::OutOfMemory { .. } => CW_ERROR_OUT_OF_MEMORY,
            SessionError::Snapshot(_) | SessionError::Saved(_) => CW_ERROR_SNAPSHOT,
            SessionError::SnapshotOfAnother | SessionError::SavedOfAnother => CW_ERROR_SNAPSHOT_OF_ANOTHER,
            SessionError::Backend(inner) => return inner.clone().into(),
        };
        Self::new(status, error.to_string())
    }
}

impl From<FileError> for Error {
    fn from(error: FileError) -> Self {
        let status = match &error {
            FileError::Io { .. } | FileError::Read(ReadError::Lost(_)) => CW_ERROR_IO,
            FileError::Read(ReadError::OutOfMemory(_)) => CW_ERROR_OUT_OF_MEMORY,
            FileError::OutOfMemory { .. } => CW_ERROR_OUT_OF_MEMORY,
            _ => CW_ERROR_MODEL,
        };
        Self::new(status, error.to_string())
    }
}

/// An error's text in memory of fixed size, so that telling of it needs none.
#[derive(Clone, Copy)]
pub struct ErrorText {
    length: usize,
    bytes: [u8; 500],
}

impl ErrorText {
    pub const EMPTY: Self = Self { length: 0, bytes: [0; 500] };

    /// Keeps as much of `text` as fits, cut between characters.
    pub fn set(&mut self, text: &str) {
        let mut length = text.len().min(self.bytes.len());
        while !text.is_char_boundary(length) {
            length -= 1;
        }
        self.bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        self.length = length;
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

thread_local! {
    // Has no destructor, so a thread that ends after the library was unloaded runs no code of ours.
    static LAST: RefCell<ErrorText> = const { RefCell::new(ErrorText::EMPTY) };
}

/// Remembers the thread's last error.
pub fn remember(text: &str) {
    LAST.with_borrow_mut(|last| last.set(text));
}

/// The thread's last error.
pub fn last() -> ErrorText {
    LAST.with_borrow(|last| *last)
}
