using System;
using System.IO;
using System.Linq;
using Causeway;

// A game of prompts without a window, which goes on where it was:
//     Play BUNDLE SCRIPT SAVE [ENCODER]
// The script's first line holds a seed, the frames of a new game and those of one that goes on; then lines `FRAME tell N`, of a prompt that the
// bundle stores, and `FRAME say WORDS`, for which a text encoder is needed. Prints number and hash of every frame. A new game is saved to SAVE
// when its frames are played, and goes on until it is killed; where there is a SAVE, the game goes on from it.
static class Program
{
    // What the game gives of each of its frames, microseconds.
    const int Budget = 2000;

    static int Main(string[] arguments)
    {
        var lines = File.ReadAllLines(arguments[1]).Select(line => line.Split(new[] { ' ' }, 3)).ToArray();
        using (var device = new Device(DeviceKind.Cpu))
        using (var bundle = Model.Open(arguments[0]))
        using (var text = arguments.Length > 3 ? Encoder(device, arguments[3], bundle) : null)
        using (var session = Session.Begin(device, bundle, new SessionOptions { Seed = ulong.Parse(lines[0][0]), Codec = bundle, Recache = true }))
        {
            // A game has a loading screen here.
            for (var before = 0f; !session.Ready;)
            {
                session.Pump(Budget);
                if (session.Progress < before) throw new Exception("the creation goes back");
                before = session.Progress;
            }
            var goesOn = File.Exists(arguments[2]);
            if (goesOn) session.Load(File.ReadAllBytes(arguments[2]));
            var last = int.Parse(lines[0][goesOn ? 2 : 1]);
            var teller = new Teller(session, bundle, text);
            // The first frame's number is known only of a new game.
            var next = goesOn ? -1L : 0;
            for (var played = 0; played < 1000; played++)
            {
                if (played == last && goesOn) return 0;
                if (played == last) Save(session, arguments[2]);
                foreach (var line in lines.Skip(1).Where(line => long.Parse(line[0]) == next)) Tell(teller, line[1], line[2]);
                Receipt receipt;
                while (!session.TryGetFrame(out receipt))
                {
                    teller.Pump(Budget);
                    // This game waits for what is said, so that it always shows in the same frame; others would go on.
                    if (!teller.Waits) session.Pump(Budget);
                }
                Console.WriteLine("{0} {1:x16}", receipt.Frame, Hash(session.Pixels));
                next = receipt.Frame + 1;
            }
        }
        return 1;
    }

    static Text Encoder(Device device, string path, Model bundle)
    {
        using (var file = Model.Open(path)) return new Text(device, file, new TextOptions { MostRows = bundle.PromptRows });
    }

    static void Tell(Teller teller, string what, string prompt)
    {
        if (what == "say") teller.Say(prompt);
        else teller.Tell(int.Parse(prompt));
    }

    // A game that was saved before is not lost if this one does not come to its end.
    static void Save(Session session, string path)
    {
        File.WriteAllBytes(path + ".new", session.Save());
        if (File.Exists(path)) File.Replace(path + ".new", path, null);
        else File.Move(path + ".new", path);
        Console.WriteLine("saved");
    }

    // FNV-1a.
    static ulong Hash(ReadOnlySpan<byte> bytes)
    {
        var hash = 0xcbf29ce484222325;
        foreach (var value in bytes) hash = unchecked((hash ^ value) * 0x100000001b3);
        return hash;
    }
}
