//! Reads what projects publish (PyTorch `.pt`, safetensors whole or sharded, GGUF) and writes model files of ours.
//!
//! * [`Checkpoint`] is a list of tensors, wherever and however they are stored; it executes nothing.
//! * [`Kind`] says what a file is, and why it is refused.
//! * [`Import`] finds the Wan network, or a game made of one, among them: names, shapes, configuration, LoRA.
//! * `WaypointImport` finds Waypoint's among them.
//! * [`DecoderImport`] finds a decoder among them.
//! * [`Umt5Import`] finds a text encoder among them, [`ClipImport`] an image encoder.
//! * [`Import::write`] streams it into a model file, a slab of values at a time.
//!
//! A checkpoint is untrusted input: every offset, count and shape is checked before it is used, and no bytes make this panic.

#![forbid(unsafe_code)]

mod error;
mod kind;
mod kinds;
mod network;
mod source;
mod write;

pub use error::ImportError;
pub use kind::{Answer, Kind, Section};
#[cfg(feature = "waypoint")]
pub use network::{BiasIn, WaypointImport, WaypointOptions, waypoint};
pub use network::{
    ClipImport, DecoderImport, Import, ImportOptions, LoraOptions, Merged, Scale, Settings, Umt5Import, matrix_game,
    wan_1_3b,
};
pub use source::{Checkpoint, Encoding, Entry};
