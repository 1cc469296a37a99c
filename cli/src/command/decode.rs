//! `causeway decode`: latents to pictures.

use std::path::PathBuf;

use causeway_runtime::{DecoderFile, VideoDecoder};

use crate::{
    error::Error,
    files::{
        frames::{rgba, tensor},
        record::{self, Recording, Tape},
        tensors,
    },
    options::{compute::ComputeArgs, session::EndArgs},
    tools::{output::print, progress::progress, stop::Stop, table::bytes},
};

/// Options of `decode`.
#[derive(Clone, Debug, clap::Args)]
pub struct DecodeArgs {
    /// Decoder file, made by `convert`
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Input: latents [F,C,H,W], as `rollout` writes them
    #[arg(long = "in", value_name = "FILE.safetensors", required_unless_present = "first")]
    input: Option<PathBuf>,
    /// Output: .safetensors (frames [N,3,H,W] in 0 to 1), .mp4, .gif, .png (contact sheet), or a folder of PNGs
    #[arg(long = "out", value_name = "PATH", required_unless_present = "second")]
    output: Option<PathBuf>,
    #[command(flatten)]
    ends: EndArgs,
    /// Frames a second of a film
    #[arg(long, default_value_t = 16.0, value_name = "N", value_parser = record::fps)]
    fps: f32,
    #[command(flatten)]
    compute: ComputeArgs,
}

/// Decodes the video.
///
/// # Errors
/// Files that cannot be read or do not fit each other, a memory cap that not even a tile fits into, Ctrl-C.
pub fn run(args: &DecodeArgs, stop: &Stop) -> Result<(), Error> {
    let file = DecoderFile::open(&args.model).map_err(Error::file(&args.model))?;
    let [input, output] = args.ends.both(args.input.as_ref(), args.output.as_ref())?;
    let (shape, latents) = tensor(&input, "latents", 4)?;
    let channels = file.config().codec.channels();
    if shape[1] != channels {
        let what = format!("the latents have {} channels, the decoder takes {channels}", shape[1]);
        return Err(Error::Usage(what));
    }
    let mut decoder =
        VideoDecoder::new(&file, &args.compute.device(false)?, (shape[2], shape[3]), args.compute.memory_cap)?;
    drop(file);
    let (rows, columns) = decoder.tiles();
    let bar = progress((shape[0] * rows * columns) as u64, "latents");
    let frames = decoder.decode(&latents, || {
        bar.inc(1);
        stop.check()
    })?;
    bar.finish_and_clear();
    let (width, height) = decoder.picture();
    let count = frames.len() / (3 * width * height);
    if output.extension().is_some_and(|extension| extension == "safetensors") {
        tensors::write(&output, &[("frames", vec![count, 3, height, width], &frames)])?;
    } else {
        let path = output.clone();
        let recording = Recording { path, width, height, scale: 1, fps: args.fps, frames: count as u64 };
        let mut tape = Tape::begin(&recording)?;
        for frame in frames.chunks_exact(3 * width * height) {
            if stop.requested() {
                break;
            }
            tape.frame(&rgba(frame))?;
        }
        tape.end()?;
    }
    let memory = bytes(decoder.decoder().memory().total());
    let tiles = if rows * columns == 1 { String::new() } else { format!(", {rows} x {columns} tiles") };
    print(&format!("{}: {count} frames of {width} x {height}, {memory}{tiles}\n", output.display()))
}
