using System;
using System.Runtime.InteropServices;
using System.Text;

namespace Causeway
{
    /// <summary>How a text encoder works.</summary>
    public sealed class TextOptions
    {
        /// <summary>Holds one layer of weights at a time, which every prompt reads from the file anew; otherwise the first prompt reads all, and they
        /// stay.</summary>
        public bool Stream;
        /// <summary>Most bytes that it may hold; 0 for no limit.</summary>
        public ulong MemoryCap;
        /// <summary>Most rows of a prompt, such as <see cref="Model.PromptRows"/> of the world that is told them; null for the encoder's own.</summary>
        public int? MostRows;
        /// <summary>A <c>tokenizer.json</c> or <c>spiece.model</c>; null for the one that the encoder's file holds.</summary>
        public byte[] Tokenizer;
    }

    /// <summary>What a text encoder takes, told before it is created.</summary>
    public struct TextInfo
    {
        /// <summary>Numbers in a row of a prompt.</summary>
        public int Width { get; internal set; }
        /// <summary>Most rows of a prompt.</summary>
        public int MostRows { get; internal set; }
        /// <summary>Bytes held at most.</summary>
        public long TotalBytes { get; internal set; }
        /// <summary>About how many of them are the tokenizer's.</summary>
        public long TokenizerBytes { get; internal set; }
        /// <summary>Bytes that the first prompt reads from the file.</summary>
        public long FirstReadBytes { get; internal set; }
        /// <summary>Bytes that every later prompt reads from it.</summary>
        public long ReadBytesPerPrompt { get; internal set; }
        /// <summary>About how many seconds the longest prompt is computed for, reading left out.</summary>
        public float SecondsPerPrompt { get; internal set; }
    }

    /// <summary>Words to rows of a prompt: a text encoder with its tokenizer, which works in steps beside a session.</summary>
    public sealed unsafe class Text : IDisposable
    {
        readonly TextHandle handle;
        readonly float[] values;
        int count;

        /// <summary>Numbers in a row of a prompt.</summary>
        public int Width { get; private set; }
        /// <summary>Most rows of a prompt; what a longer text has more is left out.</summary>
        public int MostRows { get; private set; }

        /// <summary>Creates a text encoder: reads its tokenizer (about a second for umT5's), and no weights yet. Device and file may be disposed of afterwards.
        /// </summary>
        public Text(Device device, Model encoder, TextOptions options = null)
        {
            var info = Query(device, encoder, options);
            Width = info.Width;
            MostRows = info.MostRows;
            values = new float[Width * MostRows];
            var created = IntPtr.Zero;
            With(options, native => Call.Check(Native.cw_text_create(device.Handle, encoder.Handle, native, out created)));
            handle = new TextHandle(created);
        }

        /// <summary>What an encoder of these options would take, without creating it.</summary>
        public static TextInfo Query(Device device, Model encoder, TextOptions options = null)
        {
            var info = new CwTextInfo { structSize = (uint)sizeof(CwTextInfo) };
            With(options, native =>
            {
                var asked = new CwTextInfo { structSize = (uint)sizeof(CwTextInfo) };
                Call.Check(Native.cw_text_query(device.Handle, encoder.Handle, native, &asked));
                info = asked;
            });
            return new TextInfo
            {
                Width = (int)info.width,
                MostRows = (int)info.mostRows,
                TotalBytes = (long)info.totalBytes,
                TokenizerBytes = (long)info.tokenizerBytes,
                FirstReadBytes = (long)info.firstReadBytes,
                ReadBytesPerPrompt = (long)info.readBytesPerPrompt,
                SecondsPerPrompt = info.secondsPerPrompt,
            };
        }

        delegate void Use(CwTextOptions* options);

        static void With(TextOptions options, Use use)
        {
            options = options ?? new TextOptions();
            fixed (byte* tokenizer = options.Tokenizer)
            {
                var native = new CwTextOptions
                {
                    structSize = (uint)sizeof(CwTextOptions),
                    stream = options.Stream ? 1u : 0u,
                    memoryCap = options.MemoryCap,
                    tokenizer = tokenizer,
                    tokenizerBytes = (UIntPtr)(options.Tokenizer == null ? 0 : options.Tokenizer.Length),
                    mostRows = checked((uint)(options.MostRows ?? 0)),
                };
                use(&native);
            }
        }

        /// <summary>Begins with a prompt; one under way is given up.</summary>
        public void Begin(string words)
        {
            var text = Encoding.UTF8.GetBytes(words);
            fixed (byte* start = &MemoryMarshal.GetReference(new ReadOnlySpan<byte>(text)))
            {
                Call.Check(Native.cw_text_begin(handle, start, (UIntPtr)text.Length));
            }
            count = 0;
        }

        /// <summary>Works for about this many microseconds, and allocates nothing; may wait for the disk.</summary>
        /// <returns>True when <see cref="Rows"/> are there.</returns>
        public bool Pump(int microseconds)
        {
            if (Call.Check(Native.cw_text_pump(handle, checked((uint)microseconds))) == Native.CW_PENDING) return false;
            uint rows, width;
            fixed (float* start = values) Call.Check(Native.cw_text_rows(handle, start, (UIntPtr)values.Length, &rows, &width));
            count = (int)(rows * width);
            return true;
        }

        /// <summary>How far the prompt is, from 0 to 1.</summary>
        public float Progress
        {
            get
            {
                var progress = new CwProgress { structSize = (uint)sizeof(CwProgress) };
                Call.Check(Native.cw_text_progress(handle, &progress));
                return progress.stage == Native.CW_STAGE_READY ? 1 : Math.Min(0.99f, (float)progress.done / Math.Max(1, progress.total));
            }
        }

        /// <summary>The prompt's rows, as <see cref="Session.SetPrompt"/> takes them, until the next <see cref="Begin"/>; empty before they are there.</summary>
        public ReadOnlySpan<float> Rows { get { return new ReadOnlySpan<float>(values, 0, count); } }

        /// <summary>Ends the encoder.</summary>
        public void Dispose() { handle.Dispose(); }
    }
}
