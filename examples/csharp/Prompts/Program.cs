using System;
using System.IO;
using System.Linq;
using Causeway;

// Plays a text-to-video student and prints number and hash of every frame:
//     Prompts MODEL CODEC FRAMES PROMPT [FRAME:WAY[:CHUNKS] PROMPT]...
// The arguments are those of examples/c/prompts.cpp, which says what they are.
static class Program
{
    static void Main(string[] arguments)
    {
        var frames = int.Parse(arguments[2]);
        using (var device = new Device(DeviceKind.Cpu))
        using (var model = Model.Open(arguments[0]))
        {
            var count = (arguments.Length - 2) / 2;
            var names = Enumerable.Range(0, count).Select(n => arguments[3 + 2 * n]).ToArray();
            // None for a prompt that the model's file stores.
            var prompts = names.Select(name => model.Prompts.Contains(name) ? null : Load(name)).ToArray();
            var changes = Enumerable.Range(0, count).Select(n => n == 0 ? Condition.Prompt(0) : When(arguments[2 + 2 * n], n)).ToArray();
            var options = new SessionOptions
            {
                Seed = 7,
                PromptSlots = count,
                PromptRows = prompts.Max(prompt => prompt == null ? model.PromptRows : prompt.Length / model.PromptWidth),
                Recache = changes.Any(change => change.Way == Way.Recache),
            };
            Session session;
            using (var codec = Model.Open(arguments[1]))
            {
                if (!model.ReadsPrompts || !codec.HoldsCodec) throw new Exception("not a model and its codec");
                options.Codec = codec;
                if (Session.Query(device, model, options) <= 0) throw new Exception("a session that holds nothing");
                session = new Session(device, model, options);
            }
            using (session)
            {
                for (var slot = 0; slot < count; slot++)
                {
                    if (prompts[slot] != null) session.SetPrompt(slot, prompts[slot]);
                    else session.LoadPrompt(slot, model, Array.IndexOf(model.Prompts.ToArray(), names[slot]));
                }
                Play(session, new float[model.PromptWidth], changes, frames);
                Refused(() => session.LoadPrompt(0, model, model.Prompts.Count));
            }
            Latents(device, model);
        }
    }

    static void Play(Session session, float[] prompt, Condition[] changes, int frames)
    {
        foreach (var change in changes) session.QueueCondition(change);
        // A slot is free again once the change that named it is in force; a change that waits can be taken back.
        Refused(() => session.SetPrompt(0, prompt));
        var cut = Condition.Prompt(0);
        cut.Way = Way.Reset;
        var ticket = session.QueueCondition(cut);
        if (!session.Withdraw(ticket) || session.Withdraw(ticket)) throw new Exception("a change was not taken back once");
        for (var n = 0; n < frames; n++)
        {
            while (session.Pump(2000) != Pump.Frame) { }
            Receipt receipt;
            if (!session.TryGetFrame(out receipt)) throw new Exception("a frame is ready, but none came");
            Console.WriteLine("{0} {1:x16}", receipt.Frame, Hash(session.Pixels));
        }
        Refused(() => session.SetPrompt(99, prompt));
        Refused(() => session.QueueCondition(Condition.Event(0)));
    }

    // The same model without a codec: the host is given latent frames.
    static void Latents(Device device, Model model)
    {
        using (var session = new Session(device, model, new SessionOptions { Latents = true }))
        {
            session.SetPrompt(0, Enumerable.Repeat(0.5f, 2 * model.PromptWidth).ToArray());
            session.QueueCondition(Condition.Prompt(0));
            while (session.Pump(2000) != Pump.Frame) { }
            var values = new float[session.LatentChannels * session.LatentHeight * session.LatentWidth];
            Receipt receipt;
            Refused(() => session.TryGetLatents(new float[values.Length - 1], out _));
            if (!session.TryGetLatents(values, out receipt) || values.All(value => value == 0)) throw new Exception("no latents came");
        }
    }

    // Rows of 32-bit floats, little endian, as `causeway embed` makes them (docs/embedding.md).
    static float[] Load(string path)
    {
        var bytes = File.ReadAllBytes(path);
        var values = new float[bytes.Length / sizeof(float)];
        Buffer.BlockCopy(bytes, 0, values, 0, values.Length * sizeof(float));
        return values;
    }

    static Condition When(string text, int slot)
    {
        var parts = text.Split(':');
        var change = Condition.Prompt(slot);
        change.Frame = long.Parse(parts[0]);
        change.Way = (Way)Enum.Parse(typeof(Way), parts[1], true);
        change.Chunks = parts.Length > 2 ? int.Parse(parts[2]) : 1;
        return change;
    }

    // FNV-1a.
    static ulong Hash(ReadOnlySpan<byte> bytes)
    {
        var hash = 0xcbf29ce484222325;
        foreach (var value in bytes) hash = unchecked((hash ^ value) * 0x100000001b3);
        return hash;
    }

    static void Refused(Action call)
    {
        try
        {
            call();
        }
        catch (CausewayException error)
        {
            if (error.Code < 0 && error.Message.Length > 0) return;
        }
        throw new Exception("a wrong call was not refused with a reason");
    }
}
