//! Creating a session: options against the model, the plan, the backend, the first frames.

use alloc::{boxed::Box, sync::Arc, vec, vec::Vec};

use causeway_ops::{
    Backend, BackendError, Plan,
    backend::Memory,
    cpu::{CpuBackend, CpuOptions, Isa},
    parallel::{Parallel, Serial},
    quant::WeightSource,
};

use super::{
    BackendChoice, EventQueue, Movement, Opening, Queue, Queued, Session, SessionError, SessionOptions, Settled, Start,
    Stats, Tables, stage::Cursor,
};
use crate::{
    clock::Clock,
    config::{DitConfig, Family, ModelConfig},
    file::Model,
    model::{ModelError, WorldPlan},
};

impl Session {
    /// Creates a session of `model`. The weights are copied into the backend's layout, so the model may be dropped.
    ///
    /// # Errors
    /// Options that do not fit the model, a memory cap that is too small (with the exact need), no adapter.
    pub fn new(model: &Model<'_>, mut options: SessionOptions) -> Result<Self, SessionError> {
        let config = model.config();
        if config.family != Family::World {
            let what = "it makes videos of prompts and has no decoder in its file; `causeway generate` runs it with one (`Rollout` and `Decoder` in Rust)".into();
            return Err(ModelError::Unsupported(what).into());
        }
        let settled = options.settle(config)?;
        let mut world = WorldPlan::new(config, settled.past)?;
        let plan = core::mem::take(&mut world.plan);
        let opening = opening(model, &options, settled.event)?;
        let (width, height) = config.picture();
        let queue = Queue::new(options.queue, 4 * width * height)?;
        let dit = &config.dit;
        let rope = (dit.rope_dims()[0], dit.rope_theta);
        let tables = Tables::new(&settled.ring, rope.0, dit.actions.len(), dit.events.len());
        let movement = Movement::new(config.latch, dit.actions.len());
        let own = queue.memory() + tables.memory() + movement.memory() + opening.memory() + plan.bytes();
        let clock = options.clock.take().unwrap_or_else(default_clock);
        let backend = backend(model, &plan, &mut options, own)?;
        Ok(Self {
            fingerprint: fingerprint(config, &settled, backend.arena_bytes()),
            backend,
            world,
            seed: [options.seed as u32, (options.seed >> 32) as u32],
            context_timestep: config.schedule.context_noise,
            width,
            height,
            event_names: dit.events.clone(),
            action_names: dit.actions.clone(),
            rope,
            cursor: Cursor::START,
            opening,
            frame: 0,
            action: vec![0.0; dit.actions.len()],
            action_ticket: 0,
            movement,
            events: EventQueue::new(),
            event_ticket: 0,
            current: Queued { event: settled.event as u32, ticket: 0, from: 0 },
            conditioned: false,
            chunk_tickets: (0, 0),
            shown_tickets: (0, 0),
            began: 0,
            reading: false,
            settled,
            tables,
            queue,
            clock,
            interrupt: Arc::default(),
            stats: Stats::default(),
        })
    }
}

impl Session {
    /// Exact bytes that a session of these options will hold, without creating it. `BackendChoice::Auto` is answered for the CPU.
    ///
    /// # Errors
    /// Options that do not fit the model; the memory cap is not looked at.
    pub fn need(model: &Model<'_>, options: &SessionOptions) -> Result<Memory, SessionError> {
        let config = model.config();
        let settled = options.settle(config)?;
        let plan = WorldPlan::new(config, settled.past)?.plan;
        let (width, height) = config.picture();
        let dit = &config.dit;
        let tables = Tables::new(&settled.ring, dit.rope_dims()[0], dit.actions.len(), dit.events.len());
        let opening = opening(model, options, settled.event)?;
        let mut memory = match &options.backend {
            #[cfg(feature = "gpu")]
            BackendChoice::Gpu(_) => causeway_ops::gpu::memory(&plan, model)?,
            _ => {
                let threads = match (&options.parallel, options.threads) {
                    (Some(parallel), _) => parallel.threads(),
                    (None, 0) => available(),
                    (None, threads) => threads,
                };
                let isa = options.strict.then_some(Isa::Portable);
                let parallel = Arc::new(Threads(threads));
                causeway_ops::cpu::memory(&plan, model, &CpuOptions { isa, parallel, memory_cap: None })?
            }
        };
        let movement = Movement::new(config.latch, dit.actions.len());
        let own = tables.memory() + movement.memory() + opening.memory() + plan.bytes();
        memory.overhead += options.queue * 4 * width * height + own;
        Ok(memory)
    }
}

/// So many threads, for measuring.
struct Threads(usize);

impl Parallel for Threads {
    fn for_each(&self, n: usize, f: &(dyn Fn(usize) + Sync)) {
        (0..n).for_each(f);
    }

    fn threads(&self) -> usize {
        self.0
    }
}

fn default_clock() -> Box<dyn Clock> {
    #[cfg(feature = "std")]
    return Box::new(crate::clock::SystemClock::default());
    #[cfg(not(feature = "std"))]
    return Box::new(crate::clock::NoClock);
}

/// Loads the plan on the chosen backend; `own` bytes of the cap are the session's.
pub(crate) fn backend(
    weights: &dyn WeightSource,
    plan: &Plan,
    options: &mut SessionOptions,
    own: usize,
) -> Result<Box<dyn Backend>, SessionError> {
    let cap = options.memory_cap.map(|cap| cap.saturating_sub(own));
    let result = match &options.backend {
        BackendChoice::Cpu => cpu(weights, plan, options, cap),
        #[cfg(feature = "gpu")]
        BackendChoice::Gpu(adapter) => match &options.gpu {
            Some(open) => on_gpu(open, options.frames.take(), weights, plan, cap),
            None => gpu(weights, plan, adapter, true, cap),
        },
        #[cfg(feature = "gpu")]
        BackendChoice::Auto => match gpu_if_real(weights, plan, cap) {
            Some(result) => result,
            None => cpu(weights, plan, options, cap),
        },
        #[cfg(not(feature = "gpu"))]
        BackendChoice::Gpu(_) => Err(BackendError::NoAdapter("this build has no GPU backend".into())),
        #[cfg(not(feature = "gpu"))]
        BackendChoice::Auto => cpu(weights, plan, options, cap),
    };
    result.map_err(|error| match (error, options.memory_cap) {
        (BackendError::MemoryCap { needed, .. }, Some(cap)) => SessionError::MemoryCap { needed: needed + own, cap },
        (error, _) => SessionError::Backend(error),
    })
}

fn cpu(
    weights: &dyn WeightSource,
    plan: &Plan,
    options: &mut SessionOptions,
    memory_cap: Option<usize>,
) -> Result<Box<dyn Backend>, BackendError> {
    let parallel: Arc<dyn Parallel> = match options.parallel.take() {
        Some(parallel) => Arc::from(parallel),
        None => threads(options.threads),
    };
    let isa = options.strict.then_some(Isa::Portable);
    Ok(Box::new(CpuBackend::new(plan.clone(), weights, CpuOptions { isa, parallel, memory_cap })?))
}

#[cfg(feature = "std")]
pub(crate) fn threads(wanted: usize) -> Arc<dyn Parallel> {
    match if wanted == 0 { available() } else { wanted } {
        1 => Arc::new(Serial),
        n => Arc::new(causeway_ops::parallel::ThreadPool::new(n)),
    }
}

#[cfg(feature = "std")]
fn available() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(not(feature = "std"))]
fn available() -> usize {
    1
}

#[cfg(not(feature = "std"))]
pub(crate) fn threads(_wanted: usize) -> Arc<dyn Parallel> {
    Arc::new(Serial)
}

/// First frames of the stream, and what was told of them.
fn opening(model: &Model<'_>, options: &SessionOptions, event: usize) -> Result<Opening, SessionError> {
    let (opening, actions) = (first_frames(model, &options.start, event)?, &options.start_actions);
    let expected = opening.frames() * model.config().dit.actions.len();
    if ![0, expected].contains(&actions.len()) {
        return Err(SessionError::StartSize { what: "actions", expected, found: actions.len() });
    }
    if let Some(at) = actions.iter().position(|x| !x.is_finite()) {
        return Err(SessionError::ActionValue(at));
    }
    Ok(Opening { actions: actions.clone(), ..opening })
}

/// First frames of the stream, channels-last.
fn first_frames(model: &Model<'_>, start: &Start, event: usize) -> Result<Opening, SessionError> {
    let config = model.config();
    let dit = &config.dit;
    let len = dit.latent_len();
    match start {
        Start::Empty => Ok(Opening::default()),
        Start::Image(image) => Opening::picture(image, config.picture(), event),
        Start::Latents(latents) => {
            if latents.is_empty() || latents.len() % len != 0 {
                return Err(SessionError::StartSize { what: "latents", expected: len, found: latents.len() });
            }
            let latents = channels_last(dit, latents);
            Ok(Opening { events: vec![event as u32; latents.len()], latents, ..Opening::default() })
        }
        Start::Stored => {
            let Some(stored) = &config.start else { return Ok(Opening::default()) };
            let view =
                model.tensor(&stored.latents).ok_or_else(|| SessionError::StoredStart(stored.latents.clone()))?;
            let values = view.to_f32().map_err(|error| BackendError::unread(&stored.latents, error))?;
            let latents = channels_last(dit, &values);
            let events = (0..latents.len())
                .map(|i| *stored.events.get(i).or(stored.events.last()).unwrap_or(&event) as u32)
                .collect();
            Ok(Opening { latents, events, ..Opening::default() })
        }
    }
}

/// Latents [count, C, H, W] as one channels-last frame each, padded with zeros to a chunk.
fn channels_last(dit: &DitConfig, latents: &[f32]) -> Vec<Vec<f32>> {
    let frame = |planar: &[f32]| {
        let mut out = vec![0.0; dit.chunk * planar.len()];
        interleave(planar, dit.latent.channels, &mut out);
        out
    };
    latents.chunks(dit.latent_len()).map(frame).collect()
}

/// What a snapshot must agree with (FNV-1a).
fn fingerprint(config: &ModelConfig, settled: &Settled, arena: usize) -> u64 {
    let text = alloc::format!("{config:?} {settled:?} {arena}");
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// A GPU that the host opened.
#[cfg(feature = "gpu")]
fn on_gpu(
    gpu: &causeway_ops::gpu::Gpu,
    frames: Option<Arc<causeway_ops::gpu::Frames>>,
    weights: &dyn WeightSource,
    plan: &Plan,
    memory_cap: Option<usize>,
) -> Result<Box<dyn Backend>, BackendError> {
    let backend = causeway_ops::gpu::GpuBackend::on(gpu, plan.clone(), weights, memory_cap)?;
    Ok(match frames {
        Some(frames) => Box::new(backend.keep_frames(frames)),
        None => Box::new(backend),
    })
}

/// The adapter a host named, or the best one for an empty name.
#[cfg(feature = "gpu")]
fn gpu(
    weights: &dyn WeightSource,
    plan: &Plan,
    adapter: &str,
    software: bool,
    memory_cap: Option<usize>,
) -> Result<Box<dyn Backend>, BackendError> {
    on_gpu(&open_gpu(adapter, software)?, None, weights, plan, memory_cap)
}

/// Opens the adapter named, or the best one for an empty name.
#[cfg(feature = "gpu")]
pub(crate) fn open_gpu(adapter: &str, software: bool) -> Result<causeway_ops::gpu::Gpu, BackendError> {
    use causeway_ops::gpu::{Gpu, GpuOptions};
    let adapter = if adapter.is_empty() { None } else { adapter.parse().ok() };
    Gpu::open(&GpuOptions { adapter, software, ..GpuOptions::default() })
}

/// A hardware GPU, if there is one: a software adapter is slower than the CPU backend.
#[cfg(feature = "gpu")]
fn gpu_if_real(
    weights: &dyn WeightSource,
    plan: &Plan,
    memory_cap: Option<usize>,
) -> Option<Result<Box<dyn Backend>, BackendError>> {
    match gpu(weights, plan, "", false, memory_cap) {
        Err(BackendError::NoAdapter(why) | BackendError::Unsupported(why)) => {
            log::info!("computing on the CPU, for no GPU can be used: {why}");
            None
        }
        result => Some(result),
    }
}

/// A frame [C, H, W] as [H, W, C].
pub(crate) fn interleave(planar: &[f32], channels: usize, out: &mut [f32]) {
    let area = planar.len() / channels;
    for (c, plane) in planar.chunks(area).enumerate() {
        for (i, &value) in plane.iter().enumerate() {
            out[i * channels + c] = value;
        }
    }
}

/// A frame [H, W, C] as [C, H, W].
pub(crate) fn planar(interleaved: &[f32], channels: usize, out: &mut [f32]) {
    let area = interleaved.len() / channels;
    for (i, pixel) in interleaved.chunks(channels).enumerate() {
        for (c, &value) in pixel.iter().enumerate() {
            out[c * area + i] = value;
        }
    }
}
