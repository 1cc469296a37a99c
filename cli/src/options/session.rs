//! The options that most commands share: which model, and how a session of it runs.

use std::path::{Path, PathBuf};

use causeway_runtime::{
    Device, DeviceChoice, EventTime, Model, ModelConfig, Session, SessionError, SessionOptions, Start,
    session::{Change, Condition},
};

use crate::{
    error::Error,
    files::picture,
    options::{kv::Kv, opened::Opened, tier::KernelArgs},
    tools::{stop::Stop, table::parse_bytes},
};

/// What the demo world is called in messages.
pub const DEMO: &str = "the demo world";

/// Where to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Backend {
    /// A hardware GPU if there is one, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU, software adapters included.
    Gpu,
}

/// Which model file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ModelArgs {
    /// Model file [default: the demo world, which is in the program]
    #[arg(long, value_name = "FILE", env = "CAUSEWAY_MODEL")]
    pub model: Option<PathBuf>,
}

/// Which model file, with or without the name of the option.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct FileArgs {
    /// Model file, as --model
    #[arg(value_name = "FILE", conflicts_with = "model")]
    file: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
}

impl FileArgs {
    /// The file; None is the demo world.
    pub fn path(&self) -> Option<&Path> {
        self.file.as_deref().or(self.model.model.as_deref())
    }

    /// As [`ModelArgs::open`].
    ///
    /// # Errors
    /// As [`ModelArgs::open`].
    pub fn open(&self) -> Result<Model<'static>, Error> {
        ModelArgs { model: self.path().map(Path::to_owned) }.open()
    }
}

/// Input and output, with or without the names of their options.
#[derive(Clone, Debug, clap::Args)]
pub struct EndArgs {
    /// The same as --in
    #[arg(value_name = "INPUT", conflicts_with = "input")]
    first: Option<PathBuf>,
    /// The same as --out
    #[arg(value_name = "OUTPUT", conflicts_with = "output")]
    second: Option<PathBuf>,
}

impl EndArgs {
    /// Both files; `input` and `output` are what the options say, which must be given where these are not.
    ///
    /// # Errors
    /// One is missing.
    pub fn both(&self, input: Option<&PathBuf>, output: Option<&PathBuf>) -> Result<[PathBuf; 2], Error> {
        match (self.first.as_ref().or(input), self.second.as_ref().or(output)) {
            (Some(input), Some(output)) => Ok([input.clone(), output.clone()]),
            _ => Err(Error::Usage("--in and --out are both needed".to_owned())),
        }
    }
}

/// How a session runs.
#[derive(Clone, Debug, clap::Args)]
pub struct SessionArgs {
    /// Noise seed
    #[arg(long, default_value_t = 0, value_name = "N", allow_negative_numbers = true, value_parser = seed)]
    pub seed: u64,
    /// Where to compute
    #[arg(long, value_enum, default_value_t = Backend::Auto)]
    pub backend: Backend,
    /// GPU whose name contains this text
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
    #[command(flatten)]
    pub kernels: KernelArgs,
    /// Denoise steps a chunk [default: the model's]
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// History frames a query attends to; 0 for all [default: the model's]
    #[arg(long, value_name = "N")]
    pub route: Option<usize>,
    /// Whether the route may change while it plays.
    #[arg(skip)]
    pub changes: bool,
    /// Most rows of prompts that are typed while it plays, which take a slot of their own behind the stored ones.
    #[arg(skip)]
    pub typed: Option<usize>,
    /// Type of the ring of keys and values
    #[arg(long, value_enum, default_value_t)]
    pub kv: Kv,
    /// Latent frames that attention sees, sink and chunk included [default: the model's]
    #[arg(long, value_name = "N")]
    pub window: Option<usize>,
    /// First frames that stay in the window [default: the model's]
    #[arg(long, value_name = "N")]
    pub sink: Option<usize>,
    /// Most memory the session may hold, such as 64MB
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub memory_cap: Option<usize>,
    /// CPU threads; 0 for all
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = threads)]
    pub threads: usize,
    /// Picture to begin from, PNG, JPEG or WebP, cut and scaled to the model's size
    #[arg(long, value_name = "FILE")]
    pub start_image: Option<PathBuf>,
    /// Event in force at the start, by name or number from 1
    #[arg(long, value_name = "EVENT")]
    pub event: Option<String>,
}

/// A seed.
///
/// # Errors
/// A sentence that says what would be accepted.
pub fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("expected a whole number from 0 to {}", u64::MAX))
}

/// A number of threads.
///
/// # Errors
/// A sentence that says what would be accepted.
pub fn threads(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n <= 1024).ok_or_else(|| "expected a number from 0 to 1024".to_owned())
}

impl ModelArgs {
    /// Opens the model, or the bundle that has one.
    ///
    /// # Errors
    /// Everything that can be wrong with the file.
    pub fn opened(&self) -> Result<Opened, Error> {
        match &self.model {
            Some(path) => Opened::open(path),
            None => self.open().map(|model| Opened::Alone(Box::new(model))),
        }
    }

    /// Opens the model.
    ///
    /// # Errors
    /// Everything that can be wrong with the file.
    pub fn open(&self) -> Result<Model<'static>, Error> {
        match &self.model {
            Some(path) => Model::open(path).map_err(Error::file(path)),
            None => Model::from_bytes(causeway_demo::keep()).map_err(Error::file(Path::new(DEMO))),
        }
    }
}

impl SessionArgs {
    /// Options for a session of a model with this configuration, on a device.
    ///
    /// # Errors
    /// An event that the model lacks, a picture that cannot be read, options that exclude each other.
    pub fn options(&self, config: &ModelConfig, device: &Device) -> Result<SessionOptions, Error> {
        let start = match &self.start_image {
            Some(path) => {
                let say = &mut |note| eprintln!("{}: {note}", path.display());
                Start::Image(picture::load(path, config.picture(), say)?)
            }
            None => Start::Stored,
        };
        Ok(SessionOptions {
            seed: self.seed,
            window: self.window,
            sink: self.sink,
            route: self.route,
            most_route: self.most_route(config),
            kv: self.kv.on(device),
            steps: self.steps,
            memory_cap: self.memory_cap,
            start,
            event: self.event.as_deref().map(|event| find_event(event, &config.dit.events)).transpose()?,
            // No frame is made before the one ahead of it has been shown: more would only add latency.
            queue: config.dit.chunk,
            ..SessionOptions::default()
        })
    }

    /// All of the history, where routes may change and there is one.
    fn most_route(&self, config: &ModelConfig) -> usize {
        let routed = self.route.unwrap_or(config.history.route) > 0;
        let window = self.window.unwrap_or(config.history.window);
        if self.changes && routed { window.saturating_sub(config.dit.chunk) } else { 0 }
    }

    /// A session of `model`, whose work on the CPU `stop` ends at once.
    ///
    /// # Errors
    /// As [`Self::options`] and [`Session::new`].
    pub fn session(&self, model: &Model<'_>, stop: &Stop) -> Result<Session, Error> {
        let device = self.device(stop)?;
        let options = self.options(model.config(), &device)?;
        let event = options.event;
        let mut session = Session::new(model, &device, options)?;
        // Stored first frames bring their own event; what was asked for follows them.
        if let Some(event) = event {
            session.queue_event(event, EventTime::NextChunk)?;
        }
        Ok(session)
    }
}

#[cfg(test)]
impl SessionArgs {
    /// Those of a command line.
    pub fn parsed(line: &str) -> Self {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            session: SessionArgs,
        }
        <Line as clap::Parser>::parse_from(format!("play {line}").split_whitespace()).session
    }
}

impl SessionArgs {
    /// The device that sessions run on.
    ///
    /// # Errors
    /// It cannot be had.
    pub fn device(&self, stop: &Stop) -> Result<Device, Error> {
        let choice = choice(self.backend, self.adapter.as_deref())?;
        self.kernels.open(&choice, Device::on_cpu(stop.parallel(self.threads)))
    }

    /// As [`Self::session`], of what was opened: with the codec of a bundle, its prompts in slots of their numbers, and one of them in force.
    ///
    /// # Errors
    /// As [`Self::session`]; prompts that cannot be read or do not fit the model.
    pub fn play(&self, opened: &Opened, stop: &Stop) -> Result<Session, Error> {
        let (model, scenes) = (opened.model(), opened.scenes());
        let Opened::Bundle(bundle) = opened else {
            // One without a codec of its own makes no pictures, and says so.
            return self.session(model, stop);
        };
        let failed = |error| Error::Failed(format!("the bundle's prompts: {error}"));
        // Prompts are named as events are.
        let asked = self.event.as_deref().filter(|_| scenes.slots > 0);
        let first = asked.map_or(Ok(0), |name| find_event(name, &scenes.names))?;
        let args = SessionArgs { event: self.event.clone().filter(|_| scenes.slots == 0), ..self.clone() };
        let device = self.device(stop)?;
        let mut options = args.options(model.config(), &device)?;
        if scenes.slots > 0 || self.typed.is_some() {
            options.prompt_slots = Some(scenes.slots + usize::from(self.typed.is_some()));
            options.prompt_rows = bundle.prompts().map(|(_, [rows, _])| rows).chain(self.typed).max();
            // A game's one prompt is never changed.
            options.recache = model.config().dit.game().is_none();
        }
        options.begin_from(bundle).map_err(failed)?;
        let mut session = match opened.codec() {
            Some(codec) => Session::with_codec(model, codec, &device, options)?,
            None => Session::new(model, &device, options)?,
        };
        if scenes.slots > 0 {
            for slot in 0..scenes.slots {
                session.set_prompt(slot, &bundle.prompt(slot).map_err(failed)?.unwrap_or_default())?;
            }
            session.queue(Change::to(Condition::Prompt(first)))?;
        }
        Ok(session)
    }
}

/// What `--backend` and `--adapter` mean together.
///
/// # Errors
/// They exclude each other.
pub fn choice(backend: Backend, adapter: Option<&str>) -> Result<DeviceChoice, Error> {
    Ok(match (backend, adapter) {
        (Backend::Cpu, Some(_)) => {
            return Err(Error::Usage("--adapter names a GPU, but --backend is cpu".to_owned()));
        }
        (Backend::Cpu, None) => DeviceChoice::Cpu,
        (Backend::Auto, None) => DeviceChoice::Auto,
        (Backend::Gpu, None) => DeviceChoice::Gpu(String::new()),
        (_, Some(name)) => DeviceChoice::Gpu(name.to_owned()),
    })
}

/// The index of an event given by name or by number from 1, as on the keyboard.
fn find_event(text: &str, names: &[String]) -> Result<usize, Error> {
    let number = text.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    let index = names.iter().position(|name| name == text).or(number);
    index.filter(|&index| index < names.len()).ok_or_else(|| {
        let known: Vec<_> = names.iter().enumerate().map(|(i, name)| format!("{} {name}", i + 1)).collect();
        Error::Usage(format!("there is no event `{text}`; this model has: {}", known.join(", ")))
    })
}

/// An action vector such as `1,0,0,0.5`, or the names of actions that are on, such as `W,SPACE`.
///
/// # Errors
/// Neither, or not as many as the model has actions.
pub fn parse_action(text: &str, actions: &[String]) -> Result<Vec<f32>, Error> {
    let on: Option<Vec<usize>> =
        text.split(',').map(|part| actions.iter().position(|action| action == part.trim())).collect();
    if let Some(on) = on {
        let mut values = vec![0.0; actions.len()];
        on.into_iter().for_each(|at| values[at] = 1.0);
        return Ok(values);
    }
    let values: Result<Vec<f32>, _> = text.split(',').map(|value| value.trim().parse::<f32>()).collect();
    let values = values.map_err(|_| {
        Error::Usage(format!(
            "--action is `{text}`; expected numbers, or names, with commas between them, for: {}",
            actions.join(", ")
        ))
    })?;
    if values.len() != actions.len() {
        return Err(SessionError::ActionLength { expected: actions.len(), found: values.len() }.into());
    }
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        return Err(SessionError::ActionValue(at).into());
    }
    Ok(values)
}
