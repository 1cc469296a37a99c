//! What the format prescribes of a model file's bytes.

/// Tensor data and every tensor in it start at a multiple of this many bytes.
pub const ALIGN: usize = 64;

/// Names that begin so belong to gap fillers, not to weights.
pub const PAD: &str = "_pad.";

/// The tensor of bytes that is a text encoder's tokenizer.
pub const TOKENIZER: &str = "umt5.tokenizer";

/// Longest accepted header, bytes: over a hundred times what the largest known models need.
pub const MAX_HEADER: usize = 16 << 20;

/// Most tensors in a file, padding included.
pub const MAX_TENSORS: usize = 1 << 16;

/// Most dimensions of a tensor.
pub const MAX_RANK: usize = 8;

/// Longest tensor name, bytes.
pub const MAX_NAME: usize = 256;
