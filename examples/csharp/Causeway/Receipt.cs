namespace Causeway
{
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
        }
    }
}
