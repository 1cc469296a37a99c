using System;
using System.Collections.Generic;
using System.Text;

namespace Causeway
{
    /// <summary>An open model file: a world, a text-to-video model, a codec for one, or a text encoder. Sessions copy what they need, so it may be disposed of before them.</summary>
    public sealed unsafe class Model : IDisposable
    {
        internal readonly ModelHandle Handle;

        /// <summary>Width of a frame in pixels.</summary>
        public int Width { get; private set; }
        /// <summary>Height of a frame in pixels.</summary>
        public int Height { get; private set; }
        /// <summary>Frames a second that the model was trained for.</summary>
        public float FramesPerSecond { get; private set; }
        /// <summary>Names of the entries of the action vector.</summary>
        public IReadOnlyList<string> Actions { get; private set; }
        /// <summary>Names of the events.</summary>
        public IReadOnlyList<string> Events { get; private set; }

        /// <summary>A session can run it.</summary>
        public bool HoldsDenoiser { get; private set; }
        /// <summary>It makes pictures of latents: its own, or those of a model that names it in <see cref="SessionOptions.Codec"/>.</summary>
        public bool HoldsCodec { get; private set; }
        /// <summary>It makes prompts of words (<see cref="Text"/>).</summary>
        public bool HoldsTextEncoder { get; private set; }
        /// <summary>It is told prompts (<see cref="Session.SetPrompt"/>).</summary>
        public bool ReadsPrompts { get; private set; }
        /// <summary>Numbers in a row of a prompt; 0 where there are none.</summary>
        public int PromptWidth { get; private set; }
        /// <summary>Most rows of a prompt.</summary>
        public int PromptRows { get; private set; }

        /// <summary>Names of the prompts that the file, a bundle, stores (<see cref="Session.LoadPrompt"/>).</summary>
        public IReadOnlyList<string> Prompts { get; private set; }

        Model(IntPtr handle)
        {
            Handle = new ModelHandle(handle);
            var info = new CwModelInfo { structSize = (uint)sizeof(CwModelInfo) };
            Call.Check(Native.cw_model_info(Handle, &info));
            Width = (int)info.width;
            Height = (int)info.height;
            FramesPerSecond = info.fps;
            Actions = Names(info.actions, Native.cw_model_action_name);
            Events = Names(info.events, Native.cw_model_event_name);
            Prompts = Names(info.prompts, Native.cw_model_prompt_name);
            HoldsDenoiser = (info.holds & Native.CW_HOLDS_DENOISER) != 0;
            HoldsCodec = (info.holds & Native.CW_HOLDS_CODEC) != 0;
            HoldsTextEncoder = (info.holds & Native.CW_HOLDS_TEXT_ENCODER) != 0;
            ReadsPrompts = (info.takes & Native.CW_TAKES_PROMPT) != 0;
            PromptWidth = (int)info.promptWidth;
            PromptRows = (int)info.promptRows;
        }

        /// <summary>Maps and checks the file. It must not be changed in place while the model is open.</summary>
        public static Model Open(string path)
        {
            var text = Encoding.UTF8.GetBytes(path);
            fixed (byte* start = text)
            {
                IntPtr handle;
                Call.Check(Native.cw_model_open_path(start, (UIntPtr)text.Length, out handle));
                return new Model(handle);
            }
        }

        /// <summary>Opens a copy of a model file's bytes, for example what a web request or an archive gave.</summary>
        public static Model Open(ReadOnlySpan<byte> file)
        {
            // An empty span has no first byte to point at; the library says what is wrong with it.
            fixed (byte* start = &System.Runtime.InteropServices.MemoryMarshal.GetReference(file))
            {
                IntPtr handle;
                var length = (UIntPtr)file.Length;
                Call.Check(Native.cw_model_open_memory(start, length, Native.CW_MEMORY_COPY, out handle));
                return new Model(handle);
            }
        }

        /// <summary>Maps the file that lies in an open file: an uncompressed Android asset, for example. Unix systems only.</summary>
        public static Model Open(int descriptor, long offset, long bytes)
        {
            IntPtr handle;
            Call.Check(Native.cw_model_open_fd(descriptor, checked((ulong)offset), checked((ulong)bytes), out handle));
            return new Model(handle);
        }

        /// <summary>Closes the model; its sessions go on.</summary>
        public void Dispose() { Handle.Dispose(); }

        delegate int NameOf(ModelHandle model, uint index, byte* text, UIntPtr capacity, UIntPtr* length);

        string[] Names(uint count, NameOf nameOf)
        {
            var names = new string[count];
            for (uint i = 0; i < count; i++)
            {
                UIntPtr length;
                Call.Check(nameOf(Handle, i, null, UIntPtr.Zero, &length));
                var text = new byte[(int)length + 1];
                fixed (byte* start = text) Call.Check(nameOf(Handle, i, start, (UIntPtr)text.Length, &length));
                names[i] = Encoding.UTF8.GetString(text, 0, text.Length - 1);
            }
            return names;
        }
    }
}
