//! Model files: how they are read, and what they hold.

use core::ffi::c_void;

/// `cw_model_open_memory`: the library keeps a copy, so the caller's bytes may go at once.
pub const CW_MEMORY_COPY: u32 = 1;

/// `CwModelInfo.holds`, or-ed: a denoiser, which a session runs.
pub const CW_HOLDS_DENOISER: u32 = 1;
/// `CwModelInfo.holds`: a codec, which makes pictures of latents.
pub const CW_HOLDS_CODEC: u32 = 2;
/// `CwModelInfo.holds`: a text encoder.
pub const CW_HOLDS_TEXT_ENCODER: u32 = 4;
/// `CwModelInfo.holds`: the text encoder's tokenizer.
pub const CW_HOLDS_TOKENIZER: u32 = 8;
/// `CwModelInfo.holds`: prompts.
pub const CW_HOLDS_PROMPTS: u32 = 32;
/// `CwModelInfo.holds`: latents to start from.
pub const CW_HOLDS_STARTS: u32 = 64;

/// `CwModelInfo.takes`, or-ed: actions.
pub const CW_TAKES_ACTIONS: u32 = 1;
/// `CwModelInfo.takes`: events, and mixes of them.
pub const CW_TAKES_EVENTS: u32 = 2;
/// `CwModelInfo.takes`: prompts.
pub const CW_TAKES_PROMPT: u32 = 4;
/// `CwModelInfo.takes`: negative prompts, of a session with guidance.
pub const CW_TAKES_NEGATIVE: u32 = 8;
/// `CwModelInfo.takes`: a picture to start from, for the codec in this file encodes. Of a model and a codec in two files the codec's has it.
pub const CW_TAKES_PICTURE: u32 = 16;

/// An open model file.
pub struct CwModel {
    _opaque: [u8; 0],
}

/// Reads `bytes` bytes at `offset` into `target`; returns 0 when all of them were read, anything else for a failure.
pub type CwRead = Option<unsafe extern "C" fn(user: *mut c_void, offset: u64, target: *mut c_void, bytes: u64) -> i32>;

/// How a host hands out the bytes of a model file.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwReader {
    /// Set to sizeof(CwReader).
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Bytes of the file.
    pub bytes: u64,
    /// Required.
    pub read: CwRead,
    /// Passed to `read`.
    pub user: *mut c_void,
}

/// What a model is.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwModelInfo {
    /// Set to sizeof(CwModelInfo).
    pub struct_size: u32,
    /// Width of a frame in pixels.
    pub width: u32,
    /// Height of a frame in pixels.
    pub height: u32,
    /// Pictures a second that the model was trained for.
    pub fps: f32,
    /// Entries of the action vector.
    pub actions: u32,
    /// Events.
    pub events: u32,
    /// Latent frames made together; all take the same action.
    pub chunk: u32,
    /// Latent frames seen at once, by default.
    pub window: u32,
    /// First latent frames that stay visible for ever, by default.
    pub sink: u32,
    /// Latent frames of history kept for each query, by default; 0 for all.
    pub route: u32,
    /// Denoise steps a chunk, by default.
    pub steps: u32,
    /// Latent frames that the file stores to start from.
    pub start_frames: u32,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// `CW_HOLDS_...`, or-ed. Of a file without a denoiser only what follows and `file_bytes` tell something.
    pub holds: u32,
    /// `CW_TAKES_...`, or-ed.
    pub takes: u32,
    /// Channels of a latent frame.
    pub latent_channels: u32,
    /// Width of a latent frame; 0 for a codec, which takes any.
    pub latent_width: u32,
    /// Height of a latent frame; 0 for a codec, which takes any.
    pub latent_height: u32,
    /// Pictures of the stream's first latent frame; 0 without a codec in the file.
    pub first_pictures: u32,
    /// Pictures of every later latent frame; 0 without a codec in the file.
    pub pictures: u32,
    /// Numbers in a row of a prompt; 0 where there are none.
    pub prompt_width: u32,
    /// Most rows of a prompt.
    pub prompt_rows: u32,
    /// Prompts that the file stores; `cw_model_prompt_name` names them, `cw_model_prompt_rows` tells their rows, `cw_session_load_prompt` takes
    /// them.
    pub prompts: u32,
}
