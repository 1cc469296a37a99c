//! A text encoder and its tokenizer, as a game holds them.

use std::{
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
};

use causeway_ops::stored::Bytes;
use causeway_runtime::{
    EncodeError, TextEncoder,
    clock::SystemClock,
    file::Umt5File,
    text::{TextOptions, TextTokenizer, TokenizerError},
};

use crate::{
    device::Device,
    error::Error,
    handle::{Handle, Thing},
    model::Model,
    pointers::slice,
    types::*,
};

/// Longest prompt in bytes.
const MOST_BYTES: usize = 1 << 16;
/// What a tokenizer takes for each byte of its file, about: the library's tables of umT5's 256,300 tokens.
const TOKENIZER_BYTES: usize = 25;

/// A text encoder.
pub struct Text(Mutex<Parts>);

struct Parts {
    tokenizer: TextTokenizer,
    encoder: TextEncoder<Encoder>,
    begun: bool,
}

/// A file that holds a text encoder.
struct Encoder(Arc<Model>);

impl Deref for Encoder {
    type Target = Umt5File<'static>;

    fn deref(&self) -> &Self::Target {
        match self.0.text() {
            Ok(file) => file,
            Err(_) => unreachable!("it was looked at"),
        }
    }
}

impl Thing for Text {}

impl Handle for CwText {
    type Thing = Text;
    const KIND: usize = 5;
}

/// The encoder, and about how many bytes the tokenizer takes.
fn encoder(
    device: &Device,
    model: Arc<Model>,
    options: &CwTextOptions,
) -> Result<(TextEncoder<Encoder>, usize), Error> {
    let file = model.text()?;
    let given = !options.tokenizer.is_null();
    let bytes = if given { options.tokenizer_bytes } else { file.tokenizer().len() };
    if bytes == 0 {
        let what = "the file holds no tokenizer: convert it with --tokenizer, or give one in the CwTextOptions";
        return Err(Error::argument(what));
    }
    let stream = match options.stream {
        0 | 1 => options.stream == 1,
        other => return Err(Error::argument(format!("`stream` is {other}; it is 0 or 1"))),
    };
    let tokenizer = bytes.saturating_mul(TOKENIZER_BYTES);
    let cap = usize::try_from(options.memory_cap).unwrap_or(usize::MAX);
    let memory_cap = (cap > 0).then(|| cap.saturating_sub(tokenizer));
    let tokens = (options.most_rows > 0).then_some(options.most_rows as usize);
    let options = TextOptions { stream, tokens, memory_cap, ..TextOptions::default() };
    let encoder = TextEncoder::new(Encoder(model), &device.inner, options);
    let encoder = encoder.map_err(|error| match error {
        EncodeError::MemoryCap { needed, .. } => {
            EncodeError::MemoryCap { needed: needed.saturating_add(tokenizer), cap }.into()
        }
        error => Error::from(error),
    })?;
    Ok((encoder, tokenizer))
}

impl Text {
    /// What an encoder takes.
    pub fn query(device: &Device, model: Arc<Model>, options: &CwTextOptions) -> Result<CwTextInfo, Error> {
        let (encoder, tokenizer) = encoder(device, model, options)?;
        let sizes = encoder.sizes();
        let read = encoder.read_bytes() as u64;
        Ok(CwTextInfo {
            struct_size: size_of::<CwTextInfo>() as u32,
            width: sizes.dim as u32,
            most_rows: encoder.most_tokens() as u32,
            seconds_per_prompt: encoder.seconds(encoder.most_tokens(), &SystemClock::default())?,
            total_bytes: (encoder.memory().total().saturating_add(tokenizer)) as u64,
            tokenizer_bytes: tokenizer as u64,
            first_read_bytes: read,
            read_bytes_per_prompt: if options.stream == 1 { read } else { 0 },
        })
    }

    /// Creates one.
    ///
    /// # Safety
    /// The tokenizer of `options` has its bytes.
    pub unsafe fn new(device: &Device, model: Arc<Model>, options: &CwTextOptions) -> Result<Self, Error> {
        let (encoder, _) = encoder(device, model.clone(), options)?;
        let mut buffer = Vec::new();
        let bytes = if options.tokenizer.is_null() {
            let inside: Bytes<'_> = model.text()?.tokenizer();
            inside.read(0..inside.len(), &mut buffer).map_err(causeway_runtime::FileError::Read)?
        } else {
            // SAFETY: the contract.
            unsafe { slice(options.tokenizer, options.tokenizer_bytes, "tokenizer") }?
        };
        let tokenizer = TextTokenizer::new(bytes)?;
        tokenizer.check(encoder.sizes().vocabulary)?;
        Ok(Self(Mutex::new(Parts { tokenizer, encoder, begun: false })))
    }

    fn parts(&self) -> Result<MutexGuard<'_, Parts>, Error> {
        match self.0.try_lock() {
            Ok(parts) => Ok(parts),
            Err(TryLockError::Poisoned(parts)) => Ok(PoisonError::into_inner(parts)),
            Err(TryLockError::WouldBlock) => {
                Err(Error::new(CW_ERROR_BUSY, "another thread is inside this text encoder"))
            }
        }
    }

    /// Begins with a prompt.
    pub fn begin(&self, text: &str) -> Result<(), Error> {
        if text.len() > MOST_BYTES {
            return Err(Error::argument(format!("the prompt has {} bytes, expected at most {MOST_BYTES}", text.len())));
        }
        let parts = &mut *self.parts()?;
        let (tokens, _) = parts.tokenizer.tokens(text, parts.encoder.most_tokens())?;
        parts.encoder.begin(&[tokens])?;
        parts.begun = true;
        Ok(())
    }

    /// Works for about so many microseconds.
    pub fn pump(&self, micros: u64) -> Result<CwStatus, Error> {
        let parts = &mut *self.parts()?;
        let done = parts.encoder.pump(micros, &SystemClock::default()).inspect_err(|_| parts.begun = false)?;
        Ok(if done { CW_OK } else { CW_PENDING })
    }

    /// How far the prompt is.
    pub fn progress(&self) -> Result<CwProgress, Error> {
        let parts = self.parts()?;
        let total = if parts.begun { parts.encoder.layers() } else { 0 };
        let done = parts.encoder.layer();
        let stage = if parts.begun && done == total { CW_STAGE_READY } else { CW_STAGE_WEIGHTS };
        let struct_size = size_of::<CwProgress>() as u32;
        Ok(CwProgress { struct_size, stage, done: done as u64, total: total as u64 })
    }

    /// The prompt's rows, and how many numbers one has.
    pub fn rows<T>(&self, take: impl FnOnce(&[f32], usize) -> Result<T, Error>) -> Result<T, Error> {
        let parts = self.parts()?;
        take(parts.encoder.rows(0)?, parts.encoder.sizes().dim)
    }
}

impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Self {
        let status = match &error {
            EncodeError::NotDone => CW_ERROR_STATE,
            EncodeError::MemoryCap { .. } => CW_ERROR_MEMORY_CAP,
            EncodeError::Model(_) | EncodeError::Token { .. } => CW_ERROR_MODEL,
            EncodeError::NoPrompts | EncodeError::TooMany { .. } | EncodeError::Length { .. } => CW_ERROR_ARGUMENT,
            EncodeError::Backend(inner) => return inner.clone().into(),
        };
        Self::new(status, error.to_string())
    }
}

impl From<TokenizerError> for Error {
    fn from(error: TokenizerError) -> Self {
        let status = match &error {
            TokenizerError::Io { .. } => CW_ERROR_IO,
            TokenizerError::Text(_) => CW_ERROR_ARGUMENT,
            _ => CW_ERROR_MODEL,
        };
        Self::new(status, error.to_string())
    }
}
