//! Functions of sessions that a game calls every frame, and those that make and end sessions.

use std::sync::Arc;

use causeway_runtime::session::{Change, Condition, QualityChange, Sink, Way};

use super::model::stored_prompt;
use crate::{
    create,
    device::Device,
    enter::enter,
    error::Error,
    handle,
    model::Model,
    opened::Opened,
    pointers::{put, slice, slice_mut},
    sized,
    stream::Stream,
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
            let options: CwSessionOptions = sized::read_or_defaults(options)?;
            let files = opened(model, &options)?;
            sized::write(info, &create::query(&device, files, &options)?)?;
        }
        Ok(CW_OK)
    })
}

/// Creates a session of `model` on `device`. A model that reads prompts has no codec in its file: name one in `options`, or ask for latents,
/// and give it a prompt before it is pumped (`cw_session_set_prompt`). `options` may be NULL for defaults; it is copied. The caller owns `*session` and ends it with
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
    // SAFETY: the caller's contract.
    unsafe { make(device, model, options, session, create::create) }
}

/// Begins to create a session: the handle comes at once, in about the time of `cw_session_query`, and the first pumps, or the worker thread, do what
/// `cw_session_create` would have waited for. Until then all calls of the session answer `CW_PENDING`, but for `cw_session_pump`,
/// `cw_session_start_worker`, `cw_session_stop_worker`, `cw_session_progress`, `cw_session_info` and `cw_session_destroy`, which gives up what was done.
/// Options, files and memory cap are checked before it returns. What fails later, as a file that cannot be read any more, is returned by pump,
/// `cw_session_progress` and all other calls, each time; such a session can only be destroyed. Arguments as of `cw_session_create`; device,
/// model and codec may be destroyed meanwhile, but memory that they were opened in without a copy must stay until the session is there. Any thread.
///
/// # Safety
/// As `cw_session_create`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_session_create_begin(
    device: *const CwDevice,
    model: *const CwModel,
    options: *const CwSessionOptions,
    session: *mut *mut CwSession,
) -> CwStatus {
    // SAFETY: the caller's contract.
    unsafe { make(device, model, options, session, create::begin) }
}

/// Gives the session that `how` makes.
///
/// # Safety
/// As `cw_session_create`.
unsafe fn make(
    device: *const CwDevice,
    model: *const CwModel,
    options: *const CwSessionOptions,
    session: *mut *mut CwSession,
    how: unsafe fn(&Device, Opened, &CwSessionOptions) -> Result<Stream, Error>,
) -> CwStatus {
    enter(model.addr(), || {
        // SAFETY: the caller's contract.
        unsafe {
            handle::give(session, "session", || {
                let (device, model) = (handle::get(device)?, handle::get(model)?);
                let options: CwSessionOptions = sized::read_or_defaults(options)?;
                how(&device, opened(model, &options)?, &options)
            })
        }
    })
}

/// Tells how far the creation of a session is; `CW_STAGE_READY` once it is there, or the error that it failed of. The caller owns `progress`. Any thread,
/// also while another one pumps; never blocks.
///
/// # Safety
/// `progress` is as long as its `struct_size`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_session_progress(session: *const CwSession, progress: *mut CwProgress) -> CwStatus {
    enter(session.addr(), || {
        let session = handle::get(session)?;
        // SAFETY: the caller's contract.
        unsafe { sized::write(progress, &session.progress()?) }?;
        Ok(CW_OK)
    })
}

/// The files that a session is of.
fn opened(model: Arc<Model>, options: &CwSessionOptions) -> Result<Opened, Error> {
    let codec = if options.codec.is_null() { None } else { Some(handle::get(options.codec)?) };
    Opened::new(model, codec, options.output == CW_OUTPUT_LATENTS)
}

/// Ends a session, also while another thread pumps it: that call returns `CW_ERROR_DESTROYED` after the slice it is in, and the memory
/// goes with it. NULL does nothing. Any thread; waits at most for one slice of the session's own worker thread.
#[unsafe(no_mangle)]
pub extern "C" fn cw_session_destroy(session: *mut CwSession) -> CwStatus {
    enter(0, || handle::end(session))
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
        unsafe { put(ticket, session.get()?.set_action(slice(action, count as usize, "action")?)?) };
        Ok(CW_OK)
    })
}

/// As `cw_session_set_action` with `rows` rows of `count` numbers: one for each picture (of a session with `CW_OUTPUT_LATENTS`: for each latent
/// frame) of the next chunk; the last one goes on. The model is told one for a latent frame, the last of its pictures' rows. Where actions last
/// several frames, as in worlds of movements, one row is all there can be. `actions` is copied. Any thread, also while another one
/// pumps; never blocks, never allocates.
///
/// # Safety
/// `actions` has `rows` * `count` numbers; `ticket` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_session_set_actions(
    session: *mut CwSession,
    actions: *const f32,
    rows: u32,
    count: u32,
    ticket: *mut u64,
) -> CwStatus {
    enter(session.addr(), || {
        let session = handle::get(session)?;
        let all = rows as usize * count as usize;
        // SAFETY: the caller's contract.
        unsafe { put(ticket, session.get()?.set_actions(slice(actions, all, "actions")?, count as usize)?) };
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
        let change = Change { time: frame.into(), ..Change::to(Condition::Event(event as usize)) };
        let ticketed = handle::get(session)?.get()?.queue(change)?;
        // SAFETY: the caller's contract.
        unsafe { put(ticket, ticketed) };
        Ok(CW_OK)
    })
}

/// Puts a prompt into slot `slot`, below `CwSessionOptions.prompt_slots`: `rows` rows of `width` numbers, as the model's text encoder makes them,
/// without padding. `cw_session_queue_condition` puts it in force. `values` is copied. `CW_ERROR_STATE` while a change that waits names the
/// slot. Any thread, also while another one pumps; never blocks, never allocates.
///
/// # Safety
/// `values` has `rows` * `width` numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_session_set_prompt(
    session: *mut CwSession,
    slot: u32,
    values: *const f32,
    rows: u32,
    width: u32,
) -> CwStatus {
    enter(session.addr(), || {
        let session = handle::get(session)?;
        // SAFETY: the caller's contract.
        let values = unsafe { slice(values, rows as usize * width as usize, "prompt") }?;
        session.get()?.set_prompt(slot as usize, values, width as usize)?;
        Ok(CW_OK)
    })
}

/// The same from prompt `index` that the file of `model`, a bundle, stores. Any thread, also while another one pumps; reads the file, and
/// never allocates.
#[unsafe(no_mangle)]
pub extern "C" fn cw_session_load_prompt(
    session: *mut CwSession,
    slot: u32,
    model: *const CwModel,
    index: u32,
) -> CwStatus {
    enter(session.addr(), || {
        let (session, model) = (handle::get(session)?, handle::get(model)?);
        let (_, [rows, width]) = stored_prompt(&model, index)?;
        session.get()?.load_prompt(slot as usize, [rows * width, width], |values| {
            model.bundle().map_or(Ok(false), |bundle| bundle.read_prompt(index as usize, values))?;
            Ok(())
        })?;
        Ok(CW_OK)
    })
}

/// Queues a change of what the stream is told, and writes its ticket, which receipts name, to `ticket` unless that is NULL. Of several of one
/// kind that are due the newest wins. Any thread, also while another one pumps; never blocks, never allocates.
///
/// # Safety
/// `condition` is as long as its `struct_size`, `weights` has `weight_count` numbers; `ticket` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_session_queue_condition(
    session: *mut CwSession,
    condition: *const CwCondition,
    ticket: *mut u64,
) -> CwStatus {
    enter(session.addr(), || {
        let session = handle::get(session)?;
        // SAFETY: the caller's contract.
        unsafe {
            let asked = sized::read(condition)?;
            put(ticket, session.get()?.queue(change(&asked)?)?);
        }
        Ok(CW_OK)
    })
}

/// # Safety
/// `weights` has `weight_count` numbers.
unsafe fn change(asked: &CwCondition) -> Result<Change<'_>, Error> {
    let index = asked.index as usize;
    let condition = match asked.kind {
        CW_CONDITION_EVENT => Condition::Event(index),
        // SAFETY: the contract.
        CW_CONDITION_MIX => Condition::Mix(unsafe { slice(asked.weights, asked.weight_count as usize, "weights") }?),
        CW_CONDITION_PROMPT => Condition::Prompt(index),
        CW_CONDITION_NEGATIVE => Condition::Negative(index),
        kind => {
            let known = "there are CW_CONDITION_EVENT, _MIX, _PROMPT and _NEGATIVE";
            return Err(Error::argument(format!("{kind} is no kind of condition; {known}")));
        }
    };
    let way = match asked.way {
        CW_WAY_KEEP => Way::Keep,
        CW_WAY_RECACHE => Way::Recache,
        CW_WAY_RESET => Way::Reset,
        CW_WAY_CUT => Way::Cut,
        way => {
            return Err(Error::argument(format!("{way} is no way; there are CW_WAY_KEEP, _RECACHE, _RESET and _CUT")));
        }
    };
    let sink = match asked.sink {
        CW_SINK_KEPT => Sink::Kept,
        CW_SINK_REFRESHED => Sink::Refreshed,
        sink => return Err(Error::argument(format!("{sink} is no sink; there are CW_SINK_KEPT and _REFRESHED"))),
    };
    Ok(Change { condition, way, sink, chunks: asked.chunks as usize, time: asked.frame.into() })
}

/// Changes what chunks are made with, from the next one on: `steps`, one of the model's step lists; `route`, up to `CwSessionOptions.most_route`
/// (0: all history, where that is as many); `window`, up to the one that the session was created with. -1 leaves a value as it is. Receipts name
/// all three. `CW_ERROR_ARGUMENT`, with what is possible, for others. Any thread, also while another one pumps; never blocks, never
/// allocates.
#[unsafe(no_mangle)]
pub extern "C" fn cw_session_set_quality(session: *mut CwSession, steps: i32, route: i32, window: i32) -> CwStatus {
    enter(session.addr(), || {
        let [steps, route, window] = [(steps, "steps"), (route, "route"), (window, "window")]
            .map(|(value, what)| crate::create::given(value, what, "leaves it as it is"));
        handle::get(session)?.get()?.set_quality(QualityChange { steps: steps?, route: route?, window: window? })?;
        Ok(CW_OK)
    })
}

/// Takes a change back that was queued under `ticket`; `CW_ERROR_STATE` once it is in force. Any thread; `CW_ERROR_BUSY` while another one is
/// inside the session and has the change already.
#[unsafe(no_mangle)]
pub extern "C" fn cw_session_withdraw(session: *mut CwSession, ticket: u64) -> CwStatus {
    enter(session.addr(), || {
        handle::get(session)?.get()?.withdraw(ticket)?;
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
            deliver(receipt, || session.get()?.poll(image.as_ref()))
        }
    })
}

/// As `cw_session_poll_frame` of a session that gives latents: writes the oldest latent frame, [channels, height, width] of `cw_session_info`,
/// to `values`, which has room for `capacity` numbers.
///
/// # Safety
/// `values` has room for `capacity` numbers; `receipt` is NULL or as long as its `struct_size`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_session_poll_latents(
    session: *mut CwSession,
    values: *mut f32,
    capacity: usize,
    receipt: *mut CwReceipt,
) -> CwStatus {
    enter(session.addr(), || {
        let session = handle::get(session)?;
        // SAFETY: the caller's contract.
        unsafe { deliver(receipt, || session.get()?.poll_latents(slice_mut(values, capacity, "latents")?)) }
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
