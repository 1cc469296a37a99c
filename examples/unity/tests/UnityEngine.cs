// What the package uses of Unity, declared to compile it, and alive enough to run its component without the editor. These are not
// Unity's sources; names and signatures are those of its scripting reference.
using System;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Unity.Collections;

[assembly: InternalsVisibleTo("Play")]

namespace UnityEngine
{
    public sealed class SerializeField : Attribute { }
    public sealed class HideInInspector : Attribute { }
    public sealed class DisallowMultipleComponent : Attribute { }
    public sealed class AddComponentMenu : Attribute { public AddComponentMenu(string name) { } }
    public sealed class TooltipAttribute : Attribute { public TooltipAttribute(string text) { } }
    public sealed class MinAttribute : Attribute { public MinAttribute(float least) { } }
    public sealed class RangeAttribute : Attribute { public RangeAttribute(float least, float most) { } }

    [Flags] public enum HideFlags { None = 0, HideAndDontSave = 61 }
    public enum KeyCode { None = 0, Space = 32, A = 97, D = 100, S = 115, W = 119, UpArrow = 273, DownArrow = 274, RightArrow = 275, LeftArrow = 276 }
    public enum PrimitiveType { Quad = 5 }
    public enum TextureFormat { RGBA32 = 4 }
    public enum FilterMode { Point, Bilinear }
    public enum TextureWrapMode { Repeat, Clamp }

    public class Object
    {
        public string name { get; set; }
        public HideFlags hideFlags { get; set; }
        internal bool destroyed;

        public static void Destroy(Object what) { DestroyImmediate(what); }

        public static void DestroyImmediate(Object what)
        {
            var holder = what as GameObject;
            if (holder != null) holder.SetActive(false);
            what.destroyed = true;
        }
    }

    public class Component : Object
    {
        public GameObject gameObject { get; internal set; }
        public Transform transform { get { return gameObject.transform; } }
        public T GetComponent<T>() where T : Component { return gameObject.GetComponent<T>(); }
    }

    public class Behaviour : Component { }

    public class MonoBehaviour : Behaviour
    {
        internal void Message(string method)
        {
            var found = GetType().GetMethod(method, BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.Public);
            if (found != null) found.Invoke(this, null);
        }
    }

    public sealed class GameObject : Object
    {
        /// Everything there is.
        internal static readonly List<GameObject> All = new List<GameObject>();
        readonly List<Component> components = new List<Component>();

        public GameObject(string name)
        {
            this.name = name;
            activeSelf = true;
            transform = new Transform { gameObject = this };
            All.Add(this);
        }

        public bool activeSelf { get; private set; }
        public string tag { get; set; }
        public Transform transform { get; private set; }

        public static GameObject CreatePrimitive(PrimitiveType type)
        {
            var made = new GameObject(type.ToString());
            made.AddComponent<Renderer>();
            return made;
        }

        public T AddComponent<T>() where T : Component
        {
            var made = (T)Activator.CreateInstance(typeof(T));
            made.gameObject = this;
            components.Add(made);
            var behaviour = made as MonoBehaviour;
            if (activeSelf && behaviour != null) Begin(behaviour);
            return made;
        }

        public T GetComponent<T>() where T : Component { return components.OfType<T>().FirstOrDefault(); }

        public void SetActive(bool active)
        {
            if (activeSelf == active) return;
            activeSelf = active;
            foreach (var behaviour in components.OfType<MonoBehaviour>())
            {
                if (active) Begin(behaviour);
                else behaviour.Message("OnDisable");
            }
        }

        static void Begin(MonoBehaviour behaviour)
        {
            behaviour.Message("OnEnable");
            behaviour.Message("Start");
        }

        /// One frame of the game.
        internal static void Tick()
        {
            foreach (var holder in All.Where(holder => holder.activeSelf).ToArray())
            {
                foreach (var behaviour in holder.components.OfType<MonoBehaviour>().ToArray()) behaviour.Message("Update");
            }
        }
    }

    public struct Vector3
    {
        public float x, y, z;
        public static readonly Vector3 zero = new Vector3(0, 0, 0);
        public Vector3(float x, float y, float z) { this.x = x; this.y = y; this.z = z; }
    }

    public sealed class Transform : Component
    {
        public Vector3 position { get; set; }
        public Vector3 localScale { get; set; }
    }

    public sealed class Camera : Behaviour
    {
        public static Camera main
        {
            get { return GameObject.All.Where(holder => holder.tag == "MainCamera").Select(holder => holder.GetComponent<Camera>()).FirstOrDefault(); }
        }
    }

    public sealed class MaterialPropertyBlock
    {
        internal readonly Dictionary<int, Texture> textures = new Dictionary<int, Texture>();
        public void SetTexture(int property, Texture texture) { textures[property] = texture; }
    }

    public sealed class Renderer : Component
    {
        internal MaterialPropertyBlock block = new MaterialPropertyBlock();
        public void GetPropertyBlock(MaterialPropertyBlock into)
        {
            foreach (var pair in block.textures) into.SetTexture(pair.Key, pair.Value);
        }
        public void SetPropertyBlock(MaterialPropertyBlock from) { block = from; }
    }

    public static class Shader
    {
        static readonly List<string> names = new List<string>();
        public static int PropertyToID(string name)
        {
            if (!names.Contains(name)) names.Add(name);
            return names.IndexOf(name);
        }
    }

    public class Texture : Object
    {
        public FilterMode filterMode { get; set; }
        public TextureWrapMode wrapMode { get; set; }
        public virtual int width { get; protected set; }
        public virtual int height { get; protected set; }
    }

    public sealed class Texture2D : Texture
    {
        readonly byte[] raw;
        GCHandle pinned;
        /// What the GPU would have.
        internal byte[] applied;

        public Texture2D(int width, int height, TextureFormat format, bool mipChain, bool linear)
        {
            this.width = width;
            this.height = height;
            raw = new byte[width * height * 4];
            pinned = GCHandle.Alloc(raw, GCHandleType.Pinned);
            applied = new byte[raw.Length];
        }

        public NativeArray<T> GetRawTextureData<T>() where T : struct
        {
            return new NativeArray<T>(pinned.AddrOfPinnedObject(), raw.Length / Marshal.SizeOf(typeof(T)));
        }

        public void Apply(bool updateMipmaps, bool makeNoLongerReadable) { Buffer.BlockCopy(raw, 0, applied, 0, raw.Length); }
    }

    public sealed class TextAsset : Object
    {
        public byte[] bytes { get; internal set; }
    }

    public static class Application
    {
        public static bool isPlaying { get { return true; } }
        public static string streamingAssetsPath { get; internal set; }
    }

    public static class Debug
    {
        public static void LogError(object message, Object context) { throw new Exception("logged as an error: " + message); }
        public static void LogWarning(object message) { Console.Error.WriteLine(message); }
        public static void LogWarning(object message, Object context) { Console.Error.WriteLine(message); }
    }

    public static class Input
    {
        internal static readonly HashSet<KeyCode> Down = new HashSet<KeyCode>();
        public static bool GetKey(KeyCode key) { return Down.Contains(key); }
        public static bool GetKeyDown(KeyCode key) { return Down.Contains(key); }
    }

    public static class Graphics
    {
        public static void ExecuteCommandBuffer(Rendering.CommandBuffer buffer) { buffer.Execute(); }
    }

    public static class GUILayout
    {
        public static bool Button(string text) { return false; }
        public static bool Toggle(bool value, string text, string style) { return value; }
    }
}

namespace UnityEngine.Events
{
    public class UnityEvent<T>
    {
        Action<T> listeners;
        public void AddListener(Action<T> call) { listeners += call; }
        public void Invoke(T argument) { if (listeners != null) listeners(argument); }
    }
}

namespace UnityEngine.Rendering
{
    public sealed class CommandBuffer
    {
        // As in Unity's IUnityRenderingExtensions.h.
        const int BeginV2 = 9, EndV2 = 10;

        [StructLayout(LayoutKind.Sequential)]
        struct UpdateParameters
        {
            public IntPtr texData, textureID;
            public uint userData;
            public int format;
            public uint width, height, bpp;
        }

        [UnmanagedFunctionPointer(CallingConvention.StdCall)]
        delegate void Callback(int type, ref UpdateParameters parameters);

        readonly List<Action> commands = new List<Action>();

        public string name { get; set; }

        public void IssuePluginCustomTextureUpdateV2(IntPtr callback, Texture target, uint userData)
        {
            var call = (Callback)Marshal.GetDelegateForFunctionPointer(callback, typeof(Callback));
            commands.Add(() =>
            {
                var parameters = new UpdateParameters { userData = userData, width = (uint)target.width, height = (uint)target.height, bpp = 4 };
                call(BeginV2, ref parameters);
                var texture = (Texture2D)target;
                if (parameters.texData != IntPtr.Zero) Marshal.Copy(parameters.texData, texture.applied, 0, texture.applied.Length);
                call(EndV2, ref parameters);
            });
        }

        internal void Execute() { commands.ForEach(command => command()); }
        public void Release() { commands.Clear(); }
    }
}

namespace Unity.Collections
{
    public struct NativeArray<T> where T : struct
    {
        internal readonly IntPtr memory;
        internal NativeArray(IntPtr memory, int length) : this() { this.memory = memory; Length = length; }
        public int Length { get; private set; }
    }
}

namespace Unity.Collections.LowLevel.Unsafe
{
    public static class NativeArrayUnsafeUtility
    {
        public static unsafe void* GetUnsafePtr<T>(this NativeArray<T> array) where T : struct { return (void*)array.memory; }
    }
}

namespace UnityEngine.TestTools
{
    public sealed class UnityTestAttribute : Attribute { }
}

namespace NUnit.Framework
{
    public static class Assert
    {
        public static void IsTrue(bool condition)
        {
            if (!condition) throw new System.Exception("a condition does not hold");
        }

        public static void AreEqual(object expected, object actual)
        {
            if (!Convert.ToInt64(expected).Equals(Convert.ToInt64(actual))) throw new Exception("expected " + expected + ", found " + actual);
        }

        public static void IsNull(object value)
        {
            if (value != null) throw new Exception("expected null, found " + value);
        }
    }
}

namespace UnityEditor
{
    public sealed class CustomEditor : Attribute { public CustomEditor(Type inspected) { } }

    public class Editor
    {
        public UnityEngine.Object target { get; set; }
        public virtual void OnInspectorGUI() { }
        public virtual bool RequiresConstantRepaint() { return false; }
        public bool DrawDefaultInspector() { return false; }
    }

    public static class EditorGUILayout
    {
        public static void Space() { }
        public static void LabelField(string label, string text) { }
        public static void BeginHorizontal() { }
        public static void EndHorizontal() { }
    }

    public static class EditorUtility
    {
        public static string FormatBytes(long bytes) { return bytes + " B"; }
    }
}
