//! `causeway bundle`: what a game ships of a prompt-driven model, in one file; and its parts again.

use std::{
    io,
    path::{Path, PathBuf},
};

use causeway_runtime::{
    DecoderFile, Device, ImageEncoder, Model,
    file::{AnyFile, Bundler, PartKind, split},
};

use crate::{
    command::{
        embed_image::{Opened, features},
        encode::{ROWS, Source, condition},
    },
    error::Error,
    files::{temporary::Temporary, tensors},
    options::compute::ComputeArgs,
    tools::{output::print, progress::progress, stop::Stop, table},
};

/// Options of `bundle`.
#[derive(Clone, Debug, clap::Args)]
pub struct BundleArgs {
    /// Model file with the denoiser
    #[arg(long, value_name = "FILE", required_unless_present = "split")]
    model: Option<PathBuf>,
    /// Model file with the codec, where the denoiser's has none
    #[arg(long, value_name = "FILE")]
    decoder: Option<PathBuf>,
    /// A prompt: a name, and a file with a tensor `context`, as `embed` makes them; may be given several times, in the order of the keys 1 to 9
    #[arg(long, value_name = "NAME=FILE", value_parser = named)]
    prompt: Vec<(String, PathBuf)>,
    /// Latents to begin from: a name, and a file with a tensor `latents`, or of a game `condition`, as `encode` makes them; the first one is taken
    #[arg(long, value_name = "NAME=FILE", value_parser = named)]
    start: Vec<(String, PathBuf)>,
    /// A picture that a game begins from: a name, and a file; what `encode --condition` and `embed-image` make of it goes into the bundle
    #[arg(long, value_name = "NAME=FILE", value_parser = named, requires = "image_encoder")]
    picture: Vec<(String, PathBuf)>,
    /// Image encoder for --picture, made by `convert`, or the checkpoint of one; it stays outside
    #[arg(long, value_name = "FILE")]
    image_encoder: Option<PathBuf>,
    /// VAE for --picture, made by `convert`; it stays outside [default: the one of --decoder]
    #[arg(long, value_name = "FILE", requires = "picture")]
    vae: Option<PathBuf>,
    #[command(flatten)]
    compute: ComputeArgs,
    /// Give the parts of a bundle back, byte for byte, into the folder --out
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "decoder", "prompt", "start", "picture"])]
    split: Option<PathBuf>,
    /// The bundle, or the folder for its parts
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
}

fn named(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("expected a name and a file, such as night=night.safetensors")?;
    Ok((name.to_owned(), path.into()))
}

/// Writes a bundle, or splits one.
///
/// # Errors
/// Parts that do not belong together, files that cannot be read or written, Ctrl-C; then there is no new file.
pub fn run(args: &BundleArgs, stop: &Stop) -> Result<(), Error> {
    if let Some(path) = &args.split {
        return divide(path, &args.out);
    }
    let mut bundler = Bundler::default();
    let denoiser = args.model.iter().map(|path| (PartKind::Denoiser, "", path));
    let codec = args.decoder.iter().map(|path| (PartKind::Codec, "", path));
    let extra = |kind| move |(name, path): &'_ (String, PathBuf)| (kind, name.clone(), path.clone());
    let pictures = Pictures::of(args, stop)?;
    let extras: Vec<_> = (args.prompt.iter().map(extra(PartKind::Prompt)))
        .chain(args.start.iter().map(extra(PartKind::Start)))
        .chain(pictures.parts())
        .collect();
    let extras = extras.iter().map(|(kind, name, path)| (*kind, name.as_str(), path));
    let mut total = 0;
    for (kind, name, path) in denoiser.chain(codec).chain(extras) {
        bundler.add(kind, name, path).map_err(Error::file(path))?;
        total += std::fs::metadata(path).map_or(0, |about| about.len());
    }
    let bar = progress(total, "bytes");
    let written = bundler.write(&args.out, |bytes| {
        bar.inc(bytes as u64);
        if stop.requested() { Err(io::Error::other("interrupted")) } else { Ok(()) }
    });
    bar.finish_and_clear();
    stop.check()?;
    written.map_err(Error::file(&args.out))?;
    let AnyFile::Bundle(bundle) = AnyFile::open(&args.out).map_err(Error::file(&args.out))? else { return Ok(()) };
    let (prompts, bytes) = (bundle.prompts().len(), table::bytes(bundle.file_bytes()));
    print(&format!("{}: {bytes}, {prompts} prompts\nnext: causeway play --model {0}\n", args.out.display()))
}

/// What pictures come to, each in two temporary files.
struct Pictures(Vec<(String, [Temporary; 2])>);

impl Pictures {
    fn of(args: &BundleArgs, stop: &Stop) -> Result<Self, Error> {
        let (Some(model), Some(encoder), false) = (&args.model, &args.image_encoder, args.picture.is_empty()) else {
            return Ok(Self(Vec::new()));
        };
        let Some(vae) = args.vae.as_ref().or(args.decoder.as_ref()) else {
            return Err(Error::Usage("--picture needs a VAE; give it with --vae or --decoder".to_owned()));
        };
        let size = Model::open(model).map_err(Error::file(model))?.config().picture();
        let vae = DecoderFile::open(vae).map_err(Error::file(vae))?;
        let (device, cap) = (args.compute.stopped(false, stop)?, args.compute.memory_cap);
        let opened = Opened::open(encoder, &args.out, stop)?;
        let encoder = ImageEncoder::new(&opened.file, &device, cap)?;
        let one = |(name, path): &(String, PathBuf)| {
            let source = Source::open(path)?;
            if source.count() != 1 {
                return Err(Error::Usage(format!("{}: {} frames, expected one", path.display(), source.count())));
            }
            let files = made(&args.out, &source, size, (&vae, &encoder, &device, cap), stop)?;
            Ok((name.clone(), files))
        };
        args.picture.iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    /// Parts of a bundle.
    fn parts(&self) -> impl Iterator<Item = (PartKind, String, PathBuf)> {
        self.0.iter().flat_map(|(name, files)| {
            [PartKind::Prompt, PartKind::Start]
                .into_iter()
                .zip(files)
                .map(|(kind, file)| (kind, name.clone(), file.as_ref().to_owned()))
        })
    }
}

/// Files of the features and of the condition of a picture.
fn made(
    out: &Path,
    source: &Source,
    size: (usize, usize),
    (vae, encoder, device, cap): (&DecoderFile<'_>, &ImageEncoder<'_, '_>, &Device, Option<usize>),
    stop: &Stop,
) -> Result<[Temporary; 2], Error> {
    let size = source.size().map_or(size, |(height, width)| (width, height));
    let planes = source.frame(0, size, &mut |file, note| eprintln!("{}: {note}", file.display()))?;
    let features = features(encoder, &planes, size, stop)?;
    let (shape, condition) = condition(vae, device, cap, source, (size, ROWS), stop)?;
    let files = [Temporary::beside(out)?, Temporary::beside(out)?];
    let rows = vec![encoder.sizes().rows(), encoder.sizes().dim];
    tensors::write(files[0].as_ref(), &[("context", rows, &features)])?;
    tensors::write(files[1].as_ref(), &[("condition", shape, &condition)])?;
    Ok(files)
}

fn divide(path: &Path, to: &Path) -> Result<(), Error> {
    match AnyFile::open(path).map_err(Error::file(path))? {
        AnyFile::Bundle(bundle) => {
            let paths = split(&bundle, to).map_err(Error::file(to))?;
            let lines: String = paths.iter().map(|path| format!("{}\n", path.display())).collect();
            print(&lines)
        }
        _ => Err(Error::Usage(format!("{} is no bundle", path.display()))),
    }
}
