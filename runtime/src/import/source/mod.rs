//! What a file holds, whoever wrote it: lists of tensors out of containers, and their values.

mod blocks;
mod bytes;
mod checkpoint;
mod entry;
mod files;
mod float8;
mod folder;
mod gather;
mod gguf;
mod iq4;
mod pickle;
mod rebuild;
mod safetensors;
mod scaled;
mod torch;
mod zip;

pub use blocks::Encoding;
pub(super) use bytes::FILES;
pub use checkpoint::Checkpoint;
pub use entry::Entry;
pub(super) use entry::View;
