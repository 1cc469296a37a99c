/* Causeway: neural worlds inside other programs. Generated from ffi/src by `cargo test -p causeway-ffi`; do not edit.
 *
 *     CwDevice *device; CwModel *model; CwSession *session;
 *     cw_device_create(NULL, &device);
 *     cw_model_open_path("rooms.safetensors", 17, &model);
 *     cw_session_create(device, model, NULL, &session);
 *     for (;;) {                                                // once a frame of the game
 *         cw_session_set_action(session, action, 5, NULL);
 *         cw_session_pump(session, 2000);                       // two milliseconds
 *         if (cw_session_poll_frame(session, &image, &receipt) == CW_OK) show(image.pixels);
 *     }
 *
 * A program one can play with is examples/sdl2, one without a window examples/c; docs/embedding.md goes through it.
 *
 * Handles are checked: NULL, a stale or a wrong one is an error, never a crash. Structs begin with `struct_size`, which the caller sets to
 * sizeof: fields that it does not know keep their defaults. All texts are UTF-8. A status below 0 is an error; cw_last_error has its text. */

#ifndef CAUSEWAY_H
#define CAUSEWAY_H

#include <stddef.h>
#include <stdint.h>

/* Before every function. Empty, for linkers find them by their names; `__declspec(dllimport)` saves a jump on Windows. */
#ifndef CW_API
#define CW_API
#endif

/*
 Version of this interface. It grows by one when something is added; nothing is ever removed or changed.
 */
#define CW_ABI_VERSION 4

/*
 `CwCondition.kind`: event number `index`.
 */
#define CW_CONDITION_EVENT 0

/*
 `CwCondition.kind`: events in parts, `weights`.
 */
#define CW_CONDITION_MIX 1

/*
 `CwCondition.kind`: the prompt in slot `index`.
 */
#define CW_CONDITION_PROMPT 2

/*
 `CwCondition.kind`: the prompt in slot `index` as what guidance leads away from.
 */
#define CW_CONDITION_NEGATIVE 3

/*
 `CwCondition.way`: the past stays as it is, and the new condition has a slow effect.
 */
#define CW_WAY_KEEP 0

/*
 `CwCondition.way`: the window is computed anew under the new condition, and the stream goes on smoothly. The session must have been
 created with `recache`.
 */
#define CW_WAY_RECACHE 1

/*
 `CwCondition.way`: the past is forgotten.
 */
#define CW_WAY_RESET 2

/*
 `CwCondition.way`: a new shot. The past stays, and routes find it, but the next chunk need not follow the newest frame.
 */
#define CW_WAY_CUT 3

/*
 `CwCondition.sink`: the first frames keep what they have.
 */
#define CW_SINK_KEPT 0

/*
 `CwCondition.sink`: the oldest frames of the window take their place.
 */
#define CW_SINK_REFRESHED 1

/*
 `CwDeviceOptions.kind`: a hardware GPU if there is one that fits, else the CPU.
 */
#define CW_DEVICE_AUTO 0

/*
 `CwDeviceOptions.kind`: the CPU.
 */
#define CW_DEVICE_CPU 1

/*
 `CwDeviceOptions.kind`: a GPU, also one that a driver emulates on the CPU.
 */
#define CW_DEVICE_GPU 2

/*
 `CwDeviceOptions.tier`: the best kernels that the GPU computes rightly with, of those that are known to be faster on it.
 */
#define CW_TIER_AUTO 0

/*
 `CwDeviceOptions.tier`: kernels that every GPU can run.
 */
#define CW_TIER_PORTABLE 1

/*
 `CwDeviceOptions.tier`: linear layers with 8- and 4-bit weights by products of four bytes; inputs are rounded as on the CPU.
 */
#define CW_TIER_DOT4 2

/*
 `CwDeviceOptions.tier`: linear layers, convolutions and attention in half precision.
 */
#define CW_TIER_HALF 3

/*
 `CwDeviceOptions.tier`: linear layers and attention by cooperative matrices of half precision, with sums in 32 bits.
 */
#define CW_TIER_COOPERATIVE 4

/*
 `CwAdapterInfo.kind`.
 */
#define CW_ADAPTER_OTHER 0

/*
 `CwAdapterInfo.kind`.
 */
#define CW_ADAPTER_INTEGRATED 1

/*
 `CwAdapterInfo.kind`.
 */
#define CW_ADAPTER_DISCRETE 2

/*
 `CwAdapterInfo.kind`.
 */
#define CW_ADAPTER_VIRTUAL 3

/*
 `CwAdapterInfo.kind`: a driver that computes on the CPU.
 */
#define CW_ADAPTER_SOFTWARE 4

/*
 `CwImage.format`: bytes R, G, B, A.
 */
#define CW_FORMAT_RGBA8 0

/*
 `CwImage.format`: bytes B, G, R, A.
 */
#define CW_FORMAT_BGRA8 1

/*
 `CwImage.format`: bytes R, G, B.
 */
#define CW_FORMAT_RGB8 2

/*
 `CwImage.flags`: the first row in memory is the lowest of the picture, as OpenGL and Unity have it.
 */
#define CW_IMAGE_FLIP_Y 1

/*
 `CwImage.flags`: linear light in 8 bits instead of sRGB, for targets that do not convert.
 */
#define CW_IMAGE_LINEAR 2

/*
 `CwReceipt.alarms`: the mean of the latents.
 */
#define CW_ALARM_MEAN 1

/*
 `CwReceipt.alarms`: their spread.
 */
#define CW_ALARM_SPREAD 2

/*
 `CwReceipt.alarms`: their detail: pictures melt, or are noise.
 */
#define CW_ALARM_DETAIL 4

/*
 `CwReceipt.alarms`: nothing moves, whatever is pressed.
 */
#define CW_ALARM_FROZEN 8

/*
 `CwReceipt.alarms`: the world drifts, though nothing is pressed.
 */
#define CW_ALARM_DRIFT 16

/*
 `CwReceipt.alarms`: attention looks for far frames.
 */
#define CW_ALARM_FAR 32

/*
 Levels of log messages; a sink gets those up to its level.
 */
#define CW_LOG_ERROR 1

/*
 See `CW_LOG_ERROR`.
 */
#define CW_LOG_WARNING 2

/*
 See `CW_LOG_ERROR`.
 */
#define CW_LOG_INFO 3

/*
 See `CW_LOG_ERROR`.
 */
#define CW_LOG_DEBUG 4

/*
 `cw_model_open_memory`: the library keeps a copy, so the caller's bytes may go at once.
 */
#define CW_MEMORY_COPY 1

/*
 `CwModelInfo.holds`, or-ed: a denoiser, which a session runs.
 */
#define CW_HOLDS_DENOISER 1

/*
 `CwModelInfo.holds`: a codec, which makes pictures of latents.
 */
#define CW_HOLDS_CODEC 2

/*
 `CwModelInfo.holds`: a text encoder.
 */
#define CW_HOLDS_TEXT_ENCODER 4

/*
 `CwModelInfo.holds`: the text encoder's tokenizer.
 */
#define CW_HOLDS_TOKENIZER 8

/*
 `CwModelInfo.holds`: prompts.
 */
#define CW_HOLDS_PROMPTS 32

/*
 `CwModelInfo.holds`: latents to start from.
 */
#define CW_HOLDS_STARTS 64

/*
 `CwModelInfo.takes`, or-ed: actions.
 */
#define CW_TAKES_ACTIONS 1

/*
 `CwModelInfo.takes`: events, and mixes of them.
 */
#define CW_TAKES_EVENTS 2

/*
 `CwModelInfo.takes`: prompts.
 */
#define CW_TAKES_PROMPT 4

/*
 `CwModelInfo.takes`: negative prompts, of a session with guidance.
 */
#define CW_TAKES_NEGATIVE 8

/*
 `CwModelInfo.takes`: a picture to start from, for the codec in this file encodes. Of a model and a codec in two files the codec's has it.
 */
#define CW_TAKES_PICTURE 16

/*
 `CwPicture.fit`: another size than the stream's is `CW_ERROR_ARGUMENT`.
 */
#define CW_FIT_EXACT 0

/*
 `CwPicture.fit`: the largest part in the middle that has the stream's shape, scaled.
 */
#define CW_FIT_CROP 1

/*
 `CwPicture.fit`: all of it, scaled.
 */
#define CW_FIT_STRETCH 2

/*
 `CwPicture.when`: what the stream starts from, from the next `cw_session_reset` on.
 */
#define CW_PICTURE_START 0

/*
 `CwPicture.when`: the newest frame, before the next chunk. It is encoded, shown and committed as a chunk is, with no action, and cannot be
 dropped once begun; the history stays. For models of which a latent frame is one picture.
 */
#define CW_PICTURE_NOW 1

/*
 `CwSessionOptions.start`: what the model file stores (a bundle: its first start), or nothing if it stores nothing.
 */
#define CW_START_STORED 0

/*
 `CwSessionOptions.start`: nothing; the first frames are dreamt from noise.
 */
#define CW_START_EMPTY 1

/*
 `CwSessionOptions.start`: the picture in `start_pixels`.
 */
#define CW_START_IMAGE 2

/*
 `CwSessionOptions.kv`: 32-bit floats.
 */
#define CW_KV_F32 0

/*
 `CwSessionOptions.kv`: 16-bit floats; half the memory.
 */
#define CW_KV_F16 1

/*
 `CwSessionOptions.kv`: 8-bit integers with a scale for each token and head; little more than a quarter of the memory.
 */
#define CW_KV_Q8 2

/*
 `CwSessionOptions.kv`: 16-bit floats on a GPU, 32-bit floats on the CPU.
 */
#define CW_KV_AUTO 3

/*
 `CwSessionOptions.sampler`: the model's own, in as many steps as `steps` says.
 */
#define CW_SAMPLER_MODEL 0

/*
 `CwSessionOptions.sampler`: few steps with fresh noise, as distilled students are sampled; as `CW_SAMPLER_MODEL`.
 */
#define CW_SAMPLER_FEW 1

/*
 `CwSessionOptions.sampler`: Euler, in `sampler_steps` steps.
 */
#define CW_SAMPLER_EULER 2

/*
 `CwSessionOptions.sampler`: UniPC of order 2, in `sampler_steps` steps.
 */
#define CW_SAMPLER_UNIPC 3

/*
 `CwSessionOptions.output`: pictures, by `cw_session_poll_frame`.
 */
#define CW_OUTPUT_PIXELS 0

/*
 `CwSessionOptions.output`: latent frames, by `cw_session_poll_latents`; no codec is needed.
 */
#define CW_OUTPUT_LATENTS 2

/*
 `CwSessionOptions.pace`: chunks are made as fast as the host pumps.
 */
#define CW_PACE_OFF 0

/*
 `CwSessionOptions.pace`: no chunk begins before its first picture's time on the session's clock. Pictures come when they are ready; receipts say
 when each should be shown.
 */
#define CW_PACE_WORLD 1

/*
 `CwSessionOptions.pace`: the same, and polling gives each picture no sooner than it should be shown: for hosts that show what they poll.
 */
#define CW_PACE_HELD 2

/*
 `CwSessionOptions.gate`: it is given, and its receipts name the alarms.
 */
#define CW_GATE_REPORT 0

/*
 `CwSessionOptions.gate`: it is dropped and `CW_ERROR_UNHEALTHY` returned, so that the host can rewind, cut or set a picture. Pumped on, the stream
 makes it again and gives it.
 */
#define CW_GATE_HOLD 1

/*
 `CwSessionOptions.gate`: it is dropped and made again with the smallest window there can be, without what is far; that one is given.
 */
#define CW_GATE_NEAR 2

/*
 `CwProgress.stage`: weights are brought into the device's layout, in bytes of that.
 */
#define CW_STAGE_WEIGHTS 0

/*
 `CwProgress.stage`: kernels are compiled for a GPU.
 */
#define CW_STAGE_PIPELINES 1

/*
 `CwProgress.stage`: the session is there.
 */
#define CW_STAGE_READY 3

/*
 Where sessions compute: threads, or an open GPU. Shared by any number of sessions.
 */
typedef struct CwDevice CwDevice;

/*
 An open model file.
 */
typedef struct CwModel CwModel;

/*
 One stream of a model.
 */
typedef struct CwSession CwSession;

/*
 A text encoder with its tokenizer (builds with the feature `text`; `cw_text_create` of others answers `CW_ERROR_UNSUPPORTED`).
 */
typedef struct CwText CwText;

/*
 A host's Vulkan instance and the GPU it chose, before or after it makes its device.
 */
typedef struct CwVulkan CwVulkan;

/*
 What a call came to: an outcome (0 or more) or an error (below 0).
 */
typedef int32_t CwStatus;

/*
 Allocates `bytes` bytes aligned to `alignment` (a power of two), or returns NULL. Called by any thread.
 */
typedef void *(*CwAllocate)(void *user, size_t bytes, size_t alignment);

/*
 Gives memory of `CwAllocate` back, with the size and alignment it was asked for. Called by any thread.
 */
typedef void (*CwRelease)(void *user, void *memory, size_t bytes, size_t alignment);

/*
 The host's memory. See `cw_set_allocator`.
 */
typedef struct {
  /*
   Set to sizeof(CwAllocator).
   */
  uint32_t struct_size;
  /*
   0.
   */
  uint32_t reserved;
  /*
   Required.
   */
  CwAllocate allocate;
  /*
   Required.
   */
  CwRelease release;
  /*
   Passed to both.
   */
  void *user;
} CwAllocator;

/*
 Takes a log message of `length` bytes of UTF-8 (no NUL at its end). Called by any thread; it must not call this library.
 */
typedef void (*CwLogSink)(void *user, uint32_t level, const char *text, size_t length);

/*
 A GPU of this machine.
 */
typedef struct {
  /*
   Set to sizeof(CwAdapterInfo).
   */
  uint32_t struct_size;
  /*
   `CW_ADAPTER_...`.
   */
  uint32_t kind;
  /*
   1 if it can run models, else 0.
   */
  uint32_t usable;
  /*
   0.
   */
  uint32_t reserved;
  /*
   Most bytes of one buffer.
   */
  uint64_t max_buffer_bytes;
  /*
   Name given by the driver, UTF-8, ended by NUL.
   */
  char name[128];
  /*
   Interface (Vulkan, Metal, Dx12, Gl), driver and its version, UTF-8, ended by NUL.
   */
  char driver[128];
} CwAdapterInfo;

/*
 One piece of work that a host's job system runs. `index` is below the count it was given with.
 */
typedef void (*CwTask)(void *context, uint32_t index);

/*
 The host's parallel-for: calls `task(context, i)` once for every i below `count`, on any threads, and returns when all are done.
 Called by the thread that pumps.
 */
typedef void (*CwParallelFor)(void *user, uint32_t count, CwTask task, void *context);

/*
 Options of a device. Fill it in with `cw_device_options_init`.
 */
typedef struct {
  /*
   Set to sizeof(CwDeviceOptions) before `cw_device_options_init`.
   */
  uint32_t struct_size;
  /*
   `CW_DEVICE_...`.
   */
  uint32_t kind;
  /*
   CPU threads, the pumping one among them; 0 takes what the machine has. With `parallel_for`: how many of its threads may
   run pieces at once (0: what the machine has).
   */
  uint32_t threads;
  /*
   1: plain scalar arithmetic, the same bits on every CPU, slowly.
   */
  uint32_t strict;
  /*
   Number of the GPU (`cw_adapter_info`), or -1 to choose by `adapter`.
   */
  int32_t adapter_index;
  /*
   0.
   */
  uint32_t reserved;
  /*
   Part of the GPU's name, UTF-8, any case; NULL or length 0 for the best one.
   */
  const char *adapter;
  /*
   Bytes of `adapter`.
   */
  size_t adapter_length;
  /*
   The host's job system, or NULL for threads of the library's own.
   */
  CwParallelFor parallel_for;
  /*
   Passed to `parallel_for`.
   */
  void *parallel_user;
  /*
   `CW_TIER_...`: which kernels a GPU runs. One that is asked for and fails its test on the GPU is an error.
   */
  uint32_t tier;
  /*
   0.
   */
  uint32_t reserved2;
} CwDeviceOptions;

/*
 Reads `bytes` bytes at `offset` into `target`; returns 0 when all of them were read, anything else for a failure.
 */
typedef int32_t (*CwRead)(void *user, uint64_t offset, void *target, uint64_t bytes);

/*
 How a host hands out the bytes of a model file.
 */
typedef struct {
  /*
   Set to sizeof(CwReader).
   */
  uint32_t struct_size;
  /*
   0.
   */
  uint32_t reserved;
  /*
   Bytes of the file.
   */
  uint64_t bytes;
  /*
   Required.
   */
  CwRead read;
  /*
   Passed to `read`.
   */
  void *user;
} CwReader;

/*
 What a model is.
 */
typedef struct {
  /*
   Set to sizeof(CwModelInfo).
   */
  uint32_t struct_size;
  /*
   Width of a frame in pixels.
   */
  uint32_t width;
  /*
   Height of a frame in pixels.
   */
  uint32_t height;
  /*
   Pictures a second that the model was trained for.
   */
  float fps;
  /*
   Entries of the action vector.
   */
  uint32_t actions;
  /*
   Events.
   */
  uint32_t events;
  /*
   Latent frames made together; all take the same action.
   */
  uint32_t chunk;
  /*
   Latent frames seen at once, by default.
   */
  uint32_t window;
  /*
   First latent frames that stay visible for ever, by default.
   */
  uint32_t sink;
  /*
   Latent frames of history kept for each query, by default; 0 for all.
   */
  uint32_t route;
  /*
   Denoise steps a chunk, by default.
   */
  uint32_t steps;
  /*
   Latent frames that the file stores to start from.
   */
  uint32_t start_frames;
  /*
   Bytes of the file.
   */
  uint64_t file_bytes;
  /*
   `CW_HOLDS_...`, or-ed. Of a file without a denoiser only what follows and `file_bytes` tell something.
   */
  uint32_t holds;
  /*
   `CW_TAKES_...`, or-ed.
   */
  uint32_t takes;
  /*
   Channels of a latent frame.
   */
  uint32_t latent_channels;
  /*
   Width of a latent frame; 0 for a codec, which takes any.
   */
  uint32_t latent_width;
  /*
   Height of a latent frame; 0 for a codec, which takes any.
   */
  uint32_t latent_height;
  /*
   Pictures of the stream's first latent frame; 0 without a codec in the file.
   */
  uint32_t first_pictures;
  /*
   Pictures of every later latent frame; 0 without a codec in the file.
   */
  uint32_t pictures;
  /*
   Numbers in a row of a prompt; 0 where there are none.
   */
  uint32_t prompt_width;
  /*
   Most rows of a prompt.
   */
  uint32_t prompt_rows;
  /*
   Prompts that the file stores; `cw_model_prompt_name` names them, `cw_model_prompt_rows` tells their rows, `cw_session_load_prompt` takes
   them.
   */
  uint32_t prompts;
} CwModelInfo;

/*
 The host's monotonic clock in microseconds. Called by the thread that pumps; with `CW_PACE_HELD` also by those that poll, perhaps at once.
 */
typedef uint64_t (*CwClock)(void *user);

/*
 Options of a session. Fill it in with `cw_session_options_init`.
 */
typedef struct {
  /*
   Set to sizeof(CwSessionOptions) before `cw_session_options_init`.
   */
  uint32_t struct_size;
  /*
   `CW_START_...`: what the first frames are.
   */
  uint32_t start;
  /*
   Noise seed: one seed and the same actions give the same frames.
   */
  uint64_t seed;
  /*
   Most bytes that the session may hold; 0 for no limit.
   */
  uint64_t memory_cap;
  /*
   Latent frames seen at once, sink and chunk among them; -1 for the model's.
   */
  int32_t window;
  /*
   First latent frames that stay visible for ever; -1 for the model's.
   */
  int32_t sink;
  /*
   Latent frames of history kept for each query, 0 for all; -1 for the model's.
   */
  int32_t route;
  /*
   Denoise steps a chunk, one of those the model was trained for; -1 for the model's.
   */
  int32_t steps;
  /*
   Event in force at the start; -1 for the model's.
   */
  int32_t event;
  /*
   Finished pictures held for the host before pumping pauses.
   */
  uint32_t queue;
  /*
   RGBA8, sRGB, width * height * 4 bytes, rows from the top; with `CW_START_IMAGE`. Copied by the call.
   */
  const uint8_t *start_pixels;
  /*
   Bytes of `start_pixels`.
   */
  size_t start_bytes;
  /*
   The host's clock, or NULL for the system's.
   */
  CwClock clock;
  /*
   Passed to `clock`.
   */
  void *clock_user;
  /*
   `CW_KV_...`: how the ring stores keys and values.
   */
  uint32_t kv;
  /*
   0.
   */
  uint32_t reserved;
  /*
   A file that holds the codec, for a model that has none in its own; or NULL. A bundle has its codec with it. Need not outlive the call.
   */
  const CwModel *codec;
  /*
   Width of a picture, of a model that reads prompts; 0 for the model's.
   */
  uint32_t width;
  /*
   Height of a picture, of a model that reads prompts; 0 for the model's.
   */
  uint32_t height;
  /*
   Latent frames made together; 0 for the model's.
   */
  uint32_t chunk;
  /*
   Latent frames of the first chunk; 0: as of all others.
   */
  uint32_t first_chunk;
  /*
   `CW_SAMPLER_...`.
   */
  uint32_t sampler;
  /*
   Steps of Euler and UniPC; 0: 50.
   */
  uint32_t sampler_steps;
  /*
   Guidance away from a negative prompt; 0 or 1: none. It takes a second ring.
   */
  float guidance;
  /*
   `CW_OUTPUT_...`.
   */
  uint32_t output;
  /*
   Prompts held beside the one in force; 0: 1, where the model reads prompts.
   */
  uint32_t prompt_slots;
  /*
   Most rows a prompt may have; 0: the model's. Memory is kept for so many.
   */
  uint32_t prompt_rows;
  /*
   1: `CW_WAY_RECACHE` is possible. It takes activations of a whole window; `cw_session_query` tells how much.
   */
  uint32_t recache;
  /*
   0.
   */
  uint32_t reserved2;
  /*
   `CW_PACE_...`.
   */
  uint32_t pace;
  /*
   `route` may be changed up to so many while the stream runs (`cw_session_set_quality`); 0: it stays as it is. The plan has room for them.
   */
  uint32_t most_route;
  /*
   1: while chunks take longer than they last, they are made in fewer steps, then with a smaller route (with `most_route`); what was
   taken is given back once there is time again. Receipts name both.
   */
  uint32_t governor;
  /*
   `CW_GATE_...`: what becomes of a chunk whose health alarms (`CwReceipt.alarms`).
   */
  uint32_t gate;
} CwSessionOptions;

/*
 What a session holds and makes.
 */
typedef struct {
  /*
   Set to sizeof(CwSessionInfo).
   */
  uint32_t struct_size;
  /*
   `CW_DEVICE_CPU` or `CW_DEVICE_GPU`.
   */
  uint32_t device;
  /*
   Width of a frame in pixels.
   */
  uint32_t width;
  /*
   Height of a frame in pixels.
   */
  uint32_t height;
  /*
   Bytes of weights in the layout that the device computes with; 0 where a session of this model on this device holds them already.
   */
  uint64_t weight_bytes;
  /*
   Bytes of state: the ring of keys and values, the codec's memory.
   */
  uint64_t state_bytes;
  /*
   Bytes of activations.
   */
  uint64_t activation_bytes;
  /*
   Bytes of frame buffers, staging, tables and scratch.
   */
  uint64_t overhead_bytes;
  /*
   Sum of all.
   */
  uint64_t total_bytes;
  /*
   Bytes that a snapshot takes at most.
   */
  uint64_t snapshot_bytes;
  /*
   Channels of a latent frame.
   */
  uint32_t latent_channels;
  /*
   Width of a latent frame.
   */
  uint32_t latent_width;
  /*
   Height of a latent frame.
   */
  uint32_t latent_height;
  /*
   Frames a second of pictures that the model was trained for.
   */
  float fps;
  /*
   Bytes that a saved game takes at most (`cw_session_save`).
   */
  uint64_t save_bytes;
} CwSessionInfo;

/*
 How far the creation of a session is.
 */
typedef struct {
  /*
   Set to sizeof(CwProgress).
   */
  uint32_t struct_size;
  /*
   `CW_STAGE_...`.
   */
  uint32_t stage;
  /*
   So much of the stage is done ...
   */
  uint64_t done;
  /*
   ... of so much.
   */
  uint64_t total;
} CwProgress;

/*
 A change of what a stream is told. Set all that is not used to 0.
 */
typedef struct {
  /*
   Set to sizeof(CwCondition).
   */
  uint32_t struct_size;
  /*
   `CW_CONDITION_...`.
   */
  uint32_t kind;
  /*
   Event, or prompt slot.
   */
  uint32_t index;
  /*
   `CW_WAY_...`: what becomes of the past.
   */
  uint32_t way;
  /*
   `CW_SINK_...`, with `CW_WAY_RECACHE`.
   */
  uint32_t sink;
  /*
   Over so many chunks the old condition goes over into the new one; 0 and 1: at once. A recache follows each part.
   */
  uint32_t chunks;
  /*
   First picture of the stream (without a codec: latent frame) that may show it; 0: with the next chunk.
   */
  uint64_t frame;
  /*
   `CW_CONDITION_MIX`: a weight for each event, 0 or more and finite, of sum 1 within 0.001. Copied.
   */
  const float *weights;
  /*
   Numbers at `weights`.
   */
  uint32_t weight_count;
  /*
   0.
   */
  uint32_t reserved;
} CwCondition;

/*
 Where `cw_session_poll_frame` writes a frame.
 */
typedef struct {
  /*
   Set to sizeof(CwImage).
   */
  uint32_t struct_size;
  /*
   `CW_FORMAT_...`.
   */
  uint32_t format;
  /*
   `CW_IMAGE_...`, or-ed.
   */
  uint32_t flags;
  /*
   0.
   */
  uint32_t reserved;
  /*
   First byte of the first row in memory.
   */
  void *pixels;
  /*
   Bytes at `pixels`.
   */
  size_t bytes;
  /*
   Bytes from one row to the next; 0 for rows without padding.
   */
  size_t row_pitch;
} CwImage;

/*
 What a frame is the first to show, and when it was made. Tickets come from `cw_session_set_action` and `cw_session_queue_event`.
 */
typedef struct {
  /*
   Set to sizeof(CwReceipt).
   */
  uint32_t struct_size;
  /*
   Width of the frame in pixels.
   */
  uint32_t width;
  /*
   Height of the frame in pixels.
   */
  uint32_t height;
  /*
   Event in force; of a mix the strongest.
   */
  uint32_t event;
  /*
   Number of the picture in the stream, from 0; without a codec of the latent frame.
   */
  uint64_t frame;
  /*
   Ticket of the newest action the frame was made with.
   */
  uint64_t action_ticket;
  /*
   Ticket of the newest event or other change the frame was made under.
   */
  uint64_t event_ticket;
  /*
   When the frame's chunk took its action, microseconds on the session's clock.
   */
  uint64_t began;
  /*
   When its pixels were ready.
   */
  uint64_t ready;
  /*
   1 if no earlier frame was made with that action.
   */
  uint32_t first_of_action;
  /*
   1 if no earlier frame was made under that ticket.
   */
  uint32_t first_of_event;
  /*
   Number of its chunk, from 0; what the stream starts from counts too.
   */
  uint64_t chunk;
  /*
   Number of the picture in its chunk ...
   */
  uint32_t picture;
  /*
   ... of so many.
   */
  uint32_t pictures;
  /*
   When it should be shown, microseconds on the session's clock: a chunk's pictures are ready at once, and are to be seen one after the other.
   Without a pace as `ready`; 0, which is at once, for frames of a snapshot.
   */
  uint64_t present;
  /*
   Row of the actions that it was made with; 0 where there is one for all.
   */
  uint32_t action_row;
  /*
   Of changes that take several chunks: parts in force, in 1/65536; 65536 when none is under way.
   */
  uint32_t share;
  /*
   Denoise steps that the chunk was made in.
   */
  uint32_t steps;
  /*
   History frames that each of its queries saw; 0 for all.
   */
  uint32_t route;
  /*
   Latent frames that it saw, sink and chunk among them.
   */
  uint32_t window;
  /*
   Mean of the chunk's latents, in standard deviations of what the model was trained on: near 0 while all is well.
   */
  float latent_mean;
  /*
   Their standard deviation, in the same: near 1 while all is well.
   */
  float latent_spread;
  /*
   0.
   */
  uint32_t reserved;
  /*
   `CW_ALARM_...`, or-ed: figures of the chunk that are none that the model's footage has. 0 while all is well.
   */
  uint32_t alarms;
  /*
   Flatness over the channels of the latents, from 0 to 1: it falls where what is fine is lost, and rises where there is only noise.
   */
  float latent_detail;
  /*
   Root mean square of the change of latents from frame to frame, in standard deviations; 0 of a first frame.
   */
  float latent_change;
  /*
   The same since the world was left alone, from what the first frames of that showed; 0 while it is not.
   */
  float latent_drift;
  /*
   Share of heads that prefer a far frame of the past, one older than the newest half of the window, as of the chunk before.
   */
  float far_share;
  /*
   Mean age of the frames that its queries were routed to, in latent frames; 0 without a route.
   */
  float route_age;
} CwReceipt;

/*
 A picture of the host's, 8-bit sRGB.
 */
typedef struct {
  /*
   Set to sizeof(CwPicture).
   */
  uint32_t struct_size;
  /*
   `CW_FORMAT_...`; opacity is ignored.
   */
  uint32_t format;
  /*
   0 or `CW_IMAGE_FLIP_Y`.
   */
  uint32_t flags;
  /*
   `CW_FIT_...`.
   */
  uint32_t fit;
  /*
   Width in pixels, 1 to 16384.
   */
  uint32_t width;
  /*
   Height in pixels, 1 to 16384.
   */
  uint32_t height;
  /*
   Bytes from one row to the next; 0 for rows without padding.
   */
  size_t row_pitch;
  /*
   The pixels. Copied.
   */
  const void *pixels;
  /*
   Bytes of `pixels`.
   */
  size_t bytes;
  /*
   `CW_PICTURE_...`.
   */
  uint32_t when;
  /*
   Latent frames that it fills, with `CW_PICTURE_NOW`; 0 for 1.
   */
  uint32_t repeat;
} CwPicture;

/*
 Counters of a session since its creation.
 */
typedef struct {
  /*
   Set to sizeof(CwStats).
   */
  uint32_t struct_size;
  /*
   Finished frames that wait to be polled.
   */
  uint32_t waiting;
  /*
   Frames made.
   */
  uint64_t frames;
  /*
   Operators run.
   */
  uint64_t nodes;
  /*
   Chunks dropped by `cw_session_cancel`.
   */
  uint64_t cancelled;
  /*
   Calls of `cw_session_pump`, or rounds of the worker thread.
   */
  uint64_t pumps;
  /*
   Microseconds spent in them.
   */
  uint64_t pump_micros;
  /*
   Microseconds of the longest of them.
   */
  uint64_t longest_pump_micros;
  /*
   Number of the latent frame in flight.
   */
  uint64_t position;
  /*
   1 while a worker thread runs.
   */
  uint32_t worker;
  /*
   1 while paused.
   */
  uint32_t paused;
} CwStats;

/*
 How a text encoder works. `cw_text_create` with NULL takes zeros.
 */
typedef struct {
  /*
   Set to sizeof(CwTextOptions).
   */
  uint32_t struct_size;
  /*
   1: holds one layer of weights at a time, which every prompt reads from the file anew. 0: the first prompt reads them, and they stay.
   */
  uint32_t stream;
  /*
   Most bytes to hold, tokenizer included; 0 for no limit.
   */
  uint64_t memory_cap;
  /*
   A `tokenizer.json` or `spiece.model` in memory; NULL for the one that the encoder's file holds (`causeway convert --tokenizer`). Need not
   outlive the call.
   */
  const uint8_t *tokenizer;
  /*
   Its bytes.
   */
  size_t tokenizer_bytes;
  /*
   Most rows of a prompt: a session's `prompt_rows`, for example; 0 for the encoder's own. Fewer take less memory.
   */
  uint32_t most_rows;
  /*
   0.
   */
  uint32_t reserved;
} CwTextOptions;

/*
 What a text encoder takes, told before it is created.
 */
typedef struct {
  /*
   Set to sizeof(CwTextInfo).
   */
  uint32_t struct_size;
  /*
   Numbers in a row of a prompt.
   */
  uint32_t width;
  /*
   Most rows of a prompt: its tokens, the end token included. What a longer text has more is left out.
   */
  uint32_t most_rows;
  /*
   About how many seconds the longest prompt is computed for, reading left out; from a trial of some milliseconds on the device. A
   shorter one takes less, by its rows.
   */
  float seconds_per_prompt;
  /*
   Bytes held at most: weights, activations, prompt, tokenizer.
   */
  uint64_t total_bytes;
  /*
   About how many of them are the tokenizer's, in the host's memory.
   */
  uint64_t tokenizer_bytes;
  /*
   Bytes that the first prompt reads from the file.
   */
  uint64_t first_read_bytes;
  /*
   Bytes that every later prompt reads from it.
   */
  uint64_t read_bytes_per_prompt;
} CwTextInfo;

/*
 Any function of Vulkan's; cast it to its type.
 */
typedef void (*CwVulkanFunction)(void);

/*
 `vkGetInstanceProcAddr`, with VkInstance as `void *`.
 */
typedef CwVulkanFunction (*CwVulkanGetInstanceProcAddr)(void *instance, const char *name);

/*
 A host's Vulkan instance and GPU.
 */
typedef struct {
  /*
   Set to sizeof(CwVulkanHost).
   */
  uint32_t struct_size;
  /*
   `VkApplicationInfo.apiVersion` of the instance, at least VK_API_VERSION_1_3 (the GPU may be older).
   */
  uint32_t api_version;
  /*
   VkInstance, made with the extension VK_KHR_get_physical_device_properties2.
   */
  void *instance;
  /*
   VkPhysicalDevice.
   */
  void *physical_device;
  /*
   The host's `vkGetInstanceProcAddr`, cast; or NULL for that of the system's Vulkan library.
   */
  CwVulkanGetInstanceProcAddr get_instance_proc_addr;
} CwVulkanHost;

/*
 What a device must be made with.
 */
typedef struct {
  /*
   Set to sizeof(CwVulkanNeeds).
   */
  uint32_t struct_size;
  /*
   How many extensions.
   */
  uint32_t extension_count;
  /*
   For `VkDeviceCreateInfo.ppEnabledExtensionNames`, beside the host's own. Lives as long as the CwVulkan.
   */
  const char *const *extensions;
  /*
   A VkPhysicalDeviceFeatures2 with its chain, for `VkDeviceCreateInfo.pNext`; a host with features of its own enables the union.
   Lives as long as the CwVulkan.
   */
  const void *features;
} CwVulkanNeeds;

/*
 Takes or gives back the host's lock of its queue. Called by any thread that works in the library, for as long as one call of Vulkan's
 takes; it must not call this library.
 */
typedef void (*CwQueueLock)(void *user);

/*
 A host's Vulkan device and queue.
 */
typedef struct {
  /*
   Set to sizeof(CwVulkanDevice).
   */
  uint32_t struct_size;
  /*
   Family of the queue; it must take compute work.
   */
  uint32_t queue_family;
  /*
   Number of the queue in its family.
   */
  uint32_t queue_index;
  /*
   0.
   */
  uint32_t reserved;
  /*
   VkDevice, made with all that `cw_vulkan_needs` tells.
   */
  void *device;
  /*
   Called before the queue is used; NULL if no other thread uses it during a call of this library.
   */
  CwQueueLock lock;
  /*
   Called afterwards, by the same thread.
   */
  CwQueueLock unlock;
  /*
   Passed to both.
   */
  void *lock_user;
} CwVulkanDevice;

/*
 Where `cw_session_poll_image` has a frame written: a part of a 2D image of format R8G8B8A8 (UNORM or SRGB), one sample, usage
 TRANSFER_DST, mip level 0, in exclusive use by the queue's family.
 */
typedef struct {
  /*
   Set to sizeof(CwVulkanImage).
   */
  uint32_t struct_size;
  /*
   VkImageLayout that the image is in; VK_IMAGE_LAYOUT_UNDEFINED if nothing of it is needed any more.
   */
  uint32_t layout_before;
  /*
   VkImageLayout that it shall be left in.
   */
  uint32_t layout_after;
  /*
   Width of the image in pixels.
   */
  uint32_t width;
  /*
   Height of the image in pixels.
   */
  uint32_t height;
  /*
   Column of the frame's left upper corner.
   */
  uint32_t x;
  /*
   Row of it.
   */
  uint32_t y;
  /*
   Array layer.
   */
  uint32_t layer;
  /*
   VkImage, cast.
   */
  uint64_t image;
} CwVulkanImage;

/*
 Done.
 */
#define CW_OK 0

/*
 A frame became ready; fetch it with `cw_session_poll_frame`.
 */
#define CW_FRAME 1

/*
 Nothing is ready: the budget is spent, the GPU is busy, no frame waits, or with a pace its time has not come. Not an error; call again.
 */
#define CW_PENDING 2

/*
 All frame buffers hold frames that nobody fetched; poll them.
 */
#define CW_FULL 3

/*
 The session is paused.
 */
#define CW_PAUSED 4

/*
 An argument is NULL or out of its range.
 */
#define CW_ERROR_ARGUMENT -1

/*
 Not a handle of this library, a handle of another kind, or one that was destroyed.
 */
#define CW_ERROR_HANDLE -2

/*
 `struct_size` is not one that any version of this struct had.
 */
#define CW_ERROR_STRUCT_SIZE -3

/*
 Another thread is inside this session.
 */
#define CW_ERROR_BUSY -4

/*
 Not possible now, for example pumping a session that has a worker thread.
 */
#define CW_ERROR_STATE -5

/*
 The host's allocator, or the system, has no memory.
 */
#define CW_ERROR_OUT_OF_MEMORY -6

/*
 The session needs more than `memory_cap`; the error text has the number.
 */
#define CW_ERROR_MEMORY_CAP -7

/*
 The model file is malformed or of an unknown kind.
 */
#define CW_ERROR_MODEL -8

/*
 A file could not be opened or read.
 */
#define CW_ERROR_IO -9

/*
 An option does not fit the model.
 */
#define CW_ERROR_OPTION -10

/*
 Not a snapshot, or a damaged one.
 */
#define CW_ERROR_SNAPSHOT -11

/*
 A snapshot of another model, of other options or of another kind of device.
 */
#define CW_ERROR_SNAPSHOT_OF_ANOTHER -12

/*
 No device fits, or it cannot run this model.
 */
#define CW_ERROR_DEVICE -13

/*
 The GPU was lost. Destroy session and device, create both anew, restore a snapshot.
 */
#define CW_ERROR_DEVICE_LOST -14

/*
 This build or this platform cannot do it.
 */
#define CW_ERROR_UNSUPPORTED -15

/*
 The memory given is too small; `needed` or the error text has the number.
 */
#define CW_ERROR_BUFFER_TOO_SMALL -16

/*
 Too many events or other changes wait.
 */
#define CW_ERROR_EVENTS_FULL -17

/*
 The handle was destroyed by another thread during the call.
 */
#define CW_ERROR_DESTROYED -18

/*
 A callback of the host failed.
 */
#define CW_ERROR_HOST -19

/*
 A defect of the library. The session it happened in cannot be used any more; destroy it.
 */
#define CW_ERROR_PANIC -20

/*
 The model takes no such condition; the error text has those it takes.
 */
#define CW_ERROR_CONDITION -21

/*
 A chunk came out NaN or infinite and was dropped; the stream stands before it, and makes it again of what it is told then.
 */
#define CW_ERROR_NOT_FINITE -22

/*
 The health of a chunk alarms, and with `CW_GATE_HOLD` it was dropped; the error text has what alarms. Pumped on, it is made again and given.
 */
#define CW_ERROR_UNHEALTHY -23

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 The newest `CW_ABI_VERSION` that this library implements. Any thread; never blocks.
 */
CW_API uint32_t cw_abi_version(void);

/*
 Version of the library: `"0.1.0"`, say. Static. Any thread; never blocks.
 */
CW_API const char *cw_version(void);

/*
 Name of a status: `"CW_ERROR_BUSY"`, say; `"CW_UNKNOWN"` for a number that is none. Static. Any thread; never blocks.
 */
CW_API const char *cw_status_name(CwStatus status);

/*
 Copies the calling thread's last error text (UTF-8) to `text`, as much as fits in `capacity` bytes with a NUL at its end, and its
 whole length to `length`. Either may be NULL. The caller owns both. Any thread; never blocks.
 */
CW_API
CwStatus cw_last_error(char *text,
                       size_t capacity,
                       size_t *length);

/*
 As `cw_last_error`, for the last call that failed on this device, model or session, on whatever thread. Any thread; never blocks.
 */
CW_API
CwStatus cw_handle_error(const void *handle,
                         char *text,
                         size_t capacity,
                         size_t *length);

/*
 Takes the host's allocator for all memory of the library, for the life of the process. Only before any other call
 (`CW_ERROR_STATE` afterwards; `cw_abi_version` and `cw_last_error` do not count). `allocator` is copied; its functions must stay
 callable for ever, by any thread, and must not call this library. A refused allocation comes back as `CW_ERROR_OUT_OF_MEMORY`; see
 docs/embedding.md for what is served by the system in that case, and for memory that does not come from here. Never blocks.
 */
CW_API
CwStatus cw_set_allocator(const CwAllocator *allocator);

/*
 Sets the sink for log messages up to `level` (`CW_LOG_...`), or removes it (NULL). The sink is called by any thread that works in the
 library; `user` is passed on. Once the call returns the old sink is called no more. Any thread but from inside a sink; waits for
 messages that are being delivered.
 */
CW_API
CwStatus cw_set_log(CwLogSink sink,
                    void *user,
                    uint32_t level);

/*
 Destroys everything that still exists, ends all threads and removes the log sink: call it before the library is unloaded. All
 handles become stale; the library may be used again afterwards. Not while another thread is inside the library, other than
 pumping. Waits for one slice of each session.
 */
CW_API
CwStatus cw_shutdown(void);

/*
 How many GPUs this machine has; 0 in a build without a GPU backend. Any thread; asks the drivers, which can take some 100 ms.
 */
CW_API
CwStatus cw_adapter_count(uint32_t *count);

/*
 Tells about GPU number `index`. The caller owns `info`. Any thread; asks the drivers, which can take some 100 ms.
 */
CW_API CwStatus cw_adapter_info(uint32_t index, CwAdapterInfo *info);

/*
 Fills `options` with defaults, as far as its `struct_size` (which must be set) reaches. Any thread; never blocks.
 */
CW_API CwStatus cw_device_options_init(CwDeviceOptions *options);

/*
 Opens a device: starts threads, or opens a GPU. `options` may be NULL for defaults; it is copied. The caller owns `*device` and ends it
 with `cw_device_destroy`. Any thread; a GPU takes up to a second to open, so do it while loading.
 */
CW_API
CwStatus cw_device_create(const CwDeviceOptions *options,
                          CwDevice **device);

/*
 Gives a device up; sessions keep what they use of it. NULL does nothing. Any thread; waits for threads to end when no session uses
 them.
 */
CW_API
CwStatus cw_device_destroy(CwDevice *device);

/*
 Opens and checks the model file at `path` (UTF-8, `length` bytes), a regular file. It stays open, and sessions read it while they are
 created: one that was cut short is `CW_ERROR_IO` then; replacing it by renaming is fine. The caller owns `*model` and ends it with
 `cw_model_destroy`; sessions copy what they need. Any thread; reads the file once, so do it while loading.
 */
CW_API
CwStatus cw_model_open_path(const char *path,
                            size_t length,
                            CwModel **model);

/*
 Opens a model file in memory, which must begin at a multiple of 4 and stay as it is until the model is destroyed; or, with
 `CW_MEMORY_COPY` in `flags`, in a copy of it. Ownership and threads as `cw_model_open_path`.
 */
CW_API
CwStatus cw_model_open_memory(const uint8_t *bytes,
                              size_t length,
                              uint32_t flags,
                              CwModel **model);

/*
 Maps a model file that lies in an open file from `offset` on, `bytes` long: an uncompressed Android asset, for example. The
 descriptor is duplicated and stays the caller's. Unix systems only. Otherwise as `cw_model_open_path`.
 */
CW_API
CwStatus cw_model_open_fd(int32_t fd,
                          uint64_t offset,
                          uint64_t bytes,
                          CwModel **model);

/*
 Reads a model file through the host's callback into memory. The callback runs on this thread, during this call only, and must not
 call this library. Otherwise as `cw_model_open_path`.
 */
CW_API
CwStatus cw_model_open_reader(const CwReader *reader,
                              CwModel **model);

/*
 Tells what a model file holds, whatever it is. The caller owns `info`. Any thread; never blocks.
 */
CW_API CwStatus cw_model_info(const CwModel *model, CwModelInfo *info);

/*
 Copies the name of entry `index` of the action vector, as `cw_last_error` copies texts. Any thread; never blocks.
 */
CW_API CwStatus cw_model_action_name(const CwModel *model, uint32_t index, char *text, size_t capacity, size_t *length);

/*
 Copies the name of prompt `index` that the file stores, as `cw_last_error` copies texts. Any thread; never blocks.
 */
CW_API CwStatus cw_model_prompt_name(const CwModel *model, uint32_t index, char *text, size_t capacity, size_t *length);

/*
 Tells how many rows prompt `index` that the file stores has, and how many numbers a row: what `CwSessionOptions.prompt_rows` must allow. Any
 thread; never blocks.
 */
CW_API
CwStatus cw_model_prompt_rows(const CwModel *model,
                              uint32_t index,
                              uint32_t *rows,
                              uint32_t *width);

/*
 Copies the name of event `index`, as `cw_last_error` copies texts. Any thread; never blocks.
 */
CW_API CwStatus cw_model_event_name(const CwModel *model, uint32_t index, char *text, size_t capacity, size_t *length);

/*
 Closes a model; its sessions go on. NULL does nothing. Any thread; never blocks.
 */
CW_API CwStatus cw_model_destroy(CwModel *model);

/*
 Fills `options` with defaults, as far as its `struct_size` (which must be set) reaches. Any thread; never blocks.
 */
CW_API CwStatus cw_session_options_init(CwSessionOptions *options);

/*
 Tells the exact bytes that a session of these options will hold, and its frame size, without creating it. `options` may be NULL
 for defaults. The caller owns `info`. Any thread; takes some milliseconds.
 */
CW_API
CwStatus cw_session_query(const CwDevice *device,
                          const CwModel *model,
                          const CwSessionOptions *options,
                          CwSessionInfo *info);

/*
 Creates a session of `model` on `device`. A model that reads prompts has no codec in its file: name one in `options`, or ask for latents,
 and give it a prompt before it is pumped (`cw_session_set_prompt`). `options` may be NULL for defaults; it is copied. The caller owns `*session` and ends it with
 `cw_session_destroy`; model and device may be destroyed before it. Any thread; prepares all weights, so do it while loading.
 */
CW_API
CwStatus cw_session_create(const CwDevice *device,
                           const CwModel *model,
                           const CwSessionOptions *options,
                           CwSession **session);

/*
 Begins to create a session: the handle comes at once, in about the time of `cw_session_query`, and the first pumps, or the worker thread, do what
 `cw_session_create` would have waited for. Until then all calls of the session answer `CW_PENDING`, but for `cw_session_pump`,
 `cw_session_start_worker`, `cw_session_stop_worker`, `cw_session_progress`, `cw_session_info` and `cw_session_destroy`, which gives up what was done.
 Options, files and memory cap are checked before it returns. What fails later, as a file that cannot be read any more, is returned by pump,
 `cw_session_progress` and all other calls, each time; such a session can only be destroyed. Arguments as of `cw_session_create`; device,
 model and codec may be destroyed meanwhile, but memory that they were opened in without a copy must stay until the session is there. Any thread.
 */
CW_API
CwStatus cw_session_create_begin(const CwDevice *device,
                                 const CwModel *model,
                                 const CwSessionOptions *options,
                                 CwSession **session);

/*
 Tells how far the creation of a session is; `CW_STAGE_READY` once it is there, or the error that it failed of. The caller owns `progress`. Any thread,
 also while another one pumps; never blocks.
 */
CW_API
CwStatus cw_session_progress(const CwSession *session,
                             CwProgress *progress);

/*
 Ends a session, also while another thread pumps it: that call returns `CW_ERROR_DESTROYED` after the slice it is in, and the memory
 goes with it. NULL does nothing. Any thread; waits at most for one slice of the session's own worker thread.
 */
CW_API
CwStatus cw_session_destroy(CwSession *session);

/*
 Tells what a session holds and makes. The caller owns `info`. Any thread; never blocks.
 */
CW_API CwStatus cw_session_info(const CwSession *session, CwSessionInfo *info);

/*
 Sets the action, `count` numbers, that the next chunk will take: the latest wins. Writes the action's ticket, which receipts name, to
 `ticket` unless that is NULL. `action` is copied. Any thread, also while another one pumps; never blocks.
 */
CW_API
CwStatus cw_session_set_action(CwSession *session,
                               const float *action,
                               uint32_t count,
                               uint64_t *ticket);

/*
 As `cw_session_set_action` with `rows` rows of `count` numbers: one for each picture (of a session with `CW_OUTPUT_LATENTS`: for each latent
 frame) of the next chunk; the last one goes on. The model is told one for a latent frame, the last of its pictures' rows. Where actions last
 several frames, as in worlds of movements, one row is all there can be. `actions` is copied. Any thread, also while another one
 pumps; never blocks, never allocates.
 */
CW_API
CwStatus cw_session_set_actions(CwSession *session,
                                const float *actions,
                                uint32_t rows,
                                uint32_t count,
                                uint64_t *ticket);

/*
 Queues event number `event` for the first chunk that holds or follows frame `frame` of the stream (0: the next chunk). Of several that
 are due the newest wins. Writes the event's ticket, which receipts name, to `ticket` unless that is NULL. Any thread, also while
 another one pumps; never blocks.
 */
CW_API
CwStatus cw_session_queue_event(CwSession *session,
                                uint32_t event,
                                uint64_t frame,
                                uint64_t *ticket);

/*
 Puts a prompt into slot `slot`, below `CwSessionOptions.prompt_slots`: `rows` rows of `width` numbers, as the model's text encoder makes them,
 without padding. `cw_session_queue_condition` puts it in force. `values` is copied. `CW_ERROR_STATE` while a change that waits names the
 slot. Any thread, also while another one pumps; never blocks, never allocates.
 */
CW_API
CwStatus cw_session_set_prompt(CwSession *session,
                               uint32_t slot,
                               const float *values,
                               uint32_t rows,
                               uint32_t width);

/*
 The same from prompt `index` that the file of `model`, a bundle, stores. Any thread, also while another one pumps; reads the file, and
 never allocates.
 */
CW_API
CwStatus cw_session_load_prompt(CwSession *session,
                                uint32_t slot,
                                const CwModel *model,
                                uint32_t index);

/*
 Queues a change of what the stream is told, and writes its ticket, which receipts name, to `ticket` unless that is NULL. Of several of one
 kind that are due the newest wins. Any thread, also while another one pumps; never blocks, never allocates.
 */
CW_API
CwStatus cw_session_queue_condition(CwSession *session,
                                    const CwCondition *condition,
                                    uint64_t *ticket);

/*
 Changes what chunks are made with, from the next one on: `steps`, one of the model's step lists; `route`, up to `CwSessionOptions.most_route`
 (0: all history, where that is as many); `window`, up to the one that the session was created with. -1 leaves a value as it is. Receipts name
 all three. `CW_ERROR_ARGUMENT`, with what is possible, for others. Any thread, also while another one pumps; never blocks, never
 allocates.
 */
CW_API
CwStatus cw_session_set_quality(CwSession *session,
                                int32_t steps,
                                int32_t route,
                                int32_t window);

/*
 Takes a change back that was queued under `ticket`; `CW_ERROR_STATE` once it is in force. Any thread; `CW_ERROR_BUSY` while another one is
 inside the session and has the change already.
 */
CW_API
CwStatus cw_session_withdraw(CwSession *session,
                             uint64_t ticket);

/*
 Works for about `budget_us` microseconds, at least one operator, on this thread (and the device's), then returns `CW_FRAME`,
 `CW_PENDING`, `CW_FULL` or `CW_PAUSED`. One thread at a time (`CW_ERROR_BUSY`); never waits for a GPU.
 */
CW_API
CwStatus cw_session_pump(CwSession *session,
                         uint32_t budget_us);

/*
 Takes the oldest finished frame: writes its pixels to `image` in the form asked for and its receipt to `receipt`, and returns `CW_OK`;
 or `CW_PENDING` when none waits. Either may be NULL (with no image the frame is dropped). The caller owns both. An error of a worker
 thread is returned here, once. Any thread, also while another one pumps; waits for no more than a copy of a frame.
 */
CW_API
CwStatus cw_session_poll_frame(CwSession *session,
                               const CwImage *image,
                               CwReceipt *receipt);

/*
 As `cw_session_poll_frame` of a session that gives latents: writes the oldest latent frame, [channels, height, width] of `cw_session_info`,
 to `values`, which has room for `capacity` numbers.
 */
CW_API
CwStatus cw_session_poll_latents(CwSession *session,
                                 float *values,
                                 size_t capacity,
                                 CwReceipt *receipt);

/*
 Starts a thread that pumps the session, so that the host only sets actions and polls frames. It rests while all frame buffers are full.
 Any thread; never blocks.
 */
CW_API
CwStatus cw_session_start_worker(CwSession *session);

/*
 Ends the worker thread; without one it does nothing. The host may pump again afterwards. Any thread; waits for the slice that the worker
 is in; `CW_ERROR_BUSY` in a hook that the worker calls.
 */
CW_API
CwStatus cw_session_stop_worker(CwSession *session);

/*
 Makes pumping do nothing until `cw_session_resume`. A pump that is running returns after its slice. Any thread; never blocks.
 */
CW_API
CwStatus cw_session_pause(CwSession *session);

/*
 Ends the pause. Any thread; never blocks.
 */
CW_API CwStatus cw_session_resume(CwSession *session);

/*
 Drops the chunk in flight, unless one of its frames is finished, so that the newest action and events come sooner. A pump that is
 running returns after its slice. Nothing of a dropped chunk is left. Any thread; never blocks.
 */
CW_API
CwStatus cw_session_cancel(CwSession *session);

/*
 Begins the stream anew with this seed, as a new session would; finished frames and waiting events are dropped, tickets count on. One
 thread at a time (`CW_ERROR_BUSY`); never waits for a GPU, and for a worker thread at most one slice.
 */
CW_API
CwStatus cw_session_reset(CwSession *session,
                          uint64_t seed);

/*
 Makes the stream start from a picture, RGBA8, sRGB, `bytes` = width * height * 4, rows from the top, from the next `cw_session_reset`
 on. `pixels` is copied. Threads and waiting as `cw_session_reset`.
 */
CW_API
CwStatus cw_session_set_start_image(CwSession *session,
                                    const uint8_t *pixels,
                                    size_t bytes);

/*
 Gives the session a picture of any size: what it starts from, or the newest frame of its stream, as `CwPicture` says. `ticket` may be NULL; receipts
 name it, with `CW_PICTURE_NOW`, as they do those of changes. The pixels are copied, cut and scaled here. `CW_ERROR_OPTION` where the
 model takes none. With `CW_PICTURE_NOW` any thread, also while another one pumps; else threads and waiting as `cw_session_reset`.
 */
CW_API
CwStatus cw_session_set_picture(CwSession *session,
                                const CwPicture *picture,
                                uint64_t *ticket);

/*
 Saves everything that determines the future to `snapshot`, with the frames that were not polled yet, and writes its bytes to `needed`.
 With less than that in `capacity` nothing is saved and the call returns `CW_ERROR_BUFFER_TOO_SMALL`, or `CW_OK` if `snapshot` is
 NULL. `CwSessionInfo.snapshot_bytes` is always enough. The caller owns both. One thread at a time (`CW_ERROR_BUSY`); waits for
 GPU work that was handed out.
 */
CW_API
CwStatus cw_session_snapshot(CwSession *session,
                             void *snapshot,
                             size_t capacity,
                             size_t *needed);

/*
 Returns to a snapshot of `bytes` bytes that was taken from a session of the same weights and options on the same device, by the same build of this
 library: the same future, bit for bit. A damaged one is `CW_ERROR_SNAPSHOT`. For saved games see `cw_session_save`. On an error the session is as it was, except when a GPU fails. Threads as `cw_session_snapshot`; does not
 wait.
 */
CW_API
CwStatus cw_session_restore(CwSession *session,
                            const void *snapshot,
                            size_t bytes);

/*
 Saves a game to `saved` and writes its bytes to `needed`: where the stream is, what it still sees of its past, what it is told and what waits.
 Another session of the same model file goes on from it: on another device, with another type of ring, in a later version of this
 library. Not bit for bit, unlike a snapshot, and much smaller. It is taken at the last chunk boundary: the chunk in flight and frames that were not
 polled are not in it. Memory as with `cw_session_snapshot`; `CwSessionInfo.save_bytes` is always enough. One thread at a time (`CW_ERROR_BUSY`);
 never waits for a GPU, never allocates.
 */
CW_API
CwStatus cw_session_save(CwSession *session,
                         void *saved,
                         size_t capacity,
                         size_t *needed);

/*
 Goes on from a saved game of `bytes` bytes. What it holds of the past is brought back by the next pumps, or the worker, before the next frame. Finished
 frames and waiting changes are dropped; those of the game wait instead. `CW_ERROR_SNAPSHOT` for one that is damaged or of a newer
 version, `CW_ERROR_SNAPSHOT_OF_ANOTHER` for one of other weights: the session is as it was then, except when a GPU fails. Threads as
 `cw_session_snapshot`; does not wait.
 */
CW_API
CwStatus cw_session_load(CwSession *session,
                         const void *saved,
                         size_t bytes);

/*
 Tells a session's counters. The caller owns `stats`. One thread at a time (`CW_ERROR_BUSY`); waits for a worker thread at most one slice.
 */
CW_API
CwStatus cw_session_stats(const CwSession *session,
                          CwStats *stats);

/*
 Tells what a text encoder of these options takes, without creating it. `model` is a file with a text encoder (`CW_HOLDS_TEXT_ENCODER`); `options`
 may be NULL. The caller owns `info`. Any thread; takes some milliseconds, for the trial.
 */
CW_API
CwStatus cw_text_query(const CwDevice *device,
                       const CwModel *model,
                       const CwTextOptions *options,
                       CwTextInfo *info);

/*
 Creates a text encoder: reads and checks the tokenizer (about a second for umT5's), and no weights yet. Device and model may be destroyed
 afterwards; memory that a model was opened in without a copy must stay until the text encoder is destroyed, for weights are read from there. The caller owns `*text` and ends it with `cw_text_destroy`. Any thread.
 */
CW_API
CwStatus cw_text_create(const CwDevice *device,
                        const CwModel *model,
                        const CwTextOptions *options,
                        CwText **text);

/*
 Begins with a prompt: `length` bytes of UTF-8, at most 65536, copied. What exceeds the most rows is cut off, and what lies beyond 16 bytes for
 each of these (and 1024 bytes) is not even looked at. One under way is given up, unless this fails. Any thread; takes
 milliseconds, for the tokens; `CW_ERROR_BUSY` while another thread pumps.
 */
CW_API
CwStatus cw_text_begin(CwText *encoder,
                       const char *text,
                       size_t length);

/*
 Works on the prompt for about `budget_us` microseconds, at least one step: `CW_OK` when its rows are there, else `CW_PENDING`. A step reads a
 piece of the file or computes a piece of a layer; it waits for the disk where the system has not the bytes in memory. `CW_ERROR_STATE` where
 nothing was begun. Any thread, one at a time: others get `CW_ERROR_BUSY`.
 */
CW_API
CwStatus cw_text_pump(CwText *encoder,
                      uint32_t budget_us);

/*
 Tells how far the prompt is: `done` of `total` layers, both 0 before one is begun. The caller owns `progress`, whose `stage` is
 `CW_STAGE_READY` when its rows are there, else `CW_STAGE_WEIGHTS`. Any thread; `CW_ERROR_BUSY` while another one pumps.
 */
CW_API
CwStatus cw_text_progress(const CwText *encoder,
                          CwProgress *progress);

/*
 Copies the prompt's rows, one after the other, as `cw_session_set_prompt` takes them. `*rows` and `*width` are set in any case in which the rows are
 there; `CW_ERROR_BUFFER_TOO_SMALL` where `capacity` numbers are not enough (0 to ask), `CW_ERROR_STATE` before they are there. Any
 thread; `CW_ERROR_BUSY` while another one pumps.
 */
CW_API
CwStatus cw_text_rows(const CwText *encoder,
                      float *values,
                      size_t capacity,
                      uint32_t *rows,
                      uint32_t *width);

/*
 Ends a text encoder. NULL does nothing. Any thread.
 */
CW_API CwStatus cw_text_destroy(CwText *encoder);

/*
 Looks at a host's Vulkan instance and GPU, which must outlive everything made from them. `host` is copied. The caller owns `*vulkan`
 and ends it with `cw_vulkan_destroy`. Any thread; takes some milliseconds.
 */
CW_API
CwStatus cw_vulkan_create(const CwVulkanHost *host,
                          CwVulkan **vulkan);

/*
 Tells what the host's device must be made with. The caller owns `needs`, the library what it points to. Any thread; never blocks.
 */
CW_API
CwStatus cw_vulkan_needs(const CwVulkan *vulkan,
                         CwVulkanNeeds *needs);

/*
 Opens a device that computes on the host's own, as `cw_device_create` opens others. The host's device must outlive `*device` and every
 session on it. `host` is copied. The caller owns `*device` and ends it with `cw_device_destroy`. Any thread that does not hold the
 queue's lock, as with every call that works on this device; takes some milliseconds.
 */
CW_API
CwStatus cw_vulkan_device_create(const CwVulkan *vulkan,
                                 const CwVulkanDevice *host,
                                 CwDevice **device);

/*
 Gives a CwVulkan up, and what `cw_vulkan_needs` told; devices made from it stay. NULL does nothing. Any thread; never blocks.
 */
CW_API
CwStatus cw_vulkan_destroy(CwVulkan *vulkan);

/*
 As `cw_session_poll_frame`, but the frame goes to an image of the host's: the GPU copies it, without a way through the CPU. Work that the
 host submits to the same queue after this call finds it there, without semaphores; the image must stay until the work is done. Only
 on a device of `cw_vulkan_device_create` (`CW_ERROR_UNSUPPORTED`). Any thread that does not hold the queue's lock, also while another one
 pumps; hands one copy to the GPU and does not wait for it.
 */
CW_API
CwStatus cw_session_poll_image(CwSession *session,
                               const CwVulkanImage *image,
                               CwReceipt *receipt);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CAUSEWAY_H */
