//! `causeway rollout`: exact work on latents, from given noise to given tensors, without a decoder.

mod tensors;

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use causeway_ops::quant::DType;
use causeway_runtime::{
    BackendChoice, Model, Rollout, RolloutOptions,
    config::{LatentConfig, Positions, ScheduleConfig},
    file::quantize,
    import::Settings,
    rollout::{Moment, Sampling, Sink, Switch},
    sampler::{Sampler, Schedule},
};
use tensors::Inputs;

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
    /// Inputs: noise [F,C,H,W], renoise [steps-1,F,C,H,W], context [n,text_dim]; perhaps initial [n,C,H,W], negative, context2 and so on
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
    /// Own unwarped timesteps of the first chunk
    #[arg(long, value_name = "T,T,...", value_parser = convert::steps)]
    first_steps: Option<Steps>,
    /// How latents are stepped; `few` is a distilled student's
    #[arg(long, value_enum, default_value_t)]
    sampler: SamplerName,
    /// Steps of Euler and UniPC
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    steps_count: u16,
    /// Guidance away from the tensor `negative`; 1 for none
    #[arg(long, default_value_t = 1.0, value_name = "G")]
    guidance: f32,
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
    /// Of these, oldest visible frames that are always kept
    #[arg(long, value_name = "N")]
    route_sink: Option<usize>,
    /// Newest frames that are always kept [default: 1]
    #[arg(long, value_name = "N")]
    route_recent: Option<usize>,
    /// Change to the next prompt (context2, ...) at the first chunk from this latent frame on, and what becomes of the ring: recache, keep
    /// or reset
    #[arg(long, value_name = "FRAME:HOW", value_parser = switch)]
    switch: Vec<At>,
    /// Chunks over which a prompt goes over into the next
    #[arg(long, default_value_t = 1, value_name = "N")]
    blend: usize,
    /// A recache makes the window's oldest frames the sink instead of protecting the old one
    #[arg(long)]
    refresh_sink: bool,
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

/// A sampler by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum SamplerName {
    /// Guess the clean latents, add fresh noise of the next level.
    #[default]
    Few,
    /// Straight along the flow.
    Euler,
    /// UniPC of order 2.
    Unipc,
}

/// When a prompt changes, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct At {
    frame: u64,
    how: Switch,
}

fn switch(text: &str) -> Result<At, String> {
    let at = text.split_once(':').and_then(|(frame, how)| {
        let how = match how {
            "recache" => Switch::Recache,
            "keep" => Switch::Keep,
            "reset" => Switch::Reset,
            _ => return None,
        };
        Some(At { frame: frame.parse().ok()?, how })
    });
    at.ok_or_else(|| "expected a frame and recache, keep or reset, such as 40:recache".to_owned())
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
    let len = channels * height * width;
    let frames = inputs.initial.len() / len + frames;
    let text_dim = config.dit.text.map_or(0, |text| text.dim);
    if inputs.text_dim != text_dim || channels != config.dit.latent.channels {
        return Err(Error::Usage(format!(
            "noise has {channels} channels and context rows of {}, the model takes {} and {text_dim}",
            inputs.text_dim, config.dit.latent.channels
        )));
    }
    let sampling = args.sampling(&config.schedule)?;
    let latent = LatentConfig { channels, height, width };
    let mut rollout = Rollout::new(model, latent, args.options(&inputs, frames)?)?;
    rollout.set_text(&inputs.texts[0])?;
    if sampling.guidance != 1.0 {
        let negative = inputs.negative.as_deref().ok_or_else(|| Error::Usage(NO_NEGATIVE.to_owned()))?;
        rollout.set_negative(negative)?;
    }
    rollout.start(&inputs.initial)?;
    let mut first_flow = Vec::new();
    let mut switches = args.switch.iter().zip(&inputs.texts[1..]).peekable();
    let latents = rollout.run_watched(&inputs.noise, &inputs.renoise, &sampling, |rollout, moment| {
        match moment {
            Moment::Flow(flow) if first_flow.is_empty() => first_flow.extend_from_slice(flow),
            Moment::Flow(_) => {}
            Moment::Chunk => {
                while let Some((at, text)) = switches.next_if(|(at, _)| at.frame <= rollout.position()) {
                    rollout.switch(text, at.how, args.blend)?;
                }
            }
        }
        stop.check()
    })?;
    stop.check()?;
    let latents = [inputs.initial, latents].concat();
    let shape = |frames| vec![frames, channels, height, width];
    let first = first_flow.len() / len;
    crate::tensors::write(
        &args.output,
        &[("first_flow", shape(first), &first_flow), ("latents", shape(frames), &latents)],
    )?;
    print(&format!("{}: {frames} latent frames\n", args.output.display()))
}

const NO_NEGATIVE: &str = "--guidance needs the tensor `negative` in the inputs";

impl RolloutArgs {
    fn options(&self, inputs: &Inputs, frames: usize) -> Result<RolloutOptions, Error> {
        let prompts = inputs.texts.len();
        if self.switch.len() + 1 != prompts {
            return Err(Error::Usage(format!(
                "there are {prompts} prompts (context, context2, ...), but --switch is given {} times",
                self.switch.len()
            )));
        }
        let recaches = self.switch.iter().any(|at| at.how == Switch::Recache);
        let rows = inputs.texts.iter().chain(&inputs.negative).map(|text| text.len() / inputs.text_dim.max(1));
        Ok(RolloutOptions {
            window: match self.window {
                Some(-1) => Some(frames),
                Some(window) => Some(window as usize),
                None => None,
            },
            sink: self.sink,
            chunk: self.chunk,
            first: self.first_chunk,
            route: self.route,
            route_sink: self.route_sink,
            route_recent: self.route_recent,
            kv: self.kv.into(),
            guided: self.guidance != 1.0,
            recache: recaches.then_some(if self.refresh_sink { Sink::Refresh } else { Sink::Protect }),
            positions: self.compact.then_some(Positions::Compact),
            context_noise: self.context_noise,
            text_length: self.text_len,
            text_rows: rows.max(),
            backend: match self.backend {
                Backend::Auto => BackendChoice::Auto,
                Backend::Cpu => BackendChoice::Cpu,
                Backend::Gpu => BackendChoice::Gpu(String::new()),
            },
            threads: self.threads,
            memory_cap: None,
        })
    }

    /// The sampler and its noise levels.
    fn sampling(&self, schedule: &ScheduleConfig) -> Result<Sampling, Error> {
        let shift = self.shift.unwrap_or(schedule.shift);
        if !(shift > 0.0 && shift <= 100.0) {
            return Err(Error::Usage(format!("--shift is {shift}, expected above 0 and at most 100")));
        }
        if !self.guidance.is_finite() {
            return Err(Error::Usage(format!("--guidance is {}, expected a number", self.guidance)));
        }
        let sampling = |sampler, schedule| Sampling { sampler, schedule, first: None, guidance: self.guidance };
        let count = usize::from(self.steps_count);
        Ok(match self.sampler {
            SamplerName::Few => {
                let own = self.first_steps.as_ref().map(|steps| warped(Some(steps), shift, schedule)).transpose()?;
                let steps = warped(self.steps.as_ref(), shift, schedule)?;
                Sampling { first: own, ..sampling(Sampler::Few, steps) }
            }
            SamplerName::Euler => sampling(Sampler::Euler, Schedule::euler(count, shift)),
            SamplerName::Unipc => sampling(Sampler::UniPc, Schedule::unipc(count, shift)),
        })
    }
}

/// Warped noise levels of the steps asked for, else of the model's.
fn warped(steps: Option<&Steps>, shift: f32, schedule: &ScheduleConfig) -> Result<Schedule, Error> {
    let mut schedule = ScheduleConfig { shift, ..schedule.clone() };
    if let Some(Steps(steps)) = steps {
        schedule.default_steps = steps.len();
        schedule.steps.insert(steps.len(), steps.clone());
    }
    let steps = schedule.default_steps;
    let sigmas =
        schedule.sigmas(steps).ok_or_else(|| Error::Usage(format!("the model has no list of {steps} steps")))?;
    Ok(Schedule::of(&sigmas))
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
