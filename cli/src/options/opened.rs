//! What a command plays: a model, alone or with what a bundle has beside it.

use std::path::Path;

use causeway_runtime::{
    DecoderFile, EventTime, Model, Session, SessionError,
    config::{ConfigError, FileConfig, ModelConfig},
    file::{AnyFile, Bundle},
    session::{Change, Condition, Way},
};

use crate::error::Error;

/// An opened model.
pub enum Opened {
    /// A denoiser, with its codec or without one.
    Alone(Box<Model<'static>>),
    /// A denoiser with codec and prompts.
    Bundle(Box<Bundle<'static>>),
}

impl Opened {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// Everything that can be wrong with it; a file without a denoiser.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let refuse = |found: &str| {
            let expected = [ModelConfig::FAMILIES, &["bundle"]].concat().join(" or ");
            Error::file(path)(ConfigError::Family { found: found.to_owned(), expected }.into())
        };
        match AnyFile::open(path).map_err(Error::file(path))? {
            AnyFile::Denoiser(model) => Ok(Self::Alone(model)),
            AnyFile::Bundle(bundle) => Ok(Self::Bundle(bundle)),
            AnyFile::Codec(_) => Err(refuse("decoder")),
            AnyFile::Text(_) => Err(refuse("umt5")),
        }
    }

    /// The denoiser.
    pub fn model(&self) -> &Model<'static> {
        match self {
            Self::Alone(model) => model,
            Self::Bundle(bundle) => bundle.denoiser(),
        }
    }

    /// The codec, where it is not in the denoiser's own file.
    pub fn codec(&self) -> Option<&DecoderFile<'static>> {
        match self {
            Self::Alone(_) => None,
            Self::Bundle(bundle) => bundle.codec(),
        }
    }

    /// What the keys 1 to 9 switch between: the prompts of a bundle, else the events. The prompt of a game is the picture that it begins from,
    /// which is not switched.
    pub fn scenes(&self) -> Scenes {
        let dit = &self.model().config().dit;
        match self {
            Self::Bundle(bundle) if bundle.prompts().len() > 0 => {
                let names = bundle.prompts().map(|(name, _)| name.to_owned());
                let names = if dit.game().is_some() { Vec::new() } else { names.collect() };
                Scenes { names, slots: bundle.prompts().len() }
            }
            _ => Scenes { names: dit.events.clone(), slots: 0 },
        }
    }
}

/// What a stream can be switched between.
#[derive(Clone, Debug)]
pub struct Scenes {
    /// Their names, in the order of the keys.
    pub names: Vec<String>,
    /// Slots that stored prompts take, each that of its number; 0 where scenes are events.
    pub slots: usize,
}

impl Scenes {
    /// Queues scene `index`: an event, or a prompt under which the window is computed anew.
    ///
    /// # Errors
    /// There is no such scene, or too many changes wait.
    pub fn queue(&self, session: &mut Session, index: usize, time: EventTime) -> Result<u64, SessionError> {
        if self.slots == 0 {
            return session.queue_event(index, time);
        }
        session.queue(Change { way: Way::Recache, time, ..Change::to(Condition::Prompt(index)) })
    }

    /// Name of the scene in force, of which the newest change is `queued`.
    pub fn name<'a>(&'a self, session: &Session, queued: Option<usize>) -> &'a str {
        let index = if self.slots > 0 { queued.unwrap_or(0) } else { session.event() };
        self.names.get(index).map_or("", String::as_str)
    }
}
