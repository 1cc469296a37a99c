//! Why text was not encoded.

use causeway_ops::BackendError;

use crate::model::ModelError;

/// Why text was not encoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// There is nothing to encode.
    #[error("there are no prompts")]
    NoPrompts,
    /// More prompts at once than the encoder was made for.
    #[error("there are {found} prompts, expected at most {most} at once")]
    TooMany {
        /// Prompts given.
        found: usize,
        /// Most of them.
        most: usize,
    },
    /// A prompt of no tokens, or of too many.
    #[error("prompt {prompt} has {found} tokens, expected 1 to {most}")]
    Length {
        /// Which prompt, counted from 0.
        prompt: usize,
        /// Its tokens.
        found: usize,
        /// Most tokens of a prompt.
        most: usize,
    },
    /// A token that the encoder does not know: the tokenizer belongs to another encoder.
    #[error("token {at} of prompt {prompt} is {found}, the encoder knows {known} tokens: another encoder's tokenizer?")]
    Token {
        /// Which prompt, counted from 0.
        prompt: usize,
        /// Which token of it.
        at: usize,
        /// Its number.
        found: u32,
        /// Tokens of the encoder.
        known: usize,
    },
    /// The cap is too small.
    #[error("encoding needs {needed} bytes, the memory cap is {cap}")]
    MemoryCap {
        /// Bytes needed.
        needed: usize,
        /// Bytes granted.
        cap: usize,
    },
    /// Nothing was begun, or not all layers are done.
    #[error("no prompt is encoded yet; begin one and pump until it is")]
    NotDone,
    /// The encoder cannot be run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The backend refused or failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}
