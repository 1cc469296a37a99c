# Written by `CAUSEWAY_BLESS=1 cargo test -p causeway-tests --test hosts bindings` from the source of include/causeway.h. Do not edit.
"""The C interface, name by name. `causeway` is easier to use."""

from ctypes import *


class CwCondition(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("kind", c_uint32),
        ("index", c_uint32),
        ("way", c_uint32),
        ("sink", c_uint32),
        ("chunks", c_uint32),
        ("frame", c_uint64),
        ("weights", c_void_p),
        ("weight_count", c_uint32),
        ("reserved", c_uint32),
    ]


class CwAdapterInfo(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("kind", c_uint32),
        ("usable", c_uint32),
        ("reserved", c_uint32),
        ("max_buffer_bytes", c_uint64),
        ("name", c_uint8 * 128),
        ("driver", c_uint8 * 128),
    ]


class CwDeviceOptions(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("kind", c_uint32),
        ("threads", c_uint32),
        ("strict", c_uint32),
        ("adapter_index", c_int32),
        ("reserved", c_uint32),
        ("adapter", c_void_p),
        ("adapter_length", c_size_t),
        ("parallel_for", c_void_p),
        ("parallel_user", c_void_p),
        ("tier", c_uint32),
        ("reserved2", c_uint32),
    ]


class CwImage(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("format", c_uint32),
        ("flags", c_uint32),
        ("reserved", c_uint32),
        ("pixels", c_void_p),
        ("bytes", c_size_t),
        ("row_pitch", c_size_t),
    ]


class CwReceipt(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("width", c_uint32),
        ("height", c_uint32),
        ("event", c_uint32),
        ("frame", c_uint64),
        ("action_ticket", c_uint64),
        ("event_ticket", c_uint64),
        ("began", c_uint64),
        ("ready", c_uint64),
        ("first_of_action", c_uint32),
        ("first_of_event", c_uint32),
        ("chunk", c_uint64),
        ("picture", c_uint32),
        ("pictures", c_uint32),
        ("present", c_uint64),
        ("action_row", c_uint32),
        ("share", c_uint32),
        ("steps", c_uint32),
        ("route", c_uint32),
        ("window", c_uint32),
        ("latent_mean", c_float),
        ("latent_spread", c_float),
        ("reserved", c_uint32),
        ("alarms", c_uint32),
        ("latent_detail", c_float),
        ("latent_change", c_float),
        ("latent_drift", c_float),
        ("far_share", c_float),
        ("route_age", c_float),
    ]


class CwAllocator(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("allocate", c_void_p),
        ("release", c_void_p),
        ("user", c_void_p),
    ]


class CwReader(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("bytes", c_uint64),
        ("read", c_void_p),
        ("user", c_void_p),
    ]


class CwModelInfo(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("width", c_uint32),
        ("height", c_uint32),
        ("fps", c_float),
        ("actions", c_uint32),
        ("events", c_uint32),
        ("chunk", c_uint32),
        ("window", c_uint32),
        ("sink", c_uint32),
        ("route", c_uint32),
        ("steps", c_uint32),
        ("start_frames", c_uint32),
        ("file_bytes", c_uint64),
        ("holds", c_uint32),
        ("takes", c_uint32),
        ("latent_channels", c_uint32),
        ("latent_width", c_uint32),
        ("latent_height", c_uint32),
        ("first_pictures", c_uint32),
        ("pictures", c_uint32),
        ("prompt_width", c_uint32),
        ("prompt_rows", c_uint32),
        ("prompts", c_uint32),
    ]


class CwPicture(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("format", c_uint32),
        ("flags", c_uint32),
        ("fit", c_uint32),
        ("width", c_uint32),
        ("height", c_uint32),
        ("row_pitch", c_size_t),
        ("pixels", c_void_p),
        ("bytes", c_size_t),
        ("when", c_uint32),
        ("repeat", c_uint32),
    ]


class CwSessionOptions(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("start", c_uint32),
        ("seed", c_uint64),
        ("memory_cap", c_uint64),
        ("window", c_int32),
        ("sink", c_int32),
        ("route", c_int32),
        ("steps", c_int32),
        ("event", c_int32),
        ("queue", c_uint32),
        ("start_pixels", c_void_p),
        ("start_bytes", c_size_t),
        ("clock", c_void_p),
        ("clock_user", c_void_p),
        ("kv", c_uint32),
        ("reserved", c_uint32),
        ("codec", c_void_p),
        ("width", c_uint32),
        ("height", c_uint32),
        ("chunk", c_uint32),
        ("first_chunk", c_uint32),
        ("sampler", c_uint32),
        ("sampler_steps", c_uint32),
        ("guidance", c_float),
        ("output", c_uint32),
        ("prompt_slots", c_uint32),
        ("prompt_rows", c_uint32),
        ("recache", c_uint32),
        ("reserved2", c_uint32),
        ("pace", c_uint32),
        ("most_route", c_uint32),
        ("governor", c_uint32),
        ("gate", c_uint32),
    ]


class CwSessionInfo(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("device", c_uint32),
        ("width", c_uint32),
        ("height", c_uint32),
        ("weight_bytes", c_uint64),
        ("state_bytes", c_uint64),
        ("activation_bytes", c_uint64),
        ("overhead_bytes", c_uint64),
        ("total_bytes", c_uint64),
        ("snapshot_bytes", c_uint64),
        ("latent_channels", c_uint32),
        ("latent_width", c_uint32),
        ("latent_height", c_uint32),
        ("fps", c_float),
        ("save_bytes", c_uint64),
    ]


class CwProgress(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("stage", c_uint32),
        ("done", c_uint64),
        ("total", c_uint64),
    ]


class CwStats(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("waiting", c_uint32),
        ("frames", c_uint64),
        ("nodes", c_uint64),
        ("cancelled", c_uint64),
        ("pumps", c_uint64),
        ("pump_micros", c_uint64),
        ("longest_pump_micros", c_uint64),
        ("position", c_uint64),
        ("worker", c_uint32),
        ("paused", c_uint32),
    ]


class CwTextOptions(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("stream", c_uint32),
        ("memory_cap", c_uint64),
        ("tokenizer", c_void_p),
        ("tokenizer_bytes", c_size_t),
        ("most_rows", c_uint32),
        ("reserved", c_uint32),
    ]


class CwTextInfo(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("width", c_uint32),
        ("most_rows", c_uint32),
        ("seconds_per_prompt", c_float),
        ("total_bytes", c_uint64),
        ("tokenizer_bytes", c_uint64),
        ("first_read_bytes", c_uint64),
        ("read_bytes_per_prompt", c_uint64),
    ]


class CwVulkanHost(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("api_version", c_uint32),
        ("instance", c_void_p),
        ("physical_device", c_void_p),
        ("get_instance_proc_addr", c_void_p),
    ]


class CwVulkanNeeds(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("extension_count", c_uint32),
        ("extensions", c_void_p),
        ("features", c_void_p),
    ]


class CwVulkanDevice(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("queue_family", c_uint32),
        ("queue_index", c_uint32),
        ("reserved", c_uint32),
        ("device", c_void_p),
        ("lock", c_void_p),
        ("unlock", c_void_p),
        ("lock_user", c_void_p),
    ]


class CwVulkanImage(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("layout_before", c_uint32),
        ("layout_after", c_uint32),
        ("width", c_uint32),
        ("height", c_uint32),
        ("x", c_uint32),
        ("y", c_uint32),
        ("layer", c_uint32),
        ("image", c_uint64),
    ]


CW_CONDITION_EVENT = 0
CW_CONDITION_MIX = 1
CW_CONDITION_PROMPT = 2
CW_CONDITION_NEGATIVE = 3
CW_WAY_KEEP = 0
CW_WAY_RECACHE = 1
CW_WAY_RESET = 2
CW_WAY_CUT = 3
CW_SINK_KEPT = 0
CW_SINK_REFRESHED = 1
CW_DEVICE_AUTO = 0
CW_DEVICE_CPU = 1
CW_DEVICE_GPU = 2
CW_TIER_AUTO = 0
CW_TIER_PORTABLE = 1
CW_TIER_DOT4 = 2
CW_TIER_HALF = 3
CW_TIER_COOPERATIVE = 4
CW_ADAPTER_OTHER = 0
CW_ADAPTER_INTEGRATED = 1
CW_ADAPTER_DISCRETE = 2
CW_ADAPTER_VIRTUAL = 3
CW_ADAPTER_SOFTWARE = 4
CW_FORMAT_RGBA8 = 0
CW_FORMAT_BGRA8 = 1
CW_FORMAT_RGB8 = 2
CW_IMAGE_FLIP_Y = 1
CW_IMAGE_LINEAR = 2
CW_ALARM_MEAN = 1
CW_ALARM_SPREAD = 2
CW_ALARM_DETAIL = 4
CW_ALARM_FROZEN = 8
CW_ALARM_DRIFT = 16
CW_ALARM_FAR = 32
CW_LOG_ERROR = 1
CW_LOG_WARNING = 2
CW_LOG_INFO = 3
CW_LOG_DEBUG = 4
CW_ABI_VERSION = 4
CW_MEMORY_COPY = 1
CW_HOLDS_DENOISER = 1
CW_HOLDS_CODEC = 2
CW_HOLDS_TEXT_ENCODER = 4
CW_HOLDS_TOKENIZER = 8
CW_HOLDS_PROMPTS = 32
CW_HOLDS_STARTS = 64
CW_TAKES_ACTIONS = 1
CW_TAKES_EVENTS = 2
CW_TAKES_PROMPT = 4
CW_TAKES_NEGATIVE = 8
CW_TAKES_PICTURE = 16
CW_FIT_EXACT = 0
CW_FIT_CROP = 1
CW_FIT_STRETCH = 2
CW_PICTURE_START = 0
CW_PICTURE_NOW = 1
CW_START_STORED = 0
CW_START_EMPTY = 1
CW_START_IMAGE = 2
CW_KV_F32 = 0
CW_KV_F16 = 1
CW_KV_Q8 = 2
CW_KV_AUTO = 3
CW_SAMPLER_MODEL = 0
CW_SAMPLER_FEW = 1
CW_SAMPLER_EULER = 2
CW_SAMPLER_UNIPC = 3
CW_OUTPUT_PIXELS = 0
CW_OUTPUT_LATENTS = 2
CW_PACE_OFF = 0
CW_PACE_WORLD = 1
CW_PACE_HELD = 2
CW_GATE_REPORT = 0
CW_GATE_HOLD = 1
CW_GATE_NEAR = 2
CW_STAGE_WEIGHTS = 0
CW_STAGE_PIPELINES = 1
CW_STAGE_READY = 3
CW_OK = 0
CW_FRAME = 1
CW_PENDING = 2
CW_FULL = 3
CW_PAUSED = 4
CW_ERROR_ARGUMENT = -1
CW_ERROR_HANDLE = -2
CW_ERROR_STRUCT_SIZE = -3
CW_ERROR_BUSY = -4
CW_ERROR_STATE = -5
CW_ERROR_OUT_OF_MEMORY = -6
CW_ERROR_MEMORY_CAP = -7
CW_ERROR_MODEL = -8
CW_ERROR_IO = -9
CW_ERROR_OPTION = -10
CW_ERROR_SNAPSHOT = -11
CW_ERROR_SNAPSHOT_OF_ANOTHER = -12
CW_ERROR_DEVICE = -13
CW_ERROR_DEVICE_LOST = -14
CW_ERROR_UNSUPPORTED = -15
CW_ERROR_BUFFER_TOO_SMALL = -16
CW_ERROR_EVENTS_FULL = -17
CW_ERROR_DESTROYED = -18
CW_ERROR_HOST = -19
CW_ERROR_PANIC = -20
CW_ERROR_CONDITION = -21
CW_ERROR_NOT_FINITE = -22
CW_ERROR_UNHEALTHY = -23

# What a function gives, and what it takes.
FUNCTIONS = {
    "cw_abi_version": (c_uint32, []),
    "cw_version": (c_char_p, []),
    "cw_status_name": (c_char_p, [c_int32]),
    "cw_last_error": (c_int32, [c_void_p, c_size_t, c_void_p]),
    "cw_handle_error": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p]),
    "cw_set_allocator": (c_int32, [c_void_p]),
    "cw_set_log": (c_int32, [c_void_p, c_void_p, c_uint32]),
    "cw_shutdown": (c_int32, []),
    "cw_adapter_count": (c_int32, [c_void_p]),
    "cw_adapter_info": (c_int32, [c_uint32, c_void_p]),
    "cw_device_options_init": (c_int32, [c_void_p]),
    "cw_device_create": (c_int32, [c_void_p, c_void_p]),
    "cw_device_destroy": (c_int32, [c_void_p]),
    "cw_model_open_path": (c_int32, [c_void_p, c_size_t, c_void_p]),
    "cw_model_open_memory": (c_int32, [c_void_p, c_size_t, c_uint32, c_void_p]),
    "cw_model_open_fd": (c_int32, [c_int32, c_uint64, c_uint64, c_void_p]),
    "cw_model_open_reader": (c_int32, [c_void_p, c_void_p]),
    "cw_model_info": (c_int32, [c_void_p, c_void_p]),
    "cw_model_action_name": (c_int32, [c_void_p, c_uint32, c_void_p, c_size_t, c_void_p]),
    "cw_model_prompt_name": (c_int32, [c_void_p, c_uint32, c_void_p, c_size_t, c_void_p]),
    "cw_model_prompt_rows": (c_int32, [c_void_p, c_uint32, c_void_p, c_void_p]),
    "cw_model_event_name": (c_int32, [c_void_p, c_uint32, c_void_p, c_size_t, c_void_p]),
    "cw_model_destroy": (c_int32, [c_void_p]),
    "cw_session_options_init": (c_int32, [c_void_p]),
    "cw_session_query": (c_int32, [c_void_p, c_void_p, c_void_p, c_void_p]),
    "cw_session_create": (c_int32, [c_void_p, c_void_p, c_void_p, c_void_p]),
    "cw_session_create_begin": (c_int32, [c_void_p, c_void_p, c_void_p, c_void_p]),
    "cw_session_progress": (c_int32, [c_void_p, c_void_p]),
    "cw_session_destroy": (c_int32, [c_void_p]),
    "cw_session_info": (c_int32, [c_void_p, c_void_p]),
    "cw_session_set_action": (c_int32, [c_void_p, c_void_p, c_uint32, c_void_p]),
    "cw_session_set_actions": (c_int32, [c_void_p, c_void_p, c_uint32, c_uint32, c_void_p]),
    "cw_session_queue_event": (c_int32, [c_void_p, c_uint32, c_uint64, c_void_p]),
    "cw_session_set_prompt": (c_int32, [c_void_p, c_uint32, c_void_p, c_uint32, c_uint32]),
    "cw_session_load_prompt": (c_int32, [c_void_p, c_uint32, c_void_p, c_uint32]),
    "cw_session_queue_condition": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "cw_session_set_quality": (c_int32, [c_void_p, c_int32, c_int32, c_int32]),
    "cw_session_withdraw": (c_int32, [c_void_p, c_uint64]),
    "cw_session_pump": (c_int32, [c_void_p, c_uint32]),
    "cw_session_poll_frame": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "cw_session_poll_latents": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p]),
    "cw_session_start_worker": (c_int32, [c_void_p]),
    "cw_session_stop_worker": (c_int32, [c_void_p]),
    "cw_session_pause": (c_int32, [c_void_p]),
    "cw_session_resume": (c_int32, [c_void_p]),
    "cw_session_cancel": (c_int32, [c_void_p]),
    "cw_session_reset": (c_int32, [c_void_p, c_uint64]),
    "cw_session_set_start_image": (c_int32, [c_void_p, c_void_p, c_size_t]),
    "cw_session_set_picture": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "cw_session_snapshot": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p]),
    "cw_session_restore": (c_int32, [c_void_p, c_void_p, c_size_t]),
    "cw_session_save": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p]),
    "cw_session_load": (c_int32, [c_void_p, c_void_p, c_size_t]),
    "cw_session_stats": (c_int32, [c_void_p, c_void_p]),
    "cw_text_query": (c_int32, [c_void_p, c_void_p, c_void_p, c_void_p]),
    "cw_text_create": (c_int32, [c_void_p, c_void_p, c_void_p, c_void_p]),
    "cw_text_begin": (c_int32, [c_void_p, c_void_p, c_size_t]),
    "cw_text_pump": (c_int32, [c_void_p, c_uint32]),
    "cw_text_progress": (c_int32, [c_void_p, c_void_p]),
    "cw_text_rows": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p, c_void_p]),
    "cw_text_destroy": (c_int32, [c_void_p]),
    "cw_vulkan_create": (c_int32, [c_void_p, c_void_p]),
    "cw_vulkan_needs": (c_int32, [c_void_p, c_void_p]),
    "cw_vulkan_device_create": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "cw_vulkan_destroy": (c_int32, [c_void_p]),
    "cw_session_poll_image": (c_int32, [c_void_p, c_void_p, c_void_p]),
}
