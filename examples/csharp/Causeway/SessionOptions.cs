namespace Causeway
{
    /// <summary>What a host chooses when it creates a session; null takes the model's value.</summary>
    public sealed class SessionOptions
    {
        /// <summary>Noise seed: one seed and the same actions give the same frames.</summary>
        public ulong Seed;
        /// <summary>Most bytes that the session may hold; 0 for no limit.</summary>
        public ulong MemoryCap;
        /// <summary>Frames seen at once, sink and chunk among them.</summary>
        public int? Window;
        /// <summary>First frames that stay visible for ever.</summary>
        public int? Sink;
        /// <summary>History frames kept for each query; 0 for all.</summary>
        public int? Route;
        /// <summary>Denoise steps a chunk, one of those the model was trained for.</summary>
        public int? Steps;
        /// <summary>Event in force at the start.</summary>
        public int? Event;
        /// <summary>Finished frames held for the host before pumping pauses.</summary>
        public int? Queue;
        /// <summary>Start from nothing instead of what the model file stores.</summary>
        public bool StartEmpty;
        /// <summary>A picture to start from: RGBA8, sRGB, width * height * 4 bytes, rows from the top.</summary>
        public byte[] StartImage;

        internal unsafe CwSessionOptions Native()
        {
            var options = new CwSessionOptions { structSize = (uint)sizeof(CwSessionOptions) };
            Call.Check(Causeway.Native.cw_session_options_init(&options));
            options.seed = Seed;
            options.memoryCap = MemoryCap;
            options.window = Window ?? options.window;
            options.sink = Sink ?? options.sink;
            options.route = Route ?? options.route;
            options.steps = Steps ?? options.steps;
            options.@event = Event ?? options.@event;
            options.queue = checked((uint)(Queue ?? (int)options.queue));
            if (StartImage != null) options.start = Causeway.Native.CW_START_IMAGE;
            else if (StartEmpty) options.start = Causeway.Native.CW_START_EMPTY;
            return options;
        }
    }
}
