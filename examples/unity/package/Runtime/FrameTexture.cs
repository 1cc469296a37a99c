using System;
using System.Runtime.InteropServices;
using Unity.Collections.LowLevel.Unsafe;
using UnityEngine;
using UnityEngine.Rendering;

namespace Causeway.Unity
{
    /// <summary>How frames get into the texture.</summary>
    public enum UploadKind
    {
        /// <summary>Into the texture's memory, then applied: works everywhere.</summary>
        MainThread,
        /// <summary>By a custom texture update on the render thread: Direct3D 11, OpenGL and Metal.</summary>
        RenderThread,
    }

    /// <summary>A texture that takes frames of a session.</summary>
    internal sealed class FrameTexture : IDisposable
    {
        // Buffers that the render thread reads and their callback; native/texture_update.c.
        static class Native
        {
#if UNITY_IOS && !UNITY_EDITOR
            const string Library = "__Internal";
#else
            const string Library = "causeway_unity";
#endif
            [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
            internal static extern uint cwu_open(UIntPtr bytes);
            [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
            internal static extern IntPtr cwu_back(uint slot);
            [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
            internal static extern void cwu_publish(uint slot);
            [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
            internal static extern void cwu_close(uint slot);
            [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
            internal static extern IntPtr cwu_callback();
        }

        internal Texture2D Texture { get; private set; }

        readonly int bytes;
        readonly uint slot;
        readonly CommandBuffer commands;

        internal FrameTexture(int width, int height, UploadKind upload)
        {
            bytes = width * height * 4;
            // sRGB: shaders get linear light from the sampler.
            Texture = new Texture2D(width, height, TextureFormat.RGBA32, false, false)
            {
                name = "Causeway",
                filterMode = FilterMode.Bilinear,
                wrapMode = TextureWrapMode.Clamp,
                hideFlags = HideFlags.HideAndDontSave,
            };
            if (upload != UploadKind.RenderThread) return;
            slot = Native.cwu_open((UIntPtr)bytes);
            if (slot == 0)
            {
                Debug.LogWarning("Causeway: no memory or slot for the render thread; frames are uploaded by the main thread");
                return;
            }
            commands = new CommandBuffer { name = "Causeway" };
            commands.IssuePluginCustomTextureUpdateV2(Native.cwu_callback(), Texture, slot);
        }

        /// <summary>Takes the oldest finished frame, if one waits.</summary>
        internal unsafe bool TryUpdate(Session session, out Receipt receipt)
        {
            // Unity's textures begin with their lowest row.
            if (commands == null)
            {
                var memory = Texture.GetRawTextureData<byte>();
                var start = (IntPtr)memory.GetUnsafePtr();
                if (!session.TryGetFrame(start, memory.Length, out receipt, PixelFormat.Rgba8, ImageFlags.FlipY)) return false;
                Texture.Apply(false, false);
                return true;
            }
            if (!session.TryGetFrame(Native.cwu_back(slot), bytes, out receipt, PixelFormat.Rgba8, ImageFlags.FlipY)) return false;
            Native.cwu_publish(slot);
            Graphics.ExecuteCommandBuffer(commands);
            return true;
        }

        public void Dispose()
        {
            if (commands != null)
            {
                commands.Release();
                Native.cwu_close(slot);
            }
            if (Application.isPlaying) UnityEngine.Object.Destroy(Texture);
            else UnityEngine.Object.DestroyImmediate(Texture);
        }
    }
}
