//! Files of image encoders, which no game holds: only the commands that make, change and use them know them.

use causeway_runtime::{
    FileError,
    config::{ClipConfig, ConfigError, FileConfig},
};

/// Whether a file was refused because it is an image encoder.
pub fn is_encoder(error: &FileError) -> bool {
    matches!(error, FileError::Config(ConfigError::Family { found, .. }) if ClipConfig::FAMILIES.contains(&found.as_str()))
}
