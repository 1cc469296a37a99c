using System;
using Causeway;

// What examples/c/headless.c plays, by the sources of NuGet's package (ffi/tests/packages.rs):  nuget MODEL FRAMES
static class Program
{
    static void Main(string[] arguments)
    {
        using (var device = new Device(DeviceKind.Cpu))
        using (var model = Model.Open(arguments[0]))
        using (var session = new Session(device, model, new SessionOptions { Seed = 7 }))
        {
            for (var n = 0; n < int.Parse(arguments[1]); n++)
            {
                var action = new float[model.Actions.Count];
                action[n / 3 % action.Length] = 1;
                session.SetAction(action);
                if (n % 7 == 4) session.QueueEvent(n / 7 % model.Events.Count);
                while (session.Pump(2000) != Pump.Frame) { }
                Receipt receipt;
                if (!session.TryGetFrame(out receipt)) throw new Exception("a frame is ready, but none came");
                // FNV-1a.
                var hash = 0xcbf29ce484222325;
                foreach (var value in session.Pixels) hash = unchecked((hash ^ value) * 0x100000001b3);
                Console.WriteLine("{0} {1:x16}", n, hash);
            }
        }
    }
}
