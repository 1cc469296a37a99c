//! `causeway embed-image`: a picture becomes the rows of features that a game begins from.

use std::path::PathBuf;

use causeway_runtime::{ImageEncoder, file::ClipFile};
use serde_json::json;

use crate::{
    command::plan::{memory_json, memory_table},
    error::Error,
    files::{
        frames::{pictures, planar},
        picture, tensors,
    },
    options::{compute::ComputeArgs, session::EndArgs},
    tools::{
        allocation,
        output::{print, print_json},
        progress::progress,
        stop::Stop,
        table::bytes,
    },
};

/// Options of `embed-image`.
#[derive(Clone, Debug, clap::Args)]
pub struct EmbedImageArgs {
    /// Image encoder, made by `convert`
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Input: a picture (PNG, JPEG, WebP), or a .safetensors file with `frames` [1,3,H,W], floats in 0 to 1 or bytes
    #[arg(long = "in", value_name = "PATH", required_unless_present = "first")]
    input: Option<PathBuf>,
    /// Features to write: `context` [rows,dim], which `bundle --prompt` takes, and `rollout` under this name or as `image_context`
    #[arg(long = "out", value_name = "FILE.safetensors", required_unless_present = "second")]
    output: Option<PathBuf>,
    #[command(flatten)]
    ends: EndArgs,
    /// Size that a picture file is cut and scaled to first: that of the game's pictures
    #[arg(long, default_value = "640x352", value_name = "WxH", value_parser = size)]
    size: (usize, usize),
    #[command(flatten)]
    compute: ComputeArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn size(text: &str) -> Result<(usize, usize), String> {
    let side = |text: &str| text.parse().ok().filter(|side| (1..=8192).contains(side));
    let sides = text.split_once('x').and_then(|(width, height)| Some((side(width)?, side(height)?)));
    sides.ok_or_else(|| "expected a size such as 640x352".to_owned())
}

/// Encodes the picture.
///
/// # Errors
/// Files that cannot be read, more than one picture, a backend that fails, Ctrl-C; then there is no new output.
pub fn run(args: &EmbedImageArgs, stop: &Stop) -> Result<(), Error> {
    let [input, output] = args.ends.both(args.input.as_ref(), args.output.as_ref())?;
    let (planes, size) = if picture::is_picture(&input)? {
        let rgba = picture::load(&input, args.size, &mut |note| eprintln!("{}: {note}", input.display()))?;
        (planar(&rgba), args.size)
    } else {
        let (shape, values) = pictures(&input)?;
        if shape[0] != 1 {
            return Err(Error::Usage(format!("{}: {} frames, expected one", input.display(), shape[0])));
        }
        (values, (shape[3], shape[2]))
    };
    let file = ClipFile::open(&args.model).map_err(Error::file(&args.model))?;
    let encoder = ImageEncoder::new(&file, &args.compute.stopped(false, stop)?, args.compute.memory_cap)?;
    let (sizes, memory) = (encoder.sizes(), encoder.memory());
    let bar = progress(sizes.layers as u64, "layers");
    let features = encoder.encode(&planes, size, |layer| {
        bar.set_position(layer as u64);
        stop.check()
    })?;
    bar.finish_and_clear();
    let shape = vec![sizes.rows(), sizes.dim];
    tensors::write(&output, &[("context", shape.clone(), &features)])?;
    let peak = allocation::peak_bytes();
    if args.json {
        return print_json(&json!({"shape": shape, "memory": memory_json(memory), "peak_bytes": peak}));
    }
    let peak = peak.map_or(String::new(), |peak| format!("peak memory {}\n", bytes(peak)));
    let [rows, dim] = [shape[0], shape[1]];
    print(&format!("{}: {rows} rows of {dim} features\n{}{peak}", output.display(), memory_table(memory)))
}
