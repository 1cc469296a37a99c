//! What a session can answer with instead of a frame.

use alloc::string::String;

use causeway_ops::{BackendError, memory::Refused};

use super::alarms::Alarms;
use crate::model::ModelError;

/// Why a session was refused, or what went wrong in one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SessionError {
    /// An option is out of range for this model.
    #[error("{0}")]
    Option(String),
    /// Pictures were asked for, and there is nothing to make them with.
    #[error("this model makes latents and has no codec in its file; give one beside it, or take latents")]
    NoCodec,
    /// The stream was given no prompt.
    #[error("this model reads prompts and was given none: put one into a slot and queue it")]
    NoPrompt,
    /// The stream leads away from a negative prompt and was given none.
    #[error("guidance leads away from a negative prompt, and none was given: put one into a slot and queue it")]
    NoNegative,
    /// The model is not told such a thing.
    #[error("this session takes no {asked}; it takes {takes}")]
    Condition {
        /// What was asked for.
        asked: &'static str,
        /// What the model takes.
        takes: String,
    },
    /// A prompt slot that there is not.
    #[error("there is no prompt slot {slot}; this session has {slots}, from 0")]
    NoSlot {
        /// Slot asked for.
        slot: usize,
        /// Slots of the session.
        slots: usize,
    },
    /// A prompt slot that a waiting change will take.
    #[error("prompt slot {0} is named by a change that waits; it is free again once that is in force")]
    SlotInUse(usize),
    /// A prompt of another width, or of too many rows.
    #[error("a prompt of {rows} rows of {width}; this session takes at most {most} rows of {expected}")]
    Prompt {
        /// Rows given.
        rows: usize,
        /// Values in a row given.
        width: usize,
        /// Most rows.
        most: usize,
        /// Values in a row.
        expected: usize,
    },
    /// Weights of events that cannot be mixed.
    #[error("a mix of events needs a weight for each of {events} events, 0 or more and finite, of sum 1; {what}")]
    Mix {
        /// Events of the model.
        events: usize,
        /// What is wrong.
        what: String,
    },
    /// A change that computes the window anew, in a session that was not created for it.
    #[error("this session was not created with `recache`, which a change that computes the window anew needs")]
    NoRecache,
    /// An input of the wrong size.
    #[error("{what} has {found} values, expected {expected}")]
    Size {
        /// Which input.
        what: &'static str,
        /// Values given.
        found: usize,
        /// What would have been accepted.
        expected: String,
    },
    /// An input that is not a number.
    #[error("value {index} of {what} is not a finite number")]
    NotFinite {
        /// Which input.
        what: &'static str,
        /// Where.
        index: usize,
    },
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
    /// More rows of actions than a chunk has pictures.
    #[error("{rows} rows of actions were given; a chunk of this stream takes at most {most}")]
    ActionRows {
        /// Rows given.
        rows: usize,
        /// Rows that a chunk takes: 1 where an action lasts several frames.
        most: usize,
    },
    /// An action entry is NaN or infinite.
    #[error("entry {0} of the action vector is not a finite number")]
    ActionValue(usize),
    /// A quality that the session cannot have.
    #[error("{what} cannot be {asked} in this session: {possible}")]
    Quality {
        /// Steps, route or window.
        what: &'static str,
        /// What was asked for.
        asked: usize,
        /// What can be.
        possible: String,
    },
    /// A number that the host gave is larger than what the model was made for.
    #[error("value {index} of {what} is {value}; this model takes numbers from -{most} to {most}")]
    Beyond {
        /// What it was given for.
        what: &'static str,
        /// Its place.
        index: usize,
        /// The number.
        value: f32,
        /// The largest magnitude.
        most: f32,
    },
    /// The denoiser made NaN or infinite latents. The chunk was dropped.
    #[error("the chunk at latent frame {frame} came out not finite and was dropped; the stream stands before it")]
    ChunkNotFinite {
        /// Its first latent frame.
        frame: u64,
    },
    /// A figure of a chunk is none that footage has, and the session holds such chunks ([`Gate::Hold`](super::Gate)). The chunk was dropped.
    #[error(
        "the chunk at latent frame {frame} alarms ({alarms}) and was dropped; pumped on, it is made again and given"
    )]
    Unhealthy {
        /// Its first latent frame.
        frame: u64,
        /// What alarms.
        alarms: Alarms,
    },
    /// Too many changes wait.
    #[error("{0} changes are waiting, which is as many as the queue holds")]
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
    /// A picture of another size than the stream's.
    #[error("the picture has {found} bytes, the stream's have {expected}")]
    PictureSize {
        /// Bytes expected.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// A picture for no frame, or for too many.
    #[error("the picture shall fill {found} latent frames, expected 1 to {most}")]
    PictureFrames {
        /// Latent frames asked for.
        found: usize,
        /// Most of them.
        most: usize,
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
    /// Not a saved game, a damaged one, or one of a newer version.
    #[error("the saved game cannot be read: {0}")]
    Saved(&'static str),
    /// A saved game of other weights, or of another size.
    #[error("the saved game belongs to other weights, or to a stream of another size")]
    SavedOfAnother,
    /// A snapshot of other weights, other options, another build of the library or other kernels.
    #[error("the snapshot belongs to other weights, to other session options, or to another build or processor")]
    SnapshotOfAnother,
    /// The model cannot be run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The backend failed.
    #[error(transparent)]
    Backend(BackendError),
}

/// Why a shared session did not do what it was asked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SharedError {
    /// Another thread is inside, or this one by a hook of its own.
    #[error("{0}")]
    Busy(&'static str),
    /// Not as things stand.
    #[error("{0}")]
    State(String),
    /// It was closed during the call, or before.
    #[error("the session was destroyed during the call")]
    Closed,
    /// A panic left it in no known state.
    #[error("{0}")]
    Broken(&'static str),
    /// The system starts no thread.
    #[error("no thread could be started: {0}")]
    Thread(String),
    /// The host's allocator gave the worker no memory.
    #[error("the host's allocator refused {0} bytes")]
    Refused(usize),
    /// The session's own.
    #[error(transparent)]
    Session(#[from] SessionError),
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

/// Refuses values that are not numbers, or beyond `most`.
pub(crate) fn within(what: &'static str, values: &[f32], most: f32) -> Result<(), SessionError> {
    finite(what, values)?;
    match values.iter().position(|value| value.abs() > most) {
        Some(index) => Err(SessionError::Beyond { what, index, value: values[index], most }),
        None => Ok(()),
    }
}

/// Refuses values that are not numbers.
pub(crate) fn finite(what: &'static str, values: &[f32]) -> Result<(), SessionError> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(SessionError::NotFinite { what, index }),
        None => Ok(()),
    }
}
