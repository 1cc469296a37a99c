//! Prompts on their way to a world.

#[cfg(feature = "text")]
use std::{path::Path, sync::Arc};

use bevy::prelude::*;
use causeway_runtime::session::{Change, Condition, Session, SessionError, Way};
#[cfg(feature = "text")]
use causeway_runtime::{
    Device, TextEncoder,
    clock::SystemClock,
    file::{AnyFile, Umt5File},
    text::{TextOptions, TextTokenizer},
};

use crate::{WorldError, WorldFile};

/// What a world may be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// A prompt that its file stores, by its number ([`WorldFile::prompts`]).
    Stored(usize),
    /// Words, which its [`Text`] encodes first.
    #[cfg(feature = "text")]
    Words(String),
}

/// A text encoder with its tokenizer: makes prompts of words, in steps beside a world.
#[cfg(feature = "text")]
pub struct Text {
    tokenizer: TextTokenizer,
    encoder: TextEncoder<File>,
}

#[cfg(feature = "text")]
struct File(Arc<AnyFile<'static>>);

#[cfg(feature = "text")]
impl std::ops::Deref for File {
    type Target = Umt5File<'static>;

    fn deref(&self) -> &Self::Target {
        match &*self.0 {
            AnyFile::Text(file) => file,
            _ => unreachable!("it was looked at"),
        }
    }
}

#[cfg(feature = "text")]
impl Text {
    /// Opens an encoder's file, which holds its tokenizer too (`causeway convert --tokenizer`), for prompts of at most so many rows. Reads no
    /// weights yet; the first prompt does, and they stay.
    ///
    /// # Errors
    /// A file that is no text encoder, or without a tokenizer.
    pub fn open(path: impl AsRef<Path>, device: &Device, rows: Option<usize>) -> Result<Self> {
        let path = path.as_ref();
        let said = |what: &str| format!("{}: {what}", path.display());
        let file = AnyFile::open(path).map_err(|error| said(&error.to_string()))?;
        if !matches!(file, AnyFile::Text(_)) {
            return Err(said("expected a text encoder").into());
        }
        let file = File(Arc::new(file));
        let mut buffer = Vec::new();
        let inside = file.tokenizer();
        if inside.is_empty() {
            return Err(said("the file holds no tokenizer: convert it with --tokenizer").into());
        }
        let bytes = inside.read(0..inside.len(), &mut buffer).map_err(|error| said(&error.to_string()))?;
        let tokenizer = TextTokenizer::new(bytes)?;
        let options = TextOptions { stream: false, tokens: rows, ..default() };
        Ok(Self { tokenizer, encoder: TextEncoder::new(file, device, options)? })
    }

    fn begin(&mut self, words: &str) -> Result<(), WorldError> {
        let said = |error: &dyn std::fmt::Display| WorldError::Text(error.to_string());
        let (tokens, _) = self.tokenizer.tokens(words, self.encoder.most_tokens()).map_err(|error| said(&error))?;
        self.encoder.begin(&[tokens]).map_err(|error| said(&error))
    }
}

/// Takes prompts to a session, one after the other; of several that wait the newest counts.
#[derive(Default)]
pub(crate) struct Teller {
    stored: Option<usize>,
    /// Words are being encoded.
    encodes: bool,
    /// Their rows are there.
    encoded: bool,
    #[cfg(feature = "text")]
    pub(crate) text: Option<Text>,
}

impl Teller {
    pub(crate) fn waits(&self) -> bool {
        self.stored.is_some() || self.encodes || self.encoded
    }

    pub(crate) fn encodes(&self) -> bool {
        self.encodes
    }

    /// How far the words are, from 0 to 1; 1 where there are none on their way.
    pub(crate) fn progress(&self) -> f32 {
        #[cfg(feature = "text")]
        if let Some(text) = self.text.as_ref().filter(|_| self.encodes) {
            return text.encoder.layer() as f32 / text.encoder.layers().max(1) as f32;
        }
        1.0
    }

    pub(crate) fn forget(&mut self) {
        (self.stored, self.encodes, self.encoded) = (None, false, false);
    }

    pub(crate) fn tell(&mut self, prompt: &Prompt, file: Option<&WorldFile>) -> Result<(), WorldError> {
        match prompt {
            &Prompt::Stored(found) => {
                let stored = file.map_or(0, |file| file.prompts().len());
                if found >= stored {
                    return Err(WorldError::UnknownPrompt { found, stored });
                }
                (self.stored, self.encoded) = (Some(found), false);
            }
            #[cfg(feature = "text")]
            Prompt::Words(words) => {
                self.text.as_mut().ok_or(WorldError::NoText)?.begin(words)?;
                (self.encodes, self.encoded) = (true, false);
            }
        }
        Ok(())
    }

    /// Encodes for about so long, and gives the session what it should be told; the change's ticket in the call that does.
    pub(crate) fn pump(
        &mut self,
        session: &mut Session,
        file: Option<&WorldFile>,
        micros: u64,
        way: Way,
    ) -> Result<Option<u64>, WorldError> {
        self.encode(micros)?;
        let stored;
        let rows: &[f32] = match self.stored.filter(|_| !self.encoded) {
            Some(index) => {
                let values = file.map(|file| file.prompt(index)).transpose();
                stored = values.map_err(|error| WorldError::File(error.to_string()))?.flatten().unwrap_or_default();
                &stored
            }
            #[cfg(feature = "text")]
            None if self.encoded => {
                let text = self.text.as_ref().ok_or(WorldError::NoText)?;
                text.encoder.rows(0).map_err(|error| WorldError::Text(error.to_string()))?
            }
            None => return Ok(None),
        };
        match session.set_prompt(0, rows) {
            Ok(()) => {}
            // The one before it waits for its chunk.
            Err(SessionError::SlotInUse(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        (self.stored, self.encoded) = (None, false);
        Ok(Some(session.queue(Change { way, ..Change::to(Condition::Prompt(0)) })?))
    }

    #[cfg(not(feature = "text"))]
    fn encode(&mut self, _: u64) -> Result<(), WorldError> {
        Ok(())
    }

    #[cfg(feature = "text")]
    fn encode(&mut self, micros: u64) -> Result<(), WorldError> {
        let Some(text) = self.text.as_mut().filter(|_| self.encodes) else { return Ok(()) };
        let clock = SystemClock::default();
        if text.encoder.pump(micros, &clock).map_err(|error| WorldError::Text(error.to_string()))? {
            (self.encodes, self.encoded, self.stored) = (false, true, None);
        }
        Ok(())
    }
}
