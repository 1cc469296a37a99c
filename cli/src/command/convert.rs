//! `causeway convert`: a published checkpoint becomes a model file.

use std::path::{Path, PathBuf};

use causeway_ops::quant::DType;
use causeway_runtime::{
    DecoderFile, Model, ModelConfig,
    config::Positions,
    file::{ClipFile, Umt5File, may_quantise},
    import::{
        Answer, BiasIn, Checkpoint, ClipImport, DecoderImport, Import, ImportError, ImportOptions, LoraOptions,
        Settings, Umt5Import, WaypointImport, WaypointOptions,
    },
};
use serde_json::json;

use crate::{
    command::quantize::{Stoppable, Weights, stored},
    error::Error,
    files::network::Network,
    options::session::EndArgs,
    tools::{
        allocation,
        output::{print, print_json},
        stop::Stop,
        table::{Table, bytes},
    },
};

/// Where in a checkpoint the network is, and what belongs to it.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SourceArgs {
    /// Part of the checkpoint to take [default: generator_ema, else generator, model, state_dict, root, or all of it]
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Attention heads [default: as many as make heads of 128]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub heads: Option<u16>,
    /// LoRA to merge, a file or the folder of one, and its strength; may be given several times
    #[arg(long, value_name = "FILE[=X]", value_parser = lora)]
    pub lora: Vec<LoraFile>,
    /// Part of the LoRA files to take [default: generator_lora, or all]
    #[arg(long, value_name = "KEY", requires = "lora")]
    pub lora_key: Option<String>,
    /// Alpha of LoRA layers without a tensor of it [default: what the file's metadata or adapter_config.json say, else the rank]
    #[arg(long, value_name = "X", requires = "lora")]
    pub lora_alpha: Option<f32>,
    /// Multiplies each LoRA that has no strength of its own
    #[arg(long, value_name = "X", default_value_t = 1.0, requires = "lora", allow_negative_numbers = true)]
    pub lora_strength: f32,
    /// Of Waypoint: which of a layer's two bias_in its conditions are made with
    #[arg(long, value_enum, default_value_t)]
    pub bias_in: BiasName,
    /// Of Waypoint: what the mouse's two numbers are multiplied with, in whatever unit a game has them
    #[arg(long, value_name = "X", default_value_t = 1.0, allow_negative_numbers = true)]
    pub mouse_scale: f32,
}

/// A reading of Waypoint's `bias_in` by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum BiasName {
    /// Each half of a layer with its own.
    #[default]
    Apart,
    /// That of the MLP for both, as the release's own runtime loads them.
    Mlp,
}

/// A LoRA file, and its strength where it has one of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraFile {
    path: PathBuf,
    strength: Option<f32>,
}

/// A path such as `style.safetensors=0.8`. A file of that very name is taken for what it is.
fn lora(text: &str) -> Result<LoraFile, String> {
    let whole = LoraFile { path: text.into(), strength: None };
    match text.rsplit_once('=') {
        Some((path, number)) if !path.is_empty() && !whole.path.exists() => match number.parse() {
            Ok(strength) if f32::is_finite(strength) => Ok(LoraFile { path: path.into(), strength: Some(strength) }),
            _ => Err(format!("`{number}` is no strength; expected a number, such as {path}=0.8")),
        },
        _ => Ok(whole),
    }
}

/// Opens a checkpoint; what was chosen in it, and what it is where it is not what it seems, is told on standard error.
///
/// # Errors
/// It is refused, or of a kind that cannot be converted.
pub fn open(path: &Path, key: Option<&str>) -> Result<Checkpoint, Error> {
    let checkpoint = Checkpoint::open(path).map_err(Error::import(path))?;
    let kind = checkpoint.known(key).map_err(Error::import(path))?;
    checkpoint.notes().iter().for_each(|note| eprintln!("{}: {note}", path.display()));
    if let Some(kind) = kind.filter(|kind| matches!(kind.answer, Answer::Warned(_))) {
        eprintln!("{}: warning: {kind}", path.display());
    }
    Ok(checkpoint)
}

/// Options of `convert`.
#[derive(Clone, Debug, clap::Args)]
pub struct ConvertArgs {
    /// Input, a checkpoint: .pt, .pth, .bin, .safetensors, .index.json, .gguf, or the folder of one
    #[arg(long = "in", value_name = "PATH", required_unless_present = "first")]
    input: Option<PathBuf>,
    /// Output, a model file
    #[arg(long = "out", value_name = "FILE.safetensors", required_unless_present = "second")]
    output: Option<PathBuf>,
    #[command(flatten)]
    ends: EndArgs,
    #[command(flatten)]
    source: SourceArgs,
    /// Type of the blocks' matrices
    #[arg(long, value_enum, default_value_t = Weights::F16)]
    to: Weights,
    /// Type of all other tensors: f16 or f32 [default: f32 with --to f32, else f16]
    #[arg(long, value_enum)]
    plain: Option<Weights>,
    /// Type of the tensors whose names contain TEXT; may be given several times, the last that fits counts
    #[arg(long, value_name = "TEXT=TYPE", value_parser = choice)]
    tensor: Vec<(String, DType)>,
    /// Name of the model [default: that of the input]
    #[arg(long)]
    name: Option<String>,
    /// Latent frames denoised together [default: 3]
    #[arg(long, value_name = "N")]
    chunk: Option<usize>,
    /// A step list of unwarped timesteps; may be given several times, the first is the default
    /// [default: 1000,750,500,250 and 1000,500 and 1000; of a game 1000,666,333, or as its file or folder is called]
    #[arg(long, value_name = "T,T,...", value_parser = steps)]
    steps: Vec<Steps>,
    /// Own unwarped timesteps of a stream's first chunk [default: of ForgeWM's 2 and 1 steps 1000,750,500,250]
    #[arg(long, value_name = "T,T,...", value_parser = steps)]
    first_steps: Option<Steps>,
    /// Timestep shift [default: 5]
    #[arg(long, value_name = "X")]
    shift: Option<f32>,
    /// Timestep at which the commit pass sees clean frames [default: 0]
    #[arg(long, value_name = "T")]
    context_noise: Option<f32>,
    /// Latent frames attention sees, sink and chunk included [default: 21; of a game what config.json says, else 6]
    #[arg(long, value_name = "N")]
    window: Option<usize>,
    /// First frames that stay in the window [default: 0, or what config.json says]
    #[arg(long, value_name = "N")]
    sink: Option<usize>,
    /// Number visible frames from 0 on, for streams longer than the training
    #[arg(long)]
    compact: bool,
    /// Size of a picture, multiples of 16 [default: 832x480; of a game 640x352]
    #[arg(long, value_name = "WxH", value_parser = latent_size)]
    size: Option<(usize, usize)>,
    /// Rows that a prompt is padded to, or that a game's picture has [default: 512; of a game 257]
    #[arg(long, value_name = "N")]
    text_len: Option<usize>,
    /// Names of the actions of a network with an action embedding [default: action1 and so on]
    #[arg(long, value_name = "NAME,NAME,...", value_delimiter = ',')]
    actions: Vec<String>,
    /// Names of the events of a network with an event embedding [default: event1 and so on]
    #[arg(long, value_name = "NAME,NAME,...", value_delimiter = ',')]
    events: Vec<String>,
    /// Of a text encoder: its tokenizer.json or spiece.model, or the folder of one, kept in the file
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    /// Licence of the weights, kept in the file
    #[arg(long, default_value = "", value_name = "TEXT")]
    license: String,
    /// Whom to credit, kept in the file
    #[arg(long, default_value = "", value_name = "TEXT")]
    credits: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A list of timesteps. A type of its own, because clap takes a plain list for several values.
#[derive(Clone, Debug, PartialEq)]
pub struct Steps(pub Vec<f32>);

/// Timesteps such as `1000,750,500,250`.
///
/// # Errors
/// A sentence that says what would be accepted.
pub fn steps(text: &str) -> Result<Steps, String> {
    let list: Result<Vec<f32>, _> = text.split(',').map(|step| step.trim().parse()).collect();
    let list = list.map_err(|_| "expected numbers with commas between them, such as 1000,500".to_owned())?;
    let falling = list.windows(2).all(|pair| pair[0] > pair[1]);
    if falling && list.iter().all(|&step| step > 0.0 && step <= 1000.0) {
        Ok(Steps(list))
    } else {
        Err("expected falling timesteps above 0 and at most 1000".to_owned())
    }
}

fn choice(text: &str) -> Result<(String, DType), String> {
    let types = [DType::F32, DType::F16, DType::Q8, DType::Q4];
    let parsed = text
        .rsplit_once('=')
        .and_then(|(part, name)| Some((part.to_owned(), types.into_iter().find(|dtype| dtype.name() == name)?)));
    parsed.ok_or_else(|| "expected a part of tensor names and f32, f16, q8 or q4, such as ffn.2=q8".to_owned())
}

/// Height and width of latents for a picture size.
pub fn latent_size(text: &str) -> Result<(usize, usize), String> {
    let side =
        |text: &str| text.parse().ok().filter(|side: &usize| (16..=8192).contains(side) && side.is_multiple_of(16));
    let sides = text.split_once('x').and_then(|(width, height)| Some((side(height)? / 8, side(width)? / 8)));
    sides.ok_or_else(|| "expected multiples of 16 such as 832x480".to_owned())
}

impl SourceArgs {
    /// Opens a checkpoint and its LoRA files; unknown tensors are told on standard error.
    ///
    /// # Errors
    /// Everything that can be wrong with them.
    pub fn open(&self, path: &Path) -> Result<Network, Error> {
        self.import(open(path, self.key.as_deref())?, path)
    }

    /// Finds the network in an opened checkpoint.
    fn import(&self, checkpoint: Checkpoint, path: &Path) -> Result<Network, Error> {
        let network = match WaypointImport::of(checkpoint, self.waypoint()).map_err(Error::import(path))? {
            Ok(_) if !self.lora.is_empty() || self.heads.is_some() || self.key.is_some() => {
                let what = "--lora, --heads and --key do not belong to a Waypoint network; config.yaml says its heads";
                return Err(Error::Usage(what.to_owned()));
            }
            Ok(import) => Network::Waypoint(Box::new(import)),
            Err(checkpoint) => Network::Wan(Box::new(self.wan(checkpoint, path)?)),
        };
        network.notes().iter().for_each(|note| eprintln!("{}: {note}", path.display()));
        let unknown = network.unknown();
        if !unknown.is_empty() {
            let shown = unknown[..unknown.len().min(12)].join(", ");
            let more = if unknown.len() > 12 { " and more" } else { "" };
            eprintln!("{}: {} tensors are not part of the network: {shown}{more}", path.display(), unknown.len());
        }
        Ok(network)
    }

    fn waypoint(&self) -> WaypointOptions {
        let bias = match self.bias_in {
            BiasName::Apart => BiasIn::Apart,
            BiasName::Mlp => BiasIn::Mlp,
        };
        WaypointOptions { bias, mouse_scale: self.mouse_scale }
    }

    fn wan(&self, checkpoint: Checkpoint, path: &Path) -> Result<Import, Error> {
        let options = ImportOptions { key: self.key.clone(), heads: self.heads.map(usize::from) };
        let mut import = Import::of(checkpoint, &options).map_err(Error::import(path))?;
        for LoraFile { path, strength } in &self.lora {
            let strength = strength.unwrap_or(self.lora_strength);
            let lora = LoraOptions { key: self.lora_key.clone(), alpha: self.lora_alpha, strength };
            let merged = import.add_lora(path, &lora).map_err(Error::import(path))?;
            eprintln!("{}: {merged}", path.display());
        }
        Ok(import)
    }
}

/// Writes an import to a file, which appears complete or not at all.
///
/// # Errors
/// What [`Network::write`] finds, and Ctrl-C.
pub fn write(
    import: &Network,
    config: &ModelConfig,
    (input, output): (&Path, &Path),
    stop: &Stop,
    choose: impl Fn(&str, &[usize]) -> DType,
) -> Result<(), Error> {
    let total = total(config, &choose);
    named((input, output), total, stop, |sink| import.write(sink, config, choose))
}

/// Bytes of all tensors of a file.
pub fn total(config: &impl causeway_runtime::model::Network, choose: impl Fn(&str, &[usize]) -> DType) -> usize {
    config.tensors().iter().map(|(name, shape)| stored(choose(name, shape), shape.iter().product())).sum()
}

/// Gives what `write` writes the name `output`, unless it fails or Ctrl-C is pressed.
///
/// # Errors
/// As [`write`].
pub fn named<'a>(
    (input, output): (&Path, &Path),
    total: usize,
    stop: &'a Stop,
    write: impl FnOnce(Stoppable<'a>) -> Result<Stoppable<'a>, ImportError>,
) -> Result<(), Error> {
    let written = write(Stoppable::create(output, total, stop)?);
    stop.check()?;
    let written = written.map_err(|error| match error {
        ImportError::File(causeway_runtime::FileError::Io { source, .. }) => Error::io("write", output)(source),
        error => Error::import(input)(error),
    })?;
    written.commit(output)
}

/// The type of a tensor when matrices of blocks are `matrices` and all else is `plain`.
pub fn usual(name: &str, shape: &[usize], matrices: DType, plain: DType) -> DType {
    if may_quantise(name, shape) { matrices } else { plain }
}

impl ConvertArgs {
    /// The type of a tensor: as named, or the usual one.
    fn dtype(&self, name: &str, shape: &[usize], matrices: DType, plain: DType) -> DType {
        let named = self.tensor.iter().rev().find(|(part, _)| name.contains(part.as_str()));
        named.map_or_else(|| usual(name, shape, matrices, plain), |(_, dtype)| *dtype)
    }

    /// What was chosen, and `usual` where nothing was.
    fn settings(&self, input: &Path, usual: Settings) -> Settings {
        let stem = input.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let steps: Vec<Vec<f32>> = self.steps.iter().map(|steps| steps.0.clone()).collect();
        Settings {
            name: self.name.clone().or(stem).unwrap_or(usual.name),
            chunk: self.chunk.unwrap_or(usual.chunk),
            // A first chunk's list belongs to the steps that it comes before.
            first_steps: match &self.first_steps {
                Some(Steps(first)) => first.clone(),
                None if steps.is_empty() => usual.first_steps,
                None => Vec::new(),
            },
            steps: if steps.is_empty() { usual.steps } else { steps },
            sampler: usual.sampler,
            shift: self.shift.unwrap_or(usual.shift),
            context_noise: self.context_noise.unwrap_or(usual.context_noise),
            window: self.window.unwrap_or(usual.window),
            sink: self.sink.unwrap_or(usual.sink),
            positions: if self.compact { Positions::Compact } else { Positions::Absolute },
            latent: self.size.unwrap_or(usual.latent),
            text_length: self.text_len.unwrap_or(usual.text_length),
            actions: self.actions.clone(),
            events: self.events.clone(),
            fps: usual.fps,
            license: self.license.clone(),
            credits: self.credits.clone(),
            command: format!("causeway convert --to {}", DType::from(self.to)),
        }
    }
}

/// Converts the checkpoint.
///
/// # Errors
/// The checkpoint is refused, the output cannot be written, or Ctrl-C; then there is no new output.
pub fn run(args: &ConvertArgs, stop: &Stop) -> Result<(), Error> {
    let matrices = DType::from(args.to);
    let plain = args.plain.map_or(if matrices == DType::F32 { DType::F32 } else { DType::F16 }, DType::from);
    if plain.is_quantised() {
        return Err(Error::Usage("--plain must be f16 or f32".to_owned()));
    }
    let [input, output] = &args.ends.both(args.input.as_ref(), args.output.as_ref())?;
    let ends = (input.as_path(), output.as_path());
    let key = args.source.key.as_deref();
    let checkpoint = open(input, key)?;
    // First, for CLIP's other tower is made of what text encoders are made of.
    let heads = args.source.heads.map(usize::from);
    let checkpoint = match ClipImport::of(checkpoint, key, heads).map_err(Error::import(input))? {
        Ok(import) => {
            not_of_network(args)?;
            not_of_encoder(args)?;
            return image_encoder(args, ends, &import, (matrices, plain), stop);
        }
        Err(checkpoint) => checkpoint,
    };
    let checkpoint = match Umt5Import::of(checkpoint, key).map_err(Error::import(input))? {
        Ok(import) => {
            not_of_network(args)?;
            return text_encoder(args, ends, &import, (matrices, plain), stop);
        }
        Err(checkpoint) => checkpoint,
    };
    let checkpoint = match DecoderImport::of(checkpoint, key).map_err(Error::import(input))? {
        Ok(import) => {
            not_of_network(args)?;
            not_of_encoder(args)?;
            return decoder(args, ends, &import, plain, stop);
        }
        Err(checkpoint) => checkpoint,
    };
    not_of_encoder(args)?;
    let import = args.source.import(checkpoint, input)?;
    if matches!(import, Network::Waypoint(_)) {
        not_of_network(args)?;
        if args.size.is_some() {
            let what = "--size: a Waypoint network makes pictures of one size, which its config.yaml says";
            return Err(Error::Usage(what.to_owned()));
        }
    }
    let config =
        import.config(&args.settings(ends.0, import.usual())).map_err(|error| Error::Usage(error.to_string()))?;
    write(&import, &config, ends, stop, |name, shape| args.dtype(name, shape, matrices, plain))?;
    // Before the result is opened, which would count too.
    let peak = allocation::peak_bytes();
    let model = Model::open(output).map_err(Error::file(output))?;
    report(args, output, &import, &model, peak)
}

/// Writes a text encoder.
fn text_encoder(
    args: &ConvertArgs,
    ends: (&Path, &Path),
    import: &Umt5Import,
    (matrices, plain): (DType, DType),
    stop: &Stop,
) -> Result<(), Error> {
    if !args.source.lora.is_empty() || args.source.heads.is_some() {
        return Err(Error::Usage("--lora and --heads do not belong to a text encoder".to_owned()));
    }
    let settings = args.settings(ends.0, Settings::default());
    let mut config = import.config(&settings.name, &args.license, &args.credits, &settings.command);
    let tokenizer = args.tokenizer.as_deref().map_or(Ok(Vec::new()), tokenizer)?;
    config.tokenizer = tokenizer.len();
    let choose = |name: &str, shape: &[usize]| args.dtype(name, shape, matrices, plain);
    let total = total(&config, choose) + tokenizer.len();
    named(ends, total, stop, |sink| import.write(sink, &config, &tokenizer, choose))?;
    let peak = allocation::peak_bytes();
    let file = Umt5File::open(ends.1).map_err(Error::file(ends.1))?;
    let values: usize = file.tensors().map(|(_, view)| view.len()).sum();
    let (c, unknown) = (&config.encoder, import.unknown());
    if args.json {
        return print_json(&json!({
            "encoder": c, "parameters": values, "file_bytes": file.file_bytes(), "unknown": unknown, "peak_bytes": peak,
        }));
    }
    let output = ends.1.display();
    let sizes =
        format!("dim {}, heads {}, layers {}, ffn {}, {} tokens", c.dim, c.heads, c.layers, c.ffn_dim, c.vocabulary);
    let (size, left) = (bytes(file.file_bytes()), unknown.len());
    let peak = peak.map_or(String::new(), |peak| format!("peak memory {}\n", bytes(peak)));
    print(&format!("{output}\ntext encoder: {sizes}, {values} parameters, {size}; {left} tensors left out\n{peak}"))
}

/// Writes an image encoder.
fn image_encoder(
    args: &ConvertArgs,
    ends: (&Path, &Path),
    import: &ClipImport,
    (matrices, plain): (DType, DType),
    stop: &Stop,
) -> Result<(), Error> {
    if !args.source.lora.is_empty() {
        return Err(Error::Usage("--lora does not belong to an image encoder".to_owned()));
    }
    let settings = args.settings(ends.0, Settings::default());
    let config = import.config(&settings.name, &args.license, &args.credits, &settings.command);
    let choose = |name: &str, shape: &[usize]| args.dtype(name, shape, matrices, plain);
    named(ends, total(&config, choose), stop, |sink| import.write(sink, &config, choose))?;
    let peak = allocation::peak_bytes();
    let file = ClipFile::open(ends.1).map_err(Error::file(ends.1))?;
    let values: usize = file.tensors().map(|(_, view)| view.len()).sum();
    let (c, unknown) = (&config.encoder, import.unknown());
    if args.json {
        return print_json(&json!({
            "encoder": c, "parameters": values, "file_bytes": file.file_bytes(), "unknown": unknown, "peak_bytes": peak,
        }));
    }
    let (output, rows, size, left) = (ends.1.display(), c.rows(), bytes(file.file_bytes()), unknown.len());
    let sizes = format!("dim {}, heads {}, layers {}, ffn {}, {rows} rows", c.dim, c.heads, c.layers, c.ffn_dim);
    let peak = peak.map_or(String::new(), |peak| format!("peak memory {}\n", bytes(peak)));
    print(&format!("{output}\nimage encoder: {sizes}, {values} parameters, {size}; {left} tensors left out\n{peak}"))
}

/// Refuses what only a network that is told actions and events has.
fn not_of_network(args: &ConvertArgs) -> Result<(), Error> {
    if args.actions.is_empty() && args.events.is_empty() {
        return Ok(());
    }
    let what = "--actions and --events belong to a network with embeddings of them, which this is not";
    Err(Error::Usage(what.to_owned()))
}

/// Refuses what only a text encoder has.
fn not_of_encoder(args: &ConvertArgs) -> Result<(), Error> {
    match args.tokenizer {
        Some(_) => Err(Error::Usage("--tokenizer belongs to a text encoder, which this is not".to_owned())),
        None => Ok(()),
    }
}

/// A tokenizer as it is kept in a file, checked.
#[cfg(feature = "text")]
fn tokenizer(path: &Path) -> Result<Vec<u8>, Error> {
    Ok(crate::files::tokenizer::Tokenizer::open(path)?.1)
}

#[cfg(not(feature = "text"))]
fn tokenizer(_: &Path) -> Result<Vec<u8>, Error> {
    Err(Error::Usage("this build reads no tokenizers; build it with the feature `text`".to_owned()))
}

/// Writes a decoder, all of whose tensors are plain.
fn decoder(
    args: &ConvertArgs,
    ends: (&Path, &Path),
    import: &DecoderImport,
    plain: DType,
    stop: &Stop,
) -> Result<(), Error> {
    let settings = args.settings(ends.0, Settings::default());
    let config = import.config(&settings.name, &args.license, &args.credits, &settings.command);
    let total = total(&config, |_, _| plain);
    named(ends, total, stop, |sink| import.write(sink, &config, plain))?;
    let peak = allocation::peak_bytes();
    let file = DecoderFile::open(ends.1).map_err(Error::file(ends.1))?;
    let values: usize = file.tensors().map(|(_, view)| view.len()).sum();
    let (network, unused) = (import.network(), import.unknown());
    if args.json {
        return print_json(&json!({
            "codec": network, "parameters": values, "file_bytes": file.file_bytes(), "unknown": unused, "peak_bytes": peak,
        }));
    }
    let (output, side, frames) = (ends.1.display(), network.space_factor(), network.time_factor());
    let of = format!("{} channels to {side} x {side} pixels and {frames} frames", network.channels());
    let size = bytes(file.file_bytes());
    let peak = peak.map_or(String::new(), |peak| format!("peak memory {}\n", bytes(peak)));
    print(&format!("{output}\ndecoder: {of}, {values} parameters, {size}; {} tensors left out\n{peak}", unused.len()))
}

fn report(
    args: &ConvertArgs,
    output: &Path,
    import: &Network,
    model: &Model<'_>,
    peak: Option<usize>,
) -> Result<(), Error> {
    let dit = &model.config().dit;
    let info = causeway_runtime::file::Info::of(model);
    if args.json {
        return print_json(&json!({
            "dim": dit.dim, "heads": dit.heads, "layers": dit.layers, "ffn_dim": dit.ffn_dim,
            "parameters": info.parameters, "file_bytes": info.file_bytes, "unknown": import.unknown(),
            "by_type": info.by_type, "peak_bytes": peak,
        }));
    }
    let mut table = Table::new(&["type", "tensors", "values", "size"]);
    for share in &info.by_type {
        table.row([share.name.clone(), share.tensors.to_string(), share.values.to_string(), bytes(share.bytes)]);
    }
    let sizes = format!(
        "dim {}, heads {}, layers {}, ffn {}, {} parameters\n",
        dit.dim, dit.heads, dit.layers, dit.ffn_dim, info.parameters
    );
    let peak = peak.map_or(String::new(), |peak| format!("peak memory {}\n", bytes(peak)));
    print(&format!("{}\n{sizes}{table}{peak}", output.display()))
}
