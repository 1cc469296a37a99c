//! `causeway bundle`: what a game ships of a prompt-driven model, in one file; and its parts again.

use std::{io, path::PathBuf};

use causeway_runtime::file::{AnyFile, Bundler, PartKind, split};

use crate::{
    error::Error,
    tools::{output::print, progress::progress, stop::Stop, table},
};

/// Options of `bundle`.
#[derive(Clone, Debug, clap::Args)]
pub struct BundleArgs {
    /// Model file with the denoiser
    #[arg(long, value_name = "FILE", required_unless_present = "split")]
    model: Option<PathBuf>,
    /// Model file with the codec, where the denoiser's has none
    #[arg(long, value_name = "FILE")]
    decoder: Option<PathBuf>,
    /// A prompt: a name, and a file with a tensor `context`, as `embed` makes them; may be given several times, in the order of the keys 1 to 9
    #[arg(long, value_name = "NAME=FILE", value_parser = named)]
    prompt: Vec<(String, PathBuf)>,
    /// Latents to begin from: a name, and a file with a tensor `latents`, as `encode` makes them; the first one is taken
    #[arg(long, value_name = "NAME=FILE", value_parser = named)]
    start: Vec<(String, PathBuf)>,
    /// Give the parts of a bundle back, byte for byte, into the folder --out
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "decoder", "prompt", "start"])]
    split: Option<PathBuf>,
    /// The bundle, or the folder for its parts
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
}

fn named(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("expected a name and a file, such as night=night.safetensors")?;
    Ok((name.to_owned(), path.into()))
}

/// Writes a bundle, or splits one.
///
/// # Errors
/// Parts that do not belong together, files that cannot be read or written, Ctrl-C; then there is no new file.
pub fn run(args: &BundleArgs, stop: &Stop) -> Result<(), Error> {
    if let Some(path) = &args.split {
        return divide(path, &args.out);
    }
    let mut bundler = Bundler::default();
    let denoiser = args.model.iter().map(|path| (PartKind::Denoiser, "", path));
    let codec = args.decoder.iter().map(|path| (PartKind::Codec, "", path));
    let extra = |kind| move |(name, path): &'_ (String, PathBuf)| (kind, name.clone(), path.clone());
    let extras: Vec<_> = (args.prompt.iter().map(extra(PartKind::Prompt)))
        .chain(args.start.iter().map(extra(PartKind::Start)))
        .collect();
    let extras = extras.iter().map(|(kind, name, path)| (*kind, name.as_str(), path));
    let mut total = 0;
    for (kind, name, path) in denoiser.chain(codec).chain(extras) {
        bundler.add(kind, name, path).map_err(Error::file(path))?;
        total += std::fs::metadata(path).map_or(0, |about| about.len());
    }
    let bar = progress(total, "bytes");
    let written = bundler.write(&args.out, |bytes| {
        bar.inc(bytes as u64);
        if stop.requested() { Err(io::Error::other("interrupted")) } else { Ok(()) }
    });
    bar.finish_and_clear();
    stop.check()?;
    written.map_err(Error::file(&args.out))?;
    let AnyFile::Bundle(bundle) = AnyFile::open(&args.out).map_err(Error::file(&args.out))? else { return Ok(()) };
    let (prompts, bytes) = (bundle.prompts().len(), table::bytes(bundle.file_bytes()));
    print(&format!("{}: {bytes}, {prompts} prompts\nnext: causeway play --model {0}\n", args.out.display()))
}

fn divide(path: &std::path::Path, to: &std::path::Path) -> Result<(), Error> {
    match AnyFile::open(path).map_err(Error::file(path))? {
        AnyFile::Bundle(bundle) => {
            let paths = split(&bundle, to).map_err(Error::file(to))?;
            let lines: String = paths.iter().map(|path| format!("{}\n", path.display())).collect();
            print(&lines)
        }
        _ => Err(Error::Usage(format!("{} is no bundle", path.display()))),
    }
}
