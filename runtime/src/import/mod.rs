//! Reads what projects publish (PyTorch `.pt`, safetensors whole or sharded, GGUF) and writes model files of ours.
//!
//! * [`Checkpoint`] is a list of tensors, wherever and however they are stored; it executes nothing.
//! * [`Kind`] says what a file is, and why it is refused.
//! * [`Import`] finds the Wan network among them: names, shapes, configuration, LoRA.
//! * [`DecoderImport`] finds a decoder among them.
//! * [`Umt5Import`] finds a text encoder among them.
//! * [`Import::write`] streams it into a model file, a slab of values at a time.
//!
//! A checkpoint is untrusted input: every offset, count and shape is checked before it is used, and no bytes make this panic.

#![forbid(unsafe_code)]

mod alpha;
mod checkpoint;
mod decoder;
mod encoding;
mod error;
mod float8;
mod folder;
mod gather;
mod gguf;
mod iq4;
mod kind;
mod kinds;
mod lora;
mod module;
mod names;
mod pickle;
mod rebuild;
mod safetensors;
mod scaled;
mod strength;
mod taehv;
mod torch;
mod umt5;
mod vae;
mod wan;
mod write;
mod zip;

pub use checkpoint::{Checkpoint, Entry};
pub use decoder::DecoderImport;
pub use encoding::Encoding;
pub use error::ImportError;
pub use kind::{Answer, Kind, Section};
pub use lora::LoraOptions;
pub use strength::{Merged, Scale};
pub use umt5::Umt5Import;
pub use wan::{Import, ImportOptions, Settings, wan_1_3b};
