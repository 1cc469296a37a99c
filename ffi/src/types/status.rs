//! What calls come to.

/// What a call came to: an outcome (0 or more) or an error (below 0).
pub type CwStatus = i32;

/// Done.
pub const CW_OK: CwStatus = 0;
/// A frame became ready; fetch it with `cw_session_poll_frame`.
pub const CW_FRAME: CwStatus = 1;
/// Nothing is ready: the budget is spent, the GPU is busy, no frame waits, or with a pace its time has not come. Not an error; call again.
pub const CW_PENDING: CwStatus = 2;
/// All frame buffers hold frames that nobody fetched; poll them.
pub const CW_FULL: CwStatus = 3;
/// The session is paused.
pub const CW_PAUSED: CwStatus = 4;

/// An argument is NULL or out of its range.
pub const CW_ERROR_ARGUMENT: CwStatus = -1;
/// Not a handle of this library, a handle of another kind, or one that was destroyed.
pub const CW_ERROR_HANDLE: CwStatus = -2;
/// `struct_size` is not one that any version of this struct had.
pub const CW_ERROR_STRUCT_SIZE: CwStatus = -3;
/// Another thread is inside this session.
pub const CW_ERROR_BUSY: CwStatus = -4;
/// Not possible now, for example pumping a session that has a worker thread.
pub const CW_ERROR_STATE: CwStatus = -5;
/// The host's allocator, or the system, has no memory.
pub const CW_ERROR_OUT_OF_MEMORY: CwStatus = -6;
/// The session needs more than `memory_cap`; the error text has the number.
pub const CW_ERROR_MEMORY_CAP: CwStatus = -7;
/// The model file is malformed or of an unknown kind.
pub const CW_ERROR_MODEL: CwStatus = -8;
/// A file could not be opened or read.
pub const CW_ERROR_IO: CwStatus = -9;
/// An option does not fit the model.
pub const CW_ERROR_OPTION: CwStatus = -10;
/// Not a snapshot, or a damaged one.
pub const CW_ERROR_SNAPSHOT: CwStatus = -11;
/// A snapshot of another model, of other options or of another kind of device.
pub const CW_ERROR_SNAPSHOT_OF_ANOTHER: CwStatus = -12;
/// No device fits, or it cannot run this model.
pub const CW_ERROR_DEVICE: CwStatus = -13;
/// The GPU was lost. Destroy session and device, create both anew, restore a snapshot.
pub const CW_ERROR_DEVICE_LOST: CwStatus = -14;
/// This build or this platform cannot do it.
pub const CW_ERROR_UNSUPPORTED: CwStatus = -15;
/// The memory given is too small; `needed` or the error text has the number.
pub const CW_ERROR_BUFFER_TOO_SMALL: CwStatus = -16;
/// Too many events or other changes wait.
pub const CW_ERROR_EVENTS_FULL: CwStatus = -17;
/// The handle was destroyed by another thread during the call.
pub const CW_ERROR_DESTROYED: CwStatus = -18;
/// A callback of the host failed.
pub const CW_ERROR_HOST: CwStatus = -19;
/// A defect of the library. The session it happened in cannot be used any more; destroy it.
pub const CW_ERROR_PANIC: CwStatus = -20;
/// The model takes no such condition; the error text has those it takes.
pub const CW_ERROR_CONDITION: CwStatus = -21;
/// A chunk came out NaN or infinite and was dropped; the stream stands before it, and makes it again of what it is told then.
pub const CW_ERROR_NOT_FINITE: CwStatus = -22;
/// The health of a chunk alarms, and with `CW_GATE_HOLD` it was dropped; the error text has what alarms. Pumped on, it is made again and given.
pub const CW_ERROR_UNHEALTHY: CwStatus = -23;
