//! `causeway embed-image`: a picture becomes the rows of features that a game begins from.

use std::path::{Path, PathBuf};

use causeway_ops::quant::DType;
use causeway_runtime::{ImageEncoder, file::ClipFile, import::ClipImport};
use serde_json::json;

use crate::{
    command::{
        convert,
        encode::Source,
        plan::{memory_json, memory_table},
        rollout::is_model_file,
    },
    error::Error,
    files::{temporary::Temporary, tensors},
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
    /// Image encoder, made by `convert`, or the checkpoint of one
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
    let source = Source::open(&input)?;
    if source.count() != 1 {
        return Err(Error::Usage(format!("{}: {} frames, expected one", input.display(), source.count())));
    }
    let size = source.size().map_or(args.size, |(height, width)| (width, height));
    let planes = source.frame(0, size, &mut |file, note| eprintln!("{}: {note}", file.display()))?;
    let opened = Opened::open(&args.model, &output, stop)?;
    let encoder = ImageEncoder::new(&opened.file, &args.compute.stopped(false, stop)?, args.compute.memory_cap)?;
    let (sizes, memory) = (encoder.sizes(), encoder.memory());
    let features = features(&encoder, &planes, size, stop)?;
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

/// An image encoder and, where it had to be converted, its temporary file.
pub struct Opened {
    /// The file.
    pub file: ClipFile<'static>,
    _temporary: Option<Temporary>,
}

impl Opened {
    /// Opens a model file as it is; a checkpoint is converted to a temporary file beside `output` first, all of it as f16.
    ///
    /// # Errors
    /// It is neither, or there is no room, or Ctrl-C.
    pub fn open(path: &Path, output: &Path, stop: &Stop) -> Result<Self, Error> {
        if is_model_file(path)? {
            return Ok(Self { file: ClipFile::open(path).map_err(Error::file(path))?, _temporary: None });
        }
        let import = ClipImport::of(convert::open(path, None)?, None, None).map_err(Error::import(path))?;
        let import =
            import.map_err(|_| Error::Usage(format!("{}: there is no image encoder in it", path.display())))?;
        let (config, temporary) = (import.config("clip", "", "", ""), Temporary::beside(output)?);
        let (file, choose) = (temporary.as_ref(), |_: &str, _: &[usize]| DType::F16);
        let total = convert::total(&config, choose);
        convert::named((path, file), total, stop, |sink| import.write(sink, &config, choose))?;
        Ok(Self { file: ClipFile::open(file).map_err(Error::file(file))?, _temporary: Some(temporary) })
    }
}

/// Features [rows, dim] of a picture, RGB in 0..=1 [3, height, width].
///
/// # Errors
/// A backend that fails, Ctrl-C.
pub fn features(
    encoder: &ImageEncoder<'_, '_>,
    picture: &[f32],
    size: (usize, usize),
    stop: &Stop,
) -> Result<Vec<f32>, Error> {
    let bar = progress(encoder.sizes().layers as u64, "layers");
    let features = encoder.encode(picture, size, |layer| {
        bar.set_position(layer as u64);
        stop.check()
    });
    bar.finish_and_clear();
    features
}
