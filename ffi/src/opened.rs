//! The files that a session is created of.

use std::sync::Arc;

use causeway_runtime::{DecoderFile, Model as Denoiser, SessionOptions, session::Files};

use crate::{error::Error, model::Model};

/// The files of a session as the caller named them.
pub struct Opened {
    model: Arc<Model>,
    codec: Option<Arc<Model>>,
    /// No codec is needed.
    latents: bool,
}

impl Opened {
    /// Finds the files, which must hold what they are named for.
    pub fn new(model: Arc<Model>, codec: Option<Arc<Model>>, latents: bool) -> Result<Self, Error> {
        model.denoiser()?;
        codec.as_ref().map(|codec| codec.codec()).transpose()?;
        Ok(Self { model, codec, latents })
    }
}

impl Opened {
    /// Begins from what a bundle stores, where the caller names nothing else.
    pub fn begin(&self, options: &mut SessionOptions) -> Result<(), Error> {
        self.model.bundle().map_or(Ok(()), |bundle| Ok(options.begin_from(bundle)?))
    }
}

impl Files for Opened {
    fn model(&self) -> &Denoiser<'_> {
        match self.model.denoiser() {
            Ok(model) => model,
            Err(_) => unreachable!("it was looked at"),
        }
    }

    fn codec(&self) -> Option<&DecoderFile<'_>> {
        let own = if self.latents { None } else { self.model.own_codec() };
        self.codec.as_ref().and_then(|codec| codec.codec().ok()).or(own)
    }
}
