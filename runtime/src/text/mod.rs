//! Text to embeddings.
//!
//! [`TextEncoder`] takes tokens through the layers of an encoder in short steps; it holds one layer of weights at a time, or keeps them all.
//! [`TextTokenizer`] (feature `text`) makes tokens of words.

mod encoder;
mod error;
mod layers;
mod prompts;
#[cfg(feature = "text")]
mod tokenizer;
mod trial;

pub use encoder::{TextEncoder, TextOptions};
pub use error::EncodeError;
#[cfg(feature = "text")]
pub use tokenizer::{TextTokenizer, TokenizerError, clean};
