//! Creating a session: options against the model, the plan, the backend, the first frames.

use alloc::{boxed::Box, sync::Arc, vec};

use causeway_ops::{BackendError, backend::Memory, quant::WeightSource};

use super::{
    EventQueue, Movement, Opening, Queue, Queued, Session, SessionError, SessionOptions, Settled, Start, Stats, Tables,
    pump::Cursor,
};
use crate::{
    clock::Clock,
    config::{Family, ModelConfig},
    device::Device,
    file::Model,
    layout::channels_last,
    model::{ModelError, WorldPlan},
};

impl Session {
    /// Creates a session of `model` on `device`. The weights are copied into the device's layout, so the model may be dropped.
    ///
    /// # Errors
    /// Options that do not fit the model, a memory cap that is too small (with the exact need), a device that refuses.
    pub fn new(model: &Model<'_>, device: &Device, mut options: SessionOptions) -> Result<Self, SessionError> {
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
        #[cfg(feature = "gpu")]
        let backend = device.load_keeping(model, &plan, options.memory_cap, own, options.frames.take())?;
        #[cfg(not(feature = "gpu"))]
        let backend = device.load(model, &plan, options.memory_cap, own)?;
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
    /// Exact bytes that a session of these options will hold, without creating it.
    ///
    /// # Errors
    /// Options that do not fit the model; the memory cap is not looked at.
    pub fn need(model: &Model<'_>, device: &Device, options: &SessionOptions) -> Result<Memory, SessionError> {
        let config = model.config();
        let settled = options.settle(config)?;
        let plan = WorldPlan::new(config, settled.past)?.plan;
        let (width, height) = config.picture();
        let dit = &config.dit;
        let tables = Tables::new(&settled.ring, dit.rope_dims()[0], dit.actions.len(), dit.events.len());
        let opening = opening(model, options, settled.event)?;
        let mut memory = device.memory(model, &plan)?;
        let movement = Movement::new(config.latch, dit.actions.len());
        let own = tables.memory() + movement.memory() + opening.memory() + plan.bytes();
        memory.overhead += options.queue * 4 * width * height + own;
        Ok(memory)
    }
}

fn default_clock() -> Box<dyn Clock> {
    #[cfg(feature = "std")]
    return Box::new(crate::clock::SystemClock::default());
    #[cfg(not(feature = "std"))]
    return Box::new(crate::clock::NoClock);
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

/// What a snapshot must agree with (FNV-1a).
fn fingerprint(config: &ModelConfig, settled: &Settled, arena: usize) -> u64 {
    let text = alloc::format!("{config:?} {settled:?} {arena}");
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
