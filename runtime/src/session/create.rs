//! Creating a session: options against the model, the plan, the backend, the first frames.

use alloc::{format, sync::Arc, vec, vec::Vec};

use causeway_ops::{BackendError, Plan, backend::Memory};

use super::{
    acts::Acts,
    budget::Stats,
    changes::Changes,
    cursor::Cursor,
    error::SessionError,
    governor::Governor,
    health::Health,
    identity::identity,
    kept::Kept,
    movement::Movement,
    opening::Opening,
    options::{Output, SessionOptions, Start},
    pace::Pacer,
    receipt::Queue,
    session::Session,
    settled::Settled,
    state::{Slot, State},
    tables::Tables,
    told::Told,
};
use crate::{
    clock::Clock,
    codec::decoder::DecoderFile,
    device::Device,
    file::{Model, Weights},
    model::{CodecSource, StreamPlan},
};

/// All of a session but what holds its plan.
struct Prepared {
    settled: Settled,
    stream: StreamPlan,
    plan: Plan,
    opening: Opening,
    state: State,
    tables: Tables,
    picture: (usize, usize),
    /// Bytes of a frame that the host is given.
    frame_bytes: usize,
}

impl Prepared {
    fn new(
        model: &Model<'_>,
        codec: Option<&DecoderFile<'_>>,
        options: &SessionOptions,
        exact: bool,
    ) -> Result<Self, SessionError> {
        let config = model.config();
        let own = config.holds_codec().then_some(CodecSource::World(config));
        let given = codec.map(|file| CodecSource::File(&file.config().codec));
        if given.is_some() && own.is_some() {
            return Err(SessionError::Option("this model has a codec in its own file; none other may be given".into()));
        }
        let source = given.or(own);
        let shown = source.filter(|_| options.output == Output::Pictures);
        if shown.is_none() && options.output == Output::Pictures {
            return Err(SessionError::NoCodec);
        }
        let settled = options.settle(config, shown, exact)?;
        if matches!(options.start, Start::Image(_)) && !settled.picture {
            let what = "a stream can start from a picture only with a codec that encodes, and this one has none";
            return Err(SessionError::Option(what.into()));
        }
        let mut stream = StreamPlan::new(&settled.shape(shown))?;
        let plan = core::mem::take(&mut stream.plan);
        let (dit, latent) = (&settled.dit, settled.dit.latent);
        let scale = source.map_or(config.codec.space_factor(), |source| source.space_factor());
        let picture = (latent.width * scale, latent.height * scale);
        let size = (picture, settled.given[0]);
        let opening = Opening::new(model, dit, &options.start, &options.start_actions, size, settled.event)?;
        if !settled.whole(opening.frames) {
            let [first, later] = settled.given;
            return Err(SessionError::Option(format!(
                "the stream starts from {} latent frames; this model takes {first} first and then {later} at a time",
                opening.frames
            )));
        }
        let rope = dit.rope_dims()[0];
        let tables = Tables::new(&plan, &stream, &settled.rings, rope, settled.length);
        let frame_bytes = 4 * plan.buffer(stream.output).len;
        let state = state(&settled, config.latch, options.seed, stream.pictures[1]);
        Ok(Self { settled, stream, plan, opening, state, tables, picture, frame_bytes })
    }

    /// Bytes of the session's own, beside the frames that wait for the host.
    fn own(&self) -> usize {
        let parts = self.tables.memory() + self.opening.memory() + self.state.memory() + self.stream.programs.bytes();
        parts + self.plan.bytes()
    }
}

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
        mut options: SessionOptions,
        exact: bool,
    ) -> Result<Self, SessionError> {
        let prepared = Prepared::new(model, codec, &options, exact)?;
        let queue = Queue::new(options.queue, prepared.frame_bytes)?;
        let own = queue.memory() + prepared.own();
        let clock = options.clock.take().map_or_else(default_clock, Arc::from);
        let weights = Weights::of(model, codec.map(|codec| codec as _));
        let Prepared { settled, stream, plan, opening, state, tables, picture, .. } = prepared;
        #[cfg(feature = "gpu")]
        let backend = device.load_keeping(&weights, &plan, options.memory_cap, own, options.frames.take())?;
        #[cfg(not(feature = "gpu"))]
        let backend = device.load(&weights, &plan, options.memory_cap, own)?;
        let dit = &settled.dit;
        let pictures = stream.pictures[1] * dit.chunk;
        let rules = settled.rules(model.config().latch, pictures);
        let fps = model.config().fps;
        let gives_pictures = stream.output != stream.picked;
        let rate = if gives_pictures { fps } else { fps / model.config().codec.time_factor() as f32 };
        let unread = |error| BackendError::unread("of any name", error);
        let mut files = vec![model.contents().map_err(unread)?];
        if let Some(codec) = codec {
            files.push(codec.contents().map_err(unread)?);
        }
        Ok(Self {
            weights: files[0],
            identity: identity(&files, &settled, &plan, backend.as_ref()),
            backend,
            stream,
            picture,
            rules: Arc::new(rules),
            rope: (dit.rope_dims()[0], dit.rope_theta),
            state,
            opening,
            began: 0,
            reading: false,
            settled,
            tables,
            queue,
            clock,
            pacer: Pacer::new(options.pace, rate),
            governor: options.governor.then(Governor::new),
            interrupt: Arc::default(),
            stats: Stats::default(),
            given: None,
        })
    }

    /// Exact bytes that a session of these options will hold, without creating it.
    ///
    /// # Errors
    /// Options that do not fit the model; the memory cap is not looked at.
    pub fn need(
        model: &Model<'_>,
        codec: Option<&DecoderFile<'_>>,
        device: &Device,
        options: &SessionOptions,
    ) -> Result<Need, SessionError> {
        let prepared = Prepared::new(model, codec, options, false)?;
        let weights = Weights::of(model, codec.map(|codec| codec as _));
        let mut memory = device.memory(&weights, &prepared.plan)?;
        memory.overhead += options.queue * prepared.frame_bytes + prepared.own();
        let arena = memory.state + memory.activations;
        let snapshot = super::snapshot::bytes(&prepared.state, options.queue, prepared.frame_bytes, arena)?;
        let latent = prepared.settled.dit.latent;
        let latent = [latent.channels, latent.height, latent.width];
        let Prepared { picture, frame_bytes, .. } = prepared;
        let save = super::saved::bytes(&prepared.state, prepared.settled.dit.text.map_or(0, |text| text.dim));
        Ok(Need { memory, picture, frame_bytes, snapshot, save, latent })
    }
}

/// What a session will hold and give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Bytes held, by purpose.
    pub memory: Memory,
    /// Width and height of a picture.
    pub picture: (usize, usize),
    /// Bytes of a frame that the host is given.
    pub frame_bytes: usize,
    /// Most bytes of a snapshot.
    pub snapshot: usize,
    /// Most bytes of a saved game.
    pub save: usize,
    /// Shape of a latent frame: channels, height, width.
    pub latent: [usize; 3],
}

/// The state of a stream whose latent frames make at most so many pictures each.
fn state(settled: &Settled, latch: usize, seed: u64, pictures: usize) -> State {
    let dit = &settled.dit;
    let told = |rows: usize, dim: usize, there: bool| there.then(|| Told::new(rows, dim));
    let text = dit.text.map_or(0, |text| text.dim);
    let rows = settled.rows + 1;
    let own = settled.qualities().own;
    let slot = || Slot { values: vec![0.0; settled.rows * text], rows: 0 };
    let mut state = State {
        cursor: Cursor::START,
        seed,
        position: 0,
        ring: 0,
        pictures: 0,
        recache: None,
        kept: Kept::new(&settled.rings, settled.newest(), dit.chunk, dit.latent_len(), dit.actions.len()),
        restoring: None,
        acts: Acts::new(pictures * dit.chunk, dit.actions.len()),
        movement: Movement::new(latch, dit.actions.len()),
        change_ticket: 0,
        changes: Changes::new(dit.events.len()),
        asked: own,
        eased: 0,
        quality: own,
        chunk: 0,
        cut: false,
        event: settled.event as u32,
        current_ticket: 0,
        chunk_tickets: (0, 0),
        shown_tickets: (0, 0),
        chunk_rows: 1,
        health: Health::default(),
        events: told(1, dit.events.len(), !dit.events.is_empty()),
        prompt: told(rows, text, text > 0),
        negative: told(rows, text, text > 0 && settled.sampling.guided()),
        slots: (0..settled.slots).map(|_| slot()).collect::<Vec<_>>(),
        prompted: (false, false),
    };
    state.tell(settled.event);
    state
}

fn default_clock() -> Arc<dyn Clock> {
    #[cfg(feature = "std")]
    return Arc::new(crate::clock::SystemClock::default());
    #[cfg(not(feature = "std"))]
    return Arc::new(crate::clock::NoClock);
}
