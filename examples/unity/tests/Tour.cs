using System;
using System.IO;
using System.Linq;
using System.Reflection;
using Causeway.Unity;
using UnityEngine;

// A game of prompts (tests/src/tour.rs): stored and typed ones, a saved game, an end by force, and on from the file. Frames must not
// allocate.
static class Tour
{
    internal static int Play(string[] arguments)
    {
        var lines = File.ReadAllLines(arguments[1]).Select(line => line.Split(new[] { ' ' }, 3)).ToArray();
        var holder = new GameObject("world");
        holder.SetActive(false);
        var world = holder.AddComponent<NeuralWorld>();
        Application.streamingAssetsPath = Path.GetDirectoryName(Path.GetFullPath(arguments[0]));
        var encoder = arguments.Length > 3 ? Path.GetFullPath(arguments[3]) : "";
        world.Configure(Path.GetFileName(arguments[0]), Causeway.DeviceKind.Cpu, uint.Parse(lines[0][0]), UploadKind.MainThread, encoder);
        world.KeepPace = false;
        // What Unity calls every frame.
        var update = (Action)Delegate.CreateDelegate(typeof(Action), world, typeof(NeuralWorld).GetMethod("Update", BindingFlags.Instance | BindingFlags.NonPublic));
        var told = 0L;
        world.OnPrompt.AddListener(ticket => told = ticket);
        holder.SetActive(true);
        var goesOn = File.Exists(arguments[2]);
        // Before the world is there.
        if (goesOn) world.Load(File.ReadAllBytes(arguments[2]));
        while (world.Progress < 1) GameObject.Tick();
        var last = int.Parse(lines[0][goesOn ? 2 : 1]);
        // The first frame's number is known only of a new game.
        var next = goesOn ? -1L : 0;
        for (var played = 0; played < 1000; played++)
        {
            if (played == last && goesOn) return 0;
            if (played == last) Save(world, arguments[2]);
            foreach (var line in lines.Skip(1).Where(line => long.Parse(line[0]) == next))
            {
                // The script waits for what it says, so that it always shows in the same frame.
                world.Paused = true;
                told = 0;
                if (line[1] == "say") world.Say(line[2]);
                else world.Prompt(world.Model.Prompts[int.Parse(line[2])]);
                if (line[1] == "say" && world.SayProgress >= 1) throw new Exception("words were encoded at once");
                while (told == 0) GameObject.Tick();
                world.Paused = false;
            }
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var shown = world.FramesShown; world.FramesShown == shown;) update();
            var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            // The first frames have code compiled.
            if (played > 10 && allocated != 0) throw new Exception("frame " + world.LastReceipt.Frame + " allocated " + allocated + " bytes");
            Console.WriteLine("{0} {1:x16}", world.LastReceipt.Frame, global::Play.Hash(world.Texture));
            next = world.LastReceipt.Frame + 1;
        }
        return 1;
    }

    static void Save(NeuralWorld world, string path)
    {
        File.WriteAllBytes(path + ".new", world.Save());
        if (File.Exists(path)) File.Replace(path + ".new", path, null);
        else File.Move(path + ".new", path);
        Console.WriteLine("saved");
    }
}
