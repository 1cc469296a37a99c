//! `causeway rollout`: exact work on latents, from given noise to given tensors, without a decoder.

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
};

use causeway_ops::quant::DType;
use causeway_runtime::{
    BackendChoice, Model, Rollout, RolloutOptions,
    config::{LatentConfig, Positions, ScheduleConfig},
    file::{PartialFile, quantize},
    import::{Checkpoint, Settings},
};

use crate::{
    convert::{self, SourceArgs, Steps},
    error::Error,
    kv::Kv,
    output::print,
    quantize::Weights,
    stop::Stop,
    temporary::Temporary,
    world::Backend,
};

/// Options of `rollout`.
#[derive(Clone, Debug, clap::Args)]
pub struct RolloutArgs {
    /// Model file, or any checkpoint that `convert` reads
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Inputs: noise [F,C,H,W], renoise [steps-1,F,C,H,W], context [n,text_dim]
    #[arg(long = "in", value_name = "FILE.safetensors")]
    input: PathBuf,
    /// Outputs: latents [F,C,H,W], first_flow [first chunk,C,H,W]
    #[arg(long = "out", value_name = "FILE.safetensors")]
    output: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    /// Unwarped timesteps [default: the model's]
    #[arg(long, value_name = "T,T,...", value_parser = convert::steps)]
    steps: Option<Steps>,
    /// Timestep shift [default: the model's]
    #[arg(long, value_name = "X")]
    shift: Option<f32>,
    /// Timestep at which the commit pass sees clean frames [default: the model's]
    #[arg(long, value_name = "T")]
    context_noise: Option<f32>,
    /// Latent frames denoised together [default: the model's]
    #[arg(long, value_name = "N")]
    chunk: Option<usize>,
    /// Frames of the first chunk [default: as of all others]
    #[arg(long, value_name = "N")]
    first_chunk: Option<usize>,
    /// Latent frames attention sees, sink and chunk included; -1 for all [default: the model's]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(-1..=4096))]
    window: Option<i64>,
    /// First frames that stay in the window [default: the model's]
    #[arg(long, value_name = "N")]
    sink: Option<usize>,
    /// History frames a query attends to; 0 for all [default: the model's]
    #[arg(long, value_name = "K")]
    route: Option<usize>,
    /// Number visible frames from 0 on
    #[arg(long)]
    compact: bool,
    /// Rows that the context is padded to [default: the model's]
    #[arg(long, value_name = "N")]
    text_len: Option<usize>,
    /// Type of the ring of keys and values
    #[arg(long, value_enum, default_value_t)]
    kv: Kv,
    /// Type of the weights [default: the model file's; f32 for a checkpoint]
    #[arg(long, value_enum)]
    weights: Option<Weights>,
    /// Where to compute
    #[arg(long, value_enum, default_value_t = Backend::Cpu)]
    backend: Backend,
    /// CPU threads; 0 for all
    #[arg(long, default_value_t = 0, value_name = "N")]
    threads: usize,
}

/// A model and, where it had to be converted, its temporary file.
struct Opened {
    model: Model<'static>,
    _temporary: Option<Temporary>,
}

/// Rolls out the video.
///
/// # Errors
/// Inputs, model or options that do not fit each other, a backend that fails, Ctrl-C.
pub fn run(args: &RolloutArgs, stop: &Stop) -> Result<(), Error> {
    let inputs = Inputs::read(&args.input)?;
    let opened = open(args, stop)?;
    let model = &opened.model;
    let config = model.config();
    let [frames, channels, height, width] = inputs.shape;
    let text_dim = config.dit.text.map_or(0, |text| text.dim);
    if inputs.text_dim != text_dim || channels != config.dit.latent.channels {
        return Err(Error::Usage(format!(
            "noise has {channels} channels and context rows of {}, the model takes {} and {text_dim}",
            inputs.text_dim, config.dit.latent.channels
        )));
    }
    let sigmas = sigmas(args, &config.schedule)?;
    let window = match args.window {
        Some(-1) => Some(frames),
        Some(window) => Some(window as usize),
        None => None,
    };
    let options = RolloutOptions {
        window,
        sink: args.sink,
        chunk: args.chunk,
        first: args.first_chunk,
        route: args.route,
        kv: args.kv.into(),
        positions: args.compact.then_some(Positions::Compact),
        context_noise: args.context_noise,
        text_length: args.text_len,
        text_rows: Some(inputs.text.len() / text_dim.max(1)),
        backend: match args.backend {
            Backend::Auto => BackendChoice::Auto,
            Backend::Cpu => BackendChoice::Cpu,
            Backend::Gpu => BackendChoice::Gpu(String::new()),
        },
        threads: args.threads,
        memory_cap: None,
    };
    let latent = LatentConfig { channels, height, width };
    let mut rollout = Rollout::new(model, latent, options)?;
    rollout.set_text(&inputs.text)?;
    let mut first_flow = Vec::new();
    let latents = rollout.run_watched(&inputs.noise, &inputs.renoise, &sigmas, |flow| {
        if first_flow.is_empty() {
            first_flow.extend_from_slice(flow);
        }
        stop.check()
    })?;
    stop.check()?;
    let shape = |frames| vec![frames, channels, height, width];
    let flow_frames = first_flow.len() / (channels * height * width);
    write(&args.output, &[("first_flow", shape(flow_frames), &first_flow), ("latents", shape(frames), &latents)])?;
    print(&format!("{}: {frames} latent frames\n", args.output.display()))
}

/// Warped noise levels of the steps asked for.
fn sigmas(args: &RolloutArgs, schedule: &ScheduleConfig) -> Result<Vec<f32>, Error> {
    let mut schedule = schedule.clone();
    if let Some(Steps(steps)) = &args.steps {
        schedule.default_steps = steps.len();
        schedule.steps.insert(steps.len(), steps.clone());
    }
    schedule.shift = args.shift.unwrap_or(schedule.shift);
    if !(schedule.shift > 0.0 && schedule.shift <= 100.0) {
        return Err(Error::Usage(format!("--shift is {}, expected above 0 and at most 100", schedule.shift)));
    }
    let steps = schedule.default_steps;
    schedule.sigmas(steps).ok_or_else(|| Error::Usage(format!("the model has no list of {steps} steps")))
}

/// Opens a model file as it is; anything else is converted to a temporary file beside the output first.
fn open(args: &RolloutArgs, stop: &Stop) -> Result<Opened, Error> {
    let (path, wanted) = (&args.model, args.weights.map(DType::from));
    let temporary = Temporary(PathBuf::from(format!("{}.{}.weights", args.output.display(), std::process::id())));
    let file = temporary.as_ref();
    if is_model_file(path)? {
        let model = Model::open(path).map_err(Error::file(path))?;
        let Some(wanted) = wanted else { return Ok(Opened { model, _temporary: None }) };
        quantize(&model, wanted, file).map_err(Error::file(file))?;
    } else {
        let import = args.source.open(path)?;
        let config = import.config(&Settings::default()).map_err(Error::import(path))?;
        let matrices = wanted.unwrap_or(DType::F32);
        let plain = if matrices == DType::F32 { DType::F32 } else { DType::F16 };
        convert::write(&import, &config, (path, file), stop, |name, shape| {
            convert::usual(name, shape, matrices, plain)
        })?;
    }
    let model = Model::open(file).map_err(Error::file(file))?;
    Ok(Opened { model, _temporary: Some(temporary) })
}

/// Whether a file is a safetensors file that carries our configuration.
fn is_model_file(path: &Path) -> Result<bool, Error> {
    const MOST: u64 = 16 << 20;
    if path.is_dir() {
        return Ok(false);
    }
    let mut file = std::fs::File::open(path).map_err(Error::io("open", path))?;
    let mut length = [0; 8];
    if file.read_exact(&mut length).is_err() || u64::from_le_bytes(length) > MOST {
        return Ok(false);
    }
    let mut header = Vec::new();
    file.take(u64::from_le_bytes(length)).read_to_end(&mut header).map_err(Error::io("read", path))?;
    let header: Result<serde_json::Value, _> = serde_json::from_slice(&header);
    Ok(header.is_ok_and(|header| header["__metadata__"]["causeway"].is_string()))
}

/// The tensors of `--in`.
struct Inputs {
    /// F, C, H, W.
    shape: [usize; 4],
    noise: Vec<f32>,
    renoise: Vec<f32>,
    text: Vec<f32>,
    text_dim: usize,
}

impl Inputs {
    fn read(path: &Path) -> Result<Self, Error> {
        let file = Checkpoint::open(path).map_err(Error::import(path))?;
        let tensor = |name: &str| match file.entries().iter().find(|entry| entry.name == name) {
            Some(entry) => Ok(Some((entry.shape.clone(), file.read_all(entry).map_err(Error::import(path))?))),
            None => Ok::<_, Error>(None),
        };
        let wrong = |what: &str, found: &[usize]| {
            Error::Usage(format!("{}: {what}, but the tensor is {found:?}", path.display()))
        };
        let missing = |name| Error::Usage(format!("{}: there is no tensor `{name}`", path.display()));
        let (shape, noise) = tensor("noise")?.ok_or_else(|| missing("noise"))?;
        let Ok([f, c, h, w]) = <[usize; 4]>::try_from(shape.as_slice()) else {
            return Err(wrong("noise must be [F, C, H, W]", &shape));
        };
        if noise.is_empty() {
            return Err(wrong("noise must not be empty", &shape));
        }
        let (context, text) = tensor("context")?.ok_or_else(|| missing("context"))?;
        let &[_, text_dim] = context.as_slice() else {
            return Err(wrong("context must be [n, text_dim]", &context));
        };
        let renoise = match tensor("renoise")? {
            Some((shape, values)) if shape.len() == 5 && shape[1..] == [f, c, h, w] => values,
            Some((shape, _)) => return Err(wrong("renoise must be [steps - 1, F, C, H, W]", &shape)),
            None => Vec::new(),
        };
        Ok(Self { shape: [f, c, h, w], noise, renoise, text, text_dim })
    }
}

/// Writes tensors as a safetensors file of f32.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, tensors: &[(&str, Vec<usize>, &[f32])]) -> Result<(), Error> {
    let (mut header, mut at) = (serde_json::Map::new(), 0);
    for (name, shape, values) in tensors {
        let end = at + 4 * values.len();
        header
            .insert((*name).to_owned(), serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [at, end]}));
        at = end;
    }
    let mut header = serde_json::Value::from(header).to_string();
    header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
    let mut file = PartialFile::create(path).map_err(Error::file(path))?;
    let mut put = |bytes: &[u8]| file.write_all(bytes).map_err(Error::io("write", path));
    put(&(header.len() as u64).to_le_bytes())?;
    put(header.as_bytes())?;
    for (_, _, values) in tensors {
        put(bytemuck::cast_slice(values))?;
    }
    file.commit().map_err(Error::file(path))
}
