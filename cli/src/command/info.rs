//! `causeway info`: what a model file says about itself, and what a file is that is none.

use std::path::Path;

use causeway_runtime::{
    file::{AnyFile, Bundle, ClipFile, FileError, Fingerprint, Info, ModelFile, PartKind},
    import::{Answer, Checkpoint, ImportError},
    model::Network,
};
use serde_json::json;

use crate::{
    error::Error,
    files::image,
    options::session::{DEMO, FileArgs},
    tools::output::{print, print_json},
};

/// Options of `info`.
#[derive(Clone, Debug, clap::Args)]
pub struct InfoArgs {
    #[command(flatten)]
    model: FileArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Read all of the file and compare it with its fingerprint
    #[arg(long)]
    verify: bool,
}

/// Prints the summary.
///
/// # Errors
/// The file cannot be opened.
pub fn run(args: &InfoArgs) -> Result<(), Error> {
    let path = args.model.path();
    if let Some(path) = path
        && let Some(checkpoint) = checkpoint(path)?
    {
        return describe(&checkpoint, path, args.json);
    }
    let opened = path.map_or_else(|| AnyFile::from_bytes(causeway_demo::keep()), AnyFile::open);
    let path = path.unwrap_or(Path::new(DEMO));
    let file = match opened {
        Err(error) if image::is_encoder(&error) => {
            let file = ClipFile::open(path).map_err(Error::file(path))?;
            return if args.verify { compare(alone(&file), path) } else { show(&Info::of(&file), args.json) };
        }
        opened => opened.map_err(Error::file(path))?,
    };
    if args.verify {
        return verify(&file, path);
    }
    match file {
        AnyFile::Denoiser(file) => show(&Info::of(&file), args.json),
        AnyFile::Codec(file) => show(&Info::of(&file), args.json),
        AnyFile::Text(file) => show(&Info::of(&file), args.json),
        AnyFile::Bundle(bundle) => parts(&bundle, args.json),
    }
}

/// Compares what a file holds with what its header says of it, of a bundle all parts that say something.
fn verify(file: &AnyFile<'_>, path: &Path) -> Result<(), Error> {
    let pairs = match file {
        AnyFile::Denoiser(file) => vec![alone(file)],
        AnyFile::Codec(file) => vec![alone(file)],
        AnyFile::Text(file) => vec![alone(file)],
        AnyFile::Bundle(bundle) => {
            let told = |kind| match kind {
                PartKind::Denoiser => bundle.denoiser().fingerprint(),
                PartKind::Codec => bundle.codec().and_then(|codec| codec.fingerprint()),
                PartKind::Prompt | PartKind::Start => None,
            };
            bundle.parts().iter().map(|part| (part.title(), told(part.kind), bundle.verify(part))).collect()
        }
    };
    pairs.into_iter().try_for_each(|pair| compare(pair, path))
}

/// The name of a part, what its header says it holds, and what it holds.
type Pair = (String, Option<Fingerprint>, Result<Fingerprint, FileError>);

/// Says whether a part holds what its header says.
fn compare((name, told, found): Pair, path: &Path) -> Result<(), Error> {
    let found = found.map_err(Error::file(path))?;
    match told {
        Some(told) if told == found => print(&format!("{name}: {told}, as its header says\n")),
        Some(told) => {
            let what = format!("{name} is damaged, or was changed: its header says {told}, its bytes are {found}");
            Err(Error::Failed(what))
        }
        None => print(&format!("{name}: its header does not say what it holds; older files do not\n")),
    }
}

/// A file that is no bundle.
fn alone<C: Network>(file: &ModelFile<'_, C>) -> Pair {
    ("the file".to_owned(), file.fingerprint(), file.verify().map_err(FileError::from))
}

/// Says what lies in a bundle, and each of its models at length.
fn parts(bundle: &Bundle<'_>, as_json: bool) -> Result<(), Error> {
    let (denoiser, codec) = (Info::of(bundle.denoiser()), bundle.codec().map(Info::of));
    if as_json {
        let prompts = bundle.prompts().map(|(name, [rows, width])| json!({"name": name, "rows": rows, "width": width}));
        return print_json(&json!({
            "kind": "bundle", "file_bytes": bundle.file_bytes(), "denoiser": denoiser, "codec": codec,
            "prompts": prompts.collect::<Vec<_>>(), "starts": bundle.starts().collect::<Vec<_>>(),
        }));
    }
    let list = |names: Vec<String>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let prompts = list(bundle.prompts().map(|(name, [rows, _])| format!("{name} ({rows} rows)")).collect());
    let starts = list(bundle.starts().map(str::to_owned).collect());
    let mut text = format!("a bundle\nprompts   {prompts}\nstarts    {starts}\n\n{denoiser}");
    if let Some(codec) = codec {
        text += &format!("\n{codec}");
    }
    print(&text)
}

fn show<C: Network>(info: &Info<C>, json: bool) -> Result<(), Error> {
    if json {
        let value = serde_json::to_value(info).map_err(|error| Error::Failed(error.to_string()))?;
        return print_json(&value);
    }
    print(&info.to_string())
}

/// The checkpoint at `path`, if it is one that others made.
fn checkpoint(path: &Path) -> Result<Option<Checkpoint>, Error> {
    match Checkpoint::open(path) {
        Ok(checkpoint) if checkpoint.metadata().iter().any(|(key, _)| key == "causeway") => Ok(None),
        Ok(checkpoint) => Ok(Some(checkpoint)),
        // What is wrong with a model file is said when it is opened as one.
        Err(ImportError::Container { format: "safetensors", .. }) => Ok(None),
        Err(error) => Err(Error::import(path)(error)),
    }
}

/// Says what a checkpoint is, whether it can be converted, and how.
fn describe(checkpoint: &Checkpoint, path: &Path, json: bool) -> Result<(), Error> {
    let (kind, keys) = (checkpoint.kind(None), checkpoint.keys());
    let (tensors, values) =
        (checkpoint.entries().len(), checkpoint.entries().iter().map(|entry| entry.values()).sum::<usize>());
    let stored: Vec<&str> = checkpoint.storage().iter().map(|kind| kind.name).collect();
    let convertible = kind.is_some_and(|kind| !matches!(kind.answer, Answer::Refused(_)));
    if json {
        return print_json(&json!({
            "kind": kind.map(|kind| kind.name), "says": kind.map(|kind| kind.sentence()), "convertible": convertible,
            "stored": stored, "tensors": tensors, "values": values, "keys": keys, "notes": checkpoint.notes(),
        }));
    }
    let shown = path.display();
    let what = kind.map_or_else(|| "a checkpoint of no known network".to_owned(), ToString::to_string);
    let mut lines =
        vec![("what", what), ("stored", stored.join(", ")), ("tensors", format!("{tensors}, {values} values"))];
    lines.extend(checkpoint.notes().iter().map(|note| ("chosen", note.clone())));
    if !keys.is_empty() {
        let taken =
            if kind.is_some() { " (the first is taken unless --key names another)" } else { " (one for --key)" };
        lines.push(("keys", keys.join(", ") + taken));
    }
    if convertible {
        lines.push(("next", format!("causeway convert {shown} MODEL.safetensors")));
    }
    let lines: String = lines.iter().map(|(name, text)| format!("{name:9}{text}\n")).collect();
    print(&format!("{shown}\n{lines}"))
}
