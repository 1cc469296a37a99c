//! Functions of sessions that steer them and save them.

use core::ffi::c_void;

use crate::{
    enter::enter,
    error::Error,
    handle,
    picture::Source,
    pointers::{put, required, slice},
    sized,
    types::*,
};

/// Starts a thread that pumps the session, so that the host only sets actions and polls frames. It rests while all frame buffers are full.
/// Any thread; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn cw_session_start_worker(session: *mut CwSession) -> CwStatus {
    enter(session.addr(), || {
        handle::get(session)?.start_worker()?;
        Ok(CW_OK)
    })
}

/// Ends the worker thread; without one it does nothing. The host may pump again afterwards. Any thread; waits for the slice that the worker
/// is in; `CW_ERROR_BUSY` in a hook that the worker calls.
#[unsafe(no_mangle)]
pub extern "C" fn cw_session_stop_worker(session: *mut CwSession) -> CwStatus {
    enter(session.addr(), || {
        handle::get(session)?.stop_worker()?;
        Ok(CW_OK)
    })
}

/// Makes pumping do nothing until `cw_session_resume`. A pump that is running returns after its slice. Any thread; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn cw_session_pause(session: *mut CwSession) -> CwStatus {
    enter(session.addr(), || {
        handle::get(session)?.get()?.pause(true);
        Ok(CW_OK)
    })
}

/// Ends the pause. Any thread; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn cw_session_resume(session: *mut CwSession) -> CwStatus {
    enter(session.addr(), || {
        handle::get(session)?.get()?.pause(false);
        Ok(CW_OK)
    })
}

/// Drops the chunk in flight, unless one of its frames is finished, so that the newest action and events come sooner. A pump that is
/// running returns after its slice. Nothing of a dropped chunk is left. Any thread; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn cw_session_cancel(session: *mut CwSession) -> CwStatus {
    enter(session.addr(), || {
        handle::get(session)?.get()?.cancel();
        Ok(CW_OK)
    })
}

/// Begins the stream anew with this seed, as a new session would; finished frames and waiting events are dropped, tickets count on. One
/// thread at a time (`CW_ERROR_BUSY`); never waits for a GPU, and for a worker thread at most one slice.
#[unsafe(no_mangle)]
pub extern "C" fn cw_session_reset(session: *mut CwSession, seed: u64) -> CwStatus {
    enter(session.addr(), || {
        handle::get(session)?.reset(seed)?;
        Ok(CW_OK)
    })
}

/// Makes the stream start from a picture, RGBA8, sRGB, `bytes` = width * height * 4, rows from the top, from the next `cw_session_reset`
/// on. `pixels` is copied. Threads and waiting as `cw_session_reset`.
///
/// # Safety
/// `pixels` has `bytes` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_session_set_start_image(
    session: *mut CwSession,
    pixels: *const u8,
    bytes: usize,
) -> CwStatus {
    enter(session.addr(), || {
        let session = handle::get(session)?;
        // SAFETY: the caller's contract.
        session.get()?.set_start_image(unsafe { slice(pixels, bytes, "start picture") }?)?;
        Ok(CW_OK)
    })
}

/// Gives the session a picture of any size: what it starts from, or the newest frame of its stream, as `CwPicture` says. `ticket` may be NULL; receipts
/// name it, with `CW_PICTURE_NOW`, as they do those of changes. The pixels are copied, cut and scaled here. `CW_ERROR_OPTION` where the
/// model takes none. With `CW_PICTURE_NOW` any thread, also while another one pumps; else threads and waiting as `cw_session_reset`.
///
/// # Safety
/// `picture` is as long as its `struct_size` and its pixels as it says; `ticket` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_session_set_picture(
    session: *mut CwSession,
    picture: *const CwPicture,
    ticket: *mut u64,
) -> CwStatus {
    enter(session.addr(), || {
        let session = handle::get(session)?;
        // SAFETY: the caller's contract.
        let picture = unsafe { sized::read(picture) }?;
        let source = Source::new(&picture)?;
        let session = session.get()?;
        // SAFETY: the caller's contract.
        let pixels = unsafe { source.read(session.size()) }?;
        if picture.when == CW_PICTURE_START {
            session.set_start_image(&pixels)?;
        } else {
            let given = session.place(&pixels, picture.repeat.max(1) as usize)?;
            if !ticket.is_null() {
                // SAFETY: the caller's contract.
                unsafe { put(ticket, given) };
            }
        }
        Ok(CW_OK)
    })
}

/// Saves everything that determines the future to `snapshot`, with the frames that were not polled yet, and writes its bytes to `needed`.
/// With less than that in `capacity` nothing is saved and the call returns `CW_ERROR_BUFFER_TOO_SMALL`, or `CW_OK` if `snapshot` is
/// NULL. `CwSessionInfo.snapshot_bytes` is always enough. The caller owns both. One thread at a time (`CW_ERROR_BUSY`); waits for
/// GPU work that was handed out.
///
/// # Safety
/// `snapshot` has `capacity` writable bytes; `needed` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_session_snapshot(
    session: *mut CwSession,
    snapshot: *mut c_void,
    capacity: usize,
    needed: *mut usize,
) -> CwStatus {
    enter(session.addr(), || {
        let session = handle::get(session)?;
        // SAFETY: the caller's contract.
        session.get()?.snapshot(unsafe { target(snapshot, capacity, needed, "snapshot") }?)?;
        Ok(CW_OK)
    })
}

/// Returns to a snapshot of `bytes` bytes that was taken from a session of the same weights and options on the same device, by the same build of this
/// library: the same future, bit for bit. A damaged one is `CW_ERROR_SNAPSHOT`. For saved games see `cw_session_save`. On an error the session is as it was, except when a GPU fails. Threads as `cw_session_snapshot`; does not
/// wait.
///
/// # Safety
/// `snapshot` has `bytes` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_session_restore(
    session: *mut CwSession,
    snapshot: *const c_void,
    bytes: usize,
) -> CwStatus {
    enter(session.addr(), || {
        let session = handle::get(session)?;
        // SAFETY: the caller's contract.
        session.restore(unsafe { slice(snapshot.cast(), bytes, "snapshot") }?)?;
        Ok(CW_OK)
    })
}

/// Saves a game to `saved` and writes its bytes to `needed`: where the stream is, what it still sees of its past, what it is told and what waits.
/// Another session of the same model file goes on from it: on another device, with another type of ring, in a later version of this
/// library. Not bit for bit, unlike a snapshot, and much smaller. It is taken at the last chunk boundary: the chunk in flight and frames that were not
/// polled are not in it. Memory as with `cw_session_snapshot`; `CwSessionInfo.save_bytes` is always enough. One thread at a time (`CW_ERROR_BUSY`);
/// never waits for a GPU, never allocates.
///
/// # Safety
/// `saved` has `capacity` writable bytes; `needed` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_session_save(
    session: *mut CwSession,
    saved: *mut c_void,
    capacity: usize,
    needed: *mut usize,
) -> CwStatus {
    enter(session.addr(), || {
        let session = handle::get(session)?;
        // SAFETY: the caller's contract.
        session.get()?.save(unsafe { target(saved, capacity, needed, "saved game") }?)?;
        Ok(CW_OK)
    })
}

/// Goes on from a saved game of `bytes` bytes. What it holds of the past is brought back by the next pumps, or the worker, before the next frame. Finished
/// frames and waiting changes are dropped; those of the game wait instead. `CW_ERROR_SNAPSHOT` for one that is damaged or of a newer
/// version, `CW_ERROR_SNAPSHOT_OF_ANOTHER` for one of other weights: the session is as it was then, except when a GPU fails. Threads as
/// `cw_session_snapshot`; does not wait.
///
/// # Safety
/// `saved` has `bytes` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_session_load(session: *mut CwSession, saved: *const c_void, bytes: usize) -> CwStatus {
    enter(session.addr(), || {
        let session = handle::get(session)?;
        // SAFETY: the caller's contract.
        session.load(unsafe { slice(saved.cast(), bytes, "saved game") }?)?;
        Ok(CW_OK)
    })
}

/// Where `needed` bytes go in a host's memory; None if it only asks how many.
///
/// # Safety
/// `to` has `capacity` writable bytes; `needed` is writable.
unsafe fn target(
    to: *mut c_void,
    capacity: usize,
    needed: *mut usize,
    what: &'static str,
) -> Result<impl FnOnce(usize) -> Result<Option<*mut u8>, Error>, Error> {
    let out = required(needed, "needed")?;
    Ok(move |bytes| {
        // SAFETY: not NULL; writable by the contract.
        unsafe { put(out, bytes) };
        match (to.is_null(), bytes <= capacity) {
            (true, _) => Ok(None),
            (_, true) => Ok(Some(to.cast())),
            _ => Err(Error::new(
                CW_ERROR_BUFFER_TOO_SMALL,
                format!("the {what} has {bytes} bytes, there is room for {capacity}"),
            )),
        }
    })
}

/// Tells a session's counters. The caller owns `stats`. One thread at a time (`CW_ERROR_BUSY`); waits for a worker thread at most one slice.
///
/// # Safety
/// `stats` is as long as its `struct_size`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_session_stats(session: *const CwSession, stats: *mut CwStats) -> CwStatus {
    enter(session.addr(), || {
        let session = handle::get(session)?;
        // SAFETY: the caller's contract.
        unsafe { sized::write(stats, &session.get()?.stats()?) }?;
        Ok(CW_OK)
    })
}
