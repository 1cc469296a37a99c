//! The tokenizer of a text encoder, from its file or from one beside it.

use std::{
    borrow::Cow,
    panic::{set_hook, take_hook},
    path::{Path, PathBuf},
};

use causeway_runtime::{
    file::Umt5File,
    text::{TextTokenizer, TokenizerError},
};

use crate::error::Error;

/// A tokenizer, and where it was found.
pub struct Tokenizer {
    path: PathBuf,
    tokenizer: TextTokenizer,
}

impl Tokenizer {
    /// Reads a `tokenizer.json` or SentencePiece's `spiece.model`, or the folder of one; also the `tokenizer.json` that says the same.
    ///
    /// # Errors
    /// The file cannot be read or is no tokenizer with an end token.
    pub fn open(path: &Path) -> Result<(Self, Vec<u8>), Error> {
        let (path, bytes) = TextTokenizer::read(path).map_err(|error| failed(path, error))?;
        let (_, json) = TextTokenizer::json(&bytes).map_err(|error| failed(&path, error))?;
        let tokenizer = quietly(|| TextTokenizer::new(&bytes)).map_err(|error| failed(&path, error))?;
        let json = match json {
            Cow::Borrowed(_) => bytes,
            Cow::Owned(json) => json,
        };
        Ok((Self { path, tokenizer }, json))
    }

    /// The one in the encoder's file, which lies at `at`, else a `tokenizer.json` beside it.
    ///
    /// # Errors
    /// As [`Self::open`].
    fn of(encoder: &Umt5File<'_>, at: &Path) -> Result<Self, Error> {
        let (inside, mut buffer) = (encoder.tokenizer(), Vec::new());
        if inside.is_empty() {
            return Ok(Self::open(&at.with_file_name("tokenizer.json"))?.0);
        }
        let bytes = inside.read(0..inside.len(), &mut buffer);
        let bytes = bytes.map_err(|error| Error::Failed(format!("{}: {error}", at.display())))?;
        let tokenizer = quietly(|| TextTokenizer::new(bytes)).map_err(|error| failed(at, error))?;
        Ok(Self { path: at.to_owned(), tokenizer })
    }

    /// The encoder at `at`, and its tokenizer: the one at `tokenizer`, which is looked at first, or the encoder's own.
    ///
    /// # Errors
    /// Everything that can be wrong with either.
    pub fn with_encoder(at: &Path, tokenizer: Option<&Path>) -> Result<(Umt5File<'static>, Self), Error> {
        let given = tokenizer.map(Self::open).transpose()?.map(|(tokenizer, _)| tokenizer);
        let file = Umt5File::open(at).map_err(Error::file(at))?;
        let tokenizer = given.map_or_else(|| Self::of(&file, at), Ok)?;
        tokenizer.tokenizer.check(file.config().encoder.vocabulary).map_err(|error| failed(&tokenizer.path, error))?;
        Ok((file, tokenizer))
    }

    /// As [`TextTokenizer::tokens`].
    ///
    /// # Errors
    /// The text cannot be told apart into tokens.
    pub fn tokens(&self, text: &str, most: usize) -> Result<(Vec<u32>, usize), Error> {
        quietly(|| self.tokenizer.tokens(text, most)).map_err(|error| failed(&self.path, error))
    }
}

fn failed(path: &Path, error: TokenizerError) -> Error {
    match error {
        TokenizerError::Io { action, path, source } => Error::io(action, &path)(source),
        error @ TokenizerError::Text(_) => Error::Failed(error.to_string()),
        error => Error::Failed(format!("{}: {error}", path.display())),
    }
}

/// What panics inside is told as an error: nothing else is said of it.
fn quietly<T>(run: impl FnOnce() -> T) -> T {
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let result = run();
    set_hook(hook);
    result
}
