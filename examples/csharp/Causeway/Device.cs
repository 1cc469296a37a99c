using System;
using System.Text;

namespace Causeway
{
    /// <summary>Where sessions compute.</summary>
    public enum DeviceKind : uint
    {
        /// <summary>A hardware GPU if there is one that fits, else the CPU.</summary>
        Auto = Native.CW_DEVICE_AUTO,
        /// <summary>The CPU.</summary>
        Cpu = Native.CW_DEVICE_CPU,
        /// <summary>A GPU.</summary>
        Gpu = Native.CW_DEVICE_GPU,
    }

    /// <summary>Threads, or an open GPU, shared by any number of sessions.</summary>
    public sealed unsafe class Device : IDisposable
    {
        internal readonly DeviceHandle Handle;

        /// <summary>Opens a device. A GPU takes up to a second, so do it while loading.</summary>
        /// <param name="kind">CPU, GPU, or what fits.</param>
        /// <param name="threads">CPU threads, the pumping one among them; 0 takes what the machine has.</param>
        /// <param name="adapter">Part of the GPU's name; null for the best one.</param>
        /// <param name="strict">Plain scalar arithmetic: the same bits on every CPU, slowly.</param>
        public Device(DeviceKind kind = DeviceKind.Auto, int threads = 0, string adapter = null, bool strict = false)
        {
            var options = new CwDeviceOptions { structSize = (uint)sizeof(CwDeviceOptions) };
            Call.Check(Native.cw_device_options_init(&options));
            options.kind = (uint)kind;
            options.threads = checked((uint)threads);
            options.strict = strict ? 1u : 0u;
            var name = Encoding.UTF8.GetBytes(adapter ?? "");
            fixed (byte* start = name)
            {
                options.adapter = start;
                options.adapterLength = (UIntPtr)name.Length;
                IntPtr handle;
                Call.Check(Native.cw_device_create(&options, out handle));
                Handle = new DeviceHandle(handle);
            }
        }

        /// <summary>Gives the device up; sessions keep what they use of it.</summary>
        public void Dispose() { Handle.Dispose(); }
    }
}
