//! The structs and constants of the C interface. Structs only grow at their end; `struct_size` says how much of one a caller knows.

use core::ffi::{c_char, c_void};

/// Version of this interface. It grows by one when something is added; nothing is ever removed or changed.
pub const CW_ABI_VERSION: u32 = 4;

/// What a call came to: an outcome (0 or more) or an error (below 0).
pub type CwStatus = i32;

/// Done.
pub const CW_OK: CwStatus = 0;
/// A frame became ready; fetch it with `cw_session_poll_frame`.
pub const CW_FRAME: CwStatus = 1;
/// Nothing is ready: the budget is spent, the GPU is busy, or no frame waits. Not an error; call again.
pub const CW_PENDING: CwStatus = 2;
/// All frame buffers hold frames that nobody fetched; poll them.
pub const CW_FULL: CwStatus = 3;
/// The session is paused.
pub const CW_PAUSED: CwStatus = 4;

/// An argument is NULL or out of its range.
pub const CW_ERROR_ARGUMENT: CwStatus = -1;
/// Not a handle of this library, a handle of another kind, or one that was destroyed.
pub const CW_ERROR_HANDLE: CwStatus = -2;
/// `struct_size` is not one that any version of this struct had.
pub const CW_ERROR_STRUCT_SIZE: CwStatus = -3;
/// Another thread is inside this session.
pub const CW_ERROR_BUSY: CwStatus = -4;
/// Not possible now, for example pumping a session that has a worker thread.
pub const CW_ERROR_STATE: CwStatus = -5;
/// The host's allocator, or the system, has no memory.
pub const CW_ERROR_OUT_OF_MEMORY: CwStatus = -6;
/// The session needs more than `memory_cap`; the error text has the number.
pub const CW_ERROR_MEMORY_CAP: CwStatus = -7;
/// The model file is malformed or of an unknown kind.
pub const CW_ERROR_MODEL: CwStatus = -8;
/// A file could not be opened or read.
pub const CW_ERROR_IO: CwStatus = -9;
/// An option does not fit the model.
pub const CW_ERROR_OPTION: CwStatus = -10;
/// Not a snapshot, or a damaged one.
pub const CW_ERROR_SNAPSHOT: CwStatus = -11;
/// A snapshot of another model, of other options or of another kind of device.
pub const CW_ERROR_SNAPSHOT_OF_ANOTHER: CwStatus = -12;
/// No device fits, or it cannot run this model.
pub const CW_ERROR_DEVICE: CwStatus = -13;
/// The GPU was lost. Destroy session and device, create both anew, restore a snapshot.
pub const CW_ERROR_DEVICE_LOST: CwStatus = -14;
/// This build or this platform cannot do it.
pub const CW_ERROR_UNSUPPORTED: CwStatus = -15;
/// The memory given is too small; `needed` or the error text has the number.
pub const CW_ERROR_BUFFER_TOO_SMALL: CwStatus = -16;
/// Too many events or other changes wait.
pub const CW_ERROR_EVENTS_FULL: CwStatus = -17;
/// The handle was destroyed by another thread during the call.
pub const CW_ERROR_DESTROYED: CwStatus = -18;
/// A callback of the host failed.
pub const CW_ERROR_HOST: CwStatus = -19;
/// A defect of the library. The session it happened in cannot be used any more; destroy it.
pub const CW_ERROR_PANIC: CwStatus = -20;
/// The model takes no such condition; the error text has those it takes.
pub const CW_ERROR_CONDITION: CwStatus = -21;
/// A chunk came out NaN or infinite and was dropped; the stream stands before it, and makes it again of what it is told then.
pub const CW_ERROR_NOT_FINITE: CwStatus = -22;

/// `CwDeviceOptions.kind`: a hardware GPU if there is one that fits, else the CPU.
pub const CW_DEVICE_AUTO: u32 = 0;
/// `CwDeviceOptions.kind`: the CPU.
pub const CW_DEVICE_CPU: u32 = 1;
/// `CwDeviceOptions.kind`: a GPU, also one that a driver emulates on the CPU.
pub const CW_DEVICE_GPU: u32 = 2;

/// `CwSessionOptions.start`: what the model file stores, or nothing if it stores nothing.
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

/// `CwImage.format`: bytes R, G, B, A.
pub const CW_FORMAT_RGBA8: u32 = 0;
/// `CwImage.format`: bytes B, G, R, A.
pub const CW_FORMAT_BGRA8: u32 = 1;
/// `CwImage.format`: bytes R, G, B.
pub const CW_FORMAT_RGB8: u32 = 2;

/// `CwImage.flags`: the first row in memory is the lowest of the picture, as OpenGL and Unity have it.
pub const CW_IMAGE_FLIP_Y: u32 = 1;
/// `CwImage.flags`: linear light in 8 bits instead of sRGB, for targets that do not convert.
pub const CW_IMAGE_LINEAR: u32 = 2;

/// `cw_model_open_memory`: the library keeps a copy, so the caller's bytes may go at once.
pub const CW_MEMORY_COPY: u32 = 1;

/// `CwModelInfo.holds`, or-ed: a denoiser, which a session runs.
pub const CW_HOLDS_DENOISER: u32 = 1;
/// `CwModelInfo.holds`: a codec, which makes pictures of latents.
pub const CW_HOLDS_CODEC: u32 = 2;
/// `CwModelInfo.holds`: a text encoder.
pub const CW_HOLDS_TEXT_ENCODER: u32 = 4;
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
/// `CwModelInfo.takes`: a picture to start from, with a codec that encodes.
pub const CW_TAKES_PICTURE: u32 = 16;

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

/// `CwCondition.kind`: event number `index`.
pub const CW_CONDITION_EVENT: u32 = 0;
/// `CwCondition.kind`: events in parts, `weights`.
pub const CW_CONDITION_MIX: u32 = 1;
/// `CwCondition.kind`: the prompt in slot `index`.
pub const CW_CONDITION_PROMPT: u32 = 2;
/// `CwCondition.kind`: the prompt in slot `index` as what guidance leads away from.
pub const CW_CONDITION_NEGATIVE: u32 = 3;

/// `CwCondition.way`: the past stays as it is, and the new condition has a slow effect.
pub const CW_WAY_KEEP: u32 = 0;
/// `CwCondition.way`: the window is computed anew under the new condition, and the stream goes on smoothly. The session must have been
/// created with `recache`.
pub const CW_WAY_RECACHE: u32 = 1;
/// `CwCondition.way`: the past is forgotten: a cut.
pub const CW_WAY_RESET: u32 = 2;

/// `CwCondition.sink`: the first frames keep what they have.
pub const CW_SINK_KEPT: u32 = 0;
/// `CwCondition.sink`: the oldest frames of the window take their place.
pub const CW_SINK_REFRESHED: u32 = 1;

/// Levels of log messages; a sink gets those up to its level.
pub const CW_LOG_ERROR: u32 = 1;
/// See `CW_LOG_ERROR`.
pub const CW_LOG_WARNING: u32 = 2;
/// See `CW_LOG_ERROR`.
pub const CW_LOG_INFO: u32 = 3;
/// See `CW_LOG_ERROR`.
pub const CW_LOG_DEBUG: u32 = 4;

/// `CwAdapterInfo.kind`.
pub const CW_ADAPTER_OTHER: u32 = 0;
/// `CwAdapterInfo.kind`.
pub const CW_ADAPTER_INTEGRATED: u32 = 1;
/// `CwAdapterInfo.kind`.
pub const CW_ADAPTER_DISCRETE: u32 = 2;
/// `CwAdapterInfo.kind`.
pub const CW_ADAPTER_VIRTUAL: u32 = 3;
/// `CwAdapterInfo.kind`: a driver that computes on the CPU.
pub const CW_ADAPTER_SOFTWARE: u32 = 4;

/// Where sessions compute: threads, or an open GPU. Shared by any number of sessions.
pub struct CwDevice {
    _opaque: [u8; 0],
}

/// An open model file.
pub struct CwModel {
    _opaque: [u8; 0],
}

/// One stream of a model.
pub struct CwSession {
    _opaque: [u8; 0],
}

/// One piece of work that a host's job system runs. `index` is below the count it was given with.
pub type CwTask = Option<unsafe extern "C" fn(context: *mut c_void, index: u32)>;

/// The host's parallel-for: calls `task(context, i)` once for every i below `count`, on any threads, and returns when all are done.
/// Called by the thread that pumps.
pub type CwParallelFor =
    Option<unsafe extern "C" fn(user: *mut c_void, count: u32, task: CwTask, context: *mut c_void)>;

/// The host's monotonic clock in microseconds. Called by the thread that pumps.
pub type CwClock = Option<unsafe extern "C" fn(user: *mut c_void) -> u64>;

/// Reads `bytes` bytes at `offset` into `target`; returns 0 when all of them were read, anything else for a failure.
pub type CwRead = Option<unsafe extern "C" fn(user: *mut c_void, offset: u64, target: *mut c_void, bytes: u64) -> i32>;

/// Takes a log message of `length` bytes of UTF-8 (no NUL at its end). Called by any thread; it must not call this library.
pub type CwLogSink = Option<unsafe extern "C" fn(user: *mut c_void, level: u32, text: *const c_char, length: usize)>;

/// Allocates `bytes` bytes aligned to `alignment` (a power of two), or returns NULL. Called by any thread.
pub type CwAllocate = Option<unsafe extern "C" fn(user: *mut c_void, bytes: usize, alignment: usize) -> *mut c_void>;

/// Gives memory of `CwAllocate` back, with the size and alignment it was asked for. Called by any thread.
pub type CwRelease =
    Option<unsafe extern "C" fn(user: *mut c_void, memory: *mut c_void, bytes: usize, alignment: usize)>;

/// The host's memory. See `cw_set_allocator`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwAllocator {
    /// Set to sizeof(CwAllocator).
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Required.
    pub allocate: CwAllocate,
    /// Required.
    pub release: CwRelease,
    /// Passed to both.
    pub user: *mut c_void,
}

/// A GPU of this machine.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwAdapterInfo {
    /// Set to sizeof(CwAdapterInfo).
    pub struct_size: u32,
    /// `CW_ADAPTER_...`.
    pub kind: u32,
    /// 1 if it can run models, else 0.
    pub usable: u32,
    /// 0.
    pub reserved: u32,
    /// Most bytes of one buffer.
    pub max_buffer_bytes: u64,
    /// Name given by the driver, UTF-8, ended by NUL.
    pub name: [c_char; 128],
    /// Interface (Vulkan, Metal, Dx12, Gl), driver and its version, UTF-8, ended by NUL.
    pub driver: [c_char; 128],
}

/// Options of a device. Fill it in with `cw_device_options_init`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwDeviceOptions {
    /// Set to sizeof(CwDeviceOptions) before `cw_device_options_init`.
    pub struct_size: u32,
    /// `CW_DEVICE_...`.
    pub kind: u32,
    /// CPU threads, the pumping one among them; 0 takes what the machine has. With `parallel_for`: how many of its threads may
    /// run pieces at once (0: what the machine has).
    pub threads: u32,
    /// 1: plain scalar arithmetic, the same bits on every CPU, slowly.
    pub strict: u32,
    /// Number of the GPU (`cw_adapter_info`), or -1 to choose by `adapter`.
    pub adapter_index: i32,
    /// 0.
    pub reserved: u32,
    /// Part of the GPU's name, UTF-8, any case; NULL or length 0 for the best one.
    pub adapter: *const c_char,
    /// Bytes of `adapter`.
    pub adapter_length: usize,
    /// The host's job system, or NULL for threads of the library's own.
    pub parallel_for: CwParallelFor,
    /// Passed to `parallel_for`.
    pub parallel_user: *mut c_void,
}

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
    /// Prompts that the file stores; `cw_model_prompt_name` names them, `cw_session_load_prompt` takes them.
    pub prompts: u32,
}

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

/// A change of what a stream is told. Set all that is not used to 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwCondition {
    /// Set to sizeof(CwCondition).
    pub struct_size: u32,
    /// `CW_CONDITION_...`.
    pub kind: u32,
    /// Event, or prompt slot.
    pub index: u32,
    /// `CW_WAY_...`: what becomes of the past.
    pub way: u32,
    /// `CW_SINK_...`, with `CW_WAY_RECACHE`.
    pub sink: u32,
    /// Over so many chunks the old condition goes over into the new one; 0 and 1: at once. A recache follows each part.
    pub chunks: u32,
    /// First picture of the stream (without a codec: latent frame) that may show it; 0: with the next chunk.
    pub frame: u64,
    /// `CW_CONDITION_MIX`: a weight for each event, 0 or more and finite, of sum 1 within 0.001. Copied.
    pub weights: *const f32,
    /// Numbers at `weights`.
    pub weight_count: u32,
    /// 0.
    pub reserved: u32,
}

/// Where `cw_session_poll_frame` writes a frame.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwImage {
    /// Set to sizeof(CwImage).
    pub struct_size: u32,
    /// `CW_FORMAT_...`.
    pub format: u32,
    /// `CW_IMAGE_...`, or-ed.
    pub flags: u32,
    /// 0.
    pub reserved: u32,
    /// First byte of the first row in memory.
    pub pixels: *mut c_void,
    /// Bytes at `pixels`.
    pub bytes: usize,
    /// Bytes from one row to the next; 0 for rows without padding.
    pub row_pitch: usize,
}

/// What a frame is the first to show, and when it was made. Tickets come from `cw_session_set_action` and `cw_session_queue_event`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwReceipt {
    /// Set to sizeof(CwReceipt).
    pub struct_size: u32,
    /// Width of the frame in pixels.
    pub width: u32,
    /// Height of the frame in pixels.
    pub height: u32,
    /// Event in force; of a mix the strongest.
    pub event: u32,
    /// Number of the picture in the stream, from 0; without a codec of the latent frame.
    pub frame: u64,
    /// Ticket of the newest action the frame was made with.
    pub action_ticket: u64,
    /// Ticket of the newest event or other change the frame was made under.
    pub event_ticket: u64,
    /// When the frame's chunk took its action, microseconds on the session's clock.
    pub began: u64,
    /// When its pixels were ready.
    pub ready: u64,
    /// 1 if no earlier frame was made with that action.
    pub first_of_action: u32,
    /// 1 if no earlier frame was made under that ticket.
    pub first_of_event: u32,
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

/// A host's Vulkan instance and the GPU it chose, before or after it makes its device.
pub struct CwVulkan {
    _opaque: [u8; 0],
}

/// Any function of Vulkan's; cast it to its type.
pub type CwVulkanFunction = Option<unsafe extern "C" fn()>;

/// `vkGetInstanceProcAddr`, with VkInstance as `void *`.
pub type CwVulkanGetInstanceProcAddr =
    Option<unsafe extern "C" fn(instance: *mut c_void, name: *const c_char) -> CwVulkanFunction>;

/// Takes or gives back the host's lock of its queue. Called by any thread that works in the library, for as long as one call of Vulkan's
/// takes; it must not call this library.
pub type CwQueueLock = Option<unsafe extern "C" fn(user: *mut c_void)>;

/// A host's Vulkan instance and GPU.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwVulkanHost {
    /// Set to sizeof(CwVulkanHost).
    pub struct_size: u32,
    /// `VkApplicationInfo.apiVersion` of the instance, at least VK_API_VERSION_1_3 (the GPU may be older).
    pub api_version: u32,
    /// VkInstance, made with the extension VK_KHR_get_physical_device_properties2.
    pub instance: *mut c_void,
    /// VkPhysicalDevice.
    pub physical_device: *mut c_void,
    /// The host's `vkGetInstanceProcAddr`, cast; or NULL for that of the system's Vulkan library.
    pub get_instance_proc_addr: CwVulkanGetInstanceProcAddr,
}

/// What a device must be made with.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwVulkanNeeds {
    /// Set to sizeof(CwVulkanNeeds).
    pub struct_size: u32,
    /// How many extensions.
    pub extension_count: u32,
    /// For `VkDeviceCreateInfo.ppEnabledExtensionNames`, beside the host's own. Lives as long as the CwVulkan.
    pub extensions: *const *const c_char,
    /// A VkPhysicalDeviceFeatures2 with its chain, for `VkDeviceCreateInfo.pNext`; a host with features of its own enables the union.
    /// Lives as long as the CwVulkan.
    pub features: *const c_void,
}

/// A host's Vulkan device and queue.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwVulkanDevice {
    /// Set to sizeof(CwVulkanDevice).
    pub struct_size: u32,
    /// Family of the queue; it must take compute work.
    pub queue_family: u32,
    /// Number of the queue in its family.
    pub queue_index: u32,
    /// 0.
    pub reserved: u32,
    /// VkDevice, made with all that `cw_vulkan_needs` tells.
    pub device: *mut c_void,
    /// Called before the queue is used; NULL if no other thread uses it during a call of this library.
    pub lock: CwQueueLock,
    /// Called afterwards, by the same thread.
    pub unlock: CwQueueLock,
    /// Passed to both.
    pub lock_user: *mut c_void,
}

/// Where `cw_session_poll_image` has a frame written: a part of a 2D image of format R8G8B8A8 (UNORM or SRGB), one sample, usage
/// TRANSFER_DST, mip level 0, in exclusive use by the queue's family.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwVulkanImage {
    /// Set to sizeof(CwVulkanImage).
    pub struct_size: u32,
    /// VkImageLayout that the image is in; VK_IMAGE_LAYOUT_UNDEFINED if nothing of it is needed any more.
    pub layout_before: u32,
    /// VkImageLayout that it shall be left in.
    pub layout_after: u32,
    /// Width of the image in pixels.
    pub width: u32,
    /// Height of the image in pixels.
    pub height: u32,
    /// Column of the frame's left upper corner.
    pub x: u32,
    /// Row of it.
    pub y: u32,
    /// Array layer.
    pub layer: u32,
    /// VkImage, cast.
    pub image: u64,
}
