//! From a caller's options to a session.

use causeway_runtime::{Kv, Session, SessionError, SessionOptions, Start};

use crate::{
    device::Device,
    error::Error,
    host::HostClock,
    model::Model,
    pointers::slice,
    stream::{self, Stream},
    types::{
        CW_KV_F16, CW_KV_F32, CW_KV_Q8, CW_START_EMPTY, CW_START_IMAGE, CW_START_STORED, CwSessionInfo,
        CwSessionOptions,
    },
    vulkan::Kept,
};

/// Most frames that a queue may hold.
const MOST_FRAMES: u32 = 1024;

/// Creates a session.
///
/// # Safety
/// `start_pixels` has `start_bytes` readable bytes.
pub unsafe fn create(device: &Device, model: &Model, options: &CwSessionOptions) -> Result<Stream, Error> {
    // SAFETY: the contract.
    let mut inner = unsafe { settle(device, model, options) }?;
    let info = info(device, model, options, &inner)?;
    let kept = Kept::new(device, &mut inner, kept(model, options), model.0.config().picture())?;
    let session = Session::new(&model.0, &device.inner, inner).map_err(|error| match error {
        // What lies here beside the session counts too: the numbers are those of `cw_session_query` and of the host.
        SessionError::MemoryCap { needed, .. } => {
            let cap = usize::try_from(options.memory_cap).unwrap_or(usize::MAX);
            SessionError::MemoryCap { needed: needed + outbox_bytes(device, model, options), cap }
        }
        other => other,
    })?;
    Stream::new(session, options.queue as usize, info, kept)
}

/// What a session of these options would hold.
///
/// # Safety
/// As [`create`].
pub unsafe fn query(device: &Device, model: &Model, options: &CwSessionOptions) -> Result<CwSessionInfo, Error> {
    // SAFETY: the contract.
    let inner = unsafe { settle(device, model, options) }?;
    info(device, model, options, &inner)
}

/// # Safety
/// As [`create`].
unsafe fn settle(device: &Device, model: &Model, options: &CwSessionOptions) -> Result<SessionOptions, Error> {
    let value = |value: i32, what: &str| match value {
        -1 => Ok(None),
        0.. => Ok(Some(value as usize)),
        _ => Err(Error::argument(format!("`{what}` is {value}; -1 takes the model's"))),
    };
    let start = match options.start {
        CW_START_STORED => Start::Stored,
        CW_START_EMPTY => Start::Empty,
        CW_START_IMAGE => {
            // SAFETY: the contract.
            let pixels = unsafe { slice(options.start_pixels, options.start_bytes, "start picture") }?;
            let mut copy = causeway_ops::memory::reserved(pixels.len()).map_err(|refused| Error::memory(refused.0))?;
            copy.extend_from_slice(pixels);
            Start::Image(copy)
        }
        start => {
            return Err(Error::argument(format!("{start} is no start; there are CW_START_STORED, _EMPTY and _IMAGE")));
        }
    };
    let kv = match options.kv {
        CW_KV_F32 => Kv::F32,
        CW_KV_F16 => Kv::F16,
        CW_KV_Q8 => Kv::Q8,
        kv => return Err(Error::argument(format!("{kv} is no type of ring; there are CW_KV_F32, _F16 and _Q8"))),
    };
    if !(1..=MOST_FRAMES).contains(&options.queue) {
        return Err(Error::argument(format!("`queue` is {}; it must be 1 to {MOST_FRAMES}", options.queue)));
    }
    let outbox = outbox_bytes(device, model, options);
    let cap = match options.memory_cap {
        0 => None,
        // The outbox and kept frames are ours, not the runtime's.
        cap => Some(usize::try_from(cap).unwrap_or(usize::MAX).saturating_sub(outbox)),
    };
    Ok(SessionOptions {
        seed: options.seed,
        window: value(options.window, "window")?,
        sink: value(options.sink, "sink")?,
        route: value(options.route, "route")?,
        kv,
        steps: value(options.steps, "steps")?,
        event: value(options.event, "event")?,
        memory_cap: cap,
        start,
        queue: model.0.config().dit.chunk,
        clock: options.clock.map(|call| Box::new(HostClock { call, user: options.clock_user }) as _),
        ..SessionOptions::default()
    })
}

fn frame_bytes(model: &Model) -> usize {
    let (width, height) = model.0.config().picture();
    4 * width * height
}

/// Frames that stay on a host's GPU: as many as can wait for the host, here and in the session's own queue.
fn kept(model: &Model, options: &CwSessionOptions) -> usize {
    options.queue as usize + model.0.config().dit.chunk
}

fn outbox_bytes(device: &Device, model: &Model, options: &CwSessionOptions) -> usize {
    let kept = if device.keeps_frames() { kept(model, options) } else { 0 };
    (options.queue as usize + kept) * frame_bytes(model)
}

fn info(
    device: &Device,
    model: &Model,
    options: &CwSessionOptions,
    inner: &SessionOptions,
) -> Result<CwSessionInfo, Error> {
    let mut memory = Session::need(&model.0, &device.inner, inner)?;
    memory.overhead += outbox_bytes(device, model, options);
    let config = model.0.config();
    let (width, height) = config.picture();
    let (frame, chunk) = (frame_bytes(model), config.dit.chunk);
    let arena = memory.state + memory.activations;
    let snapshot = stream::most_snapshot_bytes(options.queue as usize, frame)
        + Session::most_snapshot_bytes(config.dit.actions.len(), chunk, frame, arena);
    Ok(CwSessionInfo {
        struct_size: size_of::<CwSessionInfo>() as u32,
        device: device.kind(),
        width: width as u32,
        height: height as u32,
        weight_bytes: memory.weights as u64,
        state_bytes: memory.state as u64,
        activation_bytes: memory.activations as u64,
        overhead_bytes: memory.overhead as u64,
        total_bytes: memory.total() as u64,
        snapshot_bytes: snapshot as u64,
    })
}
