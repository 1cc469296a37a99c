//! `causeway generate`: prompts to a video, chunk by chunk: denoising, then the streaming decoder.

use std::path::{Path, PathBuf};

use causeway_ops::philox;
use causeway_runtime::{
    Decoder, DecoderFile, Model, Rollout, RolloutOptions,
    config::{Family, LatentConfig},
};

use crate::{
    command::convert::latent_size,
    error::Error,
    files::{
        frames::{rgba, tensor},
        record::{Recording, Tape},
    },
    options::{compute::ComputeArgs, session::seed, stream::StreamArgs, text::TextArgs},
    tools::{output::print, stop::Stop},
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
    let sampling = args.stream.sampling(&config.schedule)?;
    let prompts = args.text.prompts(&args.compute, args.stream.guided(), stop)?;
    let text_dim = config.dit.text.map_or(0, |text| text.dim);
    if prompts.dim != text_dim {
        let what = format!("the prompt has rows of {}, the model takes {text_dim}", prompts.dim);
        return Err(Error::Usage(what));
    }
    // Latents of so many pictures; the last chunk may go beyond.
    let chunk = args.stream.chunk.unwrap_or(config.dit.chunk);
    let latents = (args.frames as usize).div_ceil(codec.time_factor()) + chunk;
    let options = RolloutOptions { memory_cap: args.compute.memory_cap, ..args.stream.options(&prompts, latents)? };
    let mut clean = match &args.start {
        Some(path) => start(path, latent)?,
        None => Vec::new(),
    };
    let given = clean.len() / (latent.channels * latent.height * latent.width);
    // The first latent makes one picture.
    let needed = 1 + (args.frames as usize - 1).div_ceil(codec.time_factor());
    args.stream.check_switches(&args.stream.chunks(config.dit.chunk, given, needed))?;
    let device = args.compute.device(args.stream.strict)?;
    let mut rollout = Rollout::new(&model, &device, latent, options)?;
    let mut switches = args.stream.begin(&mut rollout, &prompts)?;
    rollout.start(&clean)?;
    // What the denoiser leaves of the cap is the decoder's.
    let left = args.compute.memory_cap.map(|cap| cap.saturating_sub(rollout.memory().total()));
    let mut decoder = Decoder::new(&file, &device, (height, width), left)?;
    let (width, height) = decoder.picture();
    let recording =
        Recording { path: args.record.clone(), width, height, scale: 1, fps: config.fps, frames: args.frames };
    let mut tape = Tape::begin(&recording)?;
    let len = latent.channels * latent.height * latent.width;
    while tape.made < args.frames && !stop.requested() {
        if clean.is_empty() {
            let noise = |step| noise(args.seed, rollout.position(), rollout.frames(), step, latent);
            let first = noise(0);
            let renoise: Vec<f32> = (1..=sampling.renoised() as u32).flat_map(noise).collect();
            let latents = rollout.run_watched(&first, &renoise, &sampling, |rollout, moment| {
                switches.watch(rollout, moment)?;
                stop.check()
            });
            match latents {
                Err(Error::Interrupted) => break,
                latents => clean = latents?,
            }
        }
        for latent in clean.chunks_exact(len) {
            if stop.requested() {
                break;
            }
            for frame in decoder.decode(latent)?.chunks_exact(3 * width * height) {
                if tape.made < args.frames {
                    tape.frame(&rgba(frame))?;
                }
            }
        }
        clean.clear();
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

/// Noise of step `step` for frames from `position` on, [frames, C, H, W]. Elements are numbered channels-last, as in a session.
fn noise(seed: u64, position: u64, frames: usize, step: u32, latent: LatentConfig) -> Vec<f32> {
    let LatentConfig { channels, height, width } = latent;
    let (area, seed) = (height * width, [seed as u32, (seed >> 32) as u32]);
    let frame = |frame: usize| {
        let number = (position as u32).wrapping_add(frame as u32);
        let count = (channels * area).div_ceil(4) as u32;
        let drawn: Vec<f32> = (0..count).flat_map(|quad| philox::normal4(seed, number, step, quad)).collect();
        (0..channels * area).map(move |at| drawn[at % area * channels + at / area]).collect::<Vec<_>>()
    };
    (0..frames).flat_map(frame).collect()
}
