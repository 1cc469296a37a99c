using System;
using System.Runtime.InteropServices;

namespace Causeway
{
    /// <summary>What a call of <see cref="Session.Pump"/> came to.</summary>
    public enum Pump
    {
        /// <summary>A frame became ready.</summary>
        Frame = Native.CW_FRAME,
        /// <summary>The budget is spent, or the GPU is busy; pump again.</summary>
        Pending = Native.CW_PENDING,
        /// <summary>All frame buffers hold frames that nobody fetched.</summary>
        Full = Native.CW_FULL,
        /// <summary>The session is paused.</summary>
        Paused = Native.CW_PAUSED,
    }

    /// <summary>Order of the bytes of a pixel.</summary>
    public enum PixelFormat : uint
    {
        /// <summary>R, G, B, A.</summary>
        Rgba8 = Native.CW_FORMAT_RGBA8,
        /// <summary>B, G, R, A.</summary>
        Bgra8 = Native.CW_FORMAT_BGRA8,
        /// <summary>R, G, B.</summary>
        Rgb8 = Native.CW_FORMAT_RGB8,
    }

    /// <summary>Form of a picture in memory.</summary>
    [Flags]
    public enum ImageFlags : uint
    {
        /// <summary>Rows from the top, sRGB.</summary>
        None = 0,
        /// <summary>Rows from the bottom, as Unity and OpenGL have them.</summary>
        FlipY = Native.CW_IMAGE_FLIP_Y,
        /// <summary>Linear light in 8 bits.</summary>
        Linear = Native.CW_IMAGE_LINEAR,
    }

    /// <summary>One stream of one model. Actions, prompts and changes may come from any thread; one thread at a time pumps.</summary>
    public sealed unsafe class Session : IDisposable
    {
        readonly SessionHandle handle;
        readonly int actions;
        readonly int promptWidth;
        readonly byte[] pixels;

        /// <summary>Width of a frame in pixels.</summary>
        public int Width { get; private set; }
        /// <summary>Height of a frame in pixels.</summary>
        public int Height { get; private set; }
        /// <summary>Bytes that the session holds.</summary>
        public long TotalBytes { get; private set; }
        /// <summary>Bytes that a snapshot takes at most.</summary>
        public long SnapshotBytes { get; private set; }
        /// <summary>It computes on a GPU.</summary>
        public bool OnGpu { get; private set; }
        /// <summary>Channels of a latent frame.</summary>
        public int LatentChannels { get; private set; }
        /// <summary>Height of a latent frame.</summary>
        public int LatentHeight { get; private set; }
        /// <summary>Width of a latent frame.</summary>
        public int LatentWidth { get; private set; }

        /// <summary>Creates a session. It prepares all weights, so do it while loading.</summary>
        public Session(Device device, Model model, SessionOptions options = null)
            : this(device, model, options, Native.cw_session_create) { }

        /// <summary>Begins to create a session: pumps, or the worker, do the work. Until <see cref="Progress"/> is 1 nothing waits to be taken, and what
        /// is set is not taken.</summary>
        public static Session Begin(Device device, Model model, SessionOptions options = null)
        {
            return new Session(device, model, options, Native.cw_session_create_begin);
        }

        unsafe delegate int Create(DeviceHandle device, ModelHandle model, CwSessionOptions* options, out IntPtr session);

        Session(Device device, Model model, SessionOptions options, Create create)
        {
            options = options ?? new SessionOptions();
            var created = IntPtr.Zero;
            With(options, native => Call.Check(create(device.Handle, model.Handle, native, out created)));
            handle = new SessionHandle(created);
            var info = new CwSessionInfo { structSize = (uint)sizeof(CwSessionInfo) };
            Call.Check(Native.cw_session_info(handle, &info));
            Width = (int)info.width;
            Height = (int)info.height;
            TotalBytes = (long)info.totalBytes;
            SnapshotBytes = (long)info.snapshotBytes;
            saveBytes = (long)info.saveBytes;
            OnGpu = info.device == Native.CW_DEVICE_GPU;
            LatentChannels = (int)info.latentChannels;
            LatentHeight = (int)info.latentHeight;
            LatentWidth = (int)info.latentWidth;
            actions = model.Actions.Count;
            promptWidth = model.PromptWidth;
            pixels = new byte[options.Latents ? 0 : Width * Height * 4];
        }

        delegate void Use(CwSessionOptions* options);

        /// <summary>Options as the library takes them; what they point to stays where it is during the call.</summary>
        static void With(SessionOptions options, Use use)
        {
            var native = options.Native();
            var codec = options.Codec == null ? null : options.Codec.Handle;
            var held = false;
            try
            {
                if (codec != null)
                {
                    codec.DangerousAddRef(ref held);
                    native.codec = codec.DangerousGetHandle();
                }
                fixed (byte* image = options.StartImage)
                {
                    native.startPixels = image;
                    native.startBytes = (UIntPtr)(options.StartImage == null ? 0 : options.StartImage.Length);
                    use(&native);
                }
            }
            finally
            {
                if (held) codec.DangerousRelease();
            }
        }

        /// <summary>Bytes that a session with these options would hold, without creating it.</summary>
        public static long Query(Device device, Model model, SessionOptions options = null)
        {
            var total = 0L;
            With(options ?? new SessionOptions(), native =>
            {
                var info = new CwSessionInfo { structSize = (uint)sizeof(CwSessionInfo) };
                Call.Check(Native.cw_session_query(device.Handle, model.Handle, native, &info));
                total = (long)info.totalBytes;
            });
            return total;
        }

        readonly long saveBytes;
        bool ready;

        /// <summary>The session is there: always, unless it was begun by <see cref="Begin"/> and is still being created. Throws what that failed of.</summary>
        public bool Ready
        {
            get
            {
                if (ready) return true;
                var progress = new CwProgress { structSize = (uint)sizeof(CwProgress) };
                Call.Check(Native.cw_session_progress(handle, &progress));
                return ready = progress.stage == Native.CW_STAGE_READY;
            }
        }

        /// <summary>How far the creation is, from 0 to 1: weights are half of it where a GPU compiles kernels too.</summary>
        public float Progress
        {
            get
            {
                var progress = new CwProgress { structSize = (uint)sizeof(CwProgress) };
                Call.Check(Native.cw_session_progress(handle, &progress));
                if (progress.stage == Native.CW_STAGE_READY) return 1;
                var share = (float)progress.done / Math.Max(1, progress.total);
                if (!OnGpu) return Math.Min(share, 0.99f);
                return progress.stage == Native.CW_STAGE_WEIGHTS ? share / 2 : Math.Min(0.5f + share / 2, 0.99f);
            }
        }

        /// <summary>Sets the action that the next chunk takes, one number for each of the model's actions; the latest wins.</summary>
        /// <returns>The ticket that receipts name.</returns>
        public long SetAction(ReadOnlySpan<float> action)
        {
            if (action.Length != actions)
            {
                throw new ArgumentException("the action has " + action.Length + " numbers, the model takes " + actions);
            }
            ulong ticket;
            fixed (float* start = &MemoryMarshal.GetReference(action))
            {
                Call.Check(Native.cw_session_set_action(handle, start, (uint)action.Length, &ticket));
            }
            return (long)ticket;
        }

        /// <summary>Queues an event for the first chunk that holds or follows this frame; 0 for the next chunk.</summary>
        /// <returns>The ticket that receipts name.</returns>
        public long QueueEvent(int index, long frame = 0)
        {
            ulong ticket;
            Call.Check(Native.cw_session_queue_event(handle, checked((uint)index), checked((ulong)frame), &ticket));
            return (long)ticket;
        }

        /// <summary>Puts a prompt into a slot: rows of the model's <see cref="Model.PromptWidth"/> numbers, without padding. It is copied.</summary>
        public void SetPrompt(int slot, ReadOnlySpan<float> values) { Call.Check(Prompt(slot, values)); }

        /// <summary>As <see cref="SetPrompt"/>, but false, and nothing done, while a change that waits names the slot, or the session is still being
        /// created.</summary>
        public bool TrySetPrompt(int slot, ReadOnlySpan<float> values) { return Taken(Prompt(slot, values)); }

        int Prompt(int slot, ReadOnlySpan<float> values)
        {
            var width = Math.Max(promptWidth, 1);
            if (values.Length % width != 0)
            {
                throw new ArgumentException("the prompt has " + values.Length + " numbers, which are not rows of " + width);
            }
            fixed (float* start = &MemoryMarshal.GetReference(values))
            {
                var rows = (uint)(values.Length / width);
                return Native.cw_session_set_prompt(handle, checked((uint)slot), start, rows, (uint)width);
            }
        }

        static bool Taken(int status) { return status != Native.CW_ERROR_STATE && Call.Check(status) == Native.CW_OK; }

        /// <summary>Puts a prompt that a bundle stores into a slot, by its place in <see cref="Model.Prompts"/>.</summary>
        public void LoadPrompt(int slot, Model bundle, int index) { Call.Check(Prompt(slot, bundle, index)); }

        /// <summary>As <see cref="LoadPrompt"/>, but false, and nothing done, while a change that waits names the slot, or the session is still being
        /// created.</summary>
        public bool TryLoadPrompt(int slot, Model bundle, int index) { return Taken(Prompt(slot, bundle, index)); }

        int Prompt(int slot, Model bundle, int index)
        {
            return Native.cw_session_load_prompt(handle, checked((uint)slot), bundle.Handle, checked((uint)index));
        }

        /// <summary>Queues a change of what the stream is told; of several of one kind that are due the newest wins.</summary>
        /// <returns>The ticket that receipts name.</returns>
        public long QueueCondition(Condition condition)
        {
            ulong ticket;
            fixed (float* weights = condition.Weights)
            {
                var native = new CwCondition
                {
                    structSize = (uint)sizeof(CwCondition),
                    kind = condition.Kind,
                    index = condition.Index,
                    way = (uint)condition.Way,
                    sink = (uint)condition.Sink,
                    chunks = checked((uint)condition.Chunks),
                    frame = checked((ulong)condition.Frame),
                    weights = weights,
                    weightCount = (uint)(condition.Weights == null ? 0 : condition.Weights.Length),
                };
                Call.Check(Native.cw_session_queue_condition(handle, &native, &ticket));
            }
            return (long)ticket;
        }

        /// <summary>Takes a change back that waits.</summary>
        /// <returns>False once it is in force.</returns>
        public bool Withdraw(long ticket)
        {
            return Taken(Native.cw_session_withdraw(handle, checked((ulong)ticket)));
        }

        /// <summary>Changes what chunks are made with, from the next one on; null leaves a value as it is.</summary>
        public void SetQuality(int? steps = null, int? route = null, int? window = null)
        {
            Call.Check(Native.cw_session_set_quality(handle, steps ?? -1, route ?? -1, window ?? -1));
        }

        /// <summary>Works for about this many microseconds on this thread; never waits for a GPU.</summary>
        public Pump Pump(int microseconds)
        {
            return (Pump)Call.Check(Native.cw_session_pump(handle, checked((uint)microseconds)));
        }

        /// <summary>Pixels of the frame that <see cref="TryGetFrame(out Receipt)"/> fetched last: RGBA8, rows from the top.</summary>
        public ReadOnlySpan<byte> Pixels { get { return pixels; } }

        /// <summary>Fetches the oldest finished frame into <see cref="Pixels"/>.</summary>
        /// <returns>False if none waits.</returns>
        public bool TryGetFrame(out Receipt receipt) { return TryGetFrame(pixels, out receipt); }

        /// <summary>Fetches the oldest finished frame into the caller's memory: a texture's, for example.</summary>
        /// <returns>False if none waits.</returns>
        public bool TryGetFrame(Span<byte> target, out Receipt receipt, PixelFormat format = PixelFormat.Rgba8,
            ImageFlags flags = ImageFlags.None, int rowPitch = 0)
        {
            fixed (byte* start = &MemoryMarshal.GetReference(target))
            {
                return TryGetFrame((IntPtr)start, target.Length, out receipt, format, flags, rowPitch);
            }
        }

        /// <summary>Fetches the oldest finished frame into <paramref name="bytes"/> bytes at <paramref name="target"/>.</summary>
        /// <returns>False if none waits.</returns>
        public bool TryGetFrame(IntPtr target, int bytes, out Receipt receipt, PixelFormat format = PixelFormat.Rgba8,
            ImageFlags flags = ImageFlags.None, int rowPitch = 0)
        {
            var image = new CwImage
            {
                structSize = (uint)sizeof(CwImage),
                format = (uint)format,
                flags = (uint)flags,
                pixels = (void*)target,
                bytes = (UIntPtr)bytes,
                rowPitch = (UIntPtr)rowPitch,
            };
            var native = new CwReceipt { structSize = (uint)sizeof(CwReceipt) };
            var found = Call.Check(Native.cw_session_poll_frame(handle, &image, &native)) == Native.CW_OK;
            receipt = found ? new Receipt(native) : default(Receipt);
            return found;
        }

        /// <summary>Fetches the oldest latent frame [channels, height, width] of a session with <see cref="SessionOptions.Latents"/>.</summary>
        /// <returns>False if none waits.</returns>
        public bool TryGetLatents(Span<float> target, out Receipt receipt)
        {
            var native = new CwReceipt { structSize = (uint)sizeof(CwReceipt) };
            fixed (float* start = &MemoryMarshal.GetReference(target))
            {
                var status = Native.cw_session_poll_latents(handle, start, (UIntPtr)target.Length, &native);
                var found = Call.Check(status) == Native.CW_OK;
                receipt = found ? new Receipt(native) : default(Receipt);
                return found;
            }
        }

        /// <summary>Starts a thread that pumps, so that the host only sets actions and fetches frames.</summary>
        public void StartWorker() { Call.Check(Native.cw_session_start_worker(handle)); }

        /// <summary>Ends that thread.</summary>
        public void StopWorker() { Call.Check(Native.cw_session_stop_worker(handle)); }

        /// <summary>Makes pumping do nothing until <see cref="Resume"/>.</summary>
        public void Pause() { Call.Check(Native.cw_session_pause(handle)); }

        /// <summary>Ends the pause.</summary>
        public void Resume() { Call.Check(Native.cw_session_resume(handle)); }

        /// <summary>Drops the chunk in flight, so that the newest action and events come sooner.</summary>
        public void Cancel() { Call.Check(Native.cw_session_cancel(handle)); }

        /// <summary>Begins the stream anew with this seed.</summary>
        public void Reset(ulong seed) { Call.Check(Native.cw_session_reset(handle, seed)); }

        /// <summary>Saves everything that determines the future, with the frames that were not fetched yet.</summary>
        public byte[] Snapshot() { return Written(Native.cw_session_snapshot, SnapshotBytes); }

        /// <summary>The same into <paramref name="capacity"/> bytes at <paramref name="target"/>: for snapshots that an array cannot hold.</summary>
        /// <returns>The bytes written, at most <see cref="SnapshotBytes"/>; 0 while the session is still being created.</returns>
        public long Snapshot(IntPtr target, long capacity)
        {
            UIntPtr needed;
            var status = Native.cw_session_snapshot(handle, (void*)target, (UIntPtr)checked((ulong)capacity), &needed);
            return Call.Check(status) == Native.CW_PENDING ? 0 : checked((long)(ulong)needed);
        }

        /// <summary>Goes back to a snapshot of <paramref name="bytes"/> bytes at <paramref name="snapshot"/>.</summary>
        public void Restore(IntPtr snapshot, long bytes)
        {
            Call.Check(Native.cw_session_restore(handle, (void*)snapshot, (UIntPtr)checked((ulong)bytes)));
        }

        /// <summary>Goes back to a snapshot of this session, or of another one of the same weights, options, device and build of the library.</summary>
        public void Restore(ReadOnlySpan<byte> snapshot)
        {
            fixed (byte* start = &MemoryMarshal.GetReference(snapshot))
            {
                Call.Check(Native.cw_session_restore(handle, start, (UIntPtr)snapshot.Length));
            }
        }

        /// <summary>A saved game: smaller than a snapshot, and for any device and later version of the library.</summary>
        public byte[] Save() { return Written(Native.cw_session_save, saveBytes); }

        /// <summary>Goes on from a saved game of a session of the same model file.</summary>
        public void Load(ReadOnlySpan<byte> saved)
        {
            fixed (byte* start = &MemoryMarshal.GetReference(saved))
            {
                Call.Check(Native.cw_session_load(handle, start, (UIntPtr)saved.Length));
            }
        }

        delegate int Write(SessionHandle session, void* bytes, UIntPtr capacity, UIntPtr* needed);

        /// <summary>Of at most so many bytes: what is needed may grow while a worker thread runs.</summary>
        byte[] Written(Write write, long most)
        {
            UIntPtr needed;
            if (most > int.MaxValue) throw new NotSupportedException(most + " bytes, an array holds " + int.MaxValue);
            var bytes = new byte[most];
            fixed (byte* start = bytes)
            {
                if (Call.Check(write(handle, start, (UIntPtr)bytes.Length, &needed)) == Native.CW_PENDING) return new byte[0];
            }
            Array.Resize(ref bytes, checked((int)(ulong)needed));
            return bytes;
        }

        /// <summary>Ends the session, also while another thread pumps it: that call fails after the slice it is in.</summary>
        public void Dispose() { handle.Dispose(); }
    }
}
