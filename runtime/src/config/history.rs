//! What a stream begins with and remembers.

use alloc::{borrow::ToOwned, format, string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use super::{
    ConfigError,
    check::{check, text, within},
};

/// How frames in the window are numbered for rotary positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Positions {
    /// Visible frames are 0, 1, ... (sink, rolling, chunk).
    Compact,
    /// Frame numbers since the stream began.
    Absolute,
}

/// What attention remembers, in latent frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryConfig {
    /// Frames attention can see, including the sink and the chunk in flight.
    pub window: usize,
    /// First frames of the stream that are never dropped.
    pub sink: usize,
    /// History frames a query is routed to; 0 means all of them.
    pub route: usize,
    /// Numbering of frames.
    pub positions: Positions,
}

/// Latents to begin a world from without an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartConfig {
    /// Name of the tensor [count, C, H, W] of normalised latents.
    pub latents: String,
    /// Events in force: one for all start frames, or one for each.
    pub events: Vec<usize>,
    /// Latent frames in the tensor.
    pub count: usize,
}

impl HistoryConfig {
    pub(super) fn validate(&self, chunk: usize) -> Result<(), ConfigError> {
        within("history.window", self.window, chunk + 1, 4096)?;
        let (window, sink) = (self.window, self.sink);
        check("history.sink", sink, sink <= window - chunk, || {
            format!("at most history.window less the chunk, {}", window - chunk)
        })?;
        within("history.route", self.route, 0, window)
    }
}

impl StartConfig {
    pub(super) fn validate(&self, events: usize) -> Result<(), ConfigError> {
        text("start.latents", &self.latents)?;
        check("start.latents", format!("{:?}", self.latents), self.latents.starts_with("start."), || {
            "a tensor name that begins with `start.`".to_owned()
        })?;
        within("start.count", self.count, 1, 4096)?;
        let listed = self.events.len();
        check("start.events", format!("a list of {listed}"), listed == 1 || listed == self.count, || {
            format!("1 event, or one for each of {} latents", self.count)
        })?;
        for (i, &event) in self.events.iter().enumerate() {
            within(&format!("start.events[{i}]"), event, 0, events - 1)?;
        }
        Ok(())
    }
}
