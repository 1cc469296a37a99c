//! `causeway bench tune`: measures which kernels are fastest at the shapes of a world, for `--tuned`.

use std::path::PathBuf;

use causeway_ops::gpu::{self, Gpu, GpuOptions};
use causeway_runtime::{Device, Session};

use crate::{
    error::Error,
    options::session::{FileArgs, SessionArgs},
    tools::{output::print, stop::Stop, table::Table},
};

/// Options of `bench tune`.
#[derive(Clone, Debug, clap::Args)]
pub struct TuneArgs {
    #[command(flatten)]
    model: FileArgs,
    #[command(flatten)]
    session: SessionArgs,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Measures, and writes what was found.
///
/// # Errors
/// No such GPU, a model that cannot be opened, a file that cannot be written, Ctrl-C.
pub fn run(args: &TuneArgs, stop: &Stop) -> Result<(), Error> {
    let model = args.model.open()?;
    let adapter = args.session.adapter.as_deref().and_then(|adapter| adapter.parse().ok());
    let gpu = Gpu::open(&GpuOptions { adapter, ..GpuOptions::default() });
    let gpu = match gpu {
        Err(_) if args.session.adapter.is_none() => Gpu::open(&GpuOptions { software: true, ..GpuOptions::default() })?,
        gpu => gpu?,
    };
    let options = args.session.options(model.config(), &Device::on_gpu(gpu.clone()))?;
    // The plan is the same on any device.
    let session = Session::new(&model, &Device::cpu(1), options)?;
    let shapes = gpu::shapes_of(session.plan(), &model);
    let tuned = gpu.tune(&shapes, &mut || stop.check())?;
    gpu.write_tuned(&tuned, &args.out).map_err(Error::io("write", &args.out))?;
    let mut table = Table::new(&["shape", "kernels", "ms", "taken"]);
    for (shape, tier, seconds) in &tuned.seconds {
        let taken = if tuned.tiers.get(shape) == Some(tier) { "yes" } else { "" };
        table.row([shape.to_string(), tier.to_string(), format!("{:.3}", seconds * 1e3), taken.to_owned()]);
    }
    print(&format!("{}\n{}", gpu.name(), table))
}
