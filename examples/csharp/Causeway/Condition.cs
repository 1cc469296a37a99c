namespace Causeway
{
    /// <summary>What becomes of the past when a condition changes.</summary>
    public enum Way : uint
    {
        /// <summary>It stays as it is, and the new condition has a slow effect.</summary>
        Keep = Native.CW_WAY_KEEP,
        /// <summary>The window is computed anew under the new condition, and the stream goes on smoothly. The session must have been
        /// created with <see cref="SessionOptions.Recache"/>.</summary>
        Recache = Native.CW_WAY_RECACHE,
        /// <summary>It is forgotten.</summary>
        Reset = Native.CW_WAY_RESET,
        /// <summary>A new shot: it stays, and routes find it, but the next chunk need not follow the newest frame.</summary>
        Cut = Native.CW_WAY_CUT,
    }

    /// <summary>What a recache does with the first frames, which stay visible.</summary>
    public enum Sink : uint
    {
        /// <summary>They keep what they have.</summary>
        Kept = Native.CW_SINK_KEPT,
        /// <summary>The oldest frames of the window take their place.</summary>
        Refreshed = Native.CW_SINK_REFRESHED,
    }

    /// <summary>A change of what a stream is told: an event, events in parts, a prompt, a negative prompt.</summary>
    public struct Condition
    {
        internal readonly uint Kind;
        internal readonly uint Index;
        internal readonly float[] Weights;

        /// <summary>What becomes of the past.</summary>
        public Way Way;
        /// <summary>What becomes of the sink, with <see cref="Way.Recache"/>.</summary>
        public Sink Sink;
        /// <summary>Chunks over which the old condition goes over into the new one; 0 and 1: at once.</summary>
        public int Chunks;
        /// <summary>First frame of the stream that may show it; 0: with the next chunk.</summary>
        public long Frame;

        Condition(uint kind, int index, float[] weights) : this()
        {
            Kind = kind;
            Index = checked((uint)index);
            Weights = weights;
        }

        /// <summary>An event, by its number.</summary>
        public static Condition Event(int index) { return new Condition(Native.CW_CONDITION_EVENT, index, null); }

        /// <summary>Events in parts: a weight for each of the model's, 0 or more, of sum 1. Half day and half night is dusk.</summary>
        public static Condition Mix(params float[] weights) { return new Condition(Native.CW_CONDITION_MIX, 0, weights); }

        /// <summary>The prompt in a slot (<see cref="Session.SetPrompt"/>).</summary>
        public static Condition Prompt(int slot) { return new Condition(Native.CW_CONDITION_PROMPT, slot, null); }

        /// <summary>The prompt in a slot as what guidance leads away from.</summary>
        public static Condition Negative(int slot) { return new Condition(Native.CW_CONDITION_NEGATIVE, slot, null); }
    }
}
