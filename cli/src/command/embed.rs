//! `causeway embed`: prompts become text embeddings.

use std::path::{Path, PathBuf};

use causeway_ops::backend::Memory;
use causeway_runtime::{EncodeError, TextEncoder, clock::SystemClock, file::regular, text::TextOptions};
use serde_json::{Map, Value, json};

use crate::{
    command::plan::{memory_json, memory_table},
    error::Error,
    files::{tensors, tokenizer::Tokenizer},
    options::compute::ComputeArgs,
    tools::{
        allocation,
        output::{print, print_json},
        progress::progress,
        stop::Stop,
        table::bytes,
    },
};

/// Longest prompt in bytes: many times what fits into an encoder.
const MOST_BYTES: usize = 1 << 16;

/// Options of `embed`.
#[derive(Clone, Debug, clap::Args)]
pub struct EmbedArgs {
    /// Text encoder, made by `convert`
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// The encoder's tokenizer.json or spiece.model, or the folder of one [default: what the encoder's file holds, else tokenizer.json
    /// beside it]
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    /// Prompt; may be given several times
    #[arg(long, value_name = "TEXT")]
    prompt: Vec<String>,
    /// File with a prompt on each line, after those of --prompt
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Embeddings to write: `context` [tokens,dim] of the first prompt, then `context2`, ...
    #[arg(long, value_name = "FILE.safetensors")]
    out: PathBuf,
    #[command(flatten)]
    compute: ComputeArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Encodes the prompts.
///
/// # Errors
/// Prompts, tokenizer or encoder that do not fit each other, a backend that fails, Ctrl-C; then there is no new output.
pub fn run(args: &EmbedArgs, stop: &Stop) -> Result<(), Error> {
    let prompts = prompts(args)?;
    let Encoded { tokens, embeddings, dim, memory } =
        encode(&args.model, args.tokenizer.as_deref(), &prompts, &args.compute, stop)?;

    let names: Vec<String> = (1..=prompts.len()).map(name).collect();
    let list: Vec<_> = names
        .iter()
        .zip(&embeddings)
        .map(|(name, values)| (name.as_str(), vec![values.len() / dim, dim], values.as_slice()))
        .collect();
    let notes: Map<String, Value> =
        names.iter().zip(&prompts).map(|(name, prompt)| (name.clone(), prompt.as_str().into())).collect();
    tensors::write_noted(&args.out, &list, notes)?;
    let peak = allocation::peak_bytes();
    if args.json {
        return print_json(&json!({
            "tokens": tokens, "dim": dim, "memory": memory_json(memory), "peak_bytes": peak,
        }));
    }
    let counts = tokens.iter().map(|tokens| tokens.len().to_string()).collect::<Vec<_>>().join(", ");
    let peak = peak.map_or(String::new(), |peak| format!("peak memory {}\n", bytes(peak)));
    print(&format!("{}: {counts} tokens of {}\n{}{peak}", args.out.display(), dim, memory_table(memory)))
}

/// What became of prompts.
pub struct Encoded {
    /// Of each prompt.
    pub tokens: Vec<Vec<u32>>,
    /// Of each prompt [tokens, dim].
    pub embeddings: Vec<Vec<f32>>,
    /// Values of a row.
    pub dim: usize,
    /// What the encoder held.
    pub memory: Memory,
}

/// Encodes prompts; says which were too long.
///
/// # Errors
/// As [`run`].
pub fn encode(
    model: &Path,
    tokenizer: Option<&Path>,
    prompts: &[String],
    compute: &ComputeArgs,
    stop: &Stop,
) -> Result<Encoded, Error> {
    let (file, tokenizer) = Tokenizer::with_encoder(model, tokenizer)?;
    let sizes = file.config().encoder;
    let mut tokens = Vec::new();
    for (n, prompt) in prompts.iter().enumerate() {
        stop.check()?;
        let (kept, whole) = tokenizer.tokens(prompt, sizes.length)?;
        if whole > kept.len() {
            eprintln!("prompt {} has {whole} tokens; the first {} are used", n + 1, kept.len() - 1);
        }
        tokens.push(kept);
    }
    let longest = tokens.iter().map(Vec::len).max();
    let options = TextOptions { stream: true, tokens: longest, prompts: tokens.len(), memory_cap: compute.memory_cap };
    let mut encoder = TextEncoder::new(&file, &compute.device(false)?, options)?;
    encoder.begin(&tokens)?;
    let memory = encoder.memory();
    let bar = progress(encoder.layers() as u64, "layers");
    let clock = SystemClock::default();
    while !encoder.pump(20_000, &clock)? {
        stop.check()?;
        bar.set_position(encoder.layer() as u64);
    }
    bar.finish_and_clear();
    stop.check()?;
    let embeddings = (0..tokens.len()).map(|n| Ok(encoder.rows(n)?.to_vec())).collect::<Result<_, EncodeError>>()?;
    Ok(Encoded { tokens, embeddings, dim: sizes.dim, memory })
}

/// Name of prompt `n`'s tensor, counted from 1.
fn name(n: usize) -> String {
    if n == 1 { "context".to_owned() } else { format!("context{n}") }
}

fn prompts(args: &EmbedArgs) -> Result<Vec<String>, Error> {
    let mut prompts = args.prompt.clone();
    if let Some(path) = &args.file {
        let text = regular::read_to_string(path).map_err(Error::io("read", path))?;
        prompts.extend(text.lines().filter(|line| !line.trim().is_empty()).map(ToOwned::to_owned));
    }
    if prompts.is_empty() {
        return Err(Error::Usage("there is nothing to embed; give --prompt or --file".to_owned()));
    }
    if let Some((n, prompt)) = prompts.iter().enumerate().find(|(_, prompt)| prompt.len() > MOST_BYTES) {
        let found = prompt.len();
        return Err(Error::Usage(format!("prompt {} has {found} bytes, expected at most {MOST_BYTES}", n + 1)));
    }
    Ok(prompts)
}

impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::Backend(error) => error.into(),
            error @ (EncodeError::Length { .. } | EncodeError::MemoryCap { .. }) => Error::Usage(error.to_string()),
            error => Error::Failed(error.to_string()),
        }
    }
}
