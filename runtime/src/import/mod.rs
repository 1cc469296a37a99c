//! Reads what projects publish (PyTorch `.pt`, safetensors whole or sharded, GGUF) and writes model files of ours.
//!
//! * [`Checkpoint`] is a list of tensors, wherever and however they are stored; it executes nothing.
//! * [`Import`] finds the Wan network among them: names, shapes, configuration, LoRA.
//! * [`Import::write`] streams it into a model file, a slab of values at a time.
//!
//! A checkpoint is untrusted input: every offset, count and shape is checked before it is used, and no bytes make this panic.

#[forbid(unsafe_code)]
mod checkpoint;
#[forbid(unsafe_code)]
mod encoding;
#[forbid(unsafe_code)]
mod error;
#[forbid(unsafe_code)]
mod gguf;
#[forbid(unsafe_code)]
mod lora;
#[forbid(unsafe_code)]
mod names;
#[forbid(unsafe_code)]
mod pickle;
#[forbid(unsafe_code)]
mod safetensors;
#[forbid(unsafe_code)]
mod torch;
#[forbid(unsafe_code)]
mod wan;
#[forbid(unsafe_code)]
mod write;
#[forbid(unsafe_code)]
mod zip;

pub use checkpoint::{Checkpoint, Entry};
pub use encoding::Encoding;
pub use error::ImportError;
pub use lora::LoraOptions;
pub use wan::{Import, ImportOptions, Settings, wan_1_3b};
