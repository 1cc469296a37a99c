//! Files of worlds.

use std::{path::Path, sync::Arc};

use bevy::prelude::*;
use causeway_runtime::{DecoderFile, FileError, Model, file::AnyFile, session::Files};

/// A world's file: a world, or a bundle of a text-to-video model, its codec and prompts. Cloning shares it; it is read while worlds are created and
/// when they are told its prompts.
#[derive(Clone)]
pub struct WorldFile(Arc<AnyFile<'static>>);

impl WorldFile {
    /// Opens and checks a file.
    ///
    /// # Errors
    /// One that is no model file, or holds no world.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        match AnyFile::open(path).map_err(|error| format!("{}: {error}", path.display()))? {
            file @ (AnyFile::Denoiser(_) | AnyFile::Bundle(_)) => Ok(Self(Arc::new(file))),
            AnyFile::Codec(_) | AnyFile::Text(_) => {
                Err(format!("{}: expected a world or a bundle, this is a part of one", path.display()).into())
            }
        }
    }

    /// Names of the prompts that it stores, by their numbers.
    pub fn prompts(&self) -> Vec<&str> {
        match &*self.0 {
            AnyFile::Bundle(bundle) => bundle.prompts().map(|(name, _)| name).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether its worlds are told prompts.
    pub fn reads_prompts(&self) -> bool {
        self.model().config().dit.text.is_some()
    }

    /// Values of a stored prompt; None where there is none of that number.
    pub(crate) fn prompt(&self, index: usize) -> Result<Option<Vec<f32>>, FileError> {
        match &*self.0 {
            AnyFile::Bundle(bundle) => bundle.prompt(index),
            _ => Ok(None),
        }
    }
}

impl Files for WorldFile {
    fn model(&self) -> &Model<'_> {
        match &*self.0 {
            AnyFile::Denoiser(model) => model,
            AnyFile::Bundle(bundle) => bundle.denoiser(),
            AnyFile::Codec(_) | AnyFile::Text(_) => unreachable!("it was looked at"),
        }
    }

    fn codec(&self) -> Option<&DecoderFile<'_>> {
        match &*self.0 {
            AnyFile::Bundle(bundle) => bundle.codec(),
            _ => None,
        }
    }
}
