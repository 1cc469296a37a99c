//! What a session will be: options against the model, the plan, the first frames, and all bytes of it.

#[cfg(feature = "gpu")]
use alloc::sync::Arc;
use alloc::{format, vec, vec::Vec};

use causeway_ops::{Plan, backend::Memory};

use super::{
    acts::Acts,
    changes::Changes,
    cursor::Cursor,
    error::SessionError,
    health::Health,
    kept::Kept,
    movement::Movement,
    opening::Opening,
    options::{Output, SessionOptions, Start},
    placed::Placed,
    rows::Rows,
    saved,
    settled::Settled,
    snapshot,
    state::{Slot, State},
    tables::Tables,
    told::Told,
    watch::Watch,
};
use crate::{
    codec::decoder::DecoderFile,
    device::Device,
    file::{Model, Weights},
    model::{CodecSource, StreamPlan},
};

/// A session before anything of it is on a device: options that were checked against the model, the plan, the first frames.
pub struct Planned {
    pub(super) settled: Settled,
    pub(super) stream: StreamPlan,
    pub(super) plan: Plan,
    pub(super) opening: Opening,
    pub(super) state: State,
    pub(super) tables: Tables,
    pub(super) picture: (usize, usize),
    /// Bytes of a frame that the host is given.
    pub(super) frame_bytes: usize,
    pub(super) options: SessionOptions,
}

impl Planned {
    /// Plans a session of `model`, with pictures made by the codec of another file where one is given.
    ///
    /// # Errors
    /// Options that do not fit the model; the memory cap is not looked at.
    pub fn new(
        model: &Model<'_>,
        codec: Option<&DecoderFile<'_>>,
        options: SessionOptions,
    ) -> Result<Self, SessionError> {
        Self::of(model, codec, options, false)
    }

    /// As [`Self::new`]; the stream may be exact.
    pub(super) fn of(
        model: &Model<'_>,
        codec: Option<&DecoderFile<'_>>,
        options: SessionOptions,
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
        let mut opening = Opening::new(model, dit, &options.start, &options.start_actions, size, settled.event)?;
        opening.set_condition(dit, &options.condition, settled.limits.latent)?;
        if !settled.whole(opening.frames) {
            let [first, later] = settled.given;
            return Err(SessionError::Option(format!(
                "the stream starts from {} latent frames; this model takes {first} first and then {later} at a time",
                opening.frames
            )));
        }
        let tables = Tables::new(&plan, &stream, &settled.rings, [dit.told(), settled.length, dit.latent.channels]);
        let frame_bytes = 4 * plan.buffer(stream.output).len;
        let placed = stream.programs.placed.as_ref().map_or(0, |_| 4 * picture.0 * picture.1);
        let state = state(&settled, config.latch, options.seed, (settled.rows_each(stream.pictures)[1], placed));
        Ok(Self { settled, stream, plan, opening, state, tables, picture, frame_bytes, options })
    }

    /// Bytes of the session's own, beside the frames that wait for the host.
    pub(super) fn own(&self) -> usize {
        let parts = self.tables.memory() + self.opening.memory() + self.state.memory() + self.stream.programs.bytes();
        parts + self.plan.bytes()
    }

    /// Exact bytes that the session will hold, and what it will give.
    ///
    /// # Errors
    /// A weight is missing or has another shape.
    pub fn need(
        &self,
        model: &Model<'_>,
        codec: Option<&DecoderFile<'_>>,
        device: &Device,
    ) -> Result<Need, SessionError> {
        let weights = Weights::of(model, codec.map(|codec| codec as _));
        let mut memory = device.memory(&weights, &self.plan)?;
        let queue = self.options.queue;
        memory.overhead += queue * self.frame_bytes + self.own();
        let arena = memory.state + memory.activations;
        let snapshot = snapshot::bytes(&self.state, queue, self.frame_bytes, arena)?;
        let latent = self.settled.dit.latent;
        Ok(Need {
            memory,
            picture: self.picture,
            frame_bytes: self.frame_bytes,
            snapshot,
            save: saved::bytes(&self.state, &self.settled.rings, self.settled.dit.text.map_or(0, |text| text.dim)),
            latent: [latent.channels, latent.height, latent.width],
        })
    }

    /// Bytes of a picture on its way, which an inbox holds; 0 where the stream takes none.
    pub fn placed_bytes(&self) -> usize {
        self.state.placed.memory()
    }

    /// Sets the most bytes that the session may hold.
    pub fn set_memory_cap(&mut self, cap: Option<usize>) {
        self.options.memory_cap = cap;
    }

    /// Sets where finished frames stay on a GPU that the host opened.
    #[cfg(feature = "gpu")]
    pub fn set_frames(&mut self, frames: Option<Arc<causeway_ops::gpu::Frames>>) {
        self.options.frames = frames;
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

/// The state of a stream whose latent frames have at most so many rows of actions each, and that can be given a picture of so many bytes.
fn state(settled: &Settled, latch: usize, seed: u64, (pictures, placed): (usize, usize)) -> State {
    let dit = &settled.dit;
    let told = |rows: usize, dim: usize, there: bool| there.then(|| Told::new(rows, dim));
    let text = dit.text.map_or(0, |text| text.dim);
    let rows = settled.text_rows();
    let own = settled.qualities().own;
    let slot = || Slot { values: vec![0.0; settled.rows * text], rows: 0 };
    let mut state = State {
        cursor: Cursor::START,
        seed,
        position: 0,
        ring: 0,
        pictures: 0,
        recache: None,
        kept: Kept::new(&settled.rings, settled.newest(), dit.chunk, dit.latent_len(), dit.told()),
        restoring: None,
        rows: Rows::new(dit),
        acts: Acts::new(pictures * dit.chunk, dit.actions.len()),
        movement: Movement::new(latch, dit.actions.len()),
        change_ticket: 0,
        changes: Changes::new(dit.events.len()),
        asked: own,
        eased: 0,
        quality: own,
        chunk: 0,
        placed: Placed::new(placed),
        cut: false,
        event: settled.event as u32,
        current_ticket: 0,
        chunk_tickets: (0, 0),
        shown_tickets: (0, 0),
        chunk_rows: 1,
        health: Health::default(),
        watch: Watch::new(dit.latent_len()),
        events: told(1, dit.events.len(), !dit.events.is_empty()),
        prompt: told(rows, text, text > 0),
        negative: told(rows, text, text > 0 && settled.sampling.guided()),
        slots: (0..settled.slots).map(|_| slot()).collect::<Vec<_>>(),
        prompted: (false, false),
    };
    state.tell(settled.event);
    state
}
