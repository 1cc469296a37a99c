//! `bench wan-1.3b`: the published 1.3B shapes with random weights, as one would run them.

use std::{collections::BTreeMap, time::Instant};

use causeway_ops::{Plan, backend::Memory, plan::Cost, plan::PassId, quant::DType};
use causeway_runtime::{
    Device, DeviceChoice, Exact, Model, SessionError, SessionOptions,
    import::{Settings, wan_1_3b},
    model::StreamPlan,
    session::{Change, Condition},
};
use serde_json::json;

use super::rates::{self, Rates};
use crate::{
    command::{
        convert::{self, Steps},
        doctor,
        plan::{memory_json, memory_table},
        quantize::Weights,
    },
    error::Error,
    files::temporary::Temporary,
    options::{kv::Kv, session::Backend},
    tools::{
        allocation,
        output::{print, print_json},
        stop::Stop,
        synthetic::{self, Random},
        table::{Table, bytes},
    },
};

/// Options of `bench wan-1.3b`.
#[derive(Clone, Debug, clap::Args)]
pub struct WanArgs {
    /// Size of a picture, multiples of 16
    #[arg(long, default_value = "832x480", value_name = "WxH", value_parser = convert::latent_size)]
    resolution: (usize, usize),
    /// Type of the blocks' matrices
    #[arg(long, value_enum, default_value_t = Weights::Q8)]
    weights: Weights,
    /// Chunks to run
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    chunks: u16,
    /// Latent frames denoised together
    #[arg(long, default_value_t = 3, value_name = "N")]
    chunk: usize,
    /// Unwarped timesteps [default: 1000,750,500,250]
    #[arg(long, value_name = "T,T,...", value_parser = convert::steps)]
    steps: Option<Steps>,
    /// Latent frames attention sees, sink and chunk included
    #[arg(long, default_value_t = 21, value_name = "N")]
    window: usize,
    /// First frames that stay in the window
    #[arg(long, default_value_t = 0, value_name = "N")]
    sink: usize,
    /// History frames a query attends to; 0 for all
    #[arg(long, default_value_t = 0, value_name = "K")]
    route: usize,
    /// Type of the ring of keys and values
    #[arg(long, value_enum, default_value_t)]
    kv: Kv,
    /// Rows of text, none of them padding
    #[arg(long, default_value_t = 512, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    text: u16,
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

/// Work of one kind in a chunk.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Share {
    nodes: usize,
    cost: Cost,
    /// Seconds at the measured rates.
    pub(super) floor: f64,
}

/// Runs the benchmark.
///
/// # Errors
/// Options that do not fit each other, no room for the file or the plan, a backend that fails, Ctrl-C.
pub fn run(args: &WanArgs, stop: &Stop) -> Result<(), Error> {
    let dtype = DType::from(args.weights);
    let mut settings = Settings { name: "wan-1.3b".to_owned(), latent: args.resolution, ..Settings::default() };
    settings.chunk = args.chunk;
    settings.window = args.window.max(args.chunk.saturating_add(1));
    settings.sink = args.sink;
    if let Some(Steps(steps)) = &args.steps {
        settings.steps = vec![steps.clone()];
    }
    let config = wan_1_3b(&settings);
    config.validate()?;
    let gpu = match args.backend {
        Backend::Gpu => true,
        Backend::Cpu => false,
        Backend::Auto => !doctor::auto_choice().starts_with("CPU"),
    };
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if args.threads == 0 { all } else { usize::from(args.threads) };
    let rows = args.chunk * config.dit.tokens_per_frame();
    let rates = rates::measure(gpu, threads, dtype, rows)?;

    let file = Temporary::beside(&std::env::temp_dir().join("causeway-wan-1.3b.safetensors"))?;
    let path = file.as_ref();
    eprintln!("writing random weights to {}", path.display());
    synthetic::write(path, &config, dtype, stop)?;
    let model = Model::open(path).map_err(Error::file(path))?;
    let choice = if gpu { DeviceChoice::Gpu(String::new()) } else { DeviceChoice::Cpu };
    let device = Device::open(&choice, Device::cpu(threads)).map_err(SessionError::from)?;
    let kv = args.kv.on(&device);
    let options = SessionOptions {
        window: Some(args.window),
        sink: Some(args.sink),
        route: Some(args.route),
        kv,
        prompt_rows: Some(usize::from(args.text)),
        ..SessionOptions::default()
    };
    let mut exact = Exact::new(&model, &device, options)?;
    // A page that was never written takes no memory yet; the stream will write all of them.
    exact.session().backend().clear()?;
    let mut random = Random(5);
    let mut noise = |len: usize| (0..len).map(|_| random.unit()).collect::<Vec<f32>>();
    let text = noise(usize::from(args.text) * config.dit.text.map_or(0, |text| text.dim));
    exact.session().set_prompt(0, &text)?;
    exact.session().queue(Change::to(Condition::Prompt(0)))?;

    let steps = config.schedule.default_steps;
    let plan = exact.session().plan();
    let passes = ["denoise", "commit"].map(|name| StreamPlan::pass(plan, name));
    let shares = shares(plan, passes, steps, dtype, rates);
    let memory = exact.session().memory();
    let machine = machine(gpu, threads);
    let heading = format!(
        "wan-1.3b, latents {}x{}, {} tokens a frame, {dtype} weights (random), {} ring; {machine}\n\n",
        config.dit.latent.width,
        config.dit.latent.height,
        config.dit.tokens_per_frame(),
        kv
    );
    if !args.json {
        print(&(heading + &memory_table(memory) + "\n" + &share_table(&shares, rates)))?;
    }

    let len = args.chunk * config.dit.latent_len();
    let mut seconds = Vec::new();
    for _ in 0..args.chunks {
        stop.check()?;
        let (noise, renoise) = (noise(len), noise((steps - 1) * len));
        let start = Instant::now();
        let latents = exact.run(&noise, &renoise, |_| stop.check())?;
        seconds.push(start.elapsed().as_secs_f64());
        if !latents.iter().all(|x| x.is_finite()) {
            return Err(Error::Failed("the latents are not finite".to_owned()));
        }
        if !args.json {
            let (n, last) = (seconds.len(), seconds[seconds.len() - 1]);
            let floor: f64 = shares.values().map(|share| share.floor).sum();
            print(&format!(
                "chunk {n}: {last:.1} s for {} latent frames, {:.2} of the floor\n",
                args.chunk,
                last / floor
            ))?;
        }
    }
    let resident = allocation::resident_bytes();
    finish(args.json, memory, resident, || {
        json!({
            "machine": machine, "steps": steps, "memory": memory_json(memory), "file_bytes": model.file_bytes(),
            "resident_bytes": resident, "operators": operators_json(&shares),
            "gemm_flops_per_second": rates.gemm, "copy_bytes_per_second": rates.copy, "chunk_seconds": seconds,
        })
    })
}

/// A chunk's work by operator, as JSON.
pub(super) fn operators_json(shares: &BTreeMap<&'static str, Share>) -> serde_json::Map<String, serde_json::Value> {
    let operator = |(name, share): (&&str, &Share)| {
        let work = json!({"nodes": share.nodes, "flops": share.cost.flops, "activation_bytes": share.cost.bytes,
            "weights": share.cost.weights, "floor_seconds": share.floor});
        ((*name).to_owned(), work)
    };
    shares.iter().map(operator).collect()
}

/// Prints how resident memory compares with the plan, or everything as JSON.
pub(super) fn finish(
    as_json: bool,
    memory: Memory,
    resident: Option<usize>,
    value: impl FnOnce() -> serde_json::Value,
) -> Result<(), Error> {
    if as_json {
        return print_json(&value());
    }
    let Some(resident) = resident else { return Ok(()) };
    let planned = memory.total();
    let ratio = resident as f64 / planned as f64;
    print(&format!("resident memory {}; plan {}; ratio {ratio:.4}\n", bytes(resident), bytes(planned)))
}

pub(super) fn machine(gpu: bool, threads: usize) -> String {
    if gpu {
        return "GPU".to_owned();
    }
    format!("{}, {threads} threads, {}", doctor::cpu_name(), causeway_ops::cpu::Isa::best())
}

/// A chunk's work by operator: `steps` denoise passes and a commit pass, with a full window.
pub(super) fn shares(
    plan: &Plan,
    [denoise, commit]: [Option<PassId>; 2],
    steps: usize,
    dtype: DType,
    rates: Rates,
) -> BTreeMap<&'static str, Share> {
    let runs = [(denoise, steps), (commit, 1)].into_iter().filter_map(|(pass, runs)| Some((pass?, runs)));
    shares_of(plan, runs, dtype, rates)
}

/// Work by operator of passes that are run so many times each, with a full window; weights are taken to be all of this type.
pub(super) fn shares_of(
    plan: &Plan,
    passes: impl IntoIterator<Item = (PassId, usize)>,
    dtype: DType,
    rates: Rates,
) -> BTreeMap<&'static str, Share> {
    const MANY: usize = 1 << 20;
    let weight_bytes = (dtype.data_bytes(MANY).unwrap_or(0) + dtype.scale_bytes(MANY)) as f64 / MANY as f64;
    let mut shares: BTreeMap<&'static str, Share> = BTreeMap::new();
    for (pass, runs) in passes {
        for op in &plan.pass(pass).nodes {
            let cost = op.cost();
            let moved = cost.bytes as f64 + weight_bytes * cost.weights as f64;
            let floor = (cost.flops as f64 / rates.gemm).max(moved / rates.copy);
            let share = shares.entry(op.name()).or_default();
            share.nodes += runs;
            share.floor += runs as f64 * floor;
            (0..runs).for_each(|_| share.cost += cost);
        }
    }
    shares
}

/// The same as a table.
pub(super) fn share_table(shares: &BTreeMap<&'static str, Share>, rates: Rates) -> String {
    let mut sorted: Vec<_> = shares.iter().map(|(name, share)| (*name, *share)).collect();
    sorted.sort_by_key(|(_, share)| core::cmp::Reverse(share.cost.flops));
    let mut sum = Share::default();
    for (_, share) in &sorted {
        sum.nodes += share.nodes;
        sum.cost += share.cost;
        sum.floor += share.floor;
    }
    let mut table = Table::new(&["one chunk", "nodes", "GFLOP", "activations", "weights read", "floor s"]);
    for (name, share) in sorted.into_iter().chain([("sum", sum)]) {
        table.row([
            name.to_owned(),
            share.nodes.to_string(),
            format!("{:.2}", share.cost.flops as f64 / 1e9),
            bytes(share.cost.bytes as usize),
            share.cost.weights.to_string(),
            format!("{:.3}", share.floor),
        ]);
    }
    format!(
        "{table}floor: {:.1} GFLOP/s of a matrix product, {} a second of a copy, both measured here\n\n",
        rates.gemm / 1e9,
        bytes(rates.copy as usize)
    )
}
