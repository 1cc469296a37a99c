using System;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Runtime.InteropServices;
using Causeway;

// Plays a script and prints number and hash of every frame:  Walk MODEL SCRIPT
// The script's first line holds the seed and the number of frames; then a line a frame: the actions, and an event or -1.
// With --layouts: prints the structs that cross the border, for the tests.
static class Program
{
    static void Main(string[] arguments)
    {
        if (arguments[0] == "--layouts")
        {
            Layouts();
            return;
        }
        var lines = File.ReadAllLines(arguments[1]).Select(line => line.Split(' ').Select(int.Parse).ToArray()).ToArray();
        var steps = lines.Skip(1).ToArray();
        var hashes = new ulong[steps.Length];
        byte[] half = null;
        using (var device = new Device(DeviceKind.Cpu))
        using (var model = Model.Open(arguments[0]))
        using (var session = new Session(device, model, new SessionOptions { Seed = (ulong)lines[0][0] }))
        {
            for (var n = 0; n < steps.Length; n++)
            {
                hashes[n] = Step(session, steps[n]);
                Console.WriteLine("{0} {1:x16}", n, hashes[n]);
                if (n + 1 == steps.Length / 2) half = session.Snapshot();
            }
            // The second half again: the same future.
            session.Restore(half);
            for (var n = steps.Length / 2; n < steps.Length; n++)
            {
                if (Step(session, steps[n]) != hashes[n]) throw new Exception("frame " + n + " differs after restoring");
            }
            Refused(() => session.Restore(new byte[10]));
            Refused(() => session.QueueEvent(1000));
        }
        Refused(() => Model.Open("no such file"));
        Refused(() => Model.Open(new ReadOnlySpan<byte>()));
    }

    static ulong Step(Session session, int[] line)
    {
        var action = new float[line.Length - 1];
        for (var i = 0; i < action.Length; i++) action[i] = line[i];
        session.SetAction(action);
        if (line[action.Length] >= 0) session.QueueEvent(line[action.Length]);
        while (session.Pump(2000) != Pump.Frame) { }
        Receipt receipt;
        if (!session.TryGetFrame(out receipt)) throw new Exception("a frame is ready, but none came");
        return Hash(session.Pixels);
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

    static void Layouts()
    {
        foreach (var type in typeof(Session).Assembly.GetTypes().Where(t => t.IsValueType && t.Name.StartsWith("Cw")))
        {
            Console.WriteLine("{0} {1}", type.Name, Marshal.SizeOf(type));
            foreach (var field in type.GetFields(BindingFlags.Public | BindingFlags.Instance))
            {
                Console.WriteLine("{0}.{1} {2}", type.Name, field.Name, Marshal.OffsetOf(type, field.Name));
            }
        }
    }
}
