//! Text to tokens, as the Wan project's pipeline does it (spec 4).

mod charsmap;
mod file;
mod spiece;

use std::{
    borrow::Cow,
    io::Read,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use tokenizers::NormalizedString;

use crate::{config::MOST_TOKENIZER, file::regular};
use file::{Checked, MOST_NORMALISED};

/// The token that ends a prompt.
const END: &str = "</s>";
/// Bytes of a text that are looked at for each token that there is room for, and in any case: few tokens are as long, and no text of any language
/// is made of these alone. The library takes some 1.5 kB for each byte.
const BYTES_PER_TOKEN: usize = 16;
const LEAST_BYTES: usize = 1 << 10;

/// Why there are no tokens.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// No tokenizer is as large.
    #[error("it has {0} bytes; no tokenizer has more than {MOST_TOKENIZER}")]
    Size(u64),
    /// It is neither of the two kinds that are read.
    #[error("neither a tokenizer.json nor a spiece.model: {0}")]
    Kind(String),
    /// Of a known kind, but not to be used.
    #[error("not a {kind} that can be used: {why}")]
    Unusable {
        /// The kind.
        kind: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// No token ends a text.
    #[error("it has no token {END}")]
    NoEnd,
    /// It is another encoder's.
    #[error("the tokenizer has {found} tokens, the encoder knows {known}: another encoder's tokenizer?")]
    Vocabulary {
        /// Tokens of the tokenizer.
        found: usize,
        /// Tokens of the encoder.
        known: usize,
    },
    /// A text cannot be told apart into tokens.
    #[error("tokenizer: {0}")]
    Text(String),
}

/// A tokenizer of an encoder's vocabulary.
pub struct TextTokenizer {
    checked: Checked,
    end: u32,
}

impl TextTokenizer {
    /// The bytes of the `tokenizer.json` or `spiece.model` at `path`, or in the folder `path`; and the file's own name.
    ///
    /// # Errors
    /// `Io`, `Size`.
    pub fn read(path: &Path) -> Result<(PathBuf, Vec<u8>), TokenizerError> {
        let names = ["tokenizer.json", "spiece.model", "sentencepiece.bpe.model"];
        let inside = names.iter().map(|name| path.join(name)).find(|file| path.is_dir() && file.is_file());
        let path = inside.as_deref().unwrap_or(path).to_owned();
        let failed = |action, source| TokenizerError::Io { action, path: path.clone(), source };
        let mut file = regular::open(&path).map_err(|error| failed("open", error))?;
        let size = file.metadata().map_err(|error| failed("open", error))?.len();
        if size > MOST_TOKENIZER as u64 {
            return Err(TokenizerError::Size(size));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| failed("read", error))?;
        Ok((path, bytes))
    }

    /// The `tokenizer.json` that says the same as these bytes: themselves, or what a `spiece.model` becomes.
    ///
    /// # Errors
    /// `Kind`.
    pub fn json(bytes: &[u8]) -> Result<(&'static str, Cow<'_, [u8]>), TokenizerError> {
        if bytes.trim_ascii_start().first() == Some(&b'{') {
            return Ok(("tokenizer.json", bytes.into()));
        }
        Ok(("spiece.model", spiece::json(bytes).map_err(TokenizerError::Kind)?.into()))
    }

    /// The tokenizer in these bytes, a `tokenizer.json` or SentencePiece's own file. They are untrusted: all is checked.
    ///
    /// # Errors
    /// `Kind`, `Unusable`, `NoEnd`.
    pub fn new(bytes: &[u8]) -> Result<Self, TokenizerError> {
        let (kind, json) = Self::json(bytes)?;
        let checked = guarded(|| file::read(&json)).unwrap_or_else(|| Err("reading it failed".to_owned()));
        let checked = checked.map_err(|why| TokenizerError::Unusable { kind, why: one_line(&why) })?;
        let end = checked.tokenizer.token_to_id(END).ok_or(TokenizerError::NoEnd)?;
        Ok(Self { checked, end })
    }

    /// Whether an encoder of `known` tokens knows all of its tokens.
    ///
    /// # Errors
    /// `Vocabulary`.
    pub fn check(&self, known: usize) -> Result<(), TokenizerError> {
        let found = self.checked.tokenizer.get_vocab_size(true);
        if found > known { Err(TokenizerError::Vocabulary { found, known }) } else { Ok(()) }
    }

    /// Tokens of a text, the end token last; those beyond `most` are cut off. Also how many the whole text has, as far as it is looked at: of more
    /// than 16 bytes for each of `most` tokens (1024 in any case) the rest is not.
    ///
    /// # Errors
    /// `Text`.
    pub fn tokens(&self, text: &str, most: usize) -> Result<(Vec<u32>, usize), TokenizerError> {
        let Checked { tokenizer, around: (before, after), growth } = &self.checked;
        let failed = |what: &str| TokenizerError::Text(what.to_owned());
        let mut text = clean(text);
        let most_bytes = most.saturating_mul(BYTES_PER_TOKEN).max(LEAST_BYTES);
        text.truncate(text.floor_char_boundary(most_bytes));
        if text.len().saturating_mul(*growth) > MOST_NORMALISED {
            let what = format!("a prompt of {} bytes, which it can make {growth} times longer", text.len());
            return Err(failed(&what));
        }
        let encoding = guarded(|| tokenizer.encode(text, false)).ok_or_else(|| failed("it failed at a prompt"))?;
        let encoding = encoding.map_err(|error| failed(&one_line(&error)))?;
        let mut tokens = [before, encoding.get_ids(), after].concat();
        if tokens.last() != Some(&self.end) {
            tokens.push(self.end);
        }
        let whole = tokens.len();
        if whole > most {
            tokens.truncate(most.saturating_sub(1));
            tokens.push(self.end);
        }
        Ok((tokens, whole))
    }
}

/// What `run` gives, or `None` where it panics: the library does so where a file contradicts itself in a way that is not checked.
fn guarded<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}

fn one_line(error: &impl ToString) -> String {
    let text = error.to_string();
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(240).collect()
}

/// Cleans a prompt: characters of usual width, straight quotes, no control characters, composed accents, HTML entities resolved twice,
/// single spaces. Of what ftfy does for the reference, text that was decoded in a wrong encoding stays as it is, and ligatures are left to
/// the tokenizer, which resolves them.
pub fn clean(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !is_control(*c)) {
        match c {
            '\u{ff01}'..='\u{ffef}' => plain.push_str(NormalizedString::from(c.to_string()).nfkc().get()),
            c => plain.push(straight(c)),
        }
    }
    let plain = NormalizedString::from(plain).nfc().get().to_owned();
    let plain = htmlize::unescape(htmlize::unescape(plain).as_ref()).into_owned();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn straight(c: char) -> char {
    match c {
        '\u{2bc}' | '\u{2018}'..='\u{201b}' => '\'',
        '\u{201c}'..='\u{201f}' => '"',
        _ => c,
    }
}

/// Characters that are no text: control characters that break no line, marks of byte order, deprecated format characters.
fn is_control(c: char) -> bool {
    matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
        || matches!(c, '\u{fff9}'..='\u{fffc}')
}
