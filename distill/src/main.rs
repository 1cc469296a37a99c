//! The trainer's command line.

mod allocator;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use causeway_distill::footage::film;
use causeway_distill::footage::recording::Recording;
use causeway_distill::footage::world;
use causeway_distill::judge::health;
use causeway_distill::judge::score;
use causeway_distill::judge::score::dreamer::{Memory, Player};
use causeway_distill::net::precision::Precision;
use causeway_distill::reproduce;
use causeway_distill::run::folder::Folder;
use causeway_distill::run::pipeline::Pipeline;
use causeway_distill::run::preset::Sizes;
use causeway_distill::run::recipe::{BUILT_IN, Data, Recipe};
use causeway_distill::run::{bench, export};
use causeway_distill::train::landed::Landed;
use causeway_distill::train::state;
use causeway_distill::train::trainer::Span;
use causeway_runtime::Model;
use causeway_runtime::config::ModelConfig;
use causeway_runtime::file::restate;
use causeway_runtime::sampler::{Sampler, Sampling, Schedule};
use clap::{Parser, Subcommand, ValueEnum};

static STOP: AtomicBool = AtomicBool::new(false);

/// Trains and distils small neural worlds.
#[derive(Parser)]
#[command(name = "causeway-distill", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Record the built-in world.
    Record {
        /// Which place.
        #[arg(long, default_value = "keep")]
        place: String,
        /// Columns and rows of the pictures.
        #[arg(long, default_value = "64x64", value_parser = size)]
        size: world::Size,
        /// Folder to write shards to.
        #[arg(long, required_unless_present = "sheet")]
        out: Option<PathBuf>,
        /// Contact sheet to write: the view from each cell in each direction, in two lights.
        #[arg(long)]
        sheet: Option<PathBuf>,
        /// Share of the bot's plans that are errands: to something drawn for the episode, away from it, and back
        #[arg(long, default_value_t = 0.0)]
        away: f32,
        /// Seed of the walk.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Frames to record.
        #[arg(long, default_value_t = 40_000)]
        frames: usize,
        /// Frames a shard.
        #[arg(long, default_value_t = 1000)]
        shard: usize,
    },
    /// Write a recording as video clips, with captions and a table of actions, for trainers elsewhere.
    Film {
        /// The recording: a folder of shards.
        #[arg(long)]
        data: PathBuf,
        /// Folder to write to.
        #[arg(long)]
        to: PathBuf,
        /// Frames of a clip.
        #[arg(long, default_value_t = 81, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        frames: u32,
    },
    /// Train what a recipe says; Ctrl-C saves and stops, the same command goes on.
    Train(TrainArgs),
    /// Score a finished model file as a world, as the runtime plays it, and print a table.
    Eval(EvalArgs),
    /// Measure how sound streams of a finished model file are, on footage, and write the limits into the file: beyond them its worlds alarm.
    Health {
        /// The model file.
        #[arg(long)]
        model: PathBuf,
        /// A recording, as the model was trained on. By default the built-in world's, rendered anew.
        #[arg(long)]
        data: Option<PathBuf>,
        /// File to write; the model file itself by default.
        #[arg(long)]
        to: Option<PathBuf>,
    },
    /// Compare roll-outs of a run's denoiser with the truth, frame by frame, and print a table.
    Compare {
        /// The run folder.
        #[command(flatten)]
        place: Place,
        /// Episodes to roll out side by side.
        #[arg(long, default_value_t = 20)]
        worlds: usize,
        /// Frames to generate for each.
        #[arg(long, default_value_t = 64)]
        frames: usize,
    },
    /// Measure a claim of the papers on small worlds with an exact truth, and write its table and plot.
    Reproduce {
        /// The paper.
        #[arg(value_enum)]
        name: Claim,
        /// Folder for the networks; a run that was stopped goes on there.
        #[arg(long, default_value = "runs/reproduce")]
        runs: PathBuf,
        /// Folder for the page and its pictures.
        #[arg(long, default_value = "docs/results")]
        out: PathBuf,
        /// How often everything is trained anew: 12 times for `resampling`, 8 times for the others, if not said.
        #[arg(long)]
        seeds: Option<u64>,
        /// Seeds trained at once.
        #[arg(long, default_value_t = 2)]
        threads: usize,
        /// Factor on the steps of every training.
        #[arg(long, default_value_t = 1.0)]
        effort: f64,
        /// Where to train.
        #[arg(long, value_enum, default_value = "flex")]
        device: Where,
    },
    /// Time steps of training a denoiser on random latents, f32 kernels and the fastest of this CPU in turns, and print a table.
    Bench(BenchArgs),
    /// Write all that another machine needs to go on with a run to one small file, in f16; `train --from FILE` goes on.
    Land {
        /// The run folder.
        #[arg(long)]
        out: PathBuf,
        /// File to write.
        #[arg(long)]
        to: PathBuf,
    },
    /// Write the model file of a run.
    Export {
        /// The run folder.
        #[command(flatten)]
        place: Place,
        /// File to write.
        #[arg(long)]
        to: PathBuf,
        /// Also write inputs and outputs of the trainer's own forward passes, for parity tests.
        #[arg(long)]
        golden: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Claim {
    /// Causal Forcing: which teacher a causal student wants.
    Causal,
    /// Resampling Forcing: long roll-outs.
    Resampling,
    /// What holds a place: resampling, whole turns, hard blocks.
    Place,
    /// Routing: a few frames of a long history.
    Routing,
    /// Delta Forcing: streams whose event changes.
    Delta,
    /// Delta Forcing where judge and stream agree until the event changes.
    Bias,
}

impl Claim {
    /// Seeds that the tests of its page were planned for.
    fn seeds(self) -> u64 {
        match self {
            Self::Resampling => 12,
            _ => 8,
        }
    }
}

/// A run to look at.
#[derive(clap::Args)]
struct Place {
    /// The run folder.
    #[arg(long)]
    out: PathBuf,
    /// Folder with the recordings `train` and `held`; the run's own by default.
    #[arg(long)]
    data: Option<PathBuf>,
    /// The stage whose denoiser it is; the newest by default.
    #[arg(long)]
    stage: Option<String>,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "flex")]
    device: Where,
}

#[derive(clap::Args)]
struct EvalArgs {
    /// The model file.
    #[arg(long)]
    model: PathBuf,
    /// Footage it has not seen: a recording, or a folder with one called `held`. By default the built-in world's, rendered anew.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Which place of the built-in world, without `--data`.
    #[arg(long, default_value = "keep")]
    place: String,
    /// A short score for use while a model is trained: 8 starts, 1 seed, walks of 256 frames.
    #[arg(long)]
    quick: bool,
    /// Starts, windows a key, questions a kind of fact; 32 by default.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    starts: Option<u16>,
    /// Noise seeds; 3 by default.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    seeds: Option<u16>,
    /// Frames of a walk; 600 by default.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    frames: Option<u16>,
    /// Denoising steps of a frame; the model file's by default.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    steps: Option<u16>,
    /// How latents are stepped; `few` takes the step counts that the model file lists, the others any.
    #[arg(long, value_enum, default_value = "few")]
    sampler: SamplerName,
    /// History frames that each query sees, 0 for all; the model file's by default.
    #[arg(long)]
    route: Option<usize>,
    /// Frames that attention sees, the one in the making included; the model file's by default.
    #[arg(long)]
    window: Option<usize>,
    /// Only these rows of the table, such as 1,3,6; 9 and 10, about changes of light, are measured only if named.
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u8).range(1..=10))]
    rows: Vec<u8>,
    /// Folder to write `score.md`, `score.json` and pictures to.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Starts measured at once; by default as many as there are cores.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

/// A sampler by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum SamplerName {
    /// Fresh noise between steps.
    Few,
    /// Euler steps of the flow.
    Euler,
    /// UniPC of order 2.
    Unipc,
}

#[derive(clap::Args)]
struct BenchArgs {
    /// Width of the denoiser.
    #[arg(long, default_value_t = 192)]
    dim: usize,
    /// Its attention heads.
    #[arg(long, default_value_t = 6)]
    heads: usize,
    /// Its blocks.
    #[arg(long, default_value_t = 5)]
    layers: usize,
    /// Width inside its feed-forward layers.
    #[arg(long, default_value_t = 576)]
    ffn_dim: usize,
    /// Width and height of the pictures.
    #[arg(long, num_args = 2, default_values_t = [64, 64])]
    picture: Vec<usize>,
    /// Frames of a window.
    #[arg(long, default_value_t = 16)]
    frames: usize,
    /// Frames that attention sees; all of a window by default.
    #[arg(long)]
    window: Option<usize>,
    /// Noisy copies of a window behind its clean one.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    copies: u16,
    /// Windows a step.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    /// Data-parallel workers.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
    /// Turns of each kind of kernels.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Steps of a turn.
    #[arg(long, default_value_t = 4)]
    steps: usize,
    /// Time only the fastest kernels, for a profile.
    #[arg(long)]
    alone: bool,
}

#[derive(clap::Args)]
struct TrainArgs {
    /// The recipe; see docs/training.md.
    recipe: Option<PathBuf>,
    /// A recipe that comes with the trainer: `cpu`, which made the demo world, or `gpu`.
    #[arg(long, conflicts_with = "recipe", default_value = "cpu", value_parser = BUILT_IN.map(|(name, _)| name))]
    preset: String,
    /// Folder with the recordings `train` and `held`, in place of the recipe's footage.
    #[arg(long)]
    data: Option<PathBuf>,
    /// The run folder, in place of the recipe's.
    #[arg(long)]
    out: Option<PathBuf>,
    /// The one stage to train; all of them by default.
    #[arg(long)]
    stage: Option<String>,
    /// Minutes for each stage of the recipe, or one figure for all, in place of the recipe's budgets.
    #[arg(long, value_delimiter = ',')]
    minutes: Vec<f64>,
    /// A finished run of the same model to start from: its codec and its newest denoiser, not random weights. Or a file that `land` wrote:
    /// then the run in it goes on.
    #[arg(long)]
    from: Option<PathBuf>,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "flex")]
    device: Where,
    /// What a GPU multiplies in; all else is f32. The CPU has `--exact`.
    #[arg(long, value_enum, default_value = "f32")]
    dtype: Precision,
    /// Multiply in single precision on the CPU too, as the results pages do; without, in bf16 where the CPU has it.
    #[arg(long)]
    exact: bool,
    /// Data-parallel workers, in place of the recipe's.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Where {
    /// The CPU.
    Flex,
    /// Any GPU with a graphics driver.
    #[cfg(feature = "wgpu")]
    Wgpu,
    /// An NVIDIA GPU.
    #[cfg(feature = "cuda")]
    Cuda,
}

impl Where {
    fn device(self) -> Device {
        match self {
            Self::Flex => Device::flex(),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Device::wgpu(burn::tensor::DeviceKind::DefaultDevice),
            #[cfg(feature = "cuda")]
            Self::Cuda => Device::cuda(0),
        }
    }

    fn is_cpu(self) -> bool {
        matches!(self, Self::Flex)
    }
}

fn main() -> ExitCode {
    allocator::keep_memory();
    take_file_limits_as_errors();
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("causeway-distill: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Box<dyn std::error::Error>> {
    match command {
        Command::Record { place, size, out, sheet, away, seed, frames, shard } => {
            let scene = world::Scene::named(&place, size)?;
            if let Some(path) = sheet {
                scene.contact_sheet(&path)?;
            }
            Ok(out.map_or(Ok(()), |out| scene.record(&out, world::Habits { away }, seed, frames, shard, &STOP))?)
        }
        Command::Film { data, to, frames } => {
            let clips = film::write(&Recording::open(&data)?, frames as usize, &to)?;
            eprintln!("{clips} clips in {}", to.display());
            Ok(())
        }
        Command::Train(args) => {
            catch_signals()?;
            let device = args.device.device();
            let pipeline = Pipeline::open(&args.recipe()?, &device, args.device.is_cpu(), &STOP)?;
            let mut pipeline = pipeline.in_precision(args.dtype)?;
            let stopped = pipeline.run(args.stage.as_deref())?;
            let out = pipeline.folder().dir().display();
            match (stopped, &args.stage) {
                (Some(stage), _) => eprintln!("stopped in stage {stage}; the same command goes on"),
                (None, Some(stage)) => eprintln!("stage {stage} is trained"),
                (None, None) => {
                    eprintln!("trained; next: causeway-distill export --out {out} --to NAME.safetensors");
                }
            }
            Ok(())
        }
        Command::Eval(args) => args.run(),
        Command::Health { model, data, to } => measure_health(&model, data.as_deref(), to.as_deref()),
        Command::Compare { place, worlds, frames } => {
            let device = place.device.device();
            let mut pipeline = Pipeline::open(&place.recipe()?, &device, place.device.is_cpu(), &STOP)?;
            println!("{}", pipeline.evaluate(place.stage.as_deref(), worlds, frames)?);
            Ok(())
        }
        Command::Reproduce { name, runs, out, seeds, threads, effort, device } => {
            catch_signals()?;
            let (device, cpu) = (device.device(), device.is_cpu());
            let seeds = seeds.unwrap_or(name.seeds());
            let plan = reproduce::Plan { runs: &runs, seeds, threads, effort, stop: &STOP, device, cpu };
            let report = match name {
                Claim::Causal => reproduce::causal::reproduce(&plan)?,
                Claim::Resampling => reproduce::resampling::reproduce(&plan)?,
                Claim::Place => reproduce::place::reproduce(&plan)?,
                Claim::Routing => reproduce::routing::reproduce(&plan)?,
                Claim::Delta => reproduce::delta::reproduce(&plan)?,
                Claim::Bias => reproduce::bias::reproduce(&plan)?,
            };
            report.write(&out)?;
            print!("{}", report.page());
            Ok(())
        }
        Command::Bench(args) => {
            let shape = args.shape();
            print!("{}", bench::table(&bench::train(&shape)?));
            let [library, own, fast, exact, trained] = bench::codec(&shape)?;
            println!(
                "\nFrames encoded in a second: tensor library {library:.0}, own passes {own:.0}, fastest kernels {fast:.0}."
            );
            println!(
                "Frames the codec trains on in a second, one thread: f32 {exact:.0}, fastest kernels {trained:.0}."
            );
            Ok(())
        }
        Command::Land { out, to } => {
            let bytes = Landed::write(&Folder::open(&out)?, &to)?;
            println!("{} has {:.1} MB; to go on: causeway-distill train --from {0}", to.display(), bytes as f64 / 1e6);
            Ok(())
        }
        Command::Export { place, to, golden } => {
            let device = place.device.device();
            let mut pipeline = Pipeline::open(&place.recipe()?, &device, place.device.is_cpu(), &STOP)?;
            export::export(&mut pipeline, &device, place.stage.as_deref(), &to, golden.as_deref())?;
            let (bytes, to) = (std::fs::metadata(&to)?.len(), to.display());
            println!("{to}: {:.1} MB", bytes as f64 / 1e6);
            eprintln!(
                "to play it: causeway play --model {to}; a quarter of the size: causeway quantize {to} NEW.safetensors --to q8"
            );
            Ok(())
        }
    }
}

/// Frames of the built-in world that health is measured on.
const HEALTHY: usize = 4000;

fn measure_health(path: &Path, data: Option<&Path>, to: Option<&Path>) -> Result<(), Box<dyn std::error::Error>> {
    let model = Model::open(path)?;
    let (width, height) = model.config().picture();
    let recording = match data {
        Some(folder) => Recording::open(folder)?,
        None => world::Scene::named("keep", world::Size { width, height })?.recording(1, HEALTHY, 1000),
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let seen = health::Seen::of(&model, &recording, threads)?;
    let limits = seen.limits();
    let config = ModelConfig { health: limits, ..model.config().clone() };
    restate(&model, &config, to.unwrap_or(path))?;
    println!("of {} frames: {}", seen.all.len(), serde_json::to_string(&limits)?);
    Ok(())
}

/// A file that would exceed the system's limit (`ulimit -f`) becomes an error of writing, after which nothing half written is left;
/// the signal would end the program before it could clean up.
fn take_file_limits_as_errors() {
    // SAFETY: to ignore a signal touches nothing of this program.
    #[cfg(unix)]
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}

/// The first Ctrl-C asks for the end, which comes after a step and a checkpoint; the second one does not wait for it.
fn catch_signals() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            causeway_runtime::file::abandon();
            std::process::exit(130);
        }
    })
}

/// Reads WIDTHxHEIGHT.
fn size(text: &str) -> Result<world::Size, String> {
    let (width, height) = text.split_once('x').ok_or("expected WIDTHxHEIGHT, such as 64x64")?;
    let side =
        |text: &str| text.parse().ok().filter(|side| (16..=1024).contains(side)).ok_or("sides have 16 to 1024 pixels");
    Ok(world::Size { width: side(width)?, height: side(height)? })
}

/// Seed and frames of the footage that `eval` has of the built-in world without `--data`; `record` makes the same.
const HELD: (u64, usize) = (1001, 4000);

impl EvalArgs {
    /// How the model of `config` makes a frame in `steps` steps.
    fn sampling(&self, config: &ModelConfig, steps: usize) -> Result<Sampling, String> {
        let by = |sampler, schedule| Sampling { sampler, schedule, first: None, guidance: 1.0 };
        Ok(match self.sampler {
            SamplerName::Few => {
                let known = || config.schedule.steps.keys().map(usize::to_string).collect::<Vec<_>>().join(", ");
                let sigmas = config.schedule.sigmas(steps);
                Sampling::few(
                    &sigmas.ok_or_else(|| format!("--steps is {steps}; the model has lists for {}", known()))?,
                )
            }
            SamplerName::Euler => by(Sampler::Euler, Schedule::euler(steps, config.schedule.shift)),
            SamplerName::Unipc => by(Sampler::UniPc, Schedule::unipc(steps, config.schedule.shift)),
        })
    }

    fn run(&self) -> Result<(), Box<dyn std::error::Error>> {
        let model = Model::open(&self.model)?;
        let config = model.config();
        let (width, height) = config.picture();
        let held = match &self.data {
            Some(folder) => {
                let inner = folder.join("held");
                Recording::open(if inner.is_dir() { &inner } else { folder })?
            }
            None => {
                let scene = world::Scene::named(&self.place, world::Size { width, height })?;
                // Before it is rendered at length.
                score::fits(config, &scene.recording(HELD.0, 1, 1))
                    .map_err(|e| format!("{e}; for a model of another world give its footage as --data"))?;
                scene.recording(HELD.0, HELD.1, 1000)
            }
        };
        score::fits(config, &held)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = self.threads.map_or(cores, usize::from);
        let mut options = if self.quick { score::Options::quick(threads) } else { score::Options::full(threads) };
        options.starts = self.starts.map_or(options.starts, usize::from);
        options.seeds = self.seeds.map_or(options.seeds, u64::from);
        options.frames = self.frames.map_or(options.frames, usize::from);
        options.memory = Memory { window: self.window, route: self.route };
        options.rows.clone_from(&self.rows);
        let steps = self.steps.map_or(config.schedule.default_steps, usize::from);
        let player = Player::new(&model, self.model.clone(), Some(self.sampling(config, steps)?))?;
        let trial = score::Trial::new(&player, &held, world::Scene::of(&held.info), options);
        let (mut report, pictures) = trial.report()?;
        let sampler = format!("{:?}", self.sampler).to_lowercase();
        let about = [
            ("model", config.name.clone()),
            ("steps", steps.to_string()),
            ("sampler", sampler),
            ("footage", held.info.source.clone()),
        ];
        report.about.extend(about);
        let table = report.table();
        if let Some(out) = &self.out {
            std::fs::create_dir_all(out)?;
            pictures.write(out, world::Size { width, height })?;
            state::write_whole(&out.join("score.json"), serde_json::to_string_pretty(&report)?.as_bytes())?;
            state::write_whole(&out.join("score.md"), table.as_bytes())?;
        }
        print!("{table}");
        Ok(())
    }
}

impl Place {
    fn recipe(&self) -> Result<Recipe, Box<dyn std::error::Error>> {
        let mut recipe = Folder::recipe(&self.out)?;
        if let Some(folder) = &self.data {
            recipe.data = Data::Folder(folder.clone());
        }
        Ok(recipe)
    }
}

impl BenchArgs {
    fn shape(&self) -> bench::Shape {
        let sizes = Sizes {
            dim: Some(self.dim),
            heads: Some(self.heads),
            layers: Some(self.layers),
            ffn_dim: Some(self.ffn_dim),
            window: Some(self.window.unwrap_or(self.frames)),
            ..Sizes::default()
        };
        bench::Shape {
            sizes,
            picture: [self.picture[0], self.picture[1]],
            frames: self.frames,
            copies: self.copies.into(),
            batch: self.batch.into(),
            threads: self.threads.into(),
            rounds: self.rounds,
            steps: self.steps,
            alone: self.alone,
        }
    }
}

impl TrainArgs {
    /// The recipe with what the command line says otherwise.
    fn recipe(&self) -> Result<Recipe, Box<dyn std::error::Error>> {
        let mut recipe = match &self.recipe {
            Some(path) => Recipe::read(path)?,
            None => {
                let text = BUILT_IN.iter().find(|(name, _)| *name == self.preset).map_or("", |(_, text)| text);
                Recipe::parse(text, Path::new(&self.preset))?
            }
        };
        if let Some(folder) = &self.data {
            recipe.data = Data::Folder(folder.clone());
        }
        recipe.out = self.out.clone().unwrap_or(recipe.out);
        recipe.from = self.from.clone().or(recipe.from);
        recipe.exact |= self.exact;
        if ![0, 1, recipe.stages.len()].contains(&self.minutes.len()) {
            return Err(format!(
                "--minutes has {} figures, the recipe {} stages",
                self.minutes.len(),
                recipe.stages.len()
            )
            .into());
        }
        for (i, stage) in recipe.stages.iter_mut().enumerate() {
            if let Some(&minutes) = self.minutes.get(i).or(self.minutes.first()) {
                stage.budget = Span::Minutes(minutes);
            }
            stage.threads = self.threads.map_or(stage.threads, usize::from);
        }
        Ok(recipe)
    }
}
