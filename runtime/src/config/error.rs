//! Why a configuration is refused, and the limits that are named then.

use alloc::string::String;

/// The one format version this build reads and writes.
pub const FORMAT: u32 = 1;

/// Longest accepted configuration text, bytes. (Nesting is bounded by `serde_json`, at 128.)
pub const MAX_JSON: usize = 1 << 20;

/// Why a configuration was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The text is longer than [`MAX_JSON`].
    #[error("the causeway JSON has {0} bytes, expected at most {MAX_JSON}")]
    TooLong(usize),
    /// Not JSON, or a field is missing, unknown, duplicated or of the wrong type.
    #[error("the causeway JSON is not valid: {0}")]
    Json(String),
    /// Made for another version of the format.
    #[error("the file has format version {found}, this build reads version {FORMAT}")]
    Version {
        /// The version the file names.
        found: u32,
    },
    /// A file of another kind.
    #[error("the file holds a model of family {found:?}, expected {expected}")]
    Family {
        /// The family the file names.
        found: String,
        /// The families that would have been accepted.
        expected: String,
    },
    /// A field holds a value that cannot be right.
    #[error("config: {field} is {found}, expected {expected}")]
    Field {
        /// Path of the field, such as `dit.heads`.
        field: String,
        /// The value, or its count where it is a list.
        found: String,
        /// What would have been accepted.
        expected: String,
    },
}
