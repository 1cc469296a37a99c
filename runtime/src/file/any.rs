//! A model file of whatever family.

use alloc::{boxed::Box, vec::Vec};

use super::{Bundle, FileError, Model, Umt5File, reader::Storage};
use crate::{
    codec::decoder::DecoderFile,
    config::{ConfigError, DecoderConfig, FileConfig, ModelConfig, Umt5Config, family},
};

/// An opened file.
pub enum AnyFile<'a> {
    /// A denoiser.
    Denoiser(Box<Model<'a>>),
    /// A codec.
    Codec(Box<DecoderFile<'a>>),
    /// A text encoder.
    Text(Box<Umt5File<'a>>),
    /// Several of them, with prompts.
    Bundle(Box<Bundle<'a>>),
}

/// Family of a bundle.
const BUNDLE: &str = "bundle";

impl<'a> AnyFile<'a> {
    fn check(storage: Storage<'a>) -> Result<Self, FileError> {
        let (json, data_start) = {
            let mut buffer = Vec::new();
            let (header, data_start) = storage.header(&mut buffer)?;
            (header.config, data_start)
        };
        let family = family(&json)?;
        let is = |families: &[&str]| families.contains(&family.as_str());
        if is(ModelConfig::FAMILIES) {
            Ok(Self::Denoiser(Box::new(Model::check(storage)?)))
        } else if is(DecoderConfig::FAMILIES) {
            Ok(Self::Codec(Box::new(DecoderFile::check(storage)?)))
        } else if is(Umt5Config::FAMILIES) {
            Ok(Self::Text(Box::new(Umt5File::check(storage)?)))
        } else if family == BUNDLE {
            Ok(Self::Bundle(Box::new(Bundle::check(storage, &json, data_start)?)))
        } else {
            let known = [ModelConfig::FAMILIES, DecoderConfig::FAMILIES, Umt5Config::FAMILIES, &[BUNDLE]].concat();
            Err(ConfigError::Family { found: family, expected: known.join(", ") }.into())
        }
    }

    /// As [`ModelFile::from_bytes`](super::ModelFile::from_bytes).
    ///
    /// # Errors
    /// Any [`FileError`] but `Io`.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, FileError> {
        Self::check(Storage::Borrowed(bytes))
    }

    /// Bytes of the whole file.
    pub fn file_bytes(&self) -> usize {
        match self {
            Self::Denoiser(file) => file.file_bytes(),
            Self::Codec(file) => file.file_bytes(),
            Self::Text(file) => file.file_bytes(),
            Self::Bundle(file) => file.file_bytes(),
        }
    }
}

impl AnyFile<'static> {
    /// As [`ModelFile::from_filled`](super::ModelFile::from_filled).
    ///
    /// # Errors
    /// Any [`FileError`]; what `fill` returns.
    pub fn from_filled<E: From<FileError>>(
        bytes: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        Ok(Self::check(Storage::filled(bytes, fill)?)?)
    }

    /// As [`ModelFile::open_part`](super::ModelFile::open_part).
    ///
    /// # Errors
    /// Any [`FileError`].
    #[cfg(feature = "std")]
    pub fn open_part(file: &std::fs::File, offset: u64, bytes: usize) -> Result<Self, FileError> {
        Self::check(Storage::Stored(super::stored::Stored::part(file, offset, bytes)?))
    }

    /// As [`ModelFile::open`](super::ModelFile::open).
    ///
    /// # Errors
    /// Any [`FileError`].
    #[cfg(feature = "std")]
    pub fn open(path: impl AsRef<std::path::Path>) -> Result<Self, FileError> {
        Self::check(Storage::Stored(super::stored::Stored::open(path.as_ref())?))
    }
}
