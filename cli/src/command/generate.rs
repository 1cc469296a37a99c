//! `causeway generate`: prompts to a video: a session that is recorded.

use std::path::{Path, PathBuf};

use causeway_runtime::{
    Budget, DecoderFile, Model, Session, SessionOptions, Start,
    config::{Family, LatentConfig},
};

use crate::{
    command::convert::latent_size,
    error::Error,
    files::{
        frames::tensor,
        record::{Recording, Tape},
    },
    options::{compute::ComputeArgs, session::seed, stream::StreamArgs, text::TextArgs},
    tools::{
        output::print,
        stop::{Stop, caught},
    },
};

/// Options of `generate`.
#[derive(Clone, Debug, clap::Args)]
pub struct GenerateArgs {
    /// Model file of a text-to-video network, made by `convert`
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Decoder file, made by `convert`
    #[arg(long, value_name = "FILE")]
    decoder: PathBuf,
    #[command(flatten)]
    text: TextArgs,
    /// Clean latents that the video begins with: latents [n,C,H,W] of whole chunks, as `encode` writes them
    #[arg(long, value_name = "FILE.safetensors")]
    start: Option<PathBuf>,
    /// Frames of the video
    #[arg(long, default_value_t = 81, value_name = "N", value_parser = clap::value_parser!(u64).range(1..1_000_000))]
    frames: u64,
    /// Video: .mp4, .gif, .png (contact sheet), or a folder of PNGs
    #[arg(long, value_name = "PATH")]
    record: PathBuf,
    /// Noise seed
    #[arg(long, default_value_t = 0, value_name = "N", allow_negative_numbers = true, value_parser = seed)]
    seed: u64,
    /// Size of a picture, multiples of 16 [default: the model's]
    #[arg(long, value_name = "WxH", value_parser = latent_size)]
    size: Option<(usize, usize)>,
    #[command(flatten)]
    stream: StreamArgs,
    #[command(flatten)]
    compute: ComputeArgs,
}

/// Makes the video.
///
/// # Errors
/// Files that cannot be read or do not fit each other, a backend that fails, Ctrl-C; then what there is of the video is kept.
pub fn run(args: &GenerateArgs, stop: &Stop) -> Result<(), Error> {
    let model = Model::open(&args.model).map_err(Error::file(&args.model))?;
    let file = DecoderFile::open(&args.decoder).map_err(Error::file(&args.decoder))?;
    let config = model.config();
    if config.family != Family::Wan {
        return Err(Error::Usage(format!("{} is a world: `causeway play` runs it", config.name)));
    }
    let codec = &file.config().codec;
    let latent = config.dit.latent;
    let (height, width) = args.size.unwrap_or((latent.height, latent.width));
    let latent = LatentConfig { height, width, ..latent };
    if codec.channels() != latent.channels {
        let (ours, theirs) = (latent.channels, codec.channels());
        return Err(Error::Usage(format!("the model makes latents of {ours} channels, the decoder takes {theirs}")));
    }
    let prompts = args.text.prompts(&args.compute, args.stream.guided(), stop)?;
    // Latents of so many pictures; the last chunk may go beyond.
    let chunk = args.stream.chunk.unwrap_or(config.dit.chunk);
    let latents = (args.frames as usize).div_ceil(codec.time_factor()) + chunk;
    let clean = args.start.as_ref().map(|path| start(path, latent)).transpose()?;
    let given = clean.as_ref().map_or(0, |clean| clean.len() / (latent.channels * height * width));
    // The first latent makes one picture.
    let needed = 1 + (args.frames as usize - 1).div_ceil(codec.time_factor());
    let chunks = args.stream.chunks(config.dit.chunk, given, needed);
    args.stream.check_switches(&chunks)?;
    let scale = codec.space_factor();
    let device = args.compute.stopped(args.stream.strict, stop)?;
    let options = SessionOptions {
        seed: args.seed,
        size: Some((width * scale, height * scale)),
        start: clean.map_or(Start::Empty, Start::Latents),
        memory_cap: args.compute.memory_cap,
        ..args.stream.options(config, &device, &prompts, latents)?
    };
    let mut session = Session::with_codec(&model, &file, &device, options)?;
    let mut switches = args.stream.begin(&mut session, &prompts, chunks)?;
    let (width, height) = session.picture();
    let recording =
        Recording { path: args.record.clone(), width, height, scale: 1, fps: config.fps, frames: args.frames };
    let mut tape = Tape::begin(&recording)?;
    while tape.made < args.frames && !stop.requested() {
        switches.feed(&mut session)?;
        match caught(|| Ok(session.pump(Budget::Frame)?)) {
            Err(Error::Interrupted) => break,
            result => result?,
        };
        if let Some(frame) = session.frame() {
            tape.frame(frame.pixels)?;
            session.release();
        }
    }
    tape.end()?;
    print(&format!("{}: {} frames of {width} x {height}\n", args.record.display(), args.frames))
}

/// Reads the latents that a video begins with.
fn start(path: &Path, latent: LatentConfig) -> Result<Vec<f32>, Error> {
    let (shape, values) = tensor(path, "latents", 4)?;
    let expected = [latent.channels, latent.height, latent.width];
    if shape[1..] != expected {
        let what = format!("{}: latents are {shape:?}, expected [n, C, H, W] with {expected:?}", path.display());
        return Err(Error::Usage(what));
    }
    Ok(values)
}
