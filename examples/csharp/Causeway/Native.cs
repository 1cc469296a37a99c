// Written by `CAUSEWAY_BLESS=1 cargo test -p causeway-tests --test hosts bindings` from the source of include/causeway.h. Do not edit.
#pragma warning disable CS0649, CS0169
using System;
using System.Runtime.InteropServices;

namespace Causeway
{
    /// <summary>A change of what a stream is told. Set all that is not used to 0.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct CwCondition
    {
        /// <summary>Set to sizeof(CwCondition).</summary>
        public uint structSize;
        /// <summary>`CW_CONDITION_...`.</summary>
        public uint kind;
        /// <summary>Event, or prompt slot.</summary>
        public uint index;
        /// <summary>`CW_WAY_...`: what becomes of the past.</summary>
        public uint way;
        /// <summary>`CW_SINK_...`, with `CW_WAY_RECACHE`.</summary>
        public uint sink;
        /// <summary>Over so many chunks the old condition goes over into the new one; 0 and 1: at once. A recache follows each part.</summary>
        public uint chunks;
        /// <summary>First picture of the stream (without a codec: latent frame) that may show it; 0: with the next chunk.</summary>
        public ulong frame;
        /// <summary>`CW_CONDITION_MIX`: a weight for each event, 0 or more and finite, of sum 1 within 0.001. Copied.</summary>
        public float* weights;
        /// <summary>Numbers at `weights`.</summary>
        public uint weightCount;
        /// <summary>0.</summary>
        public uint reserved;
    }

    /// <summary>A GPU of this machine.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct CwAdapterInfo
    {
        /// <summary>Set to sizeof(CwAdapterInfo).</summary>
        public uint structSize;
        /// <summary>`CW_ADAPTER_...`.</summary>
        public uint kind;
        /// <summary>1 if it can run models, else 0.</summary>
        public uint usable;
        /// <summary>0.</summary>
        public uint reserved;
        /// <summary>Most bytes of one buffer.</summary>
        public ulong maxBufferBytes;
        /// <summary>Name given by the driver, UTF-8, ended by NUL.</summary>
        public fixed byte name[128];
        /// <summary>Interface (Vulkan, Metal, Dx12, Gl), driver and its version, UTF-8, ended by NUL.</summary>
        public fixed byte driver[128];
    }

    /// <summary>Options of a device. Fill it in with `cw_device_options_init`.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct CwDeviceOptions
    {
        /// <summary>Set to sizeof(CwDeviceOptions) before `cw_device_options_init`.</summary>
        public uint structSize;
        /// <summary>`CW_DEVICE_...`.</summary>
        public uint kind;
        /// <summary>CPU threads, the pumping one among them; 0 takes what the machine has. With `parallel_for`: how many of its threads may
        /// run pieces at once (0: what the machine has).</summary>
        public uint threads;
        /// <summary>1: plain scalar arithmetic, the same bits on every CPU, slowly.</summary>
        public uint strict;
        /// <summary>Number of the GPU (`cw_adapter_info`), or -1 to choose by `adapter`.</summary>
        public int adapterIndex;
        /// <summary>0.</summary>
        public uint reserved;
        /// <summary>Part of the GPU's name, UTF-8, any case; NULL or length 0 for the best one.</summary>
        public byte* adapter;
        /// <summary>Bytes of `adapter`.</summary>
        public UIntPtr adapterLength;
        /// <summary>The host's job system, or NULL for threads of the library's own.</summary>
        public IntPtr parallelFor;
        /// <summary>Passed to `parallel_for`.</summary>
        public void* parallelUser;
        /// <summary>`CW_TIER_...`: which kernels a GPU runs. One that is asked for and fails its test on the GPU is an error.</summary>
        public uint tier;
        /// <summary>0.</summary>
        public uint reserved2;
    }

    /// <summary>Where `cw_session_poll_frame` writes a frame.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct CwImage
    {
        /// <summary>Set to sizeof(CwImage).</summary>
        public uint structSize;
        /// <summary>`CW_FORMAT_...`.</summary>
        public uint format;
        /// <summary>`CW_IMAGE_...`, or-ed.</summary>
        public uint flags;
        /// <summary>0.</summary>
        public uint reserved;
        /// <summary>First byte of the first row in memory.</summary>
        public void* pixels;
        /// <summary>Bytes at `pixels`.</summary>
        public UIntPtr bytes;
        /// <summary>Bytes from one row to the next; 0 for rows without padding.</summary>
        public UIntPtr rowPitch;
    }

    /// <summary>What a frame is the first to show, and when it was made. Tickets come from `cw_session_set_action` and `cw_session_queue_event`.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct CwReceipt
    {
        /// <summary>Set to sizeof(CwReceipt).</summary>
        public uint structSize;
        /// <summary>Width of the frame in pixels.</summary>
        public uint width;
        /// <summary>Height of the frame in pixels.</summary>
        public uint height;
        /// <summary>Event in force; of a mix the strongest.</summary>
        public uint @event;
        /// <summary>Number of the picture in the stream, from 0; without a codec of the latent frame.</summary>
        public ulong frame;
        /// <summary>Ticket of the newest action the frame was made with.</summary>
        public ulong actionTicket;
        /// <summary>Ticket of the newest event or other change the frame was made under.</summary>
        public ulong eventTicket;
        /// <summary>When the frame's chunk took its action, microseconds on the session's clock.</summary>
        public ulong began;
        /// <summary>When its pixels were ready.</summary>
        public ulong ready;
        /// <summary>1 if no earlier frame was made with that action.</summary>
        public uint firstOfAction;
        /// <summary>1 if no earlier frame was made under that ticket.</summary>
        public uint firstOfEvent;
        /// <summary>Number of its chunk, from 0; what the stream starts from counts too.</summary>
        public ulong chunk;
        /// <summary>Number of the picture in its chunk ...</summary>
        public uint picture;
        /// <summary>... of so many.</summary>
        public uint pictures;
        /// <summary>When it should be shown, microseconds on the session's clock: a chunk's pictures are ready at once, and are to be seen one after the other.
        /// Without a pace as `ready`; 0, which is at once, for frames of a snapshot.</summary>
        public ulong present;
        /// <summary>Row of the actions that it was made with; 0 where there is one for all.</summary>
        public uint actionRow;
        /// <summary>Of changes that take several chunks: parts in force, in 1/65536; 65536 when none is under way.</summary>
        public uint share;
        /// <summary>Denoise steps that the chunk was made in.</summary>
        public uint steps;
        /// <summary>History frames that each of its queries saw; 0 for all.</summary>
        public uint route;
        /// <summary>Latent frames that it saw, sink and chunk among them.</summary>
        public uint window;
        /// <summary>Mean of the chunk's latents, in standard deviations of what the model was trained on: near 0 while all is well.</summary>
        public float latentMean;
        /// <summary>Their standard deviation, in the same: near 1 while all is well.</summary>
        public float latentSpread;
        /// <summary>0.</summary>
        public uint reserved;
        /// <summary>`CW_ALARM_...`, or-ed: figures of the chunk that are none that the model's footage has. 0 while all is well.</summary>
        public uint alarms;
        /// <summary>Flatness over the channels of the latents, from 0 to 1: it falls where what is fine is lost, and rises where there is only noise.</summary>
        public float latentDetail;
        /// <summary>Root mean square of the change of latents from frame to frame, in standard deviations; 0 of a first frame.</summary>
        public float latentChange;
        /// <summary>The same since the world was left alone, from what the first frames of that showed; 0 while it is not.</summary>
        public float latentDrift;
        /// <summary>Share of heads that prefer a far frame of the past, one older than the newest half of the window, as of the chunk before.</summary>
        public float farShare;
        /// <summary>Mean age of the frames that its queries were routed to, in latent frames; 0 without a route.</summary>
        public float routeAge;
    }

    /// <summary>The host's memory. See `cw_set_allocator`.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct CwAllocator
    {
        /// <summary>Set to sizeof(CwAllocator).</summary>
        public uint structSize;
        /// <summary>0.</summary>
        public uint reserved;
        /// <summary>Required.</summary>
        public IntPtr allocate;
        /// <summary>Required.</summary>
        public IntPtr release;
        /// <summary>Passed to both.</summary>
        public void* user;
    }

    /// <summary>How a host hands out the bytes of a model file.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct CwReader
    {
        /// <summary>Set to sizeof(CwReader).</summary>
        public uint structSize;
        /// <summary>0.</summary>
        public uint reserved;
        /// <summary>Bytes of the file.</summary>
        public ulong bytes;
        /// <summary>Required.</summary>
        public IntPtr read;
        /// <summary>Passed to `read`.</summary>
        public void* user;
    }

    /// <summary>What a model is.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct CwModelInfo
    {
        /// <summary>Set to sizeof(CwModelInfo).</summary>
        public uint structSize;
        /// <summary>Width of a frame in pixels.</summary>
        public uint width;
        /// <summary>Height of a frame in pixels.</summary>
        public uint height;
        /// <summary>Pictures a second that the model was trained for.</summary>
        public float fps;
        /// <summary>Entries of the action vector.</summary>
        public uint actions;
        /// <summary>Events.</summary>
        public uint events;
        /// <summary>Latent frames made together; all take the same action.</summary>
        public uint chunk;
        /// <summary>Latent frames seen at once, by default.</summary>
        public uint window;
        /// <summary>First latent frames that stay visible for ever, by default.</summary>
        public uint sink;
        /// <summary>Latent frames of history kept for each query, by default; 0 for all.</summary>
        public uint route;
        /// <summary>Denoise steps a chunk, by default.</summary>
        public uint steps;
        /// <summary>Latent frames that the file stores to start from.</summary>
        public uint startFrames;
        /// <summary>Bytes of the file.</summary>
        public ulong fileBytes;
        /// <summary>`CW_HOLDS_...`, or-ed. Of a file without a denoiser only what follows and `file_bytes` tell something.</summary>
        public uint holds;
        /// <summary>`CW_TAKES_...`, or-ed.</summary>
        public uint takes;
        /// <summary>Channels of a latent frame.</summary>
        public uint latentChannels;
        /// <summary>Width of a latent frame; 0 for a codec, which takes any.</summary>
        public uint latentWidth;
        /// <summary>Height of a latent frame; 0 for a codec, which takes any.</summary>
        public uint latentHeight;
        /// <summary>Pictures of the stream's first latent frame; 0 without a codec in the file.</summary>
        public uint firstPictures;
        /// <summary>Pictures of every later latent frame; 0 without a codec in the file.</summary>
        public uint pictures;
        /// <summary>Numbers in a row of a prompt; 0 where there are none.</summary>
        public uint promptWidth;
        /// <summary>Most rows of a prompt.</summary>
        public uint promptRows;
        /// <summary>Prompts that the file stores; `cw_model_prompt_name` names them, `cw_model_prompt_rows` tells their rows, `cw_session_load_prompt` takes
        /// them.</summary>
        public uint prompts;
    }

    /// <summary>A picture of the host's, 8-bit sRGB.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct CwPicture
    {
        /// <summary>Set to sizeof(CwPicture).</summary>
        public uint structSize;
        /// <summary>`CW_FORMAT_...`; opacity is ignored.</summary>
        public uint format;
        /// <summary>0 or `CW_IMAGE_FLIP_Y`.</summary>
        public uint flags;
        /// <summary>`CW_FIT_...`.</summary>
        public uint fit;
        /// <summary>Width in pixels, 1 to 16384.</summary>
        public uint width;
        /// <summary>Height in pixels, 1 to 16384.</summary>
        public uint height;
        /// <summary>Bytes from one row to the next; 0 for rows without padding.</summary>
        public UIntPtr rowPitch;
        /// <summary>The pixels. Copied.</summary>
        public void* pixels;
        /// <summary>Bytes of `pixels`.</summary>
        public UIntPtr bytes;
        /// <summary>`CW_PICTURE_...`.</summary>
        public uint when;
        /// <summary>Latent frames that it fills, with `CW_PICTURE_NOW`; 0 for 1.</summary>
        public uint repeat;
    }

    /// <summary>Options of a session. Fill it in with `cw_session_options_init`.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct CwSessionOptions
    {
        /// <summary>Set to sizeof(CwSessionOptions) before `cw_session_options_init`.</summary>
        public uint structSize;
        /// <summary>`CW_START_...`: what the first frames are.</summary>
        public uint start;
        /// <summary>Noise seed: one seed and the same actions give the same frames.</summary>
        public ulong seed;
        /// <summary>Most bytes that the session may hold; 0 for no limit.</summary>
        public ulong memoryCap;
        /// <summary>Latent frames seen at once, sink and chunk among them; -1 for the model's.</summary>
        public int window;
        /// <summary>First latent frames that stay visible for ever; -1 for the model's.</summary>
        public int sink;
        /// <summary>Latent frames of history kept for each query, 0 for all; -1 for the model's.</summary>
        public int route;
        /// <summary>Denoise steps a chunk, one of those the model was trained for; -1 for the model's.</summary>
        public int steps;
        /// <summary>Event in force at the start; -1 for the model's.</summary>
        public int @event;
        /// <summary>Finished pictures held for the host before pumping pauses.</summary>
        public uint queue;
        /// <summary>RGBA8, sRGB, width * height * 4 bytes, rows from the top; with `CW_START_IMAGE`. Copied by the call.</summary>
        public byte* startPixels;
        /// <summary>Bytes of `start_pixels`.</summary>
        public UIntPtr startBytes;
        /// <summary>The host's clock, or NULL for the system's.</summary>
        public IntPtr clock;
        /// <summary>Passed to `clock`.</summary>
        public void* clockUser;
        /// <summary>`CW_KV_...`: how the ring stores keys and values.</summary>
        public uint kv;
        /// <summary>0.</summary>
        public uint reserved;
        /// <summary>A file that holds the codec, for a model that has none in its own; or NULL. A bundle has its codec with it. Need not outlive the call.</summary>
        public IntPtr codec;
        /// <summary>Width of a picture, of a model that reads prompts; 0 for the model's.</summary>
        public uint width;
        /// <summary>Height of a picture, of a model that reads prompts; 0 for the model's.</summary>
        public uint height;
        /// <summary>Latent frames made together; 0 for the model's.</summary>
        public uint chunk;
        /// <summary>Latent frames of the first chunk; 0: as of all others.</summary>
        public uint firstChunk;
        /// <summary>`CW_SAMPLER_...`.</summary>
        public uint sampler;
        /// <summary>Steps of Euler and UniPC; 0: 50.</summary>
        public uint samplerSteps;
        /// <summary>Guidance away from a negative prompt; 0 or 1: none. It takes a second ring.</summary>
        public float guidance;
        /// <summary>`CW_OUTPUT_...`.</summary>
        public uint output;
        /// <summary>Prompts held beside the one in force; 0: 1, where the model reads prompts.</summary>
        public uint promptSlots;
        /// <summary>Most rows a prompt may have; 0: the model's. Memory is kept for so many.</summary>
        public uint promptRows;
        /// <summary>1: `CW_WAY_RECACHE` is possible. It takes activations of a whole window; `cw_session_query` tells how much.</summary>
        public uint recache;
        /// <summary>0.</summary>
        public uint reserved2;
        /// <summary>`CW_PACE_...`.</summary>
        public uint pace;
        /// <summary>`route` may be changed up to so many while the stream runs (`cw_session_set_quality`); 0: it stays as it is. The plan has room for them.</summary>
        public uint mostRoute;
        /// <summary>1: while chunks take longer than they last, they are made in fewer steps, then with a smaller route (with `most_route`); what was
        /// taken is given back once there is time again. Receipts name both.</summary>
        public uint governor;
        /// <summary>`CW_GATE_...`: what becomes of a chunk whose health alarms (`CwReceipt.alarms`).</summary>
        public uint gate;
    }

    /// <summary>What a session holds and makes.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct CwSessionInfo
    {
        /// <summary>Set to sizeof(CwSessionInfo).</summary>
        public uint structSize;
        /// <summary>`CW_DEVICE_CPU` or `CW_DEVICE_GPU`.</summary>
        public uint device;
        /// <summary>Width of a frame in pixels.</summary>
        public uint width;
        /// <summary>Height of a frame in pixels.</summary>
        public uint height;
        /// <summary>Bytes of weights in the layout that the device computes with; 0 where a session of this model on this device holds them already.</summary>
        public ulong weightBytes;
        /// <summary>Bytes of state: the ring of keys and values, the codec's memory.</summary>
        public ulong stateBytes;
        /// <summary>Bytes of activations.</summary>
        public ulong activationBytes;
        /// <summary>Bytes of frame buffers, staging, tables and scratch.</summary>
        public ulong overheadBytes;
        /// <summary>Sum of all.</summary>
        public ulong totalBytes;
        /// <summary>Bytes that a snapshot takes at most.</summary>
        public ulong snapshotBytes;
        /// <summary>Channels of a latent frame.</summary>
        public uint latentChannels;
        /// <summary>Width of a latent frame.</summary>
        public uint latentWidth;
        /// <summary>Height of a latent frame.</summary>
        public uint latentHeight;
        /// <summary>Frames a second of pictures that the model was trained for.</summary>
        public float fps;
        /// <summary>Bytes that a saved game takes at most (`cw_session_save`).</summary>
        public ulong saveBytes;
    }

    /// <summary>How far the creation of a session is.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct CwProgress
    {
        /// <summary>Set to sizeof(CwProgress).</summary>
        public uint structSize;
        /// <summary>`CW_STAGE_...`.</summary>
        public uint stage;
        /// <summary>So much of the stage is done ...</summary>
        public ulong done;
        /// <summary>... of so much.</summary>
        public ulong total;
    }

    /// <summary>Counters of a session since its creation.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct CwStats
    {
        /// <summary>Set to sizeof(CwStats).</summary>
        public uint structSize;
        /// <summary>Finished frames that wait to be polled.</summary>
        public uint waiting;
        /// <summary>Frames made.</summary>
        public ulong frames;
        /// <summary>Operators run.</summary>
        public ulong nodes;
        /// <summary>Chunks dropped by `cw_session_cancel`.</summary>
        public ulong cancelled;
        /// <summary>Calls of `cw_session_pump`, or rounds of the worker thread.</summary>
        public ulong pumps;
        /// <summary>Microseconds spent in them.</summary>
        public ulong pumpMicros;
        /// <summary>Microseconds of the longest of them.</summary>
        public ulong longestPumpMicros;
        /// <summary>Number of the latent frame in flight.</summary>
        public ulong position;
        /// <summary>1 while a worker thread runs.</summary>
        public uint worker;
        /// <summary>1 while paused.</summary>
        public uint paused;
    }

    /// <summary>How a text encoder works. `cw_text_create` with NULL takes zeros.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct CwTextOptions
    {
        /// <summary>Set to sizeof(CwTextOptions).</summary>
        public uint structSize;
        /// <summary>1: holds one layer of weights at a time, which every prompt reads from the file anew. 0: the first prompt reads them, and they stay.</summary>
        public uint stream;
        /// <summary>Most bytes to hold, tokenizer included; 0 for no limit.</summary>
        public ulong memoryCap;
        /// <summary>A `tokenizer.json` or `spiece.model` in memory; NULL for the one that the encoder's file holds (`causeway convert --tokenizer`). Need not
        /// outlive the call.</summary>
        public byte* tokenizer;
        /// <summary>Its bytes.</summary>
        public UIntPtr tokenizerBytes;
        /// <summary>Most rows of a prompt: a session's `prompt_rows`, for example; 0 for the encoder's own. Fewer take less memory.</summary>
        public uint mostRows;
        /// <summary>0.</summary>
        public uint reserved;
    }

    /// <summary>What a text encoder takes, told before it is created.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct CwTextInfo
    {
        /// <summary>Set to sizeof(CwTextInfo).</summary>
        public uint structSize;
        /// <summary>Numbers in a row of a prompt.</summary>
        public uint width;
        /// <summary>Most rows of a prompt: its tokens, the end token included. What a longer text has more is left out.</summary>
        public uint mostRows;
        /// <summary>About how many seconds the longest prompt is computed for, reading left out; from a trial of some milliseconds on the device. A
        /// shorter one takes less, by its rows.</summary>
        public float secondsPerPrompt;
        /// <summary>Bytes held at most: weights, activations, prompt, tokenizer.</summary>
        public ulong totalBytes;
        /// <summary>About how many of them are the tokenizer's, in the host's memory.</summary>
        public ulong tokenizerBytes;
        /// <summary>Bytes that the first prompt reads from the file.</summary>
        public ulong firstReadBytes;
        /// <summary>Bytes that every later prompt reads from it.</summary>
        public ulong readBytesPerPrompt;
    }

    /// <summary>A host's Vulkan instance and GPU.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct CwVulkanHost
    {
        /// <summary>Set to sizeof(CwVulkanHost).</summary>
        public uint structSize;
        /// <summary>`VkApplicationInfo.apiVersion` of the instance, at least VK_API_VERSION_1_3 (the GPU may be older).</summary>
        public uint apiVersion;
        /// <summary>VkInstance, made with the extension VK_KHR_get_physical_device_properties2.</summary>
        public void* instance;
        /// <summary>VkPhysicalDevice.</summary>
        public void* physicalDevice;
        /// <summary>The host's `vkGetInstanceProcAddr`, cast; or NULL for that of the system's Vulkan library.</summary>
        public IntPtr getInstanceProcAddr;
    }

    /// <summary>What a device must be made with.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct CwVulkanNeeds
    {
        /// <summary>Set to sizeof(CwVulkanNeeds).</summary>
        public uint structSize;
        /// <summary>How many extensions.</summary>
        public uint extensionCount;
        /// <summary>For `VkDeviceCreateInfo.ppEnabledExtensionNames`, beside the host's own. Lives as long as the CwVulkan.</summary>
        public byte** extensions;
        /// <summary>A VkPhysicalDeviceFeatures2 with its chain, for `VkDeviceCreateInfo.pNext`; a host with features of its own enables the union.
        /// Lives as long as the CwVulkan.</summary>
        public void* features;
    }

    /// <summary>A host's Vulkan device and queue.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct CwVulkanDevice
    {
        /// <summary>Set to sizeof(CwVulkanDevice).</summary>
        public uint structSize;
        /// <summary>Family of the queue; it must take compute work.</summary>
        public uint queueFamily;
        /// <summary>Number of the queue in its family.</summary>
        public uint queueIndex;
        /// <summary>0.</summary>
        public uint reserved;
        /// <summary>VkDevice, made with all that `cw_vulkan_needs` tells.</summary>
        public void* device;
        /// <summary>Called before the queue is used; NULL if no other thread uses it during a call of this library.</summary>
        public IntPtr @lock;
        /// <summary>Called afterwards, by the same thread.</summary>
        public IntPtr unlock;
        /// <summary>Passed to both.</summary>
        public void* lockUser;
    }

    /// <summary>Where `cw_session_poll_image` has a frame written: a part of a 2D image of format R8G8B8A8 (UNORM or SRGB), one sample, usage
    /// TRANSFER_DST, mip level 0, in exclusive use by the queue's family.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct CwVulkanImage
    {
        /// <summary>Set to sizeof(CwVulkanImage).</summary>
        public uint structSize;
        /// <summary>VkImageLayout that the image is in; VK_IMAGE_LAYOUT_UNDEFINED if nothing of it is needed any more.</summary>
        public uint layoutBefore;
        /// <summary>VkImageLayout that it shall be left in.</summary>
        public uint layoutAfter;
        /// <summary>Width of the image in pixels.</summary>
        public uint width;
        /// <summary>Height of the image in pixels.</summary>
        public uint height;
        /// <summary>Column of the frame's left upper corner.</summary>
        public uint x;
        /// <summary>Row of it.</summary>
        public uint y;
        /// <summary>Array layer.</summary>
        public uint layer;
        /// <summary>VkImage, cast.</summary>
        public ulong image;
    }

    /// <summary>The C interface, name by name. <see cref="Session"/> and its neighbours are easier to use.</summary>
    internal static unsafe class Native
    {
#if UNITY_IOS && !UNITY_EDITOR
        const string Library = "__Internal";
#else
        const string Library = "causeway";
#endif
        /// <summary>`CwCondition.kind`: event number `index`.</summary>
        internal const uint CW_CONDITION_EVENT = 0;
        /// <summary>`CwCondition.kind`: events in parts, `weights`.</summary>
        internal const uint CW_CONDITION_MIX = 1;
        /// <summary>`CwCondition.kind`: the prompt in slot `index`.</summary>
        internal const uint CW_CONDITION_PROMPT = 2;
        /// <summary>`CwCondition.kind`: the prompt in slot `index` as what guidance leads away from.</summary>
        internal const uint CW_CONDITION_NEGATIVE = 3;
        /// <summary>`CwCondition.way`: the past stays as it is, and the new condition has a slow effect.</summary>
        internal const uint CW_WAY_KEEP = 0;
        /// <summary>`CwCondition.way`: the window is computed anew under the new condition, and the stream goes on smoothly. The session must have been
        /// created with `recache`.</summary>
        internal const uint CW_WAY_RECACHE = 1;
        /// <summary>`CwCondition.way`: the past is forgotten.</summary>
        internal const uint CW_WAY_RESET = 2;
        /// <summary>`CwCondition.way`: a new shot. The past stays, and routes find it, but the next chunk need not follow the newest frame.</summary>
        internal const uint CW_WAY_CUT = 3;
        /// <summary>`CwCondition.sink`: the first frames keep what they have.</summary>
        internal const uint CW_SINK_KEPT = 0;
        /// <summary>`CwCondition.sink`: the oldest frames of the window take their place.</summary>
        internal const uint CW_SINK_REFRESHED = 1;
        /// <summary>`CwDeviceOptions.kind`: a hardware GPU if there is one that fits, else the CPU.</summary>
        internal const uint CW_DEVICE_AUTO = 0;
        /// <summary>`CwDeviceOptions.kind`: the CPU.</summary>
        internal const uint CW_DEVICE_CPU = 1;
        /// <summary>`CwDeviceOptions.kind`: a GPU, also one that a driver emulates on the CPU.</summary>
        internal const uint CW_DEVICE_GPU = 2;
        /// <summary>`CwDeviceOptions.tier`: the best kernels that the GPU computes rightly with, of those that are known to be faster on it.</summary>
        internal const uint CW_TIER_AUTO = 0;
        /// <summary>`CwDeviceOptions.tier`: kernels that every GPU can run.</summary>
        internal const uint CW_TIER_PORTABLE = 1;
        /// <summary>`CwDeviceOptions.tier`: linear layers with 8- and 4-bit weights by products of four bytes; inputs are rounded as on the CPU.</summary>
        internal const uint CW_TIER_DOT4 = 2;
        /// <summary>`CwDeviceOptions.tier`: linear layers, convolutions and attention in half precision.</summary>
        internal const uint CW_TIER_HALF = 3;
        /// <summary>`CwDeviceOptions.tier`: linear layers and attention by cooperative matrices of half precision, with sums in 32 bits.</summary>
        internal const uint CW_TIER_COOPERATIVE = 4;
        /// <summary>`CwAdapterInfo.kind`.</summary>
        internal const uint CW_ADAPTER_OTHER = 0;
        /// <summary>`CwAdapterInfo.kind`.</summary>
        internal const uint CW_ADAPTER_INTEGRATED = 1;
        /// <summary>`CwAdapterInfo.kind`.</summary>
        internal const uint CW_ADAPTER_DISCRETE = 2;
        /// <summary>`CwAdapterInfo.kind`.</summary>
        internal const uint CW_ADAPTER_VIRTUAL = 3;
        /// <summary>`CwAdapterInfo.kind`: a driver that computes on the CPU.</summary>
        internal const uint CW_ADAPTER_SOFTWARE = 4;
        /// <summary>`CwImage.format`: bytes R, G, B, A.</summary>
        internal const uint CW_FORMAT_RGBA8 = 0;
        /// <summary>`CwImage.format`: bytes B, G, R, A.</summary>
        internal const uint CW_FORMAT_BGRA8 = 1;
        /// <summary>`CwImage.format`: bytes R, G, B.</summary>
        internal const uint CW_FORMAT_RGB8 = 2;
        /// <summary>`CwImage.flags`: the first row in memory is the lowest of the picture, as OpenGL and Unity have it.</summary>
        internal const uint CW_IMAGE_FLIP_Y = 1;
        /// <summary>`CwImage.flags`: linear light in 8 bits instead of sRGB, for targets that do not convert.</summary>
        internal const uint CW_IMAGE_LINEAR = 2;
        /// <summary>`CwReceipt.alarms`: the mean of the latents.</summary>
        internal const uint CW_ALARM_MEAN = 1;
        /// <summary>`CwReceipt.alarms`: their spread.</summary>
        internal const uint CW_ALARM_SPREAD = 2;
        /// <summary>`CwReceipt.alarms`: their detail: pictures melt, or are noise.</summary>
        internal const uint CW_ALARM_DETAIL = 4;
        /// <summary>`CwReceipt.alarms`: nothing moves, whatever is pressed.</summary>
        internal const uint CW_ALARM_FROZEN = 8;
        /// <summary>`CwReceipt.alarms`: the world drifts, though nothing is pressed.</summary>
        internal const uint CW_ALARM_DRIFT = 16;
        /// <summary>`CwReceipt.alarms`: attention looks for far frames.</summary>
        internal const uint CW_ALARM_FAR = 32;
        /// <summary>Levels of log messages; a sink gets those up to its level.</summary>
        internal const uint CW_LOG_ERROR = 1;
        /// <summary>See `CW_LOG_ERROR`.</summary>
        internal const uint CW_LOG_WARNING = 2;
        /// <summary>See `CW_LOG_ERROR`.</summary>
        internal const uint CW_LOG_INFO = 3;
        /// <summary>See `CW_LOG_ERROR`.</summary>
        internal const uint CW_LOG_DEBUG = 4;
        /// <summary>Version of this interface. It grows by one when something is added; nothing is ever removed or changed.</summary>
        internal const uint CW_ABI_VERSION = 4;
        /// <summary>`cw_model_open_memory`: the library keeps a copy, so the caller's bytes may go at once.</summary>
        internal const uint CW_MEMORY_COPY = 1;
        /// <summary>`CwModelInfo.holds`, or-ed: a denoiser, which a session runs.</summary>
        internal const uint CW_HOLDS_DENOISER = 1;
        /// <summary>`CwModelInfo.holds`: a codec, which makes pictures of latents.</summary>
        internal const uint CW_HOLDS_CODEC = 2;
        /// <summary>`CwModelInfo.holds`: a text encoder.</summary>
        internal const uint CW_HOLDS_TEXT_ENCODER = 4;
        /// <summary>`CwModelInfo.holds`: the text encoder's tokenizer.</summary>
        internal const uint CW_HOLDS_TOKENIZER = 8;
        /// <summary>`CwModelInfo.holds`: prompts.</summary>
        internal const uint CW_HOLDS_PROMPTS = 32;
        /// <summary>`CwModelInfo.holds`: latents to start from.</summary>
        internal const uint CW_HOLDS_STARTS = 64;
        /// <summary>`CwModelInfo.takes`, or-ed: actions.</summary>
        internal const uint CW_TAKES_ACTIONS = 1;
        /// <summary>`CwModelInfo.takes`: events, and mixes of them.</summary>
        internal const uint CW_TAKES_EVENTS = 2;
        /// <summary>`CwModelInfo.takes`: prompts.</summary>
        internal const uint CW_TAKES_PROMPT = 4;
        /// <summary>`CwModelInfo.takes`: negative prompts, of a session with guidance.</summary>
        internal const uint CW_TAKES_NEGATIVE = 8;
        /// <summary>`CwModelInfo.takes`: a picture to start from, for the codec in this file encodes. Of a model and a codec in two files the codec's has it.</summary>
        internal const uint CW_TAKES_PICTURE = 16;
        /// <summary>`CwPicture.fit`: another size than the stream's is `CW_ERROR_ARGUMENT`.</summary>
        internal const uint CW_FIT_EXACT = 0;
        /// <summary>`CwPicture.fit`: the largest part in the middle that has the stream's shape, scaled.</summary>
        internal const uint CW_FIT_CROP = 1;
        /// <summary>`CwPicture.fit`: all of it, scaled.</summary>
        internal const uint CW_FIT_STRETCH = 2;
        /// <summary>`CwPicture.when`: what the stream starts from, from the next `cw_session_reset` on.</summary>
        internal const uint CW_PICTURE_START = 0;
        /// <summary>`CwPicture.when`: the newest frame, before the next chunk. It is encoded, shown and committed as a chunk is, with no action, and cannot be
        /// dropped once begun; the history stays. For models of which a latent frame is one picture.</summary>
        internal const uint CW_PICTURE_NOW = 1;
        /// <summary>`CwSessionOptions.start`: what the model file stores (a bundle: its first start), or nothing if it stores nothing.</summary>
        internal const uint CW_START_STORED = 0;
        /// <summary>`CwSessionOptions.start`: nothing; the first frames are dreamt from noise.</summary>
        internal const uint CW_START_EMPTY = 1;
        /// <summary>`CwSessionOptions.start`: the picture in `start_pixels`.</summary>
        internal const uint CW_START_IMAGE = 2;
        /// <summary>`CwSessionOptions.kv`: 32-bit floats.</summary>
        internal const uint CW_KV_F32 = 0;
        /// <summary>`CwSessionOptions.kv`: 16-bit floats; half the memory.</summary>
        internal const uint CW_KV_F16 = 1;
        /// <summary>`CwSessionOptions.kv`: 8-bit integers with a scale for each token and head; little more than a quarter of the memory.</summary>
        internal const uint CW_KV_Q8 = 2;
        /// <summary>`CwSessionOptions.kv`: 16-bit floats on a GPU, 32-bit floats on the CPU.</summary>
        internal const uint CW_KV_AUTO = 3;
        /// <summary>`CwSessionOptions.sampler`: the model's own, in as many steps as `steps` says.</summary>
        internal const uint CW_SAMPLER_MODEL = 0;
        /// <summary>`CwSessionOptions.sampler`: few steps with fresh noise, as distilled students are sampled; as `CW_SAMPLER_MODEL`.</summary>
        internal const uint CW_SAMPLER_FEW = 1;
        /// <summary>`CwSessionOptions.sampler`: Euler, in `sampler_steps` steps.</summary>
        internal const uint CW_SAMPLER_EULER = 2;
        /// <summary>`CwSessionOptions.sampler`: UniPC of order 2, in `sampler_steps` steps.</summary>
        internal const uint CW_SAMPLER_UNIPC = 3;
        /// <summary>`CwSessionOptions.output`: pictures, by `cw_session_poll_frame`.</summary>
        internal const uint CW_OUTPUT_PIXELS = 0;
        /// <summary>`CwSessionOptions.output`: latent frames, by `cw_session_poll_latents`; no codec is needed.</summary>
        internal const uint CW_OUTPUT_LATENTS = 2;
        /// <summary>`CwSessionOptions.pace`: chunks are made as fast as the host pumps.</summary>
        internal const uint CW_PACE_OFF = 0;
        /// <summary>`CwSessionOptions.pace`: no chunk begins before its first picture's time on the session's clock. Pictures come when they are ready; receipts say
        /// when each should be shown.</summary>
        internal const uint CW_PACE_WORLD = 1;
        /// <summary>`CwSessionOptions.pace`: the same, and polling gives each picture no sooner than it should be shown: for hosts that show what they poll.</summary>
        internal const uint CW_PACE_HELD = 2;
        /// <summary>`CwSessionOptions.gate`: it is given, and its receipts name the alarms.</summary>
        internal const uint CW_GATE_REPORT = 0;
        /// <summary>`CwSessionOptions.gate`: it is dropped and `CW_ERROR_UNHEALTHY` returned, so that the host can rewind, cut or set a picture. Pumped on, the stream
        /// makes it again and gives it.</summary>
        internal const uint CW_GATE_HOLD = 1;
        /// <summary>`CwSessionOptions.gate`: it is dropped and made again with the smallest window there can be, without what is far; that one is given.</summary>
        internal const uint CW_GATE_NEAR = 2;
        /// <summary>`CwProgress.stage`: weights are brought into the device's layout, in bytes of that.</summary>
        internal const uint CW_STAGE_WEIGHTS = 0;
        /// <summary>`CwProgress.stage`: kernels are compiled for a GPU.</summary>
        internal const uint CW_STAGE_PIPELINES = 1;
        /// <summary>`CwProgress.stage`: the session is there.</summary>
        internal const uint CW_STAGE_READY = 3;
        /// <summary>Done.</summary>
        internal const int CW_OK = 0;
        /// <summary>A frame became ready; fetch it with `cw_session_poll_frame`.</summary>
        internal const int CW_FRAME = 1;
        /// <summary>Nothing is ready: the budget is spent, the GPU is busy, no frame waits, or with a pace its time has not come. Not an error; call again.</summary>
        internal const int CW_PENDING = 2;
        /// <summary>All frame buffers hold frames that nobody fetched; poll them.</summary>
        internal const int CW_FULL = 3;
        /// <summary>The session is paused.</summary>
        internal const int CW_PAUSED = 4;
        /// <summary>An argument is NULL or out of its range.</summary>
        internal const int CW_ERROR_ARGUMENT = -1;
        /// <summary>Not a handle of this library, a handle of another kind, or one that was destroyed.</summary>
        internal const int CW_ERROR_HANDLE = -2;
        /// <summary>`struct_size` is not one that any version of this struct had.</summary>
        internal const int CW_ERROR_STRUCT_SIZE = -3;
        /// <summary>Another thread is inside this session.</summary>
        internal const int CW_ERROR_BUSY = -4;
        /// <summary>Not possible now, for example pumping a session that has a worker thread.</summary>
        internal const int CW_ERROR_STATE = -5;
        /// <summary>The host's allocator, or the system, has no memory.</summary>
        internal const int CW_ERROR_OUT_OF_MEMORY = -6;
        /// <summary>The session needs more than `memory_cap`; the error text has the number.</summary>
        internal const int CW_ERROR_MEMORY_CAP = -7;
        /// <summary>The model file is malformed or of an unknown kind.</summary>
        internal const int CW_ERROR_MODEL = -8;
        /// <summary>A file could not be opened or read.</summary>
        internal const int CW_ERROR_IO = -9;
        /// <summary>An option does not fit the model.</summary>
        internal const int CW_ERROR_OPTION = -10;
        /// <summary>Not a snapshot, or a damaged one.</summary>
        internal const int CW_ERROR_SNAPSHOT = -11;
        /// <summary>A snapshot of another model, of other options or of another kind of device.</summary>
        internal const int CW_ERROR_SNAPSHOT_OF_ANOTHER = -12;
        /// <summary>No device fits, or it cannot run this model.</summary>
        internal const int CW_ERROR_DEVICE = -13;
        /// <summary>The GPU was lost. Destroy session and device, create both anew, restore a snapshot.</summary>
        internal const int CW_ERROR_DEVICE_LOST = -14;
        /// <summary>This build or this platform cannot do it.</summary>
        internal const int CW_ERROR_UNSUPPORTED = -15;
        /// <summary>The memory given is too small; `needed` or the error text has the number.</summary>
        internal const int CW_ERROR_BUFFER_TOO_SMALL = -16;
        /// <summary>Too many events or other changes wait.</summary>
        internal const int CW_ERROR_EVENTS_FULL = -17;
        /// <summary>The handle was destroyed by another thread during the call.</summary>
        internal const int CW_ERROR_DESTROYED = -18;
        /// <summary>A callback of the host failed.</summary>
        internal const int CW_ERROR_HOST = -19;
        /// <summary>A defect of the library. The session it happened in cannot be used any more; destroy it.</summary>
        internal const int CW_ERROR_PANIC = -20;
        /// <summary>The model takes no such condition; the error text has those it takes.</summary>
        internal const int CW_ERROR_CONDITION = -21;
        /// <summary>A chunk came out NaN or infinite and was dropped; the stream stands before it, and makes it again of what it is told then.</summary>
        internal const int CW_ERROR_NOT_FINITE = -22;
        /// <summary>The health of a chunk alarms, and with `CW_GATE_HOLD` it was dropped; the error text has what alarms. Pumped on, it is made again and given.</summary>
        internal const int CW_ERROR_UNHEALTHY = -23;

        /// <summary>The newest `CW_ABI_VERSION` that this library implements. Any thread; never blocks.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern uint cw_abi_version();

        /// <summary>Version of the library: `"0.1.0"`, say. Static. Any thread; never blocks.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern byte* cw_version();

        /// <summary>Name of a status: `"CW_ERROR_BUSY"`, say; `"CW_UNKNOWN"` for a number that is none. Static. Any thread; never blocks.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern byte* cw_status_name(int status);

        /// <summary>Copies the calling thread's last error text (UTF-8) to `text`, as much as fits in `capacity` bytes with a NUL at its end, and its
        /// whole length to `length`. Either may be NULL. The caller owns both. Any thread; never blocks.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_last_error(byte* text, UIntPtr capacity, UIntPtr* length);

        /// <summary>As `cw_last_error`, for the last call that failed on this device, model or session, on whatever thread. Any thread; never blocks.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_handle_error(void* handle, byte* text, UIntPtr capacity, UIntPtr* length);

        /// <summary>Takes the host's allocator for all memory of the library, for the life of the process. Only before any other call
        /// (`CW_ERROR_STATE` afterwards; `cw_abi_version` and `cw_last_error` do not count). `allocator` is copied; its functions must stay
        /// callable for ever, by any thread, and must not call this library. A refused allocation comes back as `CW_ERROR_OUT_OF_MEMORY`; see
        /// docs/embedding.md for what is served by the system in that case, and for memory that does not come from here. Never blocks.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_set_allocator(CwAllocator* allocator);

        /// <summary>Sets the sink for log messages up to `level` (`CW_LOG_...`), or removes it (NULL). The sink is called by any thread that works in the
        /// library; `user` is passed on. Once the call returns the old sink is called no more. Any thread but from inside a sink; waits for
        /// messages that are being delivered.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_set_log(IntPtr sink, void* user, uint level);

        /// <summary>Destroys everything that still exists, ends all threads and removes the log sink: call it before the library is unloaded. All
        /// handles become stale; the library may be used again afterwards. Not while another thread is inside the library, other than
        /// pumping. Waits for one slice of each session.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_shutdown();

        /// <summary>How many GPUs this machine has; 0 in a build without a GPU backend. Any thread; asks the drivers, which can take some 100 ms.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_adapter_count(uint* count);

        /// <summary>Tells about GPU number `index`. The caller owns `info`. Any thread; asks the drivers, which can take some 100 ms.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_adapter_info(uint index, CwAdapterInfo* info);

        /// <summary>Fills `options` with defaults, as far as its `struct_size` (which must be set) reaches. Any thread; never blocks.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_device_options_init(CwDeviceOptions* options);

        /// <summary>Opens a device: starts threads, or opens a GPU. `options` may be NULL for defaults; it is copied. The caller owns `*device` and ends it
        /// with `cw_device_destroy`. Any thread; a GPU takes up to a second to open, so do it while loading.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_device_create(CwDeviceOptions* options, out IntPtr device);

        /// <summary>Gives a device up; sessions keep what they use of it. NULL does nothing. Any thread; waits for threads to end when no session uses
        /// them.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_device_destroy(IntPtr device);

        /// <summary>Opens and checks the model file at `path` (UTF-8, `length` bytes), a regular file. It stays open, and sessions read it while they are
        /// created: one that was cut short is `CW_ERROR_IO` then; replacing it by renaming is fine. The caller owns `*model` and ends it with
        /// `cw_model_destroy`; sessions copy what they need. Any thread; reads the file once, so do it while loading.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_model_open_path(byte* path, UIntPtr length, out IntPtr model);

        /// <summary>Opens a model file in memory, which must begin at a multiple of 4 and stay as it is until the model is destroyed; or, with
        /// `CW_MEMORY_COPY` in `flags`, in a copy of it. Ownership and threads as `cw_model_open_path`.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_model_open_memory(byte* bytes, UIntPtr length, uint flags, out IntPtr model);

        /// <summary>Maps a model file that lies in an open file from `offset` on, `bytes` long: an uncompressed Android asset, for example. The
        /// descriptor is duplicated and stays the caller's. Unix systems only. Otherwise as `cw_model_open_path`.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_model_open_fd(int fd, ulong offset, ulong bytes, out IntPtr model);

        /// <summary>Reads a model file through the host's callback into memory. The callback runs on this thread, during this call only, and must not
        /// call this library. Otherwise as `cw_model_open_path`.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_model_open_reader(CwReader* reader, out IntPtr model);

        /// <summary>Tells what a model file holds, whatever it is. The caller owns `info`. Any thread; never blocks.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_model_info(ModelHandle model, CwModelInfo* info);

        /// <summary>Copies the name of entry `index` of the action vector, as `cw_last_error` copies texts. Any thread; never blocks.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_model_action_name(ModelHandle model, uint index, byte* text, UIntPtr capacity, UIntPtr* length);

        /// <summary>Copies the name of prompt `index` that the file stores, as `cw_last_error` copies texts. Any thread; never blocks.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_model_prompt_name(ModelHandle model, uint index, byte* text, UIntPtr capacity, UIntPtr* length);

        /// <summary>Tells how many rows prompt `index` that the file stores has, and how many numbers a row: what `CwSessionOptions.prompt_rows` must allow. Any
        /// thread; never blocks.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_model_prompt_rows(ModelHandle model, uint index, uint* rows, uint* width);

        /// <summary>Copies the name of event `index`, as `cw_last_error` copies texts. Any thread; never blocks.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_model_event_name(ModelHandle model, uint index, byte* text, UIntPtr capacity, UIntPtr* length);

        /// <summary>Closes a model; its sessions go on. NULL does nothing. Any thread; never blocks.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_model_destroy(IntPtr model);

        /// <summary>Fills `options` with defaults, as far as its `struct_size` (which must be set) reaches. Any thread; never blocks.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_options_init(CwSessionOptions* options);

        /// <summary>Tells the exact bytes that a session of these options will hold, and its frame size, without creating it. `options` may be NULL
        /// for defaults. The caller owns `info`. Any thread; takes some milliseconds.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_query(DeviceHandle device, ModelHandle model, CwSessionOptions* options, CwSessionInfo* info);

        /// <summary>Creates a session of `model` on `device`. A model that reads prompts has no codec in its file: name one in `options`, or ask for latents,
        /// and give it a prompt before it is pumped (`cw_session_set_prompt`). `options` may be NULL for defaults; it is copied. The caller owns `*session` and ends it with
        /// `cw_session_destroy`; model and device may be destroyed before it. Any thread; prepares all weights, so do it while loading.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_create(DeviceHandle device, ModelHandle model, CwSessionOptions* options, out IntPtr session);

        /// <summary>Begins to create a session: the handle comes at once, in about the time of `cw_session_query`, and the first pumps, or the worker thread, do what
        /// `cw_session_create` would have waited for. Until then all calls of the session answer `CW_PENDING`, but for `cw_session_pump`,
        /// `cw_session_start_worker`, `cw_session_stop_worker`, `cw_session_progress`, `cw_session_info` and `cw_session_destroy`, which gives up what was done.
        /// Options, files and memory cap are checked before it returns. What fails later, as a file that cannot be read any more, is returned by pump,
        /// `cw_session_progress` and all other calls, each time; such a session can only be destroyed. Arguments as of `cw_session_create`; device,
        /// model and codec may be destroyed meanwhile, but memory that they were opened in without a copy must stay until the session is there. Any thread.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_create_begin(DeviceHandle device, ModelHandle model, CwSessionOptions* options, out IntPtr session);

        /// <summary>Tells how far the creation of a session is; `CW_STAGE_READY` once it is there, or the error that it failed of. The caller owns `progress`. Any thread,
        /// also while another one pumps; never blocks.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_progress(SessionHandle session, CwProgress* progress);

        /// <summary>Ends a session, also while another thread pumps it: that call returns `CW_ERROR_DESTROYED` after the slice it is in, and the memory
        /// goes with it. NULL does nothing. Any thread; waits at most for one slice of the session's own worker thread.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_destroy(IntPtr session);

        /// <summary>Tells what a session holds and makes. The caller owns `info`. Any thread; never blocks.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_info(SessionHandle session, CwSessionInfo* info);

        /// <summary>Sets the action, `count` numbers, that the next chunk will take: the latest wins. Writes the action's ticket, which receipts name, to
        /// `ticket` unless that is NULL. `action` is copied. Any thread, also while another one pumps; never blocks.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_set_action(SessionHandle session, float* action, uint count, ulong* ticket);

        /// <summary>As `cw_session_set_action` with `rows` rows of `count` numbers: one for each picture (of a session with `CW_OUTPUT_LATENTS`: for each latent
        /// frame) of the next chunk; the last one goes on. The model is told one for a latent frame, the last of its pictures' rows. Where actions last
        /// several frames, as in worlds of movements, one row is all there can be. `actions` is copied. Any thread, also while another one
        /// pumps; never blocks, never allocates.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_set_actions(SessionHandle session, float* actions, uint rows, uint count, ulong* ticket);

        /// <summary>Queues event number `event` for the first chunk that holds or follows frame `frame` of the stream (0: the next chunk). Of several that
        /// are due the newest wins. Writes the event's ticket, which receipts name, to `ticket` unless that is NULL. Any thread, also while
        /// another one pumps; never blocks.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_queue_event(SessionHandle session, uint @event, ulong frame, ulong* ticket);

        /// <summary>Puts a prompt into slot `slot`, below `CwSessionOptions.prompt_slots`: `rows` rows of `width` numbers, as the model's text encoder makes them,
        /// without padding. `cw_session_queue_condition` puts it in force. `values` is copied. `CW_ERROR_STATE` while a change that waits names the
        /// slot. Any thread, also while another one pumps; never blocks, never allocates.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_set_prompt(SessionHandle session, uint slot, float* values, uint rows, uint width);

        /// <summary>The same from prompt `index` that the file of `model`, a bundle, stores. Any thread, also while another one pumps; reads the file, and
        /// never allocates.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_load_prompt(SessionHandle session, uint slot, ModelHandle model, uint index);

        /// <summary>Queues a change of what the stream is told, and writes its ticket, which receipts name, to `ticket` unless that is NULL. Of several of one
        /// kind that are due the newest wins. Any thread, also while another one pumps; never blocks, never allocates.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_queue_condition(SessionHandle session, CwCondition* condition, ulong* ticket);

        /// <summary>Changes what chunks are made with, from the next one on: `steps`, one of the model's step lists; `route`, up to `CwSessionOptions.most_route`
        /// (0: all history, where that is as many); `window`, up to the one that the session was created with. -1 leaves a value as it is. Receipts name
        /// all three. `CW_ERROR_ARGUMENT`, with what is possible, for others. Any thread, also while another one pumps; never blocks, never
        /// allocates.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_set_quality(SessionHandle session, int steps, int route, int window);

        /// <summary>Takes a change back that was queued under `ticket`; `CW_ERROR_STATE` once it is in force. Any thread; `CW_ERROR_BUSY` while another one is
        /// inside the session and has the change already.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_withdraw(SessionHandle session, ulong ticket);

        /// <summary>Works for about `budget_us` microseconds, at least one operator, on this thread (and the device's), then returns `CW_FRAME`,
        /// `CW_PENDING`, `CW_FULL` or `CW_PAUSED`. One thread at a time (`CW_ERROR_BUSY`); never waits for a GPU.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_pump(SessionHandle session, uint budgetUs);

        /// <summary>Takes the oldest finished frame: writes its pixels to `image` in the form asked for and its receipt to `receipt`, and returns `CW_OK`;
        /// or `CW_PENDING` when none waits. Either may be NULL (with no image the frame is dropped). The caller owns both. An error of a worker
        /// thread is returned here, once. Any thread, also while another one pumps; waits for no more than a copy of a frame.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_poll_frame(SessionHandle session, CwImage* image, CwReceipt* receipt);

        /// <summary>As `cw_session_poll_frame` of a session that gives latents: writes the oldest latent frame, [channels, height, width] of `cw_session_info`,
        /// to `values`, which has room for `capacity` numbers.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_poll_latents(SessionHandle session, float* values, UIntPtr capacity, CwReceipt* receipt);

        /// <summary>Starts a thread that pumps the session, so that the host only sets actions and polls frames. It rests while all frame buffers are full.
        /// Any thread; never blocks.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_start_worker(SessionHandle session);

        /// <summary>Ends the worker thread; without one it does nothing. The host may pump again afterwards. Any thread; waits for the slice that the worker
        /// is in; `CW_ERROR_BUSY` in a hook that the worker calls.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_stop_worker(SessionHandle session);

        /// <summary>Makes pumping do nothing until `cw_session_resume`. A pump that is running returns after its slice. Any thread; never blocks.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_pause(SessionHandle session);

        /// <summary>Ends the pause. Any thread; never blocks.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_resume(SessionHandle session);

        /// <summary>Drops the chunk in flight, unless one of its frames is finished, so that the newest action and events come sooner. A pump that is
        /// running returns after its slice. Nothing of a dropped chunk is left. Any thread; never blocks.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_cancel(SessionHandle session);

        /// <summary>Begins the stream anew with this seed, as a new session would; finished frames and waiting events are dropped, tickets count on. One
        /// thread at a time (`CW_ERROR_BUSY`); never waits for a GPU, and for a worker thread at most one slice.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_reset(SessionHandle session, ulong seed);

        /// <summary>Makes the stream start from a picture, RGBA8, sRGB, `bytes` = width * height * 4, rows from the top, from the next `cw_session_reset`
        /// on. `pixels` is copied. Threads and waiting as `cw_session_reset`.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_set_start_image(SessionHandle session, byte* pixels, UIntPtr bytes);

        /// <summary>Gives the session a picture of any size: what it starts from, or the newest frame of its stream, as `CwPicture` says. `ticket` may be NULL; receipts
        /// name it, with `CW_PICTURE_NOW`, as they do those of changes. The pixels are copied, cut and scaled here. `CW_ERROR_OPTION` where the
        /// model takes none. With `CW_PICTURE_NOW` any thread, also while another one pumps; else threads and waiting as `cw_session_reset`.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_set_picture(SessionHandle session, CwPicture* picture, ulong* ticket);

        /// <summary>Saves everything that determines the future to `snapshot`, with the frames that were not polled yet, and writes its bytes to `needed`.
        /// With less than that in `capacity` nothing is saved and the call returns `CW_ERROR_BUFFER_TOO_SMALL`, or `CW_OK` if `snapshot` is
        /// NULL. `CwSessionInfo.snapshot_bytes` is always enough. The caller owns both. One thread at a time (`CW_ERROR_BUSY`); waits for
        /// GPU work that was handed out.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_snapshot(SessionHandle session, void* snapshot, UIntPtr capacity, UIntPtr* needed);

        /// <summary>Returns to a snapshot of `bytes` bytes that was taken from a session of the same weights and options on the same device, by the same build of this
        /// library: the same future, bit for bit. A damaged one is `CW_ERROR_SNAPSHOT`. For saved games see `cw_session_save`. On an error the session is as it was, except when a GPU fails. Threads as `cw_session_snapshot`; does not
        /// wait.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_restore(SessionHandle session, void* snapshot, UIntPtr bytes);

        /// <summary>Saves a game to `saved` and writes its bytes to `needed`: where the stream is, what it still sees of its past, what it is told and what waits.
        /// Another session of the same model file goes on from it: on another device, with another type of ring, in a later version of this
        /// library. Not bit for bit, unlike a snapshot, and much smaller. It is taken at the last chunk boundary: the chunk in flight and frames that were not
        /// polled are not in it. Memory as with `cw_session_snapshot`; `CwSessionInfo.save_bytes` is always enough. One thread at a time (`CW_ERROR_BUSY`);
        /// never waits for a GPU, never allocates.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_save(SessionHandle session, void* saved, UIntPtr capacity, UIntPtr* needed);

        /// <summary>Goes on from a saved game of `bytes` bytes. What it holds of the past is brought back by the next pumps, or the worker, before the next frame. Finished
        /// frames and waiting changes are dropped; those of the game wait instead. `CW_ERROR_SNAPSHOT` for one that is damaged or of a newer
        /// version, `CW_ERROR_SNAPSHOT_OF_ANOTHER` for one of other weights: the session is as it was then, except when a GPU fails. Threads as
        /// `cw_session_snapshot`; does not wait.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_load(SessionHandle session, void* saved, UIntPtr bytes);

        /// <summary>Tells a session's counters. The caller owns `stats`. One thread at a time (`CW_ERROR_BUSY`); waits for a worker thread at most one slice.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_stats(SessionHandle session, CwStats* stats);

        /// <summary>Tells what a text encoder of these options takes, without creating it. `model` is a file with a text encoder (`CW_HOLDS_TEXT_ENCODER`); `options`
        /// may be NULL. The caller owns `info`. Any thread; takes some milliseconds, for the trial.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_text_query(DeviceHandle device, ModelHandle model, CwTextOptions* options, CwTextInfo* info);

        /// <summary>Creates a text encoder: reads and checks the tokenizer (about a second for umT5's), and no weights yet. Device and model may be destroyed
        /// afterwards; memory that a model was opened in without a copy must stay until the text encoder is destroyed, for weights are read from there. The caller owns `*text` and ends it with `cw_text_destroy`. Any thread.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_text_create(DeviceHandle device, ModelHandle model, CwTextOptions* options, out IntPtr text);

        /// <summary>Begins with a prompt: `length` bytes of UTF-8, at most 65536, copied. What exceeds the most rows is cut off, and what lies beyond 16 bytes for
        /// each of these (and 1024 bytes) is not even looked at. One under way is given up, unless this fails. Any thread; takes
        /// milliseconds, for the tokens; `CW_ERROR_BUSY` while another thread pumps.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_text_begin(TextHandle encoder, byte* text, UIntPtr length);

        /// <summary>Works on the prompt for about `budget_us` microseconds, at least one step: `CW_OK` when its rows are there, else `CW_PENDING`. A step reads a
        /// piece of the file or computes a piece of a layer; it waits for the disk where the system has not the bytes in memory. `CW_ERROR_STATE` where
        /// nothing was begun. Any thread, one at a time: others get `CW_ERROR_BUSY`.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_text_pump(TextHandle encoder, uint budgetUs);

        /// <summary>Tells how far the prompt is: `done` of `total` layers, both 0 before one is begun. The caller owns `progress`, whose `stage` is
        /// `CW_STAGE_READY` when its rows are there, else `CW_STAGE_WEIGHTS`. Any thread; `CW_ERROR_BUSY` while another one pumps.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_text_progress(TextHandle encoder, CwProgress* progress);

        /// <summary>Copies the prompt's rows, one after the other, as `cw_session_set_prompt` takes them. `*rows` and `*width` are set in any case in which the rows are
        /// there; `CW_ERROR_BUFFER_TOO_SMALL` where `capacity` numbers are not enough (0 to ask), `CW_ERROR_STATE` before they are there. Any
        /// thread; `CW_ERROR_BUSY` while another one pumps.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_text_rows(TextHandle encoder, float* values, UIntPtr capacity, uint* rows, uint* width);

        /// <summary>Ends a text encoder. NULL does nothing. Any thread.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_text_destroy(IntPtr encoder);

        /// <summary>Looks at a host's Vulkan instance and GPU, which must outlive everything made from them. `host` is copied. The caller owns `*vulkan`
        /// and ends it with `cw_vulkan_destroy`. Any thread; takes some milliseconds.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_vulkan_create(CwVulkanHost* host, out IntPtr vulkan);

        /// <summary>Tells what the host's device must be made with. The caller owns `needs`, the library what it points to. Any thread; never blocks.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_vulkan_needs(VulkanHandle vulkan, CwVulkanNeeds* needs);

        /// <summary>Opens a device that computes on the host's own, as `cw_device_create` opens others. The host's device must outlive `*device` and every
        /// session on it. `host` is copied. The caller owns `*device` and ends it with `cw_device_destroy`. Any thread that does not hold the
        /// queue's lock, as with every call that works on this device; takes some milliseconds.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_vulkan_device_create(VulkanHandle vulkan, CwVulkanDevice* host, out IntPtr device);

        /// <summary>Gives a CwVulkan up, and what `cw_vulkan_needs` told; devices made from it stay. NULL does nothing. Any thread; never blocks.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_vulkan_destroy(IntPtr vulkan);

        /// <summary>As `cw_session_poll_frame`, but the frame goes to an image of the host's: the GPU copies it, without a way through the CPU. Work that the
        /// host submits to the same queue after this call finds it there, without semaphores; the image must stay until the work is done. Only
        /// on a device of `cw_vulkan_device_create` (`CW_ERROR_UNSUPPORTED`). Any thread that does not hold the queue's lock, also while another one
        /// pumps; hands one copy to the GPU and does not wait for it.</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int cw_session_poll_image(SessionHandle session, CwVulkanImage* image, CwReceipt* receipt);
    }
}
