//! Functions of text encoders.

use core::ffi::c_char;

use crate::{
    enter::enter,
    error::Error,
    handle,
    pointers::{put, required, slice_mut, text as utf8},
    sized,
    text::Text,
    types::*,
};

/// Tells what a text encoder of these options takes, without creating it. `model` is a file with a text encoder (`CW_HOLDS_TEXT_ENCODER`); `options`
/// may be NULL. The caller owns `info`. Any thread; takes some milliseconds, for the trial.
///
/// # Safety
/// `options` is NULL or as long as its `struct_size`, and its tokenizer has its bytes; `info` is as long as its `struct_size`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_text_query(
    device: *const CwDevice,
    model: *const CwModel,
    options: *const CwTextOptions,
    info: *mut CwTextInfo,
) -> CwStatus {
    enter(model.addr(), || {
        let (device, model) = (handle::get(device)?, handle::get(model)?);
        // SAFETY: the caller's contract.
        unsafe {
            sized::check(info)?;
            let options = sized::read_or_defaults(options)?;
            sized::write(info, &Text::query(&device, model, &options)?)?;
        }
        Ok(CW_OK)
    })
}

/// Creates a text encoder: reads and checks the tokenizer (about a second for umT5's), and no weights yet. Device and model may be destroyed
/// afterwards; memory that a model was opened in without a copy must stay until the text encoder is destroyed, for weights are read from there. The caller owns `*text` and ends it with `cw_text_destroy`. Any thread.
///
/// # Safety
/// As `cw_text_query`; `text` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_text_create(
    device: *const CwDevice,
    model: *const CwModel,
    options: *const CwTextOptions,
    text: *mut *mut CwText,
) -> CwStatus {
    enter(model.addr(), || {
        let (device, model) = (handle::get(device)?, handle::get(model)?);
        // SAFETY: the caller's contract.
        unsafe {
            let options = sized::read_or_defaults(options)?;
            handle::give(text, "text", || Text::new(&device, model, &options))
        }
    })
}

/// Begins with a prompt: `length` bytes of UTF-8, at most 65536, copied. What exceeds the most rows is cut off, and what lies beyond 16 bytes for
/// each of these (and 1024 bytes) is not even looked at. One under way is given up, unless this fails. Any thread; takes
/// milliseconds, for the tokens; `CW_ERROR_BUSY` while another thread pumps.
///
/// # Safety
/// `text` has `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_text_begin(encoder: *mut CwText, text: *const c_char, length: usize) -> CwStatus {
    enter(encoder.addr(), || {
        let encoder = handle::get(encoder)?;
        // SAFETY: the caller's contract.
        encoder.begin(unsafe { utf8(text, length, "prompt") }?)?;
        Ok(CW_OK)
    })
}

/// Works on the prompt for about `budget_us` microseconds, at least one step: `CW_OK` when its rows are there, else `CW_PENDING`. A step reads a
/// piece of the file or computes a piece of a layer; it waits for the disk where the system has not the bytes in memory. `CW_ERROR_STATE` where
/// nothing was begun. Any thread, one at a time: others get `CW_ERROR_BUSY`.
#[unsafe(no_mangle)]
pub extern "C" fn cw_text_pump(encoder: *mut CwText, budget_us: u32) -> CwStatus {
    enter(encoder.addr(), || handle::get(encoder)?.pump(u64::from(budget_us)))
}

/// Tells how far the prompt is: `done` of `total` layers, both 0 before one is begun. The caller owns `progress`, whose `stage` is
/// `CW_STAGE_READY` when its rows are there, else `CW_STAGE_WEIGHTS`. Any thread; `CW_ERROR_BUSY` while another one pumps.
///
/// # Safety
/// `progress` is as long as its `struct_size`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_text_progress(encoder: *const CwText, progress: *mut CwProgress) -> CwStatus {
    enter(encoder.addr(), || {
        let encoder = handle::get(encoder)?;
        // SAFETY: the caller's contract.
        unsafe { sized::write(progress, &encoder.progress()?) }?;
        Ok(CW_OK)
    })
}

/// Copies the prompt's rows, one after the other, as `cw_session_set_prompt` takes them. `*rows` and `*width` are set in any case in which the rows are
/// there; `CW_ERROR_BUFFER_TOO_SMALL` where `capacity` numbers are not enough (0 to ask), `CW_ERROR_STATE` before they are there. Any
/// thread; `CW_ERROR_BUSY` while another one pumps.
///
/// # Safety
/// `values` has `capacity` numbers, or is NULL with 0; `rows` and `width` are writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_text_rows(
    encoder: *const CwText,
    values: *mut f32,
    capacity: usize,
    rows: *mut u32,
    width: *mut u32,
) -> CwStatus {
    enter(encoder.addr(), || {
        let encoder = handle::get(encoder)?;
        let (rows, width) = (required(rows, "rows")?, required(width, "width")?);
        encoder.rows(|found, columns| {
            // SAFETY: the caller's contract.
            unsafe {
                put(rows, (found.len() / columns.max(1)) as u32);
                put(width, columns as u32);
            }
            if capacity < found.len() {
                let what = format!("the rows have {} numbers, there is room for {capacity}", found.len());
                return Err(Error::new(CW_ERROR_BUFFER_TOO_SMALL, what));
            }
            // SAFETY: the caller's contract.
            unsafe { slice_mut(values, capacity, "values") }?[..found.len()].copy_from_slice(found);
            Ok(CW_OK)
        })
    })
}

/// Ends a text encoder. NULL does nothing. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn cw_text_destroy(encoder: *mut CwText) -> CwStatus {
    enter(encoder.addr(), || handle::end(encoder))
}
