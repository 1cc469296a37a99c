//! Creating a session, in one piece.

use alloc::{sync::Arc, vec};

use causeway_ops::BackendError;

use super::{
    budget::Stats,
    error::SessionError,
    governor::Governor,
    identity::identity,
    options::SessionOptions,
    pace::Pacer,
    planned::{Need, Planned},
    receipt::Queue,
    session::Session,
    slow::Slow,
};
use crate::{
    clock::Clock,
    codec::decoder::DecoderFile,
    device::{Device, Made},
    file::{Model, Weights},
};

impl Session {
    /// Creates a session of `model` on `device`. The weights are copied into the device's layout, so the model may be dropped. A model that
    /// reads prompts has no codec in its file: see [`Session::with_codec`], or [`Output::Latents`].
    ///
    /// # Errors
    /// Options that do not fit the model, a memory cap that is too small (with the exact need), a device that refuses.
    pub fn new(model: &Model<'_>, device: &Device, options: SessionOptions) -> Result<Self, SessionError> {
        Self::create(model, None, device, options, false)
    }

    /// As [`Session::new`], with pictures made by the codec of another file.
    ///
    /// # Errors
    /// As [`Session::new`]; a codec of other channels.
    pub fn with_codec(
        model: &Model<'_>,
        codec: &DecoderFile<'_>,
        device: &Device,
        options: SessionOptions,
    ) -> Result<Self, SessionError> {
        Self::create(model, Some(codec), device, options, false)
    }

    pub(super) fn create(
        model: &Model<'_>,
        codec: Option<&DecoderFile<'_>>,
        device: &Device,
        options: SessionOptions,
        exact: bool,
    ) -> Result<Self, SessionError> {
        Planned::of(model, codec, options, exact)?.create(model, codec, device)
    }

    /// Exact bytes that a session of these options will hold, without creating it, and what it will give.
    ///
    /// # Errors
    /// Options that do not fit the model; the memory cap is not looked at.
    pub fn need(
        model: &Model<'_>,
        codec: Option<&DecoderFile<'_>>,
        device: &Device,
        options: SessionOptions,
    ) -> Result<Need, SessionError> {
        Planned::new(model, codec, options)?.need(model, codec, device)
    }
}

impl Planned {
    /// Creates the session, of the files that it was planned for.
    ///
    /// # Errors
    /// A memory cap that is too small (with the exact need), a device that refuses.
    pub fn create(
        self,
        model: &Model<'_>,
        codec: Option<&DecoderFile<'_>>,
        device: &Device,
    ) -> Result<Session, SessionError> {
        let queue = Queue::new(self.options.queue, self.frame_bytes)?;
        let (cap, own) = (self.options.memory_cap, queue.memory() + self.own());
        let weights = Weights::of(model, codec.map(|codec| codec as _));
        let made = device.load(&weights, &self.plan, cap, own)?;
        self.assemble(model, codec, queue, made)
    }

    /// The session, on a backend that was made for its plan.
    pub(super) fn assemble(
        self,
        model: &Model<'_>,
        codec: Option<&DecoderFile<'_>>,
        queue: Queue,
        made: Made,
    ) -> Result<Session, SessionError> {
        let Self { settled, stream, opening, state, tables, picture, options, .. } = self;
        #[cfg(feature = "gpu")]
        let backend = made.keeping(options.frames);
        #[cfg(not(feature = "gpu"))]
        let backend = made.plain();
        let dit = &settled.dit;
        let rows = settled.rows_each(stream.pictures)[1] * dit.chunk;
        let rules = settled.rules(model.config().latch, rows, state.placed.memory());
        let fps = model.config().fps;
        let gives_pictures = stream.output != stream.picked;
        let rate = if gives_pictures { fps } else { fps / model.config().codec.time_factor() as f32 };
        let unread = |error| BackendError::unread("of any name", error);
        let mut files = vec![model.contents().map_err(unread)?];
        if let Some(codec) = codec {
            files.push(codec.contents().map_err(unread)?);
        }
        let session = Session {
            weights: files[0],
            identity: identity(&files, &settled, backend.plan(), backend.as_ref()),
            backend,
            stream,
            picture,
            rules: Arc::new(rules),
            state,
            opening,
            began: 0,
            reading: false,
            settled,
            tables,
            queue,
            clock: options.clock.map_or_else(default_clock, Arc::from),
            pacer: Pacer::new(options.pace, rate),
            unpaced: Pacer::new(options.pace, rate),
            rested: 0,
            pumped: None,
            governor: options.governor.then(Governor::new),
            gate: options.gate,
            interrupt: Arc::default(),
            stats: Stats::default(),
            slow: Slow::default(),
            given: None,
            taken: None,
        };
        session.introduce(&model.config().name);
        Ok(session)
    }
}

impl Session {
    /// Tells the log what was made.
    fn introduce(&self, name: &str) {
        let (memory, (width, height)) = (self.memory(), self.picture);
        log::info!(
            "session of {name}: {width}x{height}, {} steps, {} kernels; {} bytes, of which {} are weights, {} state, {} activations, {} beside",
            self.steps(),
            self.backend.tier(),
            memory.total(),
            memory.weights,
            memory.state,
            memory.activations,
            memory.overhead
        );
    }
}

fn default_clock() -> Arc<dyn Clock> {
    #[cfg(feature = "std")]
    return Arc::new(crate::clock::SystemClock::default());
    #[cfg(not(feature = "std"))]
    return Arc::new(crate::clock::NoClock);
}
