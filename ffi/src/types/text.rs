//! Words to the rows of a prompt.

/// A text encoder with its tokenizer (builds with the feature `text`; `cw_text_create` of others answers `CW_ERROR_UNSUPPORTED`).
pub struct CwText {
    _opaque: [u8; 0],
}

/// How a text encoder works. `cw_text_create` with NULL takes zeros.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwTextOptions {
    /// Set to sizeof(CwTextOptions).
    pub struct_size: u32,
    /// 1: holds one layer of weights at a time, which every prompt reads from the file anew. 0: the first prompt reads them, and they stay.
    pub stream: u32,
    /// Most bytes to hold, tokenizer included; 0 for no limit.
    pub memory_cap: u64,
    /// A `tokenizer.json` or `spiece.model` in memory; NULL for the one that the encoder's file holds (`causeway convert --tokenizer`). Need not
    /// outlive the call.
    pub tokenizer: *const u8,
    /// Its bytes.
    pub tokenizer_bytes: usize,
    /// Most rows of a prompt: a session's `prompt_rows`, for example; 0 for the encoder's own. Fewer take less memory.
    pub most_rows: u32,
    /// 0.
    pub reserved: u32,
}

/// What a text encoder takes, told before it is created.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwTextInfo {
    /// Set to sizeof(CwTextInfo).
    pub struct_size: u32,
    /// Numbers in a row of a prompt.
    pub width: u32,
    /// Most rows of a prompt: its tokens, the end token included. What a longer text has more is left out.
    pub most_rows: u32,
    /// About how many seconds the longest prompt is computed for, reading left out; from a trial of some milliseconds on the device. A
    /// shorter one takes less, by its rows.
    pub seconds_per_prompt: f32,
    /// Bytes held at most: weights, activations, prompt, tokenizer.
    pub total_bytes: u64,
    /// About how many of them are the tokenizer's, in the host's memory.
    pub tokenizer_bytes: u64,
    /// Bytes that the first prompt reads from the file.
    pub first_read_bytes: u64,
    /// Bytes that every later prompt reads from it.
    pub read_bytes_per_prompt: u64,
}
