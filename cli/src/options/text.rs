//! What a video is of: prompts in words, or their embeddings in a file.

use std::path::{Path, PathBuf};

use crate::{
    error::Error,
    options::{compute::ComputeArgs, stream::Prompts},
    tools::stop::Stop,
};

/// Prompts of a stream.
#[derive(Clone, Debug, clap::Args)]
pub struct TextArgs {
    /// Prompt in words, with --text-encoder; may be given several times, for --switch. Or a .safetensors file with embeddings, as `embed`
    /// writes them: context [n,text_dim], perhaps negative, context2 and so on
    #[arg(long, value_name = "TEXT|FILE", required = true)]
    prompt: Vec<String>,
    /// What guidance leads away from, in words
    #[arg(long, value_name = "TEXT", requires = "text_encoder")]
    negative: Option<String>,
    /// Text encoder that reads the words, made by `convert`
    #[arg(long, value_name = "FILE")]
    text_encoder: Option<PathBuf>,
    /// The encoder's tokenizer [default: what its file holds, else tokenizer.json beside it]
    #[arg(long, value_name = "FILE", requires = "text_encoder")]
    tokenizer: Option<PathBuf>,
}

impl TextArgs {
    /// The prompts; a `guided` stream has a negative one, which says nothing where nothing is said.
    ///
    /// # Errors
    /// Files that cannot be read or do not fit each other, words without an encoder, a backend that fails, Ctrl-C.
    pub fn prompts(&self, compute: &ComputeArgs, guided: bool, stop: &Stop) -> Result<Prompts, Error> {
        match (&self.text_encoder, self.prompt.as_slice()) {
            (Some(encoder), texts) => {
                let negative = self.negative.clone().or_else(|| guided.then(String::new));
                encoded(encoder, self.tokenizer.as_deref(), texts, negative, compute, stop)
            }
            (None, [file]) if Path::new(file).exists() || file.ends_with(".safetensors") => {
                Prompts::read(Path::new(file))
            }
            (None, [text]) => Err(Error::Usage(format!(
                "there is no file `{text}`; a prompt in words needs --text-encoder FILE, made by `convert`"
            ))),
            _ => Err(Error::Usage("several prompts in words need --text-encoder FILE, made by `convert`".to_owned())),
        }
    }
}

#[cfg(feature = "text")]
fn encoded(
    encoder: &Path,
    tokenizer: Option<&Path>,
    texts: &[String],
    negative: Option<String>,
    compute: &ComputeArgs,
    stop: &Stop,
) -> Result<Prompts, Error> {
    let all: Vec<String> = texts.iter().cloned().chain(negative.clone()).collect();
    let mut found = crate::command::embed::encode(encoder, tokenizer, &all, compute, stop)?;
    let negative = negative.and_then(|_| found.embeddings.pop());
    Ok(Prompts { texts: found.embeddings, negative, dim: found.dim })
}

#[cfg(not(feature = "text"))]
fn encoded(
    _: &Path,
    _: Option<&Path>,
    _: &[String],
    _: Option<String>,
    _: &ComputeArgs,
    _: &Stop,
) -> Result<Prompts, Error> {
    Err(Error::Usage("this build has no text encoder; build it with the feature `text`".to_owned()))
}
