//! The trainer's command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use causeway_distill::pipeline::{Options, Pipeline, Step};
use causeway_distill::preset::Preset;
use causeway_distill::recording::Recording;
use causeway_distill::sheet::Sheet;
use causeway_distill::{export, latents, quality, world};
use causeway_runtime::Model;
use clap::{Parser, Subcommand, ValueEnum};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    /// Record the built-in world of rooms.
    Record {
        /// Folder to write shards to.
        #[arg(long)]
        out: PathBuf,
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
    /// Train one stage or all of them; Ctrl-C saves and stops, the same command goes on.
    Train(TrainArgs),
    /// Measure a finished model file on held-out episodes, as the runtime plays it, and print a table.
    Eval {
        /// The model file.
        #[arg(long)]
        model: PathBuf,
        /// Folder with the recording `held`, made by `record`.
        #[arg(long)]
        data: PathBuf,
        /// Contact sheet to write: a real row above each generated one.
        #[arg(long)]
        sheet: Option<PathBuf>,
    },
    /// Compare roll-outs of a run's newest stage with the truth, frame by frame, and print a table.
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

#[derive(clap::Args)]
struct Place {
    /// Size of the model.
    #[arg(long, value_enum, default_value = "cpu")]
    preset: Preset,
    /// Folder with the recordings `train` and `held`.
    #[arg(long)]
    data: PathBuf,
    /// The run folder.
    #[arg(long)]
    out: PathBuf,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "flex")]
    device: Where,
    /// Data-parallel workers.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

#[derive(clap::Args)]
struct TrainArgs {
    #[command(flatten)]
    place: Place,
    /// The stage to train; all of them by default.
    #[arg(long, value_enum)]
    stage: Option<Step>,
    /// Minutes for each stage (codec, teacher, resampling, consistency, dmd, polish), or one figure for the chosen stage.
    #[arg(long, value_delimiter = ',', default_value = "15,30,25,5,25,6")]
    minutes: Vec<f64>,
    /// Seconds between looks at the averaged weights.
    #[arg(long, default_value_t = 120.0)]
    inspect: f64,
    /// Frames of a training window.
    #[arg(long, default_value_t = 12)]
    frames: usize,
    /// History frames every query is routed to, for a last part of `resampling` that learns to do with few; 0 for all.
    #[arg(long, default_value_t = 0)]
    route: usize,
    /// A finished run of the same model to start from: its codec and its newest denoiser, not random weights.
    #[arg(long)]
    from: Option<PathBuf>,
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
}

fn main() -> ExitCode {
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
        Command::Record { out, seed, frames, shard } => Ok(world::record(&out, seed, frames, shard)?),
        Command::Train(args) => {
            ctrlc::set_handler(|| STOP.store(true, Ordering::Relaxed))?;
            let device = args.place.device.device();
            let options =
                Options { from: args.from, route: args.route, ..args.place.options(args.inspect, args.frames) };
            let mut pipeline = Pipeline::open(&options, &device, &STOP)?;
            for (i, step) in Step::ALL.into_iter().enumerate() {
                if args.stage.is_some_and(|wanted| wanted != step) {
                    continue;
                }
                let minutes = args.minutes.get(i).or(args.minutes.last()).copied().unwrap_or(10.0);
                let minutes = if args.minutes.len() == 1 { args.minutes[0] } else { minutes };
                if !pipeline.train(step, minutes)? {
                    eprintln!("stopped in stage {}; the same command goes on", step.name());
                    break;
                }
            }
            Ok(())
        }
        Command::Eval { model, data, sheet } => eval(&model, &data, sheet.as_deref()),
        Command::Compare { place, worlds, frames } => {
            let device = place.device.device();
            let options = place.options(1e9, 12);
            println!("{}", Pipeline::open(&options, &device, &STOP)?.evaluate(worlds, frames)?);
            Ok(())
        }
        Command::Export { place, to, golden } => {
            let device = place.device.device();
            let options = place.options(1e9, 12);
            let mut pipeline = Pipeline::open(&options, &device, &STOP)?;
            Ok(export::export(&mut pipeline, &device, &to, golden.as_deref())?)
        }
    }
}

fn eval(model: &Path, data: &Path, to: Option<&Path>) -> Result<(), Box<dyn std::error::Error>> {
    let (model, held) = (Model::open(model)?, Recording::open(&data.join("held"))?);
    let latents = latents::of_model(&model, &held, &Device::flex());
    let (rows, pairs) = quality::Trial { model: &model, held: &held, latents: &latents }.report()?;
    print!("{}", quality::table(&rows));
    if let Some(path) = to {
        let mut sheet = Sheet::new(held.info.width, held.info.height);
        for row in pairs.iter().step_by(2).flatten() {
            let last = row.len() - quality::START;
            sheet.row((0..12).map(|i| row[quality::START - 1 + i * last / 11].clone()).collect());
        }
        sheet.write(path, 1)?;
    }
    Ok(())
}

impl Place {
    fn options(&self, inspect_every: f64, frames: usize) -> Options {
        Options {
            data: self.data.clone(),
            dir: self.out.clone(),
            preset: self.preset,
            threads: self.threads,
            inspect_every,
            frames,
            route: 0,
            cpu: matches!(self.device, Where::Flex),
            from: None,
        }
    }
}
