//! `causeway info`: what a model file says about itself.

use causeway_runtime::{config::FileConfig, file::Info};

use crate::{
    any::AnyFile,
    error::Error,
    output::{print, print_json},
    world::FileArgs,
};

/// Options of `info`.
#[derive(Clone, Debug, clap::Args)]
pub struct InfoArgs {
    #[command(flatten)]
    model: FileArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the summary.
///
/// # Errors
/// The file cannot be opened.
pub fn run(args: &InfoArgs) -> Result<(), Error> {
    match AnyFile::open(&args.model.path()?)? {
        AnyFile::Model(file) => show(&Info::of(&file), args.json),
        AnyFile::Decoder(file) => show(&Info::of(&file), args.json),
        AnyFile::Text(file) => show(&Info::of(&file), args.json),
    }
}

fn show<C: FileConfig>(info: &Info<C>, json: bool) -> Result<(), Error> {
    if json {
        let value = serde_json::to_value(info).map_err(|error| Error::Failed(error.to_string()))?;
        return print_json(&value);
    }
    print(&format!("{info}\n"))
}
