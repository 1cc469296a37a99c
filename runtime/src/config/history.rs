//! What a stream begins with and remembers.

use alloc::{borrow::ToOwned, format, string::String, vec, vec::Vec};
use core::fmt;

use causeway_ops::GROUPS;

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

/// What tells a query which frames of its history are worth seeing (spec 2.10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Descriptors {
    /// The mean of a frame's keys as attention reads them, so that age tells along with content.
    #[default]
    Rotated,
    /// The mean of its keys before they are rotated, for queries before they are: content alone. Wan's network only.
    Plain,
}

impl Descriptors {
    fn usual(&self) -> bool {
        *self == Self::Rotated
    }
}

/// What attention remembers, in latent frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryConfig {
    /// Frames attention can see, including the sink and the chunk in flight.
    pub window: usize,
    /// First frames of the stream that are never dropped.
    pub sink: usize,
    /// History frames a query is routed to; 0 means all of them.
    pub route: usize,
    /// What routes are found by, in all layers.
    #[serde(default, skip_serializing_if = "Descriptors::usual")]
    pub descriptors: Descriptors,
    /// Numbering of frames.
    pub positions: Positions,
    /// Layers that keep other frames than this says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupConfig>,
}

/// Layers with a ring of their own, in latent frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupConfig {
    /// The layers, counted from 0.
    pub layers: Vec<usize>,
    /// Frames attention can see of those that are kept, including the sink, and those of the chunk in flight that will be.
    pub window: usize,
    /// First kept frames of the stream that are never dropped.
    #[serde(default)]
    pub sink: usize,
    /// A frame is kept if its number in the stream is a multiple of this.
    #[serde(default = "each")]
    pub every: usize,
    /// History frames a query is routed to; 0 means all of them.
    #[serde(default)]
    pub route: usize,
}

fn each() -> usize {
    1
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

impl fmt::Display for HistoryConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "window {}, sink {}, route {}", self.window, self.sink, self.route)?;
        if self.descriptors == Descriptors::Plain {
            f.write_str(" by plain descriptors")?;
        }
        for GroupConfig { layers, window, sink, every, route } in &self.groups {
            write!(f, "; layers {layers:?}: window {window}, sink {sink}, route {route}, one frame of {every}")?;
        }
        Ok(())
    }
}

impl HistoryConfig {
    pub(super) fn validate(&self, chunk: usize, layers: usize) -> Result<(), ConfigError> {
        within("history.window", self.window, chunk + 1, 4096)?;
        let (window, sink) = (self.window, self.sink);
        check("history.sink", sink, sink <= window - chunk, || {
            format!("at most history.window less the chunk, {}", window - chunk)
        })?;
        within("history.route", self.route, 0, window)?;
        // The first group is of the layers that no other has.
        within("history.groups", self.groups.len(), 0, GROUPS - 1)?;
        let mut named = vec![None; layers];
        for (index, group) in self.groups.iter().enumerate() {
            let within =
                |field: &str, value, low, high| within(&format!("history.groups[{index}].{field}"), value, low, high);
            for &layer in &group.layers {
                within("layers", layer, 0, layers - 1)?;
                if let Some(other) = named[layer].replace(index) {
                    return check("history.groups", format!("layer {layer} in {other} and {index}"), false, || {
                        "each layer in one of them".to_owned()
                    });
                }
            }
            within("every", group.every, 1, 4096)?;
            let added = chunk.div_ceil(group.every);
            let room = group.window.saturating_sub(added);
            let all = [
                ("window", group.window, added + 1, 4096),
                ("sink", group.sink, 0, room),
                ("route", group.route, 0, room),
            ];
            all.into_iter().try_for_each(|(field, value, low, high)| within(field, value, low, high))?;
        }
        Ok(())
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
