//! Functions of models.

use core::ffi::c_char;

use causeway_runtime::config::DitConfig;

use crate::{
    enter::enter,
    error::Error,
    handle,
    model::Model,
    pointers::{copy_text, put, required, slice, text},
    sized,
    types::*,
};

/// Runs `open` and keeps what it makes.
///
/// # Safety
/// `model` is NULL or writable.
unsafe fn open(model: *mut *mut CwModel, open: impl FnOnce() -> Result<Model, Error>) -> CwStatus {
    // SAFETY: the contract.
    enter(0, || unsafe { handle::give(model, "model", open) })
}

/// Opens and checks the model file at `path` (UTF-8, `length` bytes), a regular file. It stays open, and sessions read it while they are
/// created: one that was cut short is `CW_ERROR_IO` then; replacing it by renaming is fine. The caller owns `*model` and ends it with
/// `cw_model_destroy`; sessions copy what they need. Any thread; reads the file once, so do it while loading.
///
/// # Safety
/// `path` has `length` bytes; `model` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_model_open_path(path: *const c_char, length: usize, model: *mut *mut CwModel) -> CwStatus {
    // SAFETY: the caller's contract.
    unsafe { open(model, || Model::from_path(text(path, length, "path")?)) }
}

/// Opens a model file in memory, which must begin at a multiple of 4 and stay as it is until the model is destroyed; or, with
/// `CW_MEMORY_COPY` in `flags`, in a copy of it. Ownership and threads as `cw_model_open_path`.
///
/// # Safety
/// `bytes` has `length` bytes; `model` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_model_open_memory(
    bytes: *const u8,
    length: usize,
    flags: u32,
    model: *mut *mut CwModel,
) -> CwStatus {
    // SAFETY: the caller's contract; borrowed bytes outlive the model by it.
    unsafe {
        open(model, || {
            let bytes: &'static [u8] = slice(bytes, length, "model file")?;
            match flags {
                0 => Model::from_borrowed(bytes),
                CW_MEMORY_COPY => Model::from_copy(bytes),
                _ => Err(Error::argument(format!("{flags} is no flag; there is CW_MEMORY_COPY (1)"))),
            }
        })
    }
}

/// Maps a model file that lies in an open file from `offset` on, `bytes` long: an uncompressed Android asset, for example. The
/// descriptor is duplicated and stays the caller's. Unix systems only. Otherwise as `cw_model_open_path`.
///
/// # Safety
/// `model` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_model_open_fd(fd: i32, offset: u64, bytes: u64, model: *mut *mut CwModel) -> CwStatus {
    // SAFETY: the caller's contract.
    unsafe { open(model, || Model::from_fd(fd, offset, bytes)) }
}

/// Reads a model file through the host's callback into memory. The callback runs on this thread, during this call only, and must not
/// call this library. Otherwise as `cw_model_open_path`.
///
/// # Safety
/// `reader` is as long as its `struct_size` and its `read` keeps its word; `model` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_model_open_reader(reader: *const CwReader, model: *mut *mut CwModel) -> CwStatus {
    // SAFETY: the caller's contract.
    unsafe { open(model, || Model::from_reader(&sized::read(reader)?)) }
}

/// Tells what a model file holds, whatever it is. The caller owns `info`. Any thread; never blocks.
///
/// # Safety
/// `info` is as long as its `struct_size`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_model_info(model: *const CwModel, info: *mut CwModelInfo) -> CwStatus {
    enter(model.addr(), || {
        let model = handle::get(model)?;
        // SAFETY: the caller's contract.
        unsafe { sized::write(info, &model.info()) }?;
        Ok(CW_OK)
    })
}

/// Copies the name of entry `index` of the action vector, as `cw_last_error` copies texts. Any thread; never blocks.
///
/// # Safety
/// As `cw_last_error`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_model_action_name(
    model: *const CwModel,
    index: u32,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> CwStatus {
    // SAFETY: the caller's contract.
    unsafe { name(model, |dit| &dit.actions, index, "action", text, capacity, length) }
}

/// Copies the name of prompt `index` that the file stores, as `cw_last_error` copies texts. Any thread; never blocks.
///
/// # Safety
/// As `cw_last_error`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_model_prompt_name(
    model: *const CwModel,
    index: u32,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> CwStatus {
    enter(model.addr(), || {
        let model = handle::get(model)?;
        let (name, _) = stored_prompt(&model, index)?;
        // SAFETY: the contract.
        unsafe { copy_text(name.as_bytes(), text, capacity, length) };
        Ok(CW_OK)
    })
}

/// Tells how many rows prompt `index` that the file stores has, and how many numbers a row: what `CwSessionOptions.prompt_rows` must allow. Any
/// thread; never blocks.
///
/// # Safety
/// `rows` and `width` are writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_model_prompt_rows(
    model: *const CwModel,
    index: u32,
    rows: *mut u32,
    width: *mut u32,
) -> CwStatus {
    enter(model.addr(), || {
        let (rows, width) = (required(rows, "rows")?, required(width, "width")?);
        let model = handle::get(model)?;
        let (_, found) = stored_prompt(&model, index)?;
        // SAFETY: the caller's contract.
        unsafe {
            put(rows, found[0] as u32);
            put(width, found[1] as u32);
        }
        Ok(CW_OK)
    })
}

/// Name, rows and values of a row of a prompt that the file stores.
pub(super) fn stored_prompt(model: &Model, index: u32) -> Result<(&str, [usize; 2]), Error> {
    let count = model.bundle().map_or(0, |bundle| bundle.prompts().len());
    let found = model.bundle().and_then(|bundle| bundle.prompts().nth(index as usize));
    found.ok_or_else(|| Error::argument(format!("there is no prompt {index}; this file stores {count}")))
}

/// Copies the name of event `index`, as `cw_last_error` copies texts. Any thread; never blocks.
///
/// # Safety
/// As `cw_last_error`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_model_event_name(
    model: *const CwModel,
    index: u32,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> CwStatus {
    // SAFETY: the caller's contract.
    unsafe { name(model, |dit| &dit.events, index, "event", text, capacity, length) }
}

/// Copies name `index` of the list that `names` picks.
///
/// # Safety
/// As `cw_last_error`.
unsafe fn name(
    model: *const CwModel,
    names: fn(&DitConfig) -> &[String],
    index: u32,
    what: &str,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> CwStatus {
    enter(model.addr(), || {
        let model = handle::get(model)?;
        let names = names(&model.denoiser()?.config().dit);
        let name = names.get(index as usize);
        let name =
            name.ok_or_else(|| Error::argument(format!("there is no {what} {index}; this model has {}", names.len())))?;
        // SAFETY: the contract.
        unsafe { copy_text(name.as_bytes(), text, capacity, length) };
        Ok(CW_OK)
    })
}

/// Closes a model; its sessions go on. NULL does nothing. Any thread; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn cw_model_destroy(model: *mut CwModel) -> CwStatus {
    enter(0, || handle::end(model))
}
