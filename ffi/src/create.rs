//! From a caller's options to a session.

use causeway_runtime::{
    Kv, Model as Denoiser, Output, SessionError, SessionOptions, Start,
    sampler::{Sampler, Sampling, Schedule},
    session::{Creation, Files, Gate, Inbox, Need, Pace, Planned, Shared},
};

use crate::{
    device::Device, error::Error, host::HostClock, opened::Opened, pointers::slice, ready::Outbox, stream::Stream,
    types::*, vulkan::Kept,
};

/// Most frames that a queue may hold.
const MOST_FRAMES: u32 = 1024;
/// Steps of Euler and UniPC unless the caller says.
const STEPS: usize = 50;

/// A session as the caller asked for it, planned.
struct Asked<'a> {
    device: &'a Device,
    files: Opened,
    options: &'a CwSessionOptions,
    planned: Planned,
    need: Need,
    /// Values of the largest prompt, slots for prompts, and frames that the session itself holds.
    prompt: usize,
    slots: usize,
    queue: usize,
}

/// Creates a session.
///
/// # Safety
/// `start_pixels` has `start_bytes` readable bytes.
pub unsafe fn create(device: &Device, files: Opened, options: &CwSessionOptions) -> Result<Stream, Error> {
    // SAFETY: the contract.
    let mut asked = unsafe { Asked::new(device, files, options) }?;
    let (info, beside, kept) = (asked.info(), asked.beside(), asked.keep()?);
    let Asked { files, planned, prompt, .. } = asked;
    let session = planned.create(files.model(), files.codec(), &device.inner);
    let outbox = Outbox::of(options, prompt);
    let session = session.map_err(|error| with(error, beside, options))?;
    Stream::ready(session, outbox, info, kept)
}

/// Begins to create a session.
///
/// # Safety
/// As [`create`].
pub unsafe fn begin(device: &Device, files: Opened, options: &CwSessionOptions) -> Result<Stream, Error> {
    // SAFETY: the contract.
    let mut asked = unsafe { Asked::new(device, files, options) }?;
    let (info, beside, kept) = (asked.info(), asked.beside(), asked.keep()?);
    let Asked { files, planned, prompt, .. } = asked;
    let creation = Creation::new(planned, files, &device.inner).map_err(|error| with(error, beside, options))?;
    Ok(Stream::begun(creation, Outbox::of(options, prompt), info, kept))
}

/// What a session of these options would hold.
///
/// # Safety
/// As [`create`].
pub unsafe fn query(device: &Device, files: Opened, options: &CwSessionOptions) -> Result<CwSessionInfo, Error> {
    // SAFETY: the contract.
    Ok(unsafe { Asked::new(device, files, options) }?.info())
}

/// What lies here beside the session counts too: the numbers are those of `cw_session_query` and of the host.
fn with(error: SessionError, beside: usize, options: &CwSessionOptions) -> SessionError {
    match error {
        SessionError::MemoryCap { needed, .. } => {
            let cap = usize::try_from(options.memory_cap).unwrap_or(usize::MAX);
            SessionError::MemoryCap { needed: needed + beside, cap }
        }
        other => other,
    }
}

impl<'a> Asked<'a> {
    /// # Safety
    /// As [`create`].
    unsafe fn new(device: &'a Device, files: Opened, options: &'a CwSessionOptions) -> Result<Self, Error> {
        let (model, codec) = (files.model(), files.codec());
        // SAFETY: the contract.
        let mut inner = unsafe { settle(model, device, options) }?;
        files.begin(&mut inner)?;
        let text = model.config().dit.text;
        let rows = inner.prompt_rows.or(inner.prompt_length);
        let prompt = text.map_or(0, |text| rows.unwrap_or(text.length) * text.dim);
        let (slots, queue, cap) = (inner.prompt_slots.unwrap_or(1), inner.queue, inner.memory_cap);
        let planned = Planned::new(model, codec, inner)?;
        let need = planned.need(model, codec, &device.inner)?;
        let mut asked = Self { device, files, options, planned, need, prompt, slots, queue };
        // What lies here is ours, not the runtime's.
        let beside = asked.beside();
        asked.planned.set_memory_cap(cap.map(|cap| cap.saturating_sub(beside)));
        Ok(asked)
    }

    /// Room for frames on a host's GPU.
    fn keep(&mut self) -> Result<Kept, Error> {
        let count = self.kept();
        Kept::new(self.device, &mut self.planned, count, self.need.picture)
    }

    /// Frames that stay on a host's GPU: as many as can wait for the host, here and in the session's own queue.
    fn kept(&self) -> usize {
        self.options.queue as usize + self.queue
    }

    /// Bytes of the outbox, of the inbox, and of frames that are kept.
    fn beside(&self) -> usize {
        let kept = if self.device.keeps_frames() { self.kept() } else { 0 };
        let dit = &self.files.model().config().dit;
        // With a prompt on its way from a file.
        let inbox = match (self.prompt, self.slots) {
            (0, _) => 0,
            (prompt, slots) => Inbox::bytes(slots, prompt, dit.actions.len(), dit.events.len()) + 4 * prompt,
        };
        (self.options.queue as usize + kept) * self.need.frame_bytes + inbox + self.planned.placed_bytes()
    }

    fn info(&self) -> CwSessionInfo {
        let Need { mut memory, picture: (width, height), frame_bytes, snapshot, save, latent } = self.need;
        memory.overhead += self.beside();
        let snapshot = Shared::snapshot_bytes(self.options.queue as usize, frame_bytes) + snapshot;
        let [channels, latent_height, latent_width] = latent.map(|side| side as u32);
        CwSessionInfo {
            struct_size: size_of::<CwSessionInfo>() as u32,
            device: self.device.kind(),
            width: width as u32,
            height: height as u32,
            weight_bytes: memory.weights as u64,
            state_bytes: memory.state as u64,
            activation_bytes: memory.activations as u64,
            overhead_bytes: memory.overhead as u64,
            total_bytes: memory.total() as u64,
            snapshot_bytes: snapshot as u64,
            latent_channels: channels,
            latent_width,
            latent_height,
            fps: self.files.model().config().fps,
            save_bytes: save as u64,
        }
    }
}

/// A value that -1 stands for none of.
pub fn given(value: i32, what: &str, none: &str) -> Result<Option<usize>, Error> {
    match value {
        -1 => Ok(None),
        0.. => Ok(Some(value as usize)),
        _ => Err(Error::argument(format!("`{what}` is {value}; -1 {none}"))),
    }
}

/// The runtime's options; of the memory cap nothing is taken yet.
///
/// # Safety
/// As [`create`].
unsafe fn settle(model: &Denoiser<'_>, device: &Device, options: &CwSessionOptions) -> Result<SessionOptions, Error> {
    let value = |value: i32, what: &str| given(value, what, "takes the model's");
    let flag = |value: u32, what: &str| match value {
        0 | 1 => Ok(value == 1),
        other => Err(Error::argument(format!("`{what}` is {other}; it is 0 or 1"))),
    };
    let size = |value: u32| (value > 0).then_some(value as usize);
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
        CW_KV_AUTO if device.inner.is_gpu() => Kv::F16,
        CW_KV_AUTO => Kv::F32,
        CW_KV_Q8 => Kv::Q8,
        kv => {
            return Err(Error::argument(format!("{kv} is no type of ring; there are CW_KV_F32, _F16, _Q8 and _AUTO")));
        }
    };
    let output = match options.output {
        CW_OUTPUT_PIXELS => Output::Pictures,
        CW_OUTPUT_LATENTS => Output::Latents,
        other => {
            return Err(Error::argument(format!("{other} is no output; there are CW_OUTPUT_PIXELS and _LATENTS")));
        }
    };
    if !(1..=MOST_FRAMES).contains(&options.queue) {
        return Err(Error::argument(format!("`queue` is {}; it must be 1 to {MOST_FRAMES}", options.queue)));
    }
    if (options.width == 0) != (options.height == 0) {
        let (width, height) = (options.width, options.height);
        return Err(Error::argument(format!("`width` is {width} and `height` {height}; give both or neither")));
    }
    let steps = value(options.steps, "steps")?;
    Ok(SessionOptions {
        seed: options.seed,
        window: value(options.window, "window")?,
        sink: value(options.sink, "sink")?,
        route: value(options.route, "route")?,
        kv,
        sampling: sampling(model, options, steps)?,
        steps,
        event: value(options.event, "event")?,
        memory_cap: (options.memory_cap > 0).then(|| usize::try_from(options.memory_cap).unwrap_or(usize::MAX)),
        start,
        size: size(options.width).zip(size(options.height)),
        chunk: size(options.chunk),
        first_chunk: size(options.first_chunk),
        output,
        prompt_slots: size(options.prompt_slots),
        prompt_rows: size(options.prompt_rows),
        recache: flag(options.recache, "recache")?,
        most_route: options.most_route as usize,
        pace: match options.pace {
            CW_PACE_OFF => Pace::Off,
            CW_PACE_WORLD | CW_PACE_HELD => Pace::World,
            other => {
                return Err(Error::argument(format!("{other} is no pace; there are CW_PACE_OFF, _WORLD and _HELD")));
            }
        },
        governor: flag(options.governor, "governor")?,
        gate: match options.gate {
            CW_GATE_REPORT => Gate::Report,
            CW_GATE_HOLD => Gate::Hold,
            CW_GATE_NEAR => Gate::Near,
            other => {
                return Err(Error::argument(format!("{other} is no gate; there are CW_GATE_REPORT, _HOLD and _NEAR")));
            }
        },
        queue: size(options.chunk).unwrap_or(model.config().dit.chunk),
        clock: options.clock.map(|call| Box::new(HostClock { call, user: options.clock_user }) as _),
        ..SessionOptions::default()
    })
}

/// How chunks are sampled, where it is not by one of the model's lists without guidance.
fn sampling(model: &Denoiser<'_>, options: &CwSessionOptions, steps: Option<usize>) -> Result<Option<Sampling>, Error> {
    let schedule = &model.config().schedule;
    let guidance = if options.guidance == 0.0 { 1.0 } else { options.guidance };
    let count = if options.sampler_steps == 0 { STEPS } else { options.sampler_steps as usize };
    if count > 1000 {
        return Err(Error::argument(format!("`sampler_steps` is {count}; at most 1000")));
    }
    let of = |sampler, schedule| Ok(Some(Sampling { sampler, schedule, first: None, guidance }));
    match options.sampler {
        CW_SAMPLER_MODEL | CW_SAMPLER_FEW if guidance == 1.0 => Ok(None),
        CW_SAMPLER_MODEL | CW_SAMPLER_FEW => {
            let steps = steps.unwrap_or(schedule.default_steps);
            // A list that is not there is refused by the session, which names those that are.
            schedule.sigmas(steps).map_or(Ok(None), |sigmas| of(Sampler::Few, Schedule::of(&sigmas)))
        }
        CW_SAMPLER_EULER => of(Sampler::Euler, Schedule::euler(count, schedule.shift)),
        CW_SAMPLER_UNIPC => of(Sampler::UniPc, Schedule::unipc(count, schedule.shift)),
        other => {
            Err(Error::argument(format!("{other} is no sampler; there are CW_SAMPLER_MODEL, _FEW, _EULER and _UNIPC")))
        }
    }
}
