//! A file that `causeway` made, of whatever family.

use std::path::Path;

use causeway_runtime::{
    DecoderFile, FileError, Model,
    config::{ConfigError, DecoderConfig, FileConfig, ModelConfig, Umt5Config},
    file::Umt5File,
};

use crate::error::Error;

/// An opened file.
pub enum AnyFile {
    /// A denoiser.
    Model(Box<Model<'static>>),
    /// A decoder.
    Decoder(Box<DecoderFile<'static>>),
    /// A text encoder.
    Text(Box<Umt5File<'static>>),
}

impl AnyFile {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// Everything that can be wrong with it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let opened = match Model::open(path) {
            Err(FileError::Config(ConfigError::Family { found, .. })) => {
                let is = |families: &[&str]| families.contains(&found.as_str());
                if is(DecoderConfig::FAMILIES) {
                    DecoderFile::open(path).map(|file| Self::Decoder(Box::new(file)))
                } else if is(Umt5Config::FAMILIES) {
                    Umt5File::open(path).map(|file| Self::Text(Box::new(file)))
                } else {
                    let known = [ModelConfig::FAMILIES, DecoderConfig::FAMILIES, Umt5Config::FAMILIES].concat();
                    Err(ConfigError::Family { found, expected: known.join(", ") }.into())
                }
            }
            model => model.map(|model| Self::Model(Box::new(model))),
        };
        opened.map_err(Error::file(path))
    }
}
