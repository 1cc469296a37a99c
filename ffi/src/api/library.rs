//! Functions of the library as a whole, and devices.

use core::ffi::{c_char, c_void};

use crate::{
    device::{self, Device},
    enter::enter,
    error::{self, Error},
    handle, log_sink, memory, names,
    pointers::{copy_text, put, required, text},
    shutdown, sized,
    types::*,
};

/// The newest `CW_ABI_VERSION` that this library implements. Any thread; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn cw_abi_version() -> u32 {
    CW_ABI_VERSION
}

/// Version of the library: `"0.1.0"`, say. Static. Any thread; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn cw_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Name of a status: `"CW_ERROR_BUSY"`, say; `"CW_UNKNOWN"` for a number that is none. Static. Any thread; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn cw_status_name(status: CwStatus) -> *const c_char {
    names::of(status).as_ptr()
}

/// Copies the calling thread's last error text (UTF-8) to `text`, as much as fits in `capacity` bytes with a NUL at its end, and its
/// whole length to `length`. Either may be NULL. The caller owns both. Any thread; never blocks.
///
/// # Safety
/// `text` has `capacity` writable bytes; `length` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_last_error(text: *mut c_char, capacity: usize, length: *mut usize) -> CwStatus {
    // SAFETY: the caller's contract.
    unsafe { copy_text(error::last().as_bytes(), text, capacity, length) };
    CW_OK
}

/// As `cw_last_error`, for the last call that failed on this device, model or session, on whatever thread. Any thread; never blocks.
///
/// # Safety
/// As `cw_last_error`; `handle` may be anything.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_handle_error(
    handle: *const c_void,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> CwStatus {
    enter(0, || {
        let error = handle::last_error(handle.addr())
            .ok_or_else(|| Error::new(CW_ERROR_HANDLE, format!("{handle:p} is no handle of this library")))?;
        // SAFETY: the caller's contract.
        unsafe { copy_text(error.as_bytes(), text, capacity, length) };
        Ok(CW_OK)
    })
}

/// Takes the host's allocator for all memory of the library, for the life of the process. Only before any other call
/// (`CW_ERROR_STATE` afterwards; `cw_abi_version` and `cw_last_error` do not count). `allocator` is copied; its functions must stay
/// callable for ever, by any thread, and must not call this library. A refused allocation comes back as `CW_ERROR_OUT_OF_MEMORY`; see
/// docs/embedding.md for what is served by the system in that case, and for memory that does not come from here. Never blocks.
///
/// # Safety
/// `allocator` is as long as its `struct_size`; its functions are allocators.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_set_allocator(allocator: *const CwAllocator) -> CwStatus {
    enter(0, || {
        // SAFETY: the caller's contract.
        memory::set(unsafe { sized::read(allocator) }?)?;
        Ok(CW_OK)
    })
}

/// Sets the sink for log messages up to `level` (`CW_LOG_...`), or removes it (NULL). The sink is called by any thread that works in the
/// library; `user` is passed on. Once the call returns the old sink is called no more. Any thread but from inside a sink; waits for
/// messages that are being delivered.
///
/// # Safety
/// `sink` stays callable until it is removed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_set_log(sink: CwLogSink, user: *mut c_void, level: u32) -> CwStatus {
    enter(0, || {
        log_sink::set(sink, user, level)?;
        Ok(CW_OK)
    })
}

/// Destroys everything that still exists, ends all threads and removes the log sink: call it before the library is unloaded. All
/// handles become stale; the library may be used again afterwards. Not while another thread is inside the library, other than
/// pumping. Waits for one slice of each session.
#[unsafe(no_mangle)]
pub extern "C" fn cw_shutdown() -> CwStatus {
    shutdown::shutdown()
}

/// How many GPUs this machine has; 0 in a build without a GPU backend. Any thread; asks the drivers, which can take some 100 ms.
///
/// # Safety
/// `count` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_adapter_count(count: *mut u32) -> CwStatus {
    enter(0, || {
        let count = required(count, "count")?;
        // SAFETY: not NULL; writable by the caller's contract.
        unsafe { put(count, device::adapters().len() as u32) };
        Ok(CW_OK)
    })
}

/// Tells about GPU number `index`. The caller owns `info`. Any thread; asks the drivers, which can take some 100 ms.
///
/// # Safety
/// `info` is as long as its `struct_size`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_adapter_info(index: u32, info: *mut CwAdapterInfo) -> CwStatus {
    enter(0, || {
        let adapters = device::adapters();
        let found = adapters.get(index as usize);
        let found = found.ok_or_else(|| Error::argument(format!("there is no GPU {index}, but {}", adapters.len())))?;
        // SAFETY: the caller's contract.
        unsafe { sized::write(info, found) }?;
        Ok(CW_OK)
    })
}

/// Fills `options` with defaults, as far as its `struct_size` (which must be set) reaches. Any thread; never blocks.
///
/// # Safety
/// `options` is as long as its `struct_size`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_device_options_init(options: *mut CwDeviceOptions) -> CwStatus {
    enter(0, || {
        // SAFETY: the caller's contract.
        unsafe { sized::write(options, &sized::Struct::defaults()) }?;
        Ok(CW_OK)
    })
}

/// Opens a device: starts threads, or opens a GPU. `options` may be NULL for defaults; it is copied. The caller owns `*device` and ends it
/// with `cw_device_destroy`. Any thread; a GPU takes up to a second to open, so do it while loading.
///
/// # Safety
/// `options` is as long as its `struct_size`, `adapter` as its length; `device` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_device_create(options: *const CwDeviceOptions, device: *mut *mut CwDevice) -> CwStatus {
    enter(0, || {
        // SAFETY: the caller's contract, for all three.
        unsafe {
            handle::give(device, "device", || {
                let options = sized::read_or_defaults(options)?;
                let adapter = text(options.adapter, options.adapter_length, "adapter name")?;
                Device::open(&options, Some(adapter).filter(|name| !name.is_empty()))
            })
        }
    })
}

/// Gives a device up; sessions keep what they use of it. NULL does nothing. Any thread; waits for threads to end when no session uses
/// them.
#[unsafe(no_mangle)]
pub extern "C" fn cw_device_destroy(device: *mut CwDevice) -> CwStatus {
    enter(0, || handle::end(device))
}
