namespace Causeway
{
    /// <summary>How latents are stepped.</summary>
    public enum Sampler : uint
    {
        /// <summary>The model's own way, in as many steps as <see cref="SessionOptions.Steps"/> says.</summary>
        Model = Native.CW_SAMPLER_MODEL,
        /// <summary>Few steps with fresh noise, as distilled students are sampled.</summary>
        Few = Native.CW_SAMPLER_FEW,
        /// <summary>Euler, in <see cref="SessionOptions.SamplerSteps"/> steps.</summary>
        Euler = Native.CW_SAMPLER_EULER,
        /// <summary>UniPC of order 2, in <see cref="SessionOptions.SamplerSteps"/> steps.</summary>
        UniPc = Native.CW_SAMPLER_UNIPC,
    }

    /// <summary>Whether a stream keeps to its world's time.</summary>
    public enum Pace : uint
    {
        /// <summary>Chunks are made as fast as the host pumps.</summary>
        Off = Native.CW_PACE_OFF,
        /// <summary>No chunk begins before its first picture's time; receipts say when each picture should be shown.</summary>
        World = Native.CW_PACE_WORLD,
        /// <summary>The same, and each picture is given no sooner than it should be shown.</summary>
        Held = Native.CW_PACE_HELD,
    }

    /// <summary>What becomes of a chunk whose health alarms.</summary>
    public enum Gate : uint
    {
        /// <summary>It is given, and receipts name the alarms.</summary>
        Report = Native.CW_GATE_REPORT,
        /// <summary>It is dropped, and pumping fails; pumped on, the stream makes it again and gives it.</summary>
        Hold = Native.CW_GATE_HOLD,
        /// <summary>It is dropped and made again with the smallest window there can be.</summary>
        Near = Native.CW_GATE_NEAR,
    }

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
        /// <summary>A file that holds the codec, for a model that has none in its own. It may be disposed of once the session is there.</summary>
        public Model Codec;
        /// <summary>Width of a picture, of a model that reads prompts; with <see cref="Height"/>.</summary>
        public int? Width;
        /// <summary>Height of a picture, of a model that reads prompts; with <see cref="Width"/>.</summary>
        public int? Height;
        /// <summary>Latent frames made together.</summary>
        public int? Chunk;
        /// <summary>Latent frames of the first chunk.</summary>
        public int? FirstChunk;
        /// <summary>How latents are stepped.</summary>
        public Sampler Sampler;
        /// <summary>Steps of Euler and UniPC.</summary>
        public int? SamplerSteps;
        /// <summary>Guidance away from a negative prompt; 1 for none. It takes a second ring.</summary>
        public float Guidance = 1;
        /// <summary>The session gives latent frames (<see cref="Session.TryGetLatents"/>) and needs no codec.</summary>
        public bool Latents;
        /// <summary>Prompts held beside the one in force.</summary>
        public int? PromptSlots;
        /// <summary>Most rows a prompt may have: memory is kept for so many.</summary>
        public int? PromptRows;
        /// <summary><see cref="Way.Recache"/> is possible. It takes activations of a whole window; <see cref="Session.Query"/> tells how much.</summary>
        public bool Recache;
        /// <summary>Whether the stream keeps to its world's time.</summary>
        public Pace Pace;
        /// <summary><see cref="Route"/> may be changed up to so many while the stream runs; 0 where it stays as it is.</summary>
        public int MostRoute;
        /// <summary>While chunks take longer than they last they are made in fewer steps, then with a smaller route.</summary>
        public bool Governor;
        /// <summary>What becomes of a chunk whose health alarms.</summary>
        public Gate Gate;

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
            options.width = checked((uint)(Width ?? 0));
            options.height = checked((uint)(Height ?? 0));
            options.chunk = checked((uint)(Chunk ?? 0));
            options.firstChunk = checked((uint)(FirstChunk ?? 0));
            options.sampler = (uint)Sampler;
            options.samplerSteps = checked((uint)(SamplerSteps ?? 0));
            options.guidance = Guidance;
            options.output = Latents ? Causeway.Native.CW_OUTPUT_LATENTS : Causeway.Native.CW_OUTPUT_PIXELS;
            options.promptSlots = checked((uint)(PromptSlots ?? 0));
            options.promptRows = checked((uint)(PromptRows ?? 0));
            options.recache = Recache ? 1u : 0u;
            options.pace = (uint)Pace;
            options.mostRoute = checked((uint)MostRoute);
            options.governor = Governor ? 1u : 0u;
            options.gate = (uint)Gate;
            return options;
        }
    }
}
