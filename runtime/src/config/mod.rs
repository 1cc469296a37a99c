//! What a model file says about its model: the `causeway` JSON of `docs/model-file.md`, parsed and checked.
//!
//! A configuration is untrusted input. [`ModelConfig::from_json`] never returns one that a Plan could not be built
//! from: every size has an upper bound, so shape products stay far from overflow, and the error names the field, what
//! it holds and what was expected.

mod check;
mod clip;
mod codec;
mod control;
mod decoder;
mod dit;
mod error;
mod game;
mod health;
mod history;
mod kind;
mod limits;
mod model;
mod objects;
mod schedule;
mod umt5;
mod vae;
mod waypoint;

pub(crate) use check::misleading;
pub use check::printable;
pub use clip::{ClipConfig, ClipFamily, ClipSizes};
pub(crate) use codec::grown;
pub use codec::{CodecConfig, CodecKind};
pub use control::ControlConfig;
pub use decoder::{DecoderConfig, DecoderFamily, DecoderNetwork};
pub use dit::{DitConfig, LatentConfig, Prediction, TextConfig};
pub use error::{ConfigError, FORMAT, MAX_JSON};
pub use game::GameConfig;
pub use health::HealthConfig;
pub use history::{Descriptors, GroupConfig, HistoryConfig, Positions, StartConfig};
pub(crate) use kind::check_version;
pub use kind::{About, FileConfig, Provenance, family, from_json, to_json};
pub use limits::LimitsConfig;
pub use model::{Family, ModelConfig};
pub(crate) use objects::from_str;
pub use schedule::ScheduleConfig;
pub use umt5::{MOST_TOKENIZER, Umt5Config, Umt5Family, Umt5Sizes};
pub use vae::VaeConfig;
pub use waypoint::WaypointConfig;
