//! What all benchmarks share: options, the head of a report, and the time of a range of nodes.

use std::time::Instant;

use causeway_ops::{BackendError, GROUPS, Params, plan::PassId, quant::DType};
use causeway_runtime::{Model, Session};
use serde_json::Value;

use crate::{
    command::doctor,
    error::Error,
    options::session::{Backend, ModelArgs, SessionArgs},
    tools::{
        output::{print, print_json},
        synthetic,
        table::median_p95,
    },
};

/// Options that all benchmarks share.
#[derive(Clone, Debug, clap::Args)]
pub struct Common {
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub session: SessionArgs,
    /// Measure the same network for pictures of this size, with random weights
    #[arg(long, value_name = "WxH", value_parser = parse_size)]
    pub size: Option<(usize, usize)>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn parse_size(text: &str) -> Result<(usize, usize), String> {
    let side = |text: &str| text.parse().ok().filter(|side| (1..=8192).contains(side));
    let sides = text.split_once('x').and_then(|(width, height)| Some((side(width)?, side(height)?)));
    sides.ok_or_else(|| "expected a size such as 128x96".to_owned())
}

impl Common {
    /// The model to measure: the file's, or one of another size with its widths and weight types.
    pub fn open(&self) -> Result<Model<'static>, Error> {
        let model = self.model.open()?;
        match self.size {
            None => Ok(model),
            Some(size) => resized(&model, size),
        }
    }

    /// Where this runs, for the head of a report.
    pub fn machine(&self) -> String {
        match (&self.session.adapter, self.session.backend) {
            (Some(name), _) => format!("GPU {name}"),
            (None, Backend::Gpu) => "GPU".to_owned(),
            (None, Backend::Auto) => match doctor::auto_choice() {
                choice if choice.starts_with("CPU") => self.cpu(),
                choice => choice,
            },
            (None, Backend::Cpu) => self.cpu(),
        }
    }

    fn cpu(&self) -> String {
        let all = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if self.session.threads == 0 { all } else { self.session.threads };
        format!("{}, {threads} threads, {}", doctor::cpu_name(), causeway_ops::cpu::Isa::best())
    }

    /// The first line of a report.
    pub fn heading(&self, model: &Model<'_>) -> String {
        let config = model.config();
        let ((width, height), weights) = (config.picture(), matrix_type(model));
        let random = if self.size.is_some() { ", random weights" } else { "" };
        format!("{} {width}x{height}, {weights} weights{random}; {}\n", config.name, self.machine())
    }

    pub fn report(&self, text: &str, value: &Value) -> Result<(), Error> {
        if self.json { print_json(value) } else { print(text) }
    }
}

/// The same network for pictures of another size, with random weights.
pub fn resized(model: &Model<'_>, size: (usize, usize)) -> Result<Model<'static>, Error> {
    synthetic::model(&synthetic::resized(model.config(), size)?, matrix_type(model))
}

/// Storage type of the matrices: that of the first block's query projection.
pub fn matrix_type(model: &Model<'_>) -> DType {
    let mut matrices = model.tensors().filter(|(name, _)| name.ends_with("blocks.0.self_attn.q.weight"));
    matrices.next().map_or(DType::F32, |(_, view)| view.dtype)
}

/// How often a node range is run before its work is waited for; a wait costs a GPU some time.
const BATCH: u32 = 4;

/// Parameters of a run with a full history.
pub fn params(session: &Session) -> Params {
    let history = [session.ring().max_history() as u32; GROUPS];
    let predict = [0.0, 0.375, 0.0, 0.625];
    Params { history, sigma: 0.833, keep: 1.0, predict, frame: 1, step: 1, ..Params::default() }
}

/// Milliseconds of `nodes` of a pass with a full history: the median of `rounds` batches.
pub fn time_nodes(
    session: &mut Session,
    pass: PassId,
    nodes: std::ops::Range<usize>,
    rounds: usize,
) -> Result<f64, BackendError> {
    let params = params(session);
    let (pixels, (width, height)) = (session.stream().output, session.picture());
    let mut buffer = vec![0; 4 * width * height];
    let backend = session.backend();
    let mut times = Vec::with_capacity(rounds);
    backend.read(pixels, &mut buffer)?;
    for _ in 0..=rounds {
        let start = Instant::now();
        for _ in 0..BATCH {
            backend.run(pass, nodes.clone(), &params)?;
        }
        backend.read(pixels, &mut buffer)?;
        times.push(1e3 * start.elapsed().as_secs_f64() / f64::from(BATCH));
    }
    // The first round warms caches and pipelines.
    Ok(median_p95(&times[1..]).0)
}
