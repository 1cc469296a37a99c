//! Text to tokens, as the Wan project's pipeline does it (spec 4).

mod charsmap;
mod file;
mod spiece;

use std::{
    io::Read,
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
    path::Path,
};

use causeway_runtime::file::regular;
use tokenizers::NormalizedString;

use crate::error::Error;
use file::{Checked, MOST_NORMALISED};

/// Largest file that is read; that of umT5 has 17 MB.
const MOST_BYTES: u64 = 64 << 20;
/// The token that ends a prompt.
const END: &str = "</s>";

/// A tokenizer of an encoder's vocabulary.
pub struct TextTokenizer {
    checked: Checked,
    end: u32,
}

impl TextTokenizer {
    /// Reads a `tokenizer.json` or SentencePiece's `spiece.model`, or the folder of one.
    ///
    /// # Errors
    /// The file cannot be read or is no tokenizer with an end token.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let names = ["tokenizer.json", "spiece.model", "sentencepiece.bpe.model"];
        let inside = names.iter().map(|name| path.join(name)).find(|file| path.is_dir() && file.is_file());
        let path = inside.as_deref().unwrap_or(path);
        let failed = |what: &str| Error::Failed(format!("{}: {what}", path.display()));
        let mut file = regular::open(path).map_err(Error::io("open", path))?;
        let size = file.metadata().map_err(Error::io("open", path))?.len();
        if size > MOST_BYTES {
            return Err(failed(&format!("it has {size} bytes; no tokenizer.json has more than {MOST_BYTES}")));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(Error::io("read", path))?;
        let (what, bytes) = if bytes.trim_ascii_start().first() == Some(&b'{') {
            ("tokenizer.json", bytes)
        } else {
            let made = spiece::json(&bytes);
            let made = made.map_err(|what| failed(&format!("neither a tokenizer.json nor a spiece.model: {what}")))?;
            ("spiece.model", made)
        };
        let checked = guarded(|| file::read(&bytes)).unwrap_or_else(|| Err("reading it failed".to_owned()));
        let checked = checked.map_err(|why| failed(&format!("not a {what} that can be used: {}", one_line(&why))))?;
        let end = checked.tokenizer.token_to_id(END).ok_or_else(|| failed(&format!("it has no token {END}")))?;
        Ok(Self { checked, end })
    }

    /// Tokens of a text, the end token last; those beyond `most` are cut off. Also how many the whole text has.
    ///
    /// # Errors
    /// The text cannot be told apart into tokens.
    pub fn tokens(&self, text: &str, most: usize) -> Result<(Vec<u32>, usize), Error> {
        let Checked { tokenizer, around: (before, after), growth } = &self.checked;
        let failed = |what: &str| Error::Failed(format!("tokenizer: {what}"));
        let text = clean(text);
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
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let result = catch_unwind(AssertUnwindSafe(run));
    set_hook(hook);
    result.ok()
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
