//! What a host brings for the whole library: its memory, its log.

use core::ffi::{c_char, c_void};

/// Levels of log messages; a sink gets those up to its level.
pub const CW_LOG_ERROR: u32 = 1;
/// See `CW_LOG_ERROR`.
pub const CW_LOG_WARNING: u32 = 2;
/// See `CW_LOG_ERROR`.
pub const CW_LOG_INFO: u32 = 3;
/// See `CW_LOG_ERROR`.
pub const CW_LOG_DEBUG: u32 = 4;

/// Takes a log message of `length` bytes of UTF-8 (no NUL at its end). Called by any thread; it must not call this library.
pub type CwLogSink = Option<unsafe extern "C" fn(user: *mut c_void, level: u32, text: *const c_char, length: usize)>;

/// Allocates `bytes` bytes aligned to `alignment` (a power of two), or returns NULL. Called by any thread.
pub type CwAllocate = Option<unsafe extern "C" fn(user: *mut c_void, bytes: usize, alignment: usize) -> *mut c_void>;

/// Gives memory of `CwAllocate` back, with the size and alignment it was asked for. Called by any thread.
pub type CwRelease =
    Option<unsafe extern "C" fn(user: *mut c_void, memory: *mut c_void, bytes: usize, alignment: usize)>;

/// The host's memory. See `cw_set_allocator`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwAllocator {
    /// Set to sizeof(CwAllocator).
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Required.
    pub allocate: CwAllocate,
    /// Required.
    pub release: CwRelease,
    /// Passed to both.
    pub user: *mut c_void,
}
