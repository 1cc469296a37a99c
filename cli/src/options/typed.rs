//! Prompts in words for a world that plays.

use std::path::PathBuf;

/// Which encoder reads them.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TypedArgs {
    /// Text encoder that reads prompts in words, made by `convert`: the key / takes one while it plays
    #[arg(long, value_name = "FILE")]
    pub text_encoder: Option<PathBuf>,
    /// The encoder's tokenizer [default: what its file holds, else tokenizer.json beside it]
    #[arg(long, value_name = "FILE", requires = "text_encoder")]
    pub tokenizer: Option<PathBuf>,
    /// Prompt to begin with, in words [default: the first that the bundle stores]
    #[arg(long, value_name = "TEXT", requires = "text_encoder")]
    pub prompt: Option<String>,
}
