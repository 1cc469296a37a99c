//! `bench waypoint`: the published shapes of Waypoint 1.5 with random weights, as one would run them.

use std::time::Instant;

use causeway_ops::quant::DType;
use causeway_runtime::{
    Device, DeviceChoice, Exact, Model, SessionError, SessionOptions, import::waypoint, model::StreamPlan,
};
use serde_json::json;

use super::{
    rates,
    wan::{finish, machine, operators_json, share_table, shares},
};
use crate::{
    command::{
        doctor,
        plan::{memory_json, memory_table},
        quantize::Weights,
    },
    error::Error,
    files::temporary::Temporary,
    options::{kv::Kv, session::Backend},
    tools::{
        allocation,
        output::print,
        stop::Stop,
        synthetic::{self, Random},
    },
};

/// Options of `bench waypoint`.
#[derive(Clone, Debug, clap::Args)]
pub struct WaypointArgs {
    /// Which of the two published networks: pictures of 512x256, or of 1024x512
    #[arg(long, value_enum, default_value_t)]
    resolution: Resolution,
    /// Type of the blocks' matrices
    #[arg(long, value_enum, default_value_t = Weights::Q8)]
    weights: Weights,
    /// Latent frames to make, of four pictures each
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    frames: u16,
    /// Type of the ring of keys and values
    #[arg(long, value_enum, default_value_t)]
    kv: Kv,
    /// Where to compute
    #[arg(long, value_enum, default_value_t = Backend::Auto)]
    backend: Backend,
    /// CPU threads; 0 for all
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u16).range(..=1024))]
    threads: u16,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A published network, as its owner calls it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Resolution {
    #[default]
    #[value(name = "360p")]
    Small,
    #[value(name = "720p")]
    Large,
}

/// Runs the benchmark.
///
/// # Errors
/// No room for the file or the plan, a backend that fails, Ctrl-C.
pub fn run(args: &WaypointArgs, stop: &Stop) -> Result<(), Error> {
    let dtype = DType::from(args.weights);
    let config = waypoint(args.resolution == Resolution::Small);
    let gpu = match args.backend {
        Backend::Gpu => true,
        Backend::Cpu => false,
        Backend::Auto => !doctor::auto_choice().starts_with("CPU"),
    };
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if args.threads == 0 { all } else { usize::from(args.threads) };
    let rates = rates::measure(gpu, threads, dtype, config.dit.tokens_per_frame())?;
    let file = Temporary::beside(&std::env::temp_dir().join("causeway-waypoint.safetensors"))?;
    let path = file.as_ref();
    eprintln!("writing random weights to {}", path.display());
    synthetic::write(path, &config, dtype, stop)?;
    let model = Model::open(path).map_err(Error::file(path))?;
    let choice = if gpu { DeviceChoice::Gpu(String::new()) } else { DeviceChoice::Cpu };
    let device = Device::open(&choice, Device::cpu(threads)).map_err(SessionError::from)?;
    let ring = args.kv.on(&device);
    let options = SessionOptions { kv: ring, ..SessionOptions::default() };
    let mut exact = Exact::new(&model, &device, options)?;
    // A page that was never written takes no memory yet; the stream will write all of them.
    exact.session().backend().clear()?;

    let steps = config.schedule.default_steps;
    let plan = exact.session().plan();
    let passes = ["denoise", "commit"].map(|name| StreamPlan::pass(plan, name));
    let shares = shares(plan, passes, steps, dtype, rates);
    let memory = exact.session().memory();
    let machine = machine(gpu, threads);
    if !args.json {
        let ((width, height), tokens) = (config.picture(), config.dit.tokens_per_frame());
        print(&format!(
            "waypoint, pictures {width}x{height}, {tokens} tokens a frame, {dtype} weights (random), {ring} ring; {machine}\n\n{}\n{}",
            memory_table(memory),
            share_table(&shares, rates)
        ))?;
    }
    let floor: f64 = shares.values().map(|share| share.floor).sum();
    let mut random = Random(5);
    let mut seconds = Vec::new();
    for _ in 0..args.frames {
        stop.check()?;
        let noise: Vec<f32> = (0..config.dit.latent_len()).map(|_| random.unit()).collect();
        let start = Instant::now();
        let latents = exact.run(&noise, &[], |_| stop.check())?;
        let took = start.elapsed().as_secs_f64();
        seconds.push(took);
        if !latents.iter().all(|x| x.is_finite()) {
            return Err(Error::Failed("the latents are not finite".to_owned()));
        }
        if !args.json {
            let (n, rate) = (seconds.len(), config.codec.time_factor() as f64 / took);
            print(&format!(
                "latent frame {n}: {took:.2} s, {rate:.2} pictures a second, {:.2} of the floor\n",
                took / floor
            ))?;
        }
    }
    let resident = allocation::resident_bytes();
    finish(args.json, memory, resident, || {
        json!({
            "machine": machine, "steps": steps, "memory": memory_json(memory), "file_bytes": model.file_bytes(),
            "resident_bytes": resident, "operators": operators_json(&shares), "gemm_flops_per_second": rates.gemm,
            "copy_bytes_per_second": rates.copy, "frame_seconds": seconds,
        })
    })
}
