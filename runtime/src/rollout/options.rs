//! What a host chooses when it creates a stream, and what can be wrong with it.

use alloc::{format, string::String, vec, vec::Vec};

use causeway_ops::{BackendError, Kv};

use crate::{
    config::{DitConfig, LatentConfig, ModelConfig, Positions},
    model::{ModelError, Past, Recache, WanShape},
    session::{Ring, SessionError},
};

/// Why a rollout was refused, or failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RolloutError {
    /// An option is out of range for this model.
    #[error("{0}")]
    Option(String),
    /// An input of the wrong size.
    #[error("{what} has {found} values, expected {expected}")]
    Size {
        /// Which input.
        what: &'static str,
        /// Values given.
        found: usize,
        /// What would have been accepted.
        expected: String,
    },
    /// An input that is not a number.
    #[error("value {index} of {what} is not a finite number")]
    NotFinite {
        /// Which input.
        what: &'static str,
        /// Where.
        index: usize,
    },
    /// The model cannot be run so.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The backend refused or failed.
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl From<BackendError> for RolloutError {
    fn from(error: BackendError) -> Self {
        Self::Session(error.into())
    }
}

pub(crate) fn finite(what: &'static str, values: &[f32]) -> Result<(), RolloutError> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(RolloutError::NotFinite { what, index }),
        None => Ok(()),
    }
}

/// What [`Switch::Recache`](super::Switch) does with the sink (spec 2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    /// It keeps the keys and values of the old prompt; the rolling frames are recomputed and see it. While the window still shows the stream's
    /// first frame all are recomputed, as by LongLive's code.
    Protect,
    /// The oldest frames of the window become the sink; all are recomputed.
    Refresh,
}

/// How a stream runs; fields left `None` take the model file's value.
#[derive(Clone, Debug, Default)]
pub struct RolloutOptions {
    /// Latent frames attention sees, including sink and chunk.
    pub window: Option<usize>,
    /// First frames that stay.
    pub sink: Option<usize>,
    /// Frames of a chunk.
    pub chunk: Option<usize>,
    /// Frames of the first chunk; all chunks are alike if `None`.
    pub first: Option<usize>,
    /// History frames kept a query; 0 for all.
    pub route: Option<usize>,
    /// Of these, oldest visible frames that are always kept; none if `None`.
    pub route_sink: Option<usize>,
    /// Newest frames that are always kept; one if `None`.
    pub route_recent: Option<usize>,
    /// How the ring stores keys and values.
    pub kv: Kv,
    /// Whether the stream can be guided: it then keeps a second ring, of the negative prompt.
    pub guided: bool,
    /// Whether [`Switch::Recache`](super::Switch) is possible, and how; it takes activations for a whole window.
    pub recache: Option<Sink>,
    /// Numbering of frames.
    pub positions: Option<Positions>,
    /// Timestep at which the commit pass sees clean frames.
    pub context_noise: Option<f32>,
    /// Rows a prompt is padded to.
    pub text_length: Option<usize>,
    /// Most rows of a prompt, `text_length` if `None`: memory for cross-attention is kept for so many.
    pub text_rows: Option<usize>,
    /// Most bytes to hold.
    pub memory_cap: Option<usize>,
}

/// Options after the model file's defaults are filled in and everything is checked.
pub(super) struct Settled {
    pub dit: DitConfig,
    pub ring: Ring,
    pub shape: WanShape,
    pub text_length: usize,
    pub context_timestep: f32,
}

impl RolloutOptions {
    /// Fills in defaults and checks the options against the model.
    pub(super) fn settle(&self, mut config: ModelConfig, latent: LatentConfig) -> Result<Settled, RolloutError> {
        let Some(text) = config.dit.text else {
            return Err(ModelError::Unsupported("it reads no text; `Session` runs it".into()).into());
        };
        let chunk = self.chunk.unwrap_or(config.dit.chunk);
        let window = self.window.unwrap_or(config.history.window.max(chunk));
        config.dit.chunk = chunk;
        config.dit.latent = latent;
        // One frame more than a chunk is what a file must have; a single chunk needs no history.
        config.history.window = window.max(chunk.saturating_add(1));
        config.history.sink = self.sink.unwrap_or(config.history.sink.min(window.saturating_sub(chunk)));
        config.history.route = self.route.unwrap_or(config.history.route.min(config.history.window));
        config.schedule.context_noise = self.context_noise.unwrap_or(config.schedule.context_noise);
        config.validate().map_err(|error| RolloutError::Option(format!("{error}")))?;
        let (first, sink, route) = (self.first.unwrap_or(chunk), config.history.sink, config.history.route);
        let text_length = self.text_length.unwrap_or(text.length);
        let text_rows = self.text_rows.unwrap_or(text_length);
        let refused = |what: String| Err(RolloutError::Option(what));
        if window < chunk || sink > window - chunk {
            return refused(format!(
                "a window of {window} frames does not hold a sink of {sink} and a chunk of {chunk}"
            ));
        }
        if !(1..=chunk).contains(&first) {
            return refused(format!("the first chunk has {first} frames, expected 1 to {chunk}"));
        }
        if !(1..=4096).contains(&text_length) || text_rows > text_length {
            return refused(format!("{text_rows} rows of text do not fit a length of {text_length}; at most 4096"));
        }
        let (route_sink, route_recent) = (self.route_sink.unwrap_or(0), self.route_recent.unwrap_or(1));
        if route > 0 && route_sink.saturating_add(route_recent) > route {
            return refused(format!(
                "a route of {route} frames does not hold the {route_sink} oldest and the {route_recent} newest"
            ));
        }
        let ring = Ring { window, sink, chunk, positions: self.positions.unwrap_or(config.history.positions) };
        let past = Past { window, route, route_sink, route_recent, kv: self.kv };
        let recache = self.recache.map_or(Vec::new(), |how| recaches(&ring, first, how));
        // The row after the last one stands for the padding.
        let shape = WanShape { first, past, text_rows: text_rows + 1, guided: self.guided, recache };
        let context_timestep = config.schedule.context_noise;
        Ok(Settled { dit: config.dit, ring, shape, text_length, context_timestep })
    }
}

/// What there can be to recompute: all of a stream that its window still holds from the first frame on, as it is after each chunk; then the
/// window, behind its sink where that is protected.
fn recaches(ring: &Ring, first: usize, how: Sink) -> Vec<Recache> {
    let young = |from: usize| (from..=ring.window).step_by(ring.chunk);
    let old = (how == Sink::Refresh || ring.sink == 0).then_some(ring.window);
    let mut frames: Vec<usize> = young(first).chain(young(ring.chunk)).chain(old).collect();
    frames.sort_unstable();
    frames.dedup();
    let mut recaches = vec![Recache { history: 0, frames }];
    if old.is_none() {
        recaches.push(Recache { history: ring.sink, frames: vec![ring.window - ring.sink] });
    }
    recaches
}
