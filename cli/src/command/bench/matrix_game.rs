//! `bench matrix-game-2`: the published shapes of Matrix-Game 2.0 with random weights and a decoder, as one would play them.

use std::time::Instant;

use causeway_ops::{plan::PassId, quant::DType};
use causeway_runtime::{
    Budget, DecoderFile, Device, DeviceChoice, Model, Pump, Session, SessionError, SessionOptions,
    config::{DecoderConfig, DecoderFamily, DecoderNetwork, FORMAT, ModelConfig, Provenance},
    import::matrix_game,
    model::{Level, ProgramId},
    session::{Change, Condition, Start},
};
use serde_json::json;

use super::{
    rates,
    wan::{finish, machine, operators_json, share_table, shares_of},
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

/// Options of `bench matrix-game-2`.
#[derive(Clone, Debug, clap::Args)]
pub struct MatrixGameArgs {
    /// Which of the published networks
    #[arg(long, value_enum, default_value_t)]
    variant: Variant,
    /// Type of the blocks' matrices
    #[arg(long, value_enum, default_value_t = Weights::Q8)]
    weights: Weights,
    /// Chunks to run: 9 pictures, and then 12 each
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    chunks: u16,
    /// Type of the rings of keys and values
    #[arg(long, value_enum, default_value_t = Kv::Q8)]
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
enum Variant {
    /// 4 keys and a mouse
    #[default]
    Universal,
    /// 2 keys and a mouse, and a window of 4
    GtaDrive,
    /// 7 keys, and 4 steps
    Templerun,
}

impl Variant {
    fn config(self) -> ModelConfig {
        match self {
            Self::Universal => matrix_game(4, 2),
            Self::GtaDrive => {
                let mut config = matrix_game(2, 2);
                config.history.window = 4;
                config
            }
            Self::Templerun => matrix_game(7, 0),
        }
    }
}

/// Runs the benchmark.
///
/// # Errors
/// No room for the files or the plan, a backend that fails, Ctrl-C.
pub fn run(args: &MatrixGameArgs, stop: &Stop) -> Result<(), Error> {
    let dtype = DType::from(args.weights);
    let config = args.variant.config();
    let gpu = match args.backend {
        Backend::Gpu => true,
        Backend::Cpu => false,
        Backend::Auto => !doctor::auto_choice().starts_with("CPU"),
    };
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if args.threads == 0 { all } else { usize::from(args.threads) };
    let rates = rates::measure(gpu, threads, dtype, config.dit.chunk * config.dit.tokens_per_frame())?;

    let file = |name: &str| Temporary::beside(&std::env::temp_dir().join(format!("causeway-{name}.safetensors")));
    let files = [file("matrix-game-2")?, file("taehv")?];
    let [network, decoder] = files.each_ref().map(AsRef::as_ref);
    eprintln!("writing random weights to {}", network.display());
    synthetic::write(network, &config, dtype, stop)?;
    synthetic::write(decoder, &decoder_of(&config), DType::F16, stop)?;
    let model = Model::open(network).map_err(Error::file(network))?;
    let codec = DecoderFile::open(decoder).map_err(Error::file(decoder))?;
    let choice = if gpu { DeviceChoice::Gpu(String::new()) } else { DeviceChoice::Cpu };
    let device = Device::open(&choice, Device::cpu(threads)).map_err(SessionError::from)?;
    let mut session = session(&model, &codec, &device, args.kv.on(&device))?;

    let steps = config.schedule.default_steps;
    let shares = shares_of(session.plan(), chunk(&session, steps), dtype, rates);
    let (memory, machine) = (session.memory(), machine(gpu, threads));
    if !args.json {
        let ((width, height), tokens) = (session.picture(), config.dit.tokens_per_frame());
        print(&format!(
            "matrix-game-2, pictures {width}x{height}, {tokens} tokens a frame, {dtype} weights (random), {} ring, decoder taew2_1; {machine}\n\n{}\n{}",
            args.kv.on(&device),
            memory_table(memory),
            share_table(&shares, rates)
        ))?;
    }
    let floor: f64 = shares.values().map(|share| share.floor).sum();
    let mut seconds = Vec::new();
    for n in 0..u64::from(args.chunks) {
        let start = Instant::now();
        let frames = config.dit.chunk as u64;
        let mut pictures = 0;
        // Until the chunk is committed and all its pictures are taken.
        while session.position() < (n + 1) * frames || pictures < expected(&config, n) {
            stop.check()?;
            if session.pump(Budget::Micros(50_000))? == Pump::Frame {
                session.release();
                pictures += 1;
            }
        }
        let took = start.elapsed().as_secs_f64();
        seconds.push(took);
        if !args.json {
            let rate = pictures as f64 / took;
            print(&format!(
                "chunk {}: {took:.1} s for {pictures} pictures, {rate:.3} a second, {:.2} of the floor\n",
                n + 1,
                took / floor
            ))?;
        }
    }
    let resident = allocation::resident_bytes();
    finish(args.json, memory, resident, || {
        json!({
            "machine": machine, "steps": steps, "memory": memory_json(memory), "file_bytes": model.file_bytes(),
            "resident_bytes": resident, "operators": operators_json(&shares), "gemm_flops_per_second": rates.gemm,
            "copy_bytes_per_second": rates.copy, "chunk_seconds": seconds,
        })
    })
}

/// The file of the small public decoder of these latents.
fn decoder_of(config: &ModelConfig) -> DecoderConfig {
    DecoderConfig {
        format: FORMAT,
        family: DecoderFamily::Decoder,
        name: "taew2_1".to_owned(),
        codec: DecoderNetwork::Taehv(config.codec.clone()),
        license: String::new(),
        credits: String::new(),
        provenance: Provenance::default(),
    }
}

/// A session that was told a random picture.
fn session(
    model: &Model<'_>,
    codec: &DecoderFile<'_>,
    device: &Device,
    kv: causeway_runtime::Kv,
) -> Result<Session, Error> {
    let dit = &model.config().dit;
    let mut random = Random(5);
    let mut values = |len: usize| (0..len).map(|_| random.unit()).collect::<Vec<f32>>();
    let channels = dit.game().map_or(0, |game| game.condition);
    let condition = values(channels * dit.latent.height * dit.latent.width);
    let features = values(dit.text.map_or(0, |text| text.length * text.dim));
    let options = SessionOptions { start: Start::Empty, condition, kv, ..SessionOptions::default() };
    let mut session = Session::with_codec(model, codec, device, options)?;
    // A page that was never written takes no memory yet; the stream will write all of them.
    session.backend().clear()?;
    session.set_prompt(0, &features)?;
    session.queue(Change::to(Condition::Prompt(0)))?;
    Ok(session)
}

/// The passes of a chunk in steady play, and how often each is run.
fn chunk(session: &Session, steps: usize) -> Vec<(PassId, usize)> {
    let program = session.stream().programs.get(ProgramId::Chunk(false));
    let steps_of = |level| if level == Level::Step { steps } else { 1 };
    program.map_or_else(Vec::new, |chunk| chunk.steps.iter().map(|step| (step.pass, steps_of(step.level))).collect())
}

/// Pictures of chunk `n`.
fn expected(config: &ModelConfig, n: u64) -> usize {
    let (frames, each) = (config.dit.chunk, config.codec.time_factor());
    if n == 0 { 1 + (frames - 1) * each } else { frames * each }
}
