//! `causeway info`: what a model file says about itself.

use causeway_runtime::file::Info;

use crate::{
    error::Error,
    output::{print, print_json},
    world::ModelArgs,
};

/// Options of `info`.
#[derive(Clone, Debug, clap::Args)]
pub struct InfoArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the summary.
///
/// # Errors
/// The file cannot be opened.
pub fn run(args: &InfoArgs) -> Result<(), Error> {
    let info = Info::of(&args.model.open()?);
    if args.json {
        let value = serde_json::to_value(&info).map_err(|error| Error::Failed(error.to_string()))?;
        return print_json(&value);
    }
    print(&format!("{info}\n"))
}
