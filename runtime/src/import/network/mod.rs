//! What the tensors of a checkpoint mean: which network they make up, under whose names, and what a LoRA adds to them.

mod alpha;
mod clip;
mod codec;
mod found;
mod game;
mod lora;
mod module;
mod names;
mod outline;
mod patches;
mod settings;
mod strength;
mod taehv;
mod umt5;
mod vae;
mod wan;
#[cfg(feature = "waypoint")]
mod waypoint;

pub use clip::ClipImport;
pub use codec::DecoderImport;
pub(super) use names::keys;
pub(super) use outline::Outline;
pub use settings::Settings;
pub use strength::{LoraOptions, Merged, Scale};
pub use umt5::Umt5Import;
pub use wan::{Import, ImportOptions, matrix_game, wan_1_3b};
#[cfg(feature = "waypoint")]
pub use waypoint::{BiasIn, WaypointImport, WaypointOptions, waypoint};
