using System;
using Microsoft.Win32.SafeHandles;

namespace Causeway
{
    // A handle is not freed while a call uses it, is freed once, and by the finalizer if nobody disposed of it.
    // Handles come from out parameters as IntPtr, because no runtime has to make objects of these classes itself then.

    internal sealed class DeviceHandle : SafeHandleZeroOrMinusOneIsInvalid
    {
        internal DeviceHandle(IntPtr handle) : base(true) { SetHandle(handle); }
        protected override bool ReleaseHandle() { return Native.cw_device_destroy(handle) >= 0; }
    }

    internal sealed class ModelHandle : SafeHandleZeroOrMinusOneIsInvalid
    {
        internal ModelHandle(IntPtr handle) : base(true) { SetHandle(handle); }
        protected override bool ReleaseHandle() { return Native.cw_model_destroy(handle) >= 0; }
    }

    internal sealed class SessionHandle : SafeHandleZeroOrMinusOneIsInvalid
    {
        internal SessionHandle(IntPtr handle) : base(true) { SetHandle(handle); }
        protected override bool ReleaseHandle() { return Native.cw_session_destroy(handle) >= 0; }
    }

    internal sealed class TextHandle : SafeHandleZeroOrMinusOneIsInvalid
    {
        internal TextHandle(IntPtr handle) : base(true) { SetHandle(handle); }
        protected override bool ReleaseHandle() { return Native.cw_text_destroy(handle) >= 0; }
    }

    internal sealed class VulkanHandle : SafeHandleZeroOrMinusOneIsInvalid
    {
        internal VulkanHandle(IntPtr handle) : base(true) { SetHandle(handle); }
        protected override bool ReleaseHandle() { return Native.cw_vulkan_destroy(handle) >= 0; }
    }
}
