using System;
using System.Collections;
using System.IO;
using System.Linq;
using System.Reflection;
using Causeway.Unity;
using UnityEngine;
using UnityEngine.TestTools;

// Drives the component as Unity would:  Play MODEL SCRIPT MainThread|RenderThread, or Play --tour BUNDLE SCRIPT SAVE [ENCODER] (Tour.cs)
// Plays the script by keys and events and prints number and hash of every frame on the texture; then runs the package's own tests.
static class Play
{
    static readonly KeyCode[] Keys = { KeyCode.UpArrow, KeyCode.DownArrow, KeyCode.A, KeyCode.D, KeyCode.Space };

    static int Main(string[] arguments)
    {
        if (arguments[0] == "--tour") return Tour.Play(arguments.Skip(1).ToArray());
        Application.streamingAssetsPath = Path.GetDirectoryName(Path.GetFullPath(arguments[0]));
        var lines = File.ReadAllLines(arguments[1]).Select(line => line.Split(' ').Select(int.Parse).ToArray()).ToArray();
        var upload = (UploadKind)Enum.Parse(typeof(UploadKind), arguments[2]);
        var screen = GameObject.CreatePrimitive(PrimitiveType.Quad);
        screen.SetActive(false);
        var world = screen.AddComponent<NeuralWorld>();
        world.Configure(Path.GetFileName(arguments[0]), Causeway.DeviceKind.Cpu, (uint)lines[0][0], upload);
        world.KeepPace = false;
        screen.SetActive(true);
        for (var n = 0; n + 1 < lines.Length; n++)
        {
            // As a reload of scripts would: off and on again, and the stream goes on.
            if (n == 30)
            {
                screen.SetActive(false);
                screen.SetActive(true);
            }
            Step(world, lines[n + 1]);
            Console.WriteLine("{0} {1:x16}", world.LastReceipt.Frame, Hash(world.Texture));
        }
        var shown = screen.GetComponent<Renderer>().block.textures.Values;
        if (shown.Count != 2 || shown.Any(texture => texture != world.Texture)) throw new Exception("the renderer shows something else");
        UnityEngine.Object.Destroy(screen);
        Tests();
        return 0;
    }

    static void Step(NeuralWorld world, int[] line)
    {
        Input.Down.Clear();
        for (var i = 0; i < Keys.Length; i++)
        {
            if (line[i] != 0) Input.Down.Add(Keys[i]);
        }
        while (world.Progress < 1) GameObject.Tick();
        if (line[Keys.Length] >= 0) world.QueueEvent(world.Model.Events[line[Keys.Length]]);
        for (var shown = world.FramesShown; world.FramesShown == shown;) GameObject.Tick();
    }

    // FNV-1a, rows from the top.
    internal static ulong Hash(Texture2D texture)
    {
        var hash = 0xcbf29ce484222325;
        for (var y = texture.height - 1; y >= 0; y--)
        {
            for (var i = 0; i < texture.width * 4; i++) hash = unchecked((hash ^ texture.applied[y * texture.width * 4 + i]) * 0x100000001b3);
        }
        return hash;
    }

    static void Tests()
    {
        var tests = typeof(Causeway.Unity.Tests.NeuralWorldTests);
        var methods = tests.GetMethods().Where(method => method.GetCustomAttributes(typeof(UnityTestAttribute), false).Length > 0).ToArray();
        if (methods.Length == 0) throw new Exception("no tests");
        Input.Down.Clear();
        foreach (var method in methods) Run((IEnumerator)method.Invoke(Activator.CreateInstance(tests), null));
    }

    static void Run(IEnumerator routine)
    {
        while (routine.MoveNext())
        {
            var inner = routine.Current as IEnumerator;
            if (inner != null) Run(inner);
            else GameObject.Tick();
        }
    }
}
