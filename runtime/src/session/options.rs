//! What a host chooses when it creates a session.

use alloc::{boxed::Box, format, string::String, vec::Vec};

use causeway_ops::Kv;

use super::{error::SessionError, ring::Ring};
use crate::{clock::Clock, config::ModelConfig, model::Past};

/// What the first frames of a stream are.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Start {
    /// The latents stored in the model file, or nothing if it has none.
    #[default]
    Stored,
    /// A picture, RGBA8, of the model's size.
    Image(Vec<u8>),
    /// Normalised latents [count, C, H, W].
    Latents(Vec<f32>),
    /// Nothing: the first chunk is dreamt from noise alone.
    Empty,
}

/// Options of a session; fields left `None` take the model file's value.
pub struct SessionOptions {
    /// Noise seed.
    pub seed: u64,
    /// Window in latent frames, including sink and chunk.
    pub window: Option<usize>,
    /// Sink in latent frames.
    pub sink: Option<usize>,
    /// History frames kept a query; 0 for all.
    pub route: Option<usize>,
    /// How the ring stores keys and values.
    pub kv: Kv,
    /// Denoise steps a chunk: one of the model's step lists.
    pub steps: Option<usize>,
    /// Most bytes the session may hold.
    pub memory_cap: Option<usize>,
    /// First frames.
    pub start: Start,
    /// What was told of each frame that the stream starts from, [count, A]; nothing if empty.
    pub start_actions: Vec<f32>,
    /// Event in force at the start (index); the model file's start event if `None`.
    pub event: Option<usize>,
    /// Finished frames held for the host before pumping pauses; at least one chunk.
    pub queue: usize,
    /// On a GPU that the host opened: where finished frames stay on it, for the host. Their bytes are the host's, not counted against `memory_cap`.
    #[cfg(feature = "gpu")]
    pub frames: Option<alloc::sync::Arc<causeway_ops::gpu::Frames>>,
    /// The host's own clock.
    pub clock: Option<Box<dyn Clock>>,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            window: None,
            sink: None,
            route: None,
            kv: Kv::F32,
            steps: None,
            memory_cap: None,
            start: Start::Stored,
            start_actions: Vec::new(),
            event: None,
            queue: 2,
            #[cfg(feature = "gpu")]
            frames: None,
            clock: None,
        }
    }
}

/// Options after the model file's defaults are filled in and everything is checked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settled {
    pub ring: Ring,
    pub past: Past,
    pub sigmas: Vec<f32>,
    pub event: usize,
}

impl SessionOptions {
    /// Fills in defaults and checks the options against the model.
    pub(super) fn settle(&self, config: &ModelConfig) -> Result<Settled, SessionError> {
        let invalid = |what: String| Err(SessionError::Option(what));
        let chunk = config.dit.chunk;
        let window = self.window.unwrap_or(config.history.window);
        if !(chunk + 1..=4096).contains(&window) {
            return invalid(format!(
                "window is {window}; it counts the chunk of {chunk} and must be {} to 4096",
                chunk + 1
            ));
        }
        let sink = self.sink.unwrap_or(config.history.sink.min(window - chunk));
        if sink > window - chunk {
            return invalid(format!("sink is {sink}, but a window of {window} has room for {}", window - chunk));
        }
        let route = self.route.unwrap_or(config.history.route.min(window - chunk));
        if route > window - chunk {
            return invalid(format!("route keeps {route} frames, but a window of {window} shows {}", window - chunk));
        }
        let steps = self.steps.unwrap_or(config.schedule.default_steps);
        let Some(sigmas) = config.schedule.sigmas(steps) else {
            let known: Vec<_> = config.schedule.steps.keys().map(|n| format!("{n}")).collect();
            return invalid(format!("steps is {steps}; this model has step lists for {}", known.join(", ")));
        };
        let start_event = config.start.as_ref().and_then(|start| start.events.last().copied());
        let event = self.event.or(start_event).unwrap_or(0);
        if event >= config.dit.events.len() {
            return Err(SessionError::UnknownEvent { found: event, known: config.dit.events.join(", ") });
        }
        if self.queue < chunk {
            return invalid(format!("queue is {}; it must hold a chunk of {chunk} frames", self.queue));
        }
        let ring = Ring { window, sink, chunk, positions: config.history.positions };
        Ok(Settled { ring, past: Past { kv: self.kv, ..Past::new(window, route) }, sigmas, event })
    }
}
