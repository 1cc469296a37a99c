//! `causeway rollout`: exact work on latents, from given noise to given tensors, without a decoder.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use crate::options::inputs::Inputs;
use causeway_ops::quant::DType;
use causeway_runtime::{
    Device, Exact, Model, SessionOptions, Start,
    file::{quantize, regular},
    session::Moment,
};

use crate::{
    command::{
        convert::{self, SourceArgs},
        quantize::Weights,
    },
    error::Error,
    files::temporary::Temporary,
    options::{
        session::{Backend, EndArgs, choice, threads},
        stream::StreamArgs,
        tier::KernelArgs,
    },
    tools::{output::print, stop::Stop, table::parse_bytes},
};

/// Options of `rollout`.
#[derive(Clone, Debug, clap::Args)]
pub struct RolloutArgs {
    /// Model file, or any checkpoint that `convert` reads
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Inputs: noise [F,C,H,W], renoise [steps-1,F,C,H,W], context [n,text_dim]; perhaps initial [n,C,H,W], negative, context2 and so on.
    /// Of a game: image_context [n,features], condition [n,channels,H,W], keyboard [1+4(F-1),keys], mouse [1+4(F-1),n].
    /// Of Waypoint: noise, controls [F,2+buttons+1]; perhaps initial, which is committed under no controls
    #[arg(long = "in", value_name = "FILE.safetensors", required_unless_present = "first")]
    input: Option<PathBuf>,
    /// Outputs: latents [F,C,H,W], first_flow [first chunk,C,H,W]
    #[arg(long = "out", value_name = "FILE.safetensors", required_unless_present = "second")]
    output: Option<PathBuf>,
    #[command(flatten)]
    ends: EndArgs,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    stream: StreamArgs,
    /// Type of the weights [default: the model file's; f32 for a checkpoint]
    #[arg(long, value_enum)]
    weights: Option<Weights>,
    /// Where to compute [default: cpu, or gpu with --adapter, --tier or --tuned]
    #[arg(long, value_enum)]
    backend: Option<Backend>,
    /// GPU whose name contains this text
    #[arg(long, value_name = "NAME")]
    adapter: Option<String>,
    #[command(flatten)]
    kernels: KernelArgs,
    /// Most memory to hold, such as 2GB
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    memory_cap: Option<usize>,
    /// CPU threads; 0 for all
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = threads)]
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
    let usual = if args.adapter.is_some() || args.kernels.name_a_gpu() { Backend::Gpu } else { Backend::Cpu };
    let choice = choice(args.backend.unwrap_or(usual), args.adapter.as_deref())?;
    let cpu = Device::cpu(args.threads);
    let device = args.kernels.open(&choice, if args.stream.strict { cpu.strict() } else { cpu })?;
    let [input, output] = args.ends.both(args.input.as_ref(), args.output.as_ref())?;
    let inputs = Inputs::read(&input)?;
    let opened = open(args, &output, stop)?;
    let model = &opened.model;
    let config = model.config();
    let [frames, channels, height, width] = inputs.shape;
    let len = channels * height * width;
    let given = inputs.initial.len() / len;
    let frames = given + frames;
    let prompts = &inputs.prompts;
    if channels != config.dit.latent.channels {
        let takes = config.dit.latent.channels;
        return Err(Error::Usage(format!("noise has {channels} channels, the model takes {takes}")));
    }
    let scale = config.codec.space_factor();
    let options = SessionOptions {
        memory_cap: args.memory_cap,
        size: Some((width * scale, height * scale)),
        start: if given > 0 { Start::Latents(inputs.initial) } else { Start::Empty },
        condition: inputs.condition,
        ..args.stream.options(config, &device, prompts, frames)?
    };
    let chunks = args.stream.chunks(config.dit.chunk, given, frames);
    args.stream.check_switches(&chunks)?;
    let rows = inputs.rows.check(config, given, frames - given)?;
    let mut exact = Exact::new(model, &device, options)?;
    let mut switches = args.stream.begin(exact.session(), prompts, chunks)?;
    let mut first_flow = Vec::new();
    let latents = exact.run(&inputs.noise, &inputs.renoise, |moment| {
        match moment {
            Moment::Flow(flow) if first_flow.is_empty() => first_flow.extend_from_slice(flow),
            Moment::Flow(_) => {}
            Moment::Chunk(session) => {
                switches.feed(session)?;
                rows.press(session)?;
            }
        }
        stop.check()
    })?;
    stop.check()?;
    let shape = |frames| vec![frames, channels, height, width];
    let first = first_flow.len() / len;
    crate::files::tensors::write(
        &output,
        &[("first_flow", shape(first), &first_flow), ("latents", shape(frames), &latents)],
    )?;
    print(&format!("{}: {frames} latent frames\n", output.display()))
}

/// Opens a model file as it is; anything else is converted to a temporary file beside the output first.
fn open(args: &RolloutArgs, output: &Path, stop: &Stop) -> Result<Opened, Error> {
    let (path, wanted) = (&args.model, args.weights.map(DType::from));
    let temporary = Temporary::beside(output)?;
    let file = temporary.as_ref();
    if is_model_file(path)? {
        let model = Model::open(path).map_err(Error::file(path))?;
        let Some(wanted) = wanted else { return Ok(Opened { model, _temporary: None }) };
        quantize(&model, wanted, file).map_err(Error::file(file))?;
    } else {
        let import = args.source.open(path)?;
        let config = import.config(&import.usual()).map_err(Error::import(path))?;
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
    let mut file = regular::open(path).map_err(Error::io("open", path))?;
    let mut length = [0; 8];
    if file.read_exact(&mut length).is_err() || u64::from_le_bytes(length) > MOST {
        return Ok(false);
    }
    let mut header = Vec::new();
    file.take(u64::from_le_bytes(length)).read_to_end(&mut header).map_err(Error::io("read", path))?;
    let header: Result<serde_json::Value, _> = serde_json::from_slice(&header);
    Ok(header.is_ok_and(|header| header["__metadata__"]["causeway"].is_string()))
}
