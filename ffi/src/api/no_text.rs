//! The functions of text encoders in a build that has none. What they are for stands in `text.rs`.

use core::ffi::c_char;

use crate::{enter::enter, error::Error, types::*};

/// All of them are one: this is for small libraries.
#[inline(never)]
fn none() -> CwStatus {
    const WHAT: &str = "this build has no text encoders; build it with the feature `text`";
    enter(0, || Err(Error::new(CW_ERROR_UNSUPPORTED, WHAT)))
}

/// There is none.
#[unsafe(no_mangle)]
pub extern "C" fn cw_text_query(
    _: *const CwDevice,
    _: *const CwModel,
    _: *const CwTextOptions,
    _: *mut CwTextInfo,
) -> CwStatus {
    none()
}

/// There is none.
#[unsafe(no_mangle)]
pub extern "C" fn cw_text_create(
    _: *const CwDevice,
    _: *const CwModel,
    _: *const CwTextOptions,
    _: *mut *mut CwText,
) -> CwStatus {
    none()
}

/// There is none.
#[unsafe(no_mangle)]
pub extern "C" fn cw_text_begin(_: *mut CwText, _: *const c_char, _: usize) -> CwStatus {
    none()
}

/// There is none.
#[unsafe(no_mangle)]
pub extern "C" fn cw_text_pump(_: *mut CwText, _: u32) -> CwStatus {
    none()
}

/// There is none.
#[unsafe(no_mangle)]
pub extern "C" fn cw_text_progress(_: *const CwText, _: *mut CwProgress) -> CwStatus {
    none()
}

/// There is none.
#[unsafe(no_mangle)]
pub extern "C" fn cw_text_rows(_: *const CwText, _: *mut f32, _: usize, _: *mut u32, _: *mut u32) -> CwStatus {
    none()
}

/// There is none to end.
#[unsafe(no_mangle)]
pub extern "C" fn cw_text_destroy(encoder: *mut CwText) -> CwStatus {
    if encoder.is_null() { CW_OK } else { none() }
}
