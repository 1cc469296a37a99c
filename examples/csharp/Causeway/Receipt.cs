using System;

namespace Causeway
{
    /// <summary>What can be wrong with a stream (docs/sessions.md).</summary>
    [Flags]
    public enum Alarms : uint
    {
        /// <summary>Nothing.</summary>
        None = 0,
        /// <summary>The mean of the latents.</summary>
        Mean = Native.CW_ALARM_MEAN,
        /// <summary>Their spread.</summary>
        Spread = Native.CW_ALARM_SPREAD,
        /// <summary>Their detail: pictures melt, or are noise.</summary>
        Detail = Native.CW_ALARM_DETAIL,
        /// <summary>Nothing moves, whatever is pressed.</summary>
        Frozen = Native.CW_ALARM_FROZEN,
        /// <summary>The world drifts, though nothing is pressed.</summary>
        Drift = Native.CW_ALARM_DRIFT,
        /// <summary>Attention looks for far frames.</summary>
        Far = Native.CW_ALARM_FAR,
    }

    /// <summary>What a frame is the first to show, and when it was made.</summary>
    public struct Receipt
    {
        /// <summary>Number of the frame in the stream, from 0.</summary>
        public long Frame { get; internal set; }
        /// <summary>Event in force; of a mix the strongest.</summary>
        public int Event { get; internal set; }
        /// <summary>Ticket of the newest action the frame was made with.</summary>
        public long ActionTicket { get; internal set; }
        /// <summary>Ticket of the newest event or other change the frame was made under.</summary>
        public long EventTicket { get; internal set; }
        /// <summary>No earlier frame was made with that action.</summary>
        public bool FirstOfAction { get; internal set; }
        /// <summary>No earlier frame was made under that event ticket.</summary>
        public bool FirstOfEvent { get; internal set; }
        /// <summary>When the frame's chunk took its action, microseconds on the session's clock.</summary>
        public long Began { get; internal set; }
        /// <summary>When its pixels were ready.</summary>
        public long Ready { get; internal set; }

        /// <summary>When it should be shown, microseconds on the session's clock; as <see cref="Ready"/> without a pace.</summary>
        public long Present { get; internal set; }
        /// <summary>Number of its chunk.</summary>
        public long Chunk { get; internal set; }
        /// <summary>Denoise steps that it was made in.</summary>
        public int Steps { get; internal set; }
        /// <summary>History frames that each of its queries saw; 0 for all.</summary>
        public int Route { get; internal set; }
        /// <summary>Latent frames that it saw.</summary>
        public int Window { get; internal set; }
        /// <summary>Mean of its chunk's latents: near 0 while all is well.</summary>
        public float LatentMean { get; internal set; }
        /// <summary>Their standard deviation: near 1 while all is well.</summary>
        public float LatentSpread { get; internal set; }
        /// <summary>What of it is none that the model's footage has.</summary>
        public Alarms Alarms { get; internal set; }
        /// <summary>Flatness of the latents over their channels, from 0 to 1.</summary>
        public float LatentDetail { get; internal set; }
        /// <summary>Change of latents from frame to frame.</summary>
        public float LatentChange { get; internal set; }
        /// <summary>The same since the world was left alone.</summary>
        public float LatentDrift { get; internal set; }
        /// <summary>Share of heads that prefer a far frame of the past.</summary>
        public float FarShare { get; internal set; }
        /// <summary>Mean age of routed frames, in latent frames.</summary>
        public float RouteAge { get; internal set; }

        internal Receipt(CwReceipt receipt) : this()
        {
            Frame = (long)receipt.frame;
            Event = (int)receipt.@event;
            ActionTicket = (long)receipt.actionTicket;
            EventTicket = (long)receipt.eventTicket;
            FirstOfAction = receipt.firstOfAction != 0;
            FirstOfEvent = receipt.firstOfEvent != 0;
            Began = (long)receipt.began;
            Ready = (long)receipt.ready;
            Present = (long)receipt.present;
            Chunk = (long)receipt.chunk;
            Steps = (int)receipt.steps;
            Route = (int)receipt.route;
            Window = (int)receipt.window;
            LatentMean = receipt.latentMean;
            LatentSpread = receipt.latentSpread;
            Alarms = (Alarms)receipt.alarms;
            LatentDetail = receipt.latentDetail;
            LatentChange = receipt.latentChange;
            LatentDrift = receipt.latentDrift;
            FarShare = receipt.farShare;
            RouteAge = receipt.routeAge;
        }
    }
}
