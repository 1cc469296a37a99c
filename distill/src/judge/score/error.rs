//! Why there is no score.

use causeway_runtime::SessionError;

/// Why there is no score.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// The model file cannot be scored.
    #[error("this model cannot be scored: {0}")]
    Model(String),
    /// The footage is not of the model's world.
    #[error("the footage does not fit the model: {what} of the footage is {footage}, of the model {model}")]
    Footage {
        /// What differs.
        what: &'static str,
        /// As the footage has it.
        footage: String,
        /// As the model has it.
        model: String,
    },
    /// The runtime refused something.
    #[error(transparent)]
    Session(#[from] SessionError),
}
