//! Functions of sessions that a game calls every frame, and those that make and end sessions.

use crate::{
    create,
    enter::enter,
    error::Error,
    handle,
    pointers::{put, slice},
    sized,
    types::*,
};

/// Fills `options` with defaults, as far as its `struct_size` (which must be set) reaches. Any thread; never blocks.
///
/// # Safety
/// `options` is as long as its `struct_size`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_session_options_init(options: *mut CwSessionOptions) -> CwStatus {
    enter(0, || {
        // SAFETY: the caller's contract.
        unsafe { sized::write(options, &sized::Struct::defaults()) }?;
        Ok(CW_OK)
    })
}

/// Tells the exact bytes that a session of these options will hold, and its frame size, without creating it. `options` may be NULL
/// for defaults. The caller owns `info`. Any thread; takes some milliseconds.
///
/// # Safety
/// `options` and `info` are as long as their `struct_size`s.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_session_query(
    device: *const CwDevice,
    model: *const CwModel,
    options: *const CwSessionOptions,
    info: *mut CwSessionInfo,
) -> CwStatus {
    enter(model.addr(), || {
        let (device, model) = (handle::get(device)?, handle::get(model)?);
        // SAFETY: the caller's contract.
        unsafe {
            let options = sized::read_or_defaults(options)?;
            sized::write(info, &create::query(&device, &model, &options)?)?;
        }
        Ok(CW_OK)
    })
}

/// Creates a session of `model` on `device`. `options` may be NULL for defaults; it is copied. The caller owns `*session` and ends it with
/// `cw_session_destroy`; model and device may be destroyed before it. Any thread; prepares all weights, so do it while loading.
///
/// # Safety
/// `options` is as long as its `struct_size`, `start_pixels` as `start_bytes`; `session` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_session_create(
    device: *const CwDevice,
    model: *const CwModel,
    options: *const CwSessionOptions,
    session: *mut *mut CwSession,
) -> CwStatus {
    enter(model.addr(), || {
        // SAFETY: the caller's contract.
        unsafe {
            handle::give(session, "session", || {
                let (device, model) = (handle::get(device)?, handle::get(model)?);
                create::create(&device, &model, &sized::read_or_defaults(options)?)
            })
        }
    })
}

/// Ends a session, also while another thread pumps it: that call returns `CW_ERROR_DESTROYED` after the slice it is in, and the memory
/// goes with it. NULL does nothing. Any thread; waits at most for one slice of the session's own worker thread.
#[unsafe(no_mangle)]
pub extern "C" fn cw_session_destroy(session: *mut CwSession) -> CwStatus {
    enter(0, || handle::end(session, |session| session.destroy()))
}

/// Tells what a session holds and makes. The caller owns `info`. Any thread; never blocks.
///
/// # Safety
/// `info` is as long as its `struct_size`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_session_info(session: *const CwSession, info: *mut CwSessionInfo) -> CwStatus {
    enter(session.addr(), || {
        let session = handle::get(session)?;
        // SAFETY: the caller's contract.
        unsafe { sized::write(info, session.info()) }?;
        Ok(CW_OK)
    })
}

/// Sets the action, `count` numbers, that the next chunk will take: the latest wins. Writes the action's ticket, which receipts name, to
/// `ticket` unless that is NULL. `action` is copied. Any thread, also while another one pumps; never blocks.
///
/// # Safety
/// `action` has `count` numbers; `ticket` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_session_set_action(
    session: *mut CwSession,
    action: *const f32,
    count: u32,
    ticket: *mut u64,
) -> CwStatus {
    enter(session.addr(), || {
        let session = handle::get(session)?;
        // SAFETY: the caller's contract.
        unsafe { put(ticket, session.set_action(slice(action, count as usize, "action")?)?) };
        Ok(CW_OK)
    })
}

/// Queues event number `event` for the first chunk that holds or follows frame `frame` of the stream (0: the next chunk). Of several that
/// are due the newest wins. Writes the event's ticket, which receipts name, to `ticket` unless that is NULL. Any thread, also while
/// another one pumps; never blocks.
///
/// # Safety
/// `ticket` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_session_queue_event(
    session: *mut CwSession,
    event: u32,
    frame: u64,
    ticket: *mut u64,
) -> CwStatus {
    enter(session.addr(), || {
        let ticketed = handle::get(session)?.queue_event(event, frame)?;
        // SAFETY: the caller's contract.
        unsafe { put(ticket, ticketed) };
        Ok(CW_OK)
    })
}

/// Works for about `budget_us` microseconds, at least one operator, on this thread (and the device's), then returns `CW_FRAME`,
/// `CW_PENDING`, `CW_FULL` or `CW_PAUSED`. One thread at a time (`CW_ERROR_BUSY`); never waits for a GPU.
#[unsafe(no_mangle)]
pub extern "C" fn cw_session_pump(session: *mut CwSession, budget_us: u32) -> CwStatus {
    enter(session.addr(), || handle::get(session)?.pump(u64::from(budget_us)))
}

/// Takes the oldest finished frame: writes its pixels to `image` in the form asked for and its receipt to `receipt`, and returns `CW_OK`;
/// or `CW_PENDING` when none waits. Either may be NULL (with no image the frame is dropped). The caller owns both. An error of a worker
/// thread is returned here, once. Any thread, also while another one pumps; waits for no more than a copy of a frame.
///
/// # Safety
/// `image` and `receipt` are as long as their `struct_size`s, `image->pixels` has `image->bytes` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_session_poll_frame(
    session: *mut CwSession,
    image: *const CwImage,
    receipt: *mut CwReceipt,
) -> CwStatus {
    enter(session.addr(), || {
        let session = handle::get(session)?;
        // SAFETY: the caller's contract.
        unsafe {
            let image = if image.is_null() { None } else { Some(sized::read(image)?) };
            deliver(receipt, || session.poll(image.as_ref()))
        }
    })
}

/// Takes a frame by `poll` and writes its receipt, if one is asked for.
///
/// # Safety
/// `receipt` is NULL or as long as its `struct_size`.
pub(super) unsafe fn deliver(
    receipt: *mut CwReceipt,
    poll: impl FnOnce() -> Result<Option<CwReceipt>, Error>,
) -> Result<CwStatus, Error> {
    if !receipt.is_null() {
        // A receipt of a wrong size must not cost a frame.
        // SAFETY: the contract.
        unsafe { sized::check(receipt) }?;
    }
    let Some(found) = poll()? else { return Ok(CW_PENDING) };
    if !receipt.is_null() {
        // SAFETY: as above.
        unsafe { sized::write(receipt, &found) }?;
    }
    Ok(CW_OK)
}
