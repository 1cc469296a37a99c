//! `causeway encode`: pictures to latents.

use std::path::{Path, PathBuf};

use causeway_runtime::{DecoderFile, Encoder};

use crate::{
    command::convert::latent_size,
    error::Error,
    files::{
        frames::{pictures, planar},
        picture::{self, Note},
        tensors,
    },
    options::{compute::ComputeArgs, session::EndArgs},
    tools::{output::print, progress::progress, stop::Stop},
};

/// Options of `encode`.
#[derive(Clone, Debug, clap::Args)]
pub struct EncodeArgs {
    /// File of a VAE, made by `convert`
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Input: a picture (PNG, JPEG, WebP), a folder of them in the order of their names (2 before 10), or a .safetensors file with frames
    /// [N,3,H,W], floats in 0 to 1 or bytes
    #[arg(long = "in", value_name = "PATH", required_unless_present = "first")]
    input: Option<PathBuf>,
    /// Output: latents [F,C,H,W]
    #[arg(long = "out", value_name = "FILE.safetensors", required_unless_present = "second")]
    output: Option<PathBuf>,
    #[command(flatten)]
    ends: EndArgs,
    /// Size that pictures are cut and scaled to, multiples of 16
    #[arg(long, default_value = "832x480", value_name = "WxH", value_parser = latent_size)]
    size: (usize, usize),
    /// Make the picture condition of a game of one picture: a tensor `condition` [N,mask and C,H,W], whose first row stands for the picture and the
    /// others for grey ones behind it. Of the last row, which goes on for ever, the picture must be out of sight: 30 are enough for Wan's VAE
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "30", value_parser = clap::value_parser!(u16).range(1..=256))]
    condition: Option<u16>,
    #[command(flatten)]
    compute: ComputeArgs,
}

/// Encodes the pictures.
///
/// # Errors
/// Files that cannot be read, a number of frames that makes no whole latents, Ctrl-C.
pub fn run(args: &EncodeArgs, stop: &Stop) -> Result<(), Error> {
    let file = DecoderFile::open(&args.model).map_err(Error::file(&args.model))?;
    let codec = &file.config().codec;
    let (side, group) = (codec.space_factor(), codec.time_factor());
    let [input, output] = args.ends.both(args.input.as_ref(), args.output.as_ref())?;
    let source = Source::open(&input)?;
    let (height, width) = source.size().unwrap_or((args.size.0 * 8, args.size.1 * 8));
    if !height.is_multiple_of(side) || !width.is_multiple_of(side) {
        return Err(Error::Usage(format!("frames of {width} x {height}: sides must be multiples of {side}")));
    }
    if args.condition.is_some() && source.count() != 1 {
        return Err(Error::Usage(format!("{} frames; a game's condition is of one picture", source.count())));
    }
    let count = args.condition.map_or(source.count(), |rows| 1 + group * (usize::from(rows) - 1));
    if count % group != 1 % group {
        return Err(Error::Usage(format!("{count} frames; expected 1, or 1 and a multiple of {group} more")));
    }
    let (channels, size) = (codec.channels(), (height / side, width / side));
    let mut encoder = Encoder::new(&file, &args.compute.device(false)?, size, args.compute.memory_cap)?;
    let (mut latents, mut next) = (Vec::new(), 0);
    if let Source::Pictures(_, others) = &source
        && let [first, rest @ ..] = others.as_slice()
    {
        let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
        eprintln!("{}: left out as no picture: {}{more}", input.display(), first.display());
    }
    let bar = progress(count as u64, "frames");
    let mut said = Vec::new();
    // Each once: what is true of one picture of a folder is true of most.
    let mut say = |file: &Path, note| {
        if !said.contains(&note) {
            bar.suspend(|| eprintln!("{}: {note}", file.display()));
            said.push(note);
        }
    };
    while next < count {
        stop.check()?;
        let last = next + encoder.frames();
        let mut frames = Vec::new();
        for index in next..last {
            match args.condition.is_some() && index > 0 {
                true => frames.extend(std::iter::repeat_n(0.5, 3 * width * height)),
                false => frames.extend(source.frame(index, (width, height), &mut say)?),
            }
        }
        latents.extend(encoder.encode(&frames)?);
        bar.inc((last - next) as u64);
        next = last;
    }
    bar.finish_and_clear();
    let shape = vec![latents.len() / (channels * size.0 * size.1), channels, size.0, size.1];
    let made = shape[0];
    if args.condition.is_some() {
        let (condition, masks) = (masked(&latents, latents.len() / made, group * size.0 * size.1), group + channels);
        tensors::write(&output, &[("condition", vec![made, masks, size.0, size.1], &condition)])?;
        return print(&format!("{}: a condition of {made} latent frames\n", output.display()));
    }
    tensors::write(&output, &[("latents", shape, &latents)])?;
    print(&format!("{}: {made} latents of {count} frames\n", output.display()))
}

/// Latents of so many values a frame, each behind its mask: ones for the first frame, which is given, and zeros for the others (spec 2.13).
fn masked(latents: &[f32], frame: usize, mask: usize) -> Vec<f32> {
    let one = |(n, latents): (usize, &[f32])| [&vec![if n == 0 { 1.0 } else { 0.0 }; mask], latents].concat();
    latents.chunks_exact(frame).enumerate().flat_map(one).collect()
}

/// Where frames come from.
enum Source {
    /// Pictures in order, and what lies beside them.
    Pictures(Vec<PathBuf>, Vec<PathBuf>),
    Tensor(Vec<usize>, Vec<f32>),
}

impl Source {
    fn open(path: &Path) -> Result<Self, Error> {
        if path.is_dir() {
            let (files, others) = picture::list(path)?;
            if files.is_empty() {
                let what = "there are no pictures (PNG, JPEG, WebP) in this folder";
                return Err(Error::Usage(format!("{}: {what}", path.display())));
            }
            return Ok(Self::Pictures(files, others));
        }
        let named = |known: &str| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(known));
        if ["png", "jpg", "jpeg", "webp"].into_iter().any(named) || picture::is_picture(path)? {
            return Ok(Self::Pictures(vec![path.to_owned()], Vec::new()));
        }
        let (shape, values) = pictures(path)?;
        Ok(Self::Tensor(shape, values))
    }

    /// Height and width, where the frames have one.
    fn size(&self) -> Option<(usize, usize)> {
        match self {
            Self::Pictures(..) => None,
            Self::Tensor(shape, _) => Some((shape[2], shape[3])),
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::Pictures(files, _) => files.len(),
            Self::Tensor(shape, _) => shape[0],
        }
    }

    /// A frame; `say` hears what was done to its picture.
    fn frame(&self, index: usize, size: (usize, usize), say: &mut dyn FnMut(&Path, Note)) -> Result<Vec<f32>, Error> {
        match self {
            Self::Pictures(files, _) => {
                let file = &files[index];
                Ok(planar(&picture::load(file, size, &mut |note| say(file, note))?))
            }
            Self::Tensor(shape, values) => {
                let len = shape[1..].iter().product::<usize>();
                Ok(values[index * len..][..len].to_vec())
            }
        }
    }
}
