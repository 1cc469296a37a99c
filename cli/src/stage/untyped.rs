//! Prompts are not typed in a build without text encoders.

use causeway_runtime::{Device, Session};

use crate::{error::Error, options::typed::TypedArgs, stage::keys::Key, tools::stop::Stop};

/// There is nobody.
pub enum Typed {}

impl Typed {
    /// None, or an error where an encoder was named.
    pub fn open(args: &TypedArgs, _: (bool, [usize; 2]), _: &Device, _: &Stop) -> Result<Option<Self>, Error> {
        match args.text_encoder {
            Some(_) => Err(Error::Usage("this build has no text encoder; build it with the feature `text`".to_owned())),
            None => Ok(None),
        }
    }

    pub fn rows(&self) -> usize {
        match *self {}
    }

    pub fn typing(&self) -> bool {
        match *self {}
    }

    pub fn ask(&mut self) {
        match *self {}
    }

    pub fn press(&mut self, _: Key) -> Result<(), Error> {
        match *self {}
    }

    pub fn advance(&mut self, _: &mut Session, _: usize) -> Result<(), Error> {
        match *self {}
    }

    pub fn start(&mut self, _: &mut Session, _: usize) -> Result<(), Error> {
        match *self {}
    }

    pub fn status(&self) -> Option<String> {
        match *self {}
    }

    pub fn prompt(&self) -> Option<&str> {
        match *self {}
    }

    pub fn back(&mut self, _: Option<String>) {
        match *self {}
    }
}
