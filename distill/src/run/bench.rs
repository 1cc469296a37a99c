//! How fast a denoiser trains: whole steps with each kind of kernels, in turns.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use burn::tensor::Device;
use causeway_runtime::config::{ConfigError, ModelConfig};

use crate::footage::data::{Episodes, planes};
use crate::footage::latents::{self, Latents};
use crate::footage::recording::{Recording, RecordingInfo};
use crate::method::teacher_forcing::{TeacherForcing, World};
use crate::net::codec_tape::Pass;
use crate::net::fast::kernels::Kernels;
use crate::net::fast::linalg::wide;
use crate::net::mask::Route;
use crate::net::precision::Precision;
use crate::net::weights::Weights;
use crate::net::{codec, dit};
use crate::rng::Rng;
use crate::run::preset::Sizes;
use crate::train::optim::Rule;
use crate::train::state::State;
use crate::train::trainer::{Run, Span, TrainError};

/// What to time.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Sizes of the networks.
    pub sizes: Sizes,
    /// Width and height of the pictures.
    pub picture: [usize; 2],
    /// Frames of a window.
    pub frames: usize,
    /// Noisy copies of a window behind its clean one.
    pub copies: usize,
    /// Windows a step.
    pub batch: usize,
    /// Data-parallel workers.
    pub threads: usize,
    /// Times that each kind of kernels takes its turn.
    pub rounds: usize,
    /// Steps of a turn.
    pub steps: usize,
    /// Whether only the fastest kernels take turns.
    pub alone: bool,
}

/// What one turn took.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// Frames with a loss in a second.
    pub frames: f64,
    /// Milliseconds of processor time for each of them.
    pub processor: f64,
    /// Page faults for each of them.
    pub faults: f64,
    /// 10^9 operations a second that a loop of nothing but multiplications and additions reached just before, on as many threads.
    pub bare: f64,
}

/// Turns of one kind of kernels.
pub struct Row {
    /// What they are called.
    pub name: &'static str,
    /// In order.
    pub turns: Vec<Turn>,
}

/// Why nothing could be timed.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The sizes make no model.
    #[error("the sizes: {0}")]
    Model(#[from] ConfigError),
    /// A step failed.
    #[error(transparent)]
    Train(#[from] TrainError),
}

/// Times steps of teacher forcing on random latents.
///
/// # Errors
/// Any [`BenchError`].
pub fn train(shape: &Shape) -> Result<Vec<Row>, BenchError> {
    let config = shape.sizes.model(&info(shape.picture))?;
    let data = latents(&config, 8 * (shape.frames + 2));
    let mut kinds = vec![("f32", Kernels::F32)];
    if let Kernels::Bf16(bf16) = Kernels::fastest() {
        kinds.push(("bf16", Kernels::Bf16(bf16.without_matrix_unit())));
        if bf16.has_matrix_unit() {
            kinds.push(("amx", Kernels::fastest()));
        }
    }
    if shape.alone {
        kinds.drain(..kinds.len() - 1);
    }
    let mut rows: Vec<(Row, State)> = Vec::new();
    for (name, kernels) in kinds {
        let weights = Weights::init(&dit::specs(&config.dit), 1).on(kernels);
        rows.push((Row { name, turns: Vec::new() }, State::new(weights)));
    }
    let (device, stop) = (Device::flex(), AtomicBool::new(false));
    let run = Run {
        dir: std::path::Path::new(""),
        name: "bench",
        budget: Span::Steps(u64::MAX),
        threads: shape.threads,
        accumulate: 1,
        device: &device,
        stop: &stop,
        save_every: Span::Steps(u64::MAX),
        inspect_every: Span::Steps(u64::MAX),
        seed: 1,
    };
    let stage = TeacherForcing(World {
        config: &config,
        data: &data,
        held: None,
        batch: shape.batch,
        frames: shape.frames,
        route: Route::Fixed(0),
        copies: shape.copies,
        drop_prev: 0.0,
        pure: 0.0,
        returns: None,
        rule: Rule::default(),
        cpu: true,
        precision: Precision::F32,
    });
    // The first turn only warms up.
    for turn in 0..=shape.rounds {
        for (row, state) in &mut rows {
            let bare = bare(shape.threads);
            let (clock, before) = (Instant::now(), Spent::now());
            for _ in 0..shape.steps {
                run.step(&stage, state, 0.5)?;
            }
            let (seconds, spent) = (clock.elapsed().as_secs_f64(), Spent::now());
            let frames = (shape.steps * shape.batch * shape.copies * shape.frames) as f64;
            let processor = 1e3 * (spent.seconds - before.seconds) / frames;
            let turn_of =
                Turn { frames: frames / seconds, processor, faults: (spent.faults - before.faults) / frames, bare };
            if turn > 0 {
                row.turns.push(turn_of);
            }
        }
    }
    Ok(rows.into_iter().map(|(row, _)| row).collect())
}

/// The rows as a table of medians, and of the ratios of turns beside one another.
pub fn table(rows: &[Row]) -> String {
    let mut out = String::from(
        "| kernels | loss frames a second | ms of processor time for one | page faults for one | bare loop, GFLOP/s | faster by the clock (least, most) |\n|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let [frames, processor, faults, bare] = [
            median(row.turns.iter().map(|t| t.frames)),
            median(row.turns.iter().map(|t| t.processor)),
            median(row.turns.iter().map(|t| t.faults)),
            median(row.turns.iter().map(|t| t.bare)),
        ];
        let mut ratios: Vec<f64> = row.turns.iter().zip(&rows[0].turns).map(|(a, b)| a.frames / b.frames).collect();
        ratios.sort_by(f64::total_cmp);
        let (least, most) = (ratios.first().unwrap_or(&1.0), ratios.last().unwrap_or(&1.0));
        let middle = median(ratios.iter().copied());
        out += &format!(
            "| {} | {frames:.1} | {processor:.2} | {faults:.0} | {bare:.0} | {middle:.2}x ({least:.2}, {most:.2}) |\n",
            row.name
        );
    }
    out
}

/// Frames a second: encoded by the tensor library, by the CPU's own passes in f32, and by the fastest kernels, on `shape`'s threads;
/// then trained on by the codec, on one thread, in f32 and by the fastest kernels. Medians of turns.
///
/// # Errors
/// [`BenchError::Model`].
pub fn codec(shape: &Shape) -> Result<[f64; 5], BenchError> {
    const FRAMES: usize = 200;
    let info = info(shape.picture);
    let c = shape.sizes.model(&info)?.codec;
    let exact = Weights::init(&codec::specs(&c), 1);
    let fast = exact.clone().on(Kernels::fastest());
    let mut rng = Rng::new(3);
    let recording = Recording {
        frames: (0..FRAMES * info.width * info.height * 3).map(|_| rng.below(256) as u8).collect(),
        actions: Vec::new(),
        events: vec![0; FRAMES],
        poses: Vec::new(),
        episode_starts: (0..FRAMES).map(|i| u8::from(i % 100 == 0)).collect(),
        info,
    };
    let flex = Device::flex();
    let encode = |codec: &Weights, device: Option<&Device>| {
        let clock = Instant::now();
        std::hint::black_box(latents::encode(&recording, codec, &c, device, shape.threads));
        FRAMES as f64 / clock.elapsed().as_secs_f64()
    };
    let size = [24, recording.info.height, recording.info.width];
    let clips = planes(&recording, 0..size[0]);
    let train = |codec: &Weights| {
        let (clock, mut grad) = (Instant::now(), vec![0.0; codec.data.len()]);
        for _ in 0..4 {
            Pass::new(codec, &c, 3).step(&clips, size, 0.0, &mut Rng::new(4), &mut grad);
        }
        (4 * size[0]) as f64 / clock.elapsed().as_secs_f64()
    };
    let turn = || [encode(&exact, Some(&flex)), encode(&exact, None), encode(&fast, None), train(&exact), train(&fast)];
    let turns: Vec<[f64; 5]> = (0..shape.rounds).map(|_| turn()).collect();
    Ok([0, 1, 2, 3, 4].map(|side| median(turns.iter().map(|turn| turn[side]))))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn info([width, height]: [usize; 2]) -> RecordingInfo {
    RecordingInfo {
        width,
        height,
        fps: 20.0,
        latch: 1,
        actions: ["forward", "back", "left", "right"].map(String::from).into(),
        events: vec!["day".into(), "night".into()],
        license: String::new(),
        credits: String::new(),
        source: String::new(),
        seed: 0,
    }
}

/// One episode of noise.
fn latents(config: &ModelConfig, frames: usize) -> Latents {
    let (len, mut rng) = (config.dit.latent_len(), Rng::new(2));
    Latents {
        data: rng.normals(frames * len),
        len,
        actions: (0..frames * config.dit.actions.len()).map(|_| rng.below(2) as f32).collect(),
        events: (0..frames).map(|_| rng.below(2) as u8).collect(),
        episodes: Episodes::new(&(0..frames).map(|i| u8::from(i == 0)).collect::<Vec<_>>()),
    }
}

/// What this machine gives at the moment, in 10^9 operations a second: virtual processors may be threads of one core, or shared.
fn bare(threads: usize) -> f64 {
    const CHUNK: usize = 20_000;
    const SUMS: usize = 192;
    let one = || {
        let clock = Instant::now();
        let (mut operations, mut sums) = (0.0, [0.0f32; SUMS]);
        while clock.elapsed().as_secs_f64() < 0.1 {
            let factor = std::hint::black_box(0.5f32);
            wide(
                #[inline(always)]
                || {
                    let mut own = sums;
                    for _ in 0..CHUNK {
                        for sum in &mut own {
                            *sum = factor.mul_add(*sum, factor);
                        }
                    }
                    sums = own;
                },
            );
            std::hint::black_box(&mut sums);
            operations += (2 * CHUNK * SUMS) as f64;
        }
        operations / clock.elapsed().as_secs_f64() / 1e9
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        workers.into_iter().map(|w| w.join().unwrap_or(f64::NAN)).sum()
    })
}

/// What this process has used so far, where the system tells; NaN elsewhere.
pub struct Spent {
    /// Processor time, of all threads together.
    pub seconds: f64,
    /// Minor page faults.
    pub faults: f64,
}

impl Spent {
    /// Until now.
    pub fn now() -> Self {
        // proc(5): after the name in brackets, minor faults are field 10 of all, user and system time 14 and 15, in hundredths.
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let fields: Vec<f64> =
            stat.rsplit(')').next().unwrap_or("").split_whitespace().map(|x| x.parse().unwrap_or(f64::NAN)).collect();
        let field = |n: usize| fields.get(n - 3).copied().unwrap_or(f64::NAN);
        Self { seconds: (field(14) + field(15)) / 100.0, faults: field(10) }
    }
}
