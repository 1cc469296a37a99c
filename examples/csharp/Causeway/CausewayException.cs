using System;
using System.Text;

namespace Causeway
{
    /// <summary>A call of the library failed.</summary>
    public sealed class CausewayException : Exception
    {
        /// <summary>The library's code, below 0: one of <c>CW_ERROR_...</c> in causeway.h.</summary>
        public int Code { get; private set; }

        internal CausewayException(int code, string text) : base(text) { Code = code; }
    }

    internal static class Call
    {
        /// <summary>Passes an outcome on and turns an error into an exception with the library's text.</summary>
        internal static int Check(int status)
        {
            if (status < 0) throw new CausewayException(status, LastError());
            return status;
        }

        static unsafe string LastError()
        {
            UIntPtr length;
            Native.cw_last_error(null, UIntPtr.Zero, &length);
            var text = new byte[(int)length + 1];
            fixed (byte* start = text) Native.cw_last_error(start, (UIntPtr)text.Length, &length);
            return Encoding.UTF8.GetString(text, 0, Math.Min((int)length, text.Length - 1));
        }
    }
}
