//! Names of statuses.

use std::ffi::CStr;

use crate::types::*;

/// The constant's name.
pub fn of(status: CwStatus) -> &'static CStr {
    match status {
        CW_OK => c"CW_OK",
        CW_FRAME => c"CW_FRAME",
        CW_PENDING => c"CW_PENDING",
        CW_FULL => c"CW_FULL",
        CW_PAUSED => c"CW_PAUSED",
        CW_ERROR_ARGUMENT => c"CW_ERROR_ARGUMENT",
        CW_ERROR_HANDLE => c"CW_ERROR_HANDLE",
        CW_ERROR_STRUCT_SIZE => c"CW_ERROR_STRUCT_SIZE",
        CW_ERROR_BUSY => c"CW_ERROR_BUSY",
        CW_ERROR_STATE => c"CW_ERROR_STATE",
        CW_ERROR_OUT_OF_MEMORY => c"CW_ERROR_OUT_OF_MEMORY",
        CW_ERROR_MEMORY_CAP => c"CW_ERROR_MEMORY_CAP",
        CW_ERROR_MODEL => c"CW_ERROR_MODEL",
        CW_ERROR_IO => c"CW_ERROR_IO",
        CW_ERROR_OPTION => c"CW_ERROR_OPTION",
        CW_ERROR_SNAPSHOT => c"CW_ERROR_SNAPSHOT",
        CW_ERROR_SNAPSHOT_OF_ANOTHER => c"CW_ERROR_SNAPSHOT_OF_ANOTHER",
        CW_ERROR_DEVICE => c"CW_ERROR_DEVICE",
        CW_ERROR_DEVICE_LOST => c"CW_ERROR_DEVICE_LOST",
        CW_ERROR_UNSUPPORTED => c"CW_ERROR_UNSUPPORTED",
        CW_ERROR_BUFFER_TOO_SMALL => c"CW_ERROR_BUFFER_TOO_SMALL",
        CW_ERROR_EVENTS_FULL => c"CW_ERROR_EVENTS_FULL",
        CW_ERROR_DESTROYED => c"CW_ERROR_DESTROYED",
        CW_ERROR_HOST => c"CW_ERROR_HOST",
        CW_ERROR_PANIC => c"CW_ERROR_PANIC",
        CW_ERROR_CONDITION => c"CW_ERROR_CONDITION",
        CW_ERROR_NOT_FINITE => c"CW_ERROR_NOT_FINITE",
        _ => c"CW_UNKNOWN",
    }
}
