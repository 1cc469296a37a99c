//! Sessions: what they are created with, what they hold and count.

use core::ffi::c_void;

use super::model::CwModel;

/// `CwSessionOptions.start`: what the model file stores (a bundle: its first start), or nothing if it stores nothing.
pub const CW_START_STORED: u32 = 0;
/// `CwSessionOptions.start`: nothing; the first frames are dreamt from noise.
pub const CW_START_EMPTY: u32 = 1;
/// `CwSessionOptions.start`: the picture in `start_pixels`.
pub const CW_START_IMAGE: u32 = 2;

/// `CwSessionOptions.kv`: 32-bit floats.
pub const CW_KV_F32: u32 = 0;
/// `CwSessionOptions.kv`: 16-bit floats; half the memory.
pub const CW_KV_F16: u32 = 1;
/// `CwSessionOptions.kv`: 8-bit integers with a scale for each token and head; little more than a quarter of the memory.
pub const CW_KV_Q8: u32 = 2;
/// `CwSessionOptions.kv`: 16-bit floats on a GPU, 32-bit floats on the CPU.
pub const CW_KV_AUTO: u32 = 3;

/// `CwSessionOptions.sampler`: the model's own, in as many steps as `steps` says.
pub const CW_SAMPLER_MODEL: u32 = 0;
/// `CwSessionOptions.sampler`: few steps with fresh noise, as distilled students are sampled; as `CW_SAMPLER_MODEL`.
pub const CW_SAMPLER_FEW: u32 = 1;
/// `CwSessionOptions.sampler`: Euler, in `sampler_steps` steps.
pub const CW_SAMPLER_EULER: u32 = 2;
/// `CwSessionOptions.sampler`: UniPC of order 2, in `sampler_steps` steps.
pub const CW_SAMPLER_UNIPC: u32 = 3;

/// `CwSessionOptions.output`: pictures, by `cw_session_poll_frame`.
pub const CW_OUTPUT_PIXELS: u32 = 0;
/// `CwSessionOptions.output`: latent frames, by `cw_session_poll_latents`; no codec is needed.
pub const CW_OUTPUT_LATENTS: u32 = 2;

/// `CwSessionOptions.pace`: chunks are made as fast as the host pumps.
pub const CW_PACE_OFF: u32 = 0;
/// `CwSessionOptions.pace`: no chunk begins before its first picture's time on the session's clock. Pictures come when they are ready; receipts say
/// when each should be shown.
pub const CW_PACE_WORLD: u32 = 1;
/// `CwSessionOptions.pace`: the same, and polling gives each picture no sooner than it should be shown: for hosts that show what they poll.
pub const CW_PACE_HELD: u32 = 2;

/// `CwSessionOptions.gate`: it is given, and its receipts name the alarms.
pub const CW_GATE_REPORT: u32 = 0;
/// `CwSessionOptions.gate`: it is dropped and `CW_ERROR_UNHEALTHY` returned, so that the host can rewind, cut or set a picture. Pumped on, the stream
/// makes it again and gives it.
pub const CW_GATE_HOLD: u32 = 1;
/// `CwSessionOptions.gate`: it is dropped and made again with the smallest window there can be, without what is far; that one is given.
pub const CW_GATE_NEAR: u32 = 2;

/// One stream of a model.
pub struct CwSession {
    _opaque: [u8; 0],
}

/// The host's monotonic clock in microseconds. Called by the thread that pumps; with `CW_PACE_HELD` also by those that poll, perhaps at once.
pub type CwClock = Option<unsafe extern "C" fn(user: *mut c_void) -> u64>;

/// Options of a session. Fill it in with `cw_session_options_init`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwSessionOptions {
    /// Set to sizeof(CwSessionOptions) before `cw_session_options_init`.
    pub struct_size: u32,
    /// `CW_START_...`: what the first frames are.
    pub start: u32,
    /// Noise seed: one seed and the same actions give the same frames.
    pub seed: u64,
    /// Most bytes that the session may hold; 0 for no limit.
    pub memory_cap: u64,
    /// Latent frames seen at once, sink and chunk among them; -1 for the model's.
    pub window: i32,
    /// First latent frames that stay visible for ever; -1 for the model's.
    pub sink: i32,
    /// Latent frames of history kept for each query, 0 for all; -1 for the model's.
    pub route: i32,
    /// Denoise steps a chunk, one of those the model was trained for; -1 for the model's.
    pub steps: i32,
    /// Event in force at the start; -1 for the model's.
    pub event: i32,
    /// Finished pictures held for the host before pumping pauses.
    pub queue: u32,
    /// RGBA8, sRGB, width * height * 4 bytes, rows from the top; with `CW_START_IMAGE`. Copied by the call.
    pub start_pixels: *const u8,
    /// Bytes of `start_pixels`.
    pub start_bytes: usize,
    /// The host's clock, or NULL for the system's.
    pub clock: CwClock,
    /// Passed to `clock`.
    pub clock_user: *mut c_void,
    /// `CW_KV_...`: how the ring stores keys and values.
    pub kv: u32,
    /// 0.
    pub reserved: u32,
    /// A file that holds the codec, for a model that has none in its own; or NULL. A bundle has its codec with it. Need not outlive the call.
    pub codec: *const CwModel,
    /// Width of a picture, of a model that reads prompts; 0 for the model's.
    pub width: u32,
    /// Height of a picture, of a model that reads prompts; 0 for the model's.
    pub height: u32,
    /// Latent frames made together; 0 for the model's.
    pub chunk: u32,
    /// Latent frames of the first chunk; 0: as of all others.
    pub first_chunk: u32,
    /// `CW_SAMPLER_...`.
    pub sampler: u32,
    /// Steps of Euler and UniPC; 0: 50.
    pub sampler_steps: u32,
    /// Guidance away from a negative prompt; 0 or 1: none. It takes a second ring.
    pub guidance: f32,
    /// `CW_OUTPUT_...`.
    pub output: u32,
    /// Prompts held beside the one in force; 0: 1, where the model reads prompts.
    pub prompt_slots: u32,
    /// Most rows a prompt may have; 0: the model's. Memory is kept for so many.
    pub prompt_rows: u32,
    /// 1: `CW_WAY_RECACHE` is possible. It takes activations of a whole window; `cw_session_query` tells how much.
    pub recache: u32,
    /// 0.
    pub reserved2: u32,
    /// `CW_PACE_...`.
    pub pace: u32,
    /// `route` may be changed up to so many while the stream runs (`cw_session_set_quality`); 0: it stays as it is. The plan has room for them.
    pub most_route: u32,
    /// 1: while chunks take longer than they last, they are made in fewer steps, then with a smaller route (with `most_route`); what was
    /// taken is given back once there is time again. Receipts name both.
    pub governor: u32,
    /// `CW_GATE_...`: what becomes of a chunk whose health alarms (`CwReceipt.alarms`).
    pub gate: u32,
}

/// What a session holds and makes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwSessionInfo {
    /// Set to sizeof(CwSessionInfo).
    pub struct_size: u32,
    /// `CW_DEVICE_CPU` or `CW_DEVICE_GPU`.
    pub device: u32,
    /// Width of a frame in pixels.
    pub width: u32,
    /// Height of a frame in pixels.
    pub height: u32,
    /// Bytes of weights in the layout that the device computes with; 0 where a session of this model on this device holds them already.
    pub weight_bytes: u64,
    /// Bytes of state: the ring of keys and values, the codec's memory.
    pub state_bytes: u64,
    /// Bytes of activations.
    pub activation_bytes: u64,
    /// Bytes of frame buffers, staging, tables and scratch.
    pub overhead_bytes: u64,
    /// Sum of all.
    pub total_bytes: u64,
    /// Bytes that a snapshot takes at most.
    pub snapshot_bytes: u64,
    /// Channels of a latent frame.
    pub latent_channels: u32,
    /// Width of a latent frame.
    pub latent_width: u32,
    /// Height of a latent frame.
    pub latent_height: u32,
    /// Frames a second of pictures that the model was trained for.
    pub fps: f32,
    /// Bytes that a saved game takes at most (`cw_session_save`).
    pub save_bytes: u64,
}

/// `CwProgress.stage`: weights are brought into the device's layout, in bytes of that.
pub const CW_STAGE_WEIGHTS: u32 = 0;
/// `CwProgress.stage`: kernels are compiled for a GPU.
pub const CW_STAGE_PIPELINES: u32 = 1;
/// `CwProgress.stage`: the session is there.
pub const CW_STAGE_READY: u32 = 3;

/// How far the creation of a session is.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwProgress {
    /// Set to sizeof(CwProgress).
    pub struct_size: u32,
    /// `CW_STAGE_...`.
    pub stage: u32,
    /// So much of the stage is done ...
    pub done: u64,
    /// ... of so much.
    pub total: u64,
}

/// Counters of a session since its creation.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwStats {
    /// Set to sizeof(CwStats).
    pub struct_size: u32,
    /// Finished frames that wait to be polled.
    pub waiting: u32,
    /// Frames made.
    pub frames: u64,
    /// Operators run.
    pub nodes: u64,
    /// Chunks dropped by `cw_session_cancel`.
    pub cancelled: u64,
    /// Calls of `cw_session_pump`, or rounds of the worker thread.
    pub pumps: u64,
    /// Microseconds spent in them.
    pub pump_micros: u64,
    /// Microseconds of the longest of them.
    pub longest_pump_micros: u64,
    /// Number of the latent frame in flight.
    pub position: u64,
    /// 1 while a worker thread runs.
    pub worker: u32,
    /// 1 while paused.
    pub paused: u32,
}
