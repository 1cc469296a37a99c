//! What a host chooses when it creates a session.

use alloc::{boxed::Box, format, string::String, vec, vec::Vec};

use causeway_ops::Kv;

use super::{error::SessionError, gate::Gate, pace::Pace, ring::Ring, settled::Settled};
use crate::{
    clock::Clock,
    config::{DitConfig, GroupConfig, HistoryConfig, LatentConfig, ModelConfig, Positions},
    file::{Bundle, FileError},
    model::{CodecSource, Groups, Past},
    sampler::{Sampling, Schedule},
};

/// What the first frames of a stream are.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Start {
    /// The latents stored in the model file, or nothing if it has none.
    #[default]
    Stored,
    /// A picture, RGBA8, of the stream's size, standing still.
    Image(Vec<u8>),
    /// Normalised latents [count, C, H, W]; of a model that reads prompts whole chunks.
    Latents(Vec<f32>),
    /// Nothing: the first chunk is dreamt from noise alone.
    Empty,
}

/// What a stream gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// Pictures; needs a codec.
    #[default]
    Pictures,
    /// Latent frames ([`Session::latent`](super::Session::latent)); no codec is loaded.
    Latents,
}

/// Options of a session; fields left `None` take the model file's value. Frames of `window`, `sink`, `route` and chunks are latent frames.
pub struct SessionOptions {
    /// Noise seed.
    pub seed: u64,
    /// Window, including sink and chunk.
    pub window: Option<usize>,
    /// First frames that stay.
    pub sink: Option<usize>,
    /// History frames kept per query; 0 for all.
    pub route: Option<usize>,
    /// Of these, oldest visible frames that are always kept; none if `None`.
    pub route_sink: Option<usize>,
    /// Newest frames that are always kept; one if `None`.
    pub route_recent: Option<usize>,
    /// Up to so many history frames per query may be asked for while the stream runs ([`Session::set_quality`](super::Session::set_quality)); 0
    /// where `route` stays as it is. The plan has room for them.
    pub most_route: usize,
    /// Numbering of frames.
    pub positions: Option<Positions>,
    /// How the ring stores keys and values. Where that is not [`Kv::F32`], a GPU that can keeps what layers pass on in half precision too.
    pub kv: Kv,
    /// Denoise steps per chunk: one of the model's step lists.
    pub steps: Option<usize>,
    /// How chunks are sampled, instead of by one of the model's step lists.
    pub sampling: Option<Sampling>,
    /// Timestep at which the commit pass sees clean frames.
    pub context_noise: Option<f32>,
    /// Frames denoised together.
    pub chunk: Option<usize>,
    /// Frames of the first chunk; as of all others if `None`.
    pub first_chunk: Option<usize>,
    /// Width and height of a picture in pixels; only of a model that reads prompts.
    pub size: Option<(usize, usize)>,
    /// What the stream gives.
    pub output: Output,
    /// Prompts held beside the one in force; 1 if `None`, where the model reads prompts.
    pub prompt_slots: Option<usize>,
    /// Most rows a prompt may have: memory is kept for so many.
    pub prompt_rows: Option<usize>,
    /// Rows that a prompt is padded to.
    pub prompt_length: Option<usize>,
    /// Whether [`Way::Recache`](super::Way) is possible; it takes activations of a whole window.
    pub recache: bool,
    /// Most bytes the session may hold.
    pub memory_cap: Option<usize>,
    /// First frames.
    pub start: Start,
    /// The picture condition of a model of family `matrix-game` [n, channels, H, W]: a row for each of the first n latent frames, of which the
    /// last goes on for ever.
    pub condition: Vec<f32>,
    /// What was told of each frame that the stream starts from, [count, A]; nothing if empty.
    pub start_actions: Vec<f32>,
    /// Event in force at the start (index); the model file's start event if `None`.
    pub event: Option<usize>,
    /// Finished frames held for the host before pumping pauses, at least 1.
    pub queue: usize,
    /// On a GPU that the host opened: where finished frames stay on it, for the host. Their bytes are the host's, not counted against `memory_cap`.
    #[cfg(feature = "gpu")]
    pub frames: Option<alloc::sync::Arc<causeway_ops::gpu::Frames>>,
    /// Whether chunks wait for their time.
    pub pace: Pace,
    /// Whether quality goes down while chunks take longer than they last, and up again.
    pub governor: bool,
    /// What becomes of a chunk whose health alarms.
    pub gate: Gate,
    /// The host's own clock.
    pub clock: Option<Box<dyn Clock>>,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            window: None,
            sink: None,
            route: None,
            route_sink: None,
            route_recent: None,
            most_route: 0,
            positions: None,
            kv: Kv::F32,
            steps: None,
            sampling: None,
            context_noise: None,
            chunk: None,
            first_chunk: None,
            size: None,
            output: Output::Pictures,
            prompt_slots: None,
            prompt_rows: None,
            prompt_length: None,
            recache: false,
            memory_cap: None,
            start: Start::Stored,
            condition: Vec::new(),
            start_actions: Vec::new(),
            event: None,
            queue: 2,
            #[cfg(feature = "gpu")]
            frames: None,
            pace: Pace::Off,
            governor: false,
            gate: Gate::Report,
            clock: None,
        }
    }
}

/// Steps, slots and frames that no stream needs more of.
const MOST_STEPS: usize = 1000;
const MOST_QUEUED: usize = 4096;
const MOST_SLOTS: usize = 1024;

impl SessionOptions {
    /// Begins from what `bundle` stores first, where these options name nothing to begin from: frames, or a game's picture.
    ///
    /// # Errors
    /// [`FileError::Read`].
    pub fn begin_from(&mut self, bundle: &Bundle<'_>) -> Result<(), FileError> {
        let game = bundle.denoiser().config().dit.game().is_some();
        let named = !matches!(self.start, Start::Stored) || !self.condition.is_empty();
        match bundle.start(0)? {
            Some(condition) if game && !named => self.condition = condition,
            Some(latents) if !named => self.start = Start::Latents(latents),
            _ => {}
        }
        Ok(())
    }

    /// Fills in defaults and checks the options against the model; `codec` is what will make pictures.
    pub(super) fn settle(
        &self,
        config: &ModelConfig,
        codec: Option<CodecSource<'_>>,
        exact: bool,
    ) -> Result<Settled, SessionError> {
        let refused = |what: String| Err(SessionError::Option(what));
        let chunk = self.chunk.unwrap_or(config.dit.chunk);
        // One frame more than a chunk is what a world needs; a video of one chunk needs no history.
        let least = if config.dit.text.is_some() { chunk } else { chunk.saturating_add(1) };
        let window = self.window.unwrap_or(config.history.window.max(least));
        if chunk == 0 || !(least..=4096).contains(&window) {
            return refused(format!(
                "window is {window}; it counts the chunk of {chunk} and must be {} to 4096",
                least.max(1)
            ));
        }
        let room = window - chunk;
        let sink = self.sink.unwrap_or(config.history.sink.min(room));
        if sink > room {
            return refused(format!("sink is {sink}, but a window of {window} has room for {room}"));
        }
        let prompts = config.dit.text.is_some();
        let route = self.route.unwrap_or(config.history.route.min(room));
        // A route that keeps all there is to see is dense.
        if route > if prompts { window } else { room } {
            return refused(format!("route keeps {route} frames, but a window of {window} shows {room}"));
        }
        let (route_sink, route_recent) = (self.route_sink.unwrap_or(0), self.route_recent.unwrap_or(1));
        if route > 0 && route_sink.saturating_add(route_recent) > route {
            return refused(format!(
                "a route of {route} frames does not hold the {route_sink} oldest and the {route_recent} newest"
            ));
        }
        if self.most_route > 0 {
            self.check_most_route(route, route_sink + route_recent, room)?;
        }
        let first = self.first_chunk.unwrap_or(chunk);
        if !(1..=chunk).contains(&first) {
            return refused(format!("the first chunk has {first} frames, expected 1 to {chunk}"));
        }
        if !(1..=MOST_QUEUED).contains(&self.queue) {
            return refused(format!("queue is {}; it must hold 1 to {MOST_QUEUED} frames", self.queue));
        }
        let context_timestep = self.context_noise.unwrap_or(config.schedule.context_noise);
        if !(0.0..1000.0).contains(&context_timestep) {
            return refused(format!("the context noise is {context_timestep}, expected from 0 to below 1000"));
        }
        let positions = self.positions.unwrap_or(config.history.positions);
        let own = Ring { window, every: 1, sink, chunk, positions };
        let past = Past { window, every: 1, route, most_route: self.most_route, route_sink, route_recent, kv: self.kv };
        let (mut rings, mut groups) = groups(&config.history, config.dit.layers, own, past)?;
        groups.descriptors = config.history.descriptors;
        if config.dit.game().is_some() {
            // Action modules see the frames that their layers see.
            groups.actions = Some(rings.len());
            groups.pasts.push(Past { route: 0, most_route: 0, route_sink: 0, route_recent: 0, ..past });
            rings.push(own);
            if !self.start_actions.is_empty() {
                return refused("a stream of this model starts from a picture, of which no actions are told".into());
            }
        }
        if self.recache && rings.len() > 1 {
            let what = "this model's layers keep different frames, and a recache computes one window anew";
            return refused(what.into());
        }
        let event = self.event(config)?;
        let (length, rows, slots) = self.prompts(config)?;
        let text = config.dit.text.map(|text| crate::config::TextConfig { length, ..text });
        let latent = self.latent(config, codec)?;
        let dit = DitConfig { chunk, latent, text: text.filter(|_| prompts), ..config.dit.clone() };
        let sampling = self.sampling(config)?;
        Ok(Settled {
            rings,
            groups,
            first,
            given: if prompts { [first, chunk] } else { [1, 1] },
            lists: lists(config, &sampling),
            sampling,
            context_timestep,
            event,
            length,
            rows,
            slots,
            recache: self.recache,
            limits: config.limits,
            health: config.health,
            // What encodes a world's picture is small; a Wan VAE remembers as much as it decodes.
            picture: codec.is_some_and(|codec| codec.encodes() && (!prompts || matches!(self.start, Start::Image(_)))),
            exact,
            dit,
        })
    }

    /// Whether routes may be changed up to `most_route` in a stream that begins with `route`, keeps so many frames by force and sees at most
    /// `room`.
    fn check_most_route(&self, route: usize, forced: usize, room: usize) -> Result<(), SessionError> {
        let most = self.most_route;
        let what = if most > room {
            format!("most_route is {most}, but at most {room} frames of history are seen")
        } else if route == 0 && most < room {
            format!("most_route is {most}; a stream that begins with all of its history needs {room}")
        } else if forced > most {
            format!("most_route is {most}, but {forced} frames are always kept")
        } else {
            return Ok(());
        };
        Err(SessionError::Option(what))
    }

    fn event(&self, config: &ModelConfig) -> Result<usize, SessionError> {
        let start = config.start.as_ref().and_then(|start| start.events.last().copied());
        let event = self.event.or(start).unwrap_or(0);
        if event >= config.dit.events.len().max(1) {
            return Err(SessionError::UnknownEvent { found: event, known: config.dit.events.join(", ") });
        }
        Ok(event)
    }

    /// Length, most rows and slots of prompts.
    fn prompts(&self, config: &ModelConfig) -> Result<(usize, usize, usize), SessionError> {
        let Some(text) = config.dit.text else {
            let asked = [self.prompt_slots, self.prompt_rows, self.prompt_length].into_iter().flatten().any(|n| n > 0);
            let no = "this model reads no prompts; `prompt_slots`, `prompt_rows` and `prompt_length` must be left out";
            return if asked { Err(SessionError::Option(no.into())) } else { Ok((0, 0, 0)) };
        };
        let length = self.prompt_length.unwrap_or(text.length);
        let rows = self.prompt_rows.unwrap_or(length);
        if !(1..=4096).contains(&length) || rows > length {
            let what = format!("{rows} rows of text do not fit a length of {length}; at most 4096");
            return Err(SessionError::Option(what));
        }
        let slots = self.prompt_slots.unwrap_or(1);
        if !(1..=MOST_SLOTS).contains(&slots) {
            return Err(SessionError::Option(format!("{slots} slots for prompts, expected 1 to {MOST_SLOTS}")));
        }
        Ok((length, rows, slots))
    }

    fn latent(&self, config: &ModelConfig, codec: Option<CodecSource<'_>>) -> Result<LatentConfig, SessionError> {
        let (latent, asked) = (config.dit.latent, self.size);
        let Some((width, height)) = asked.filter(|&size| size != config.picture()) else { return Ok(latent) };
        if config.dit.text.is_none() {
            let (w, h) = config.picture();
            let what = format!("a picture of {width} x {height}; this model makes {w} x {h} and no other");
            return Err(SessionError::Option(what));
        }
        // Patches of the denoiser must cover the latents.
        let scale = codec.map_or(config.codec.space_factor(), |codec| codec.space_factor());
        let [_, down, across] = config.dit.patch.map(|patch| patch * scale);
        if width == 0 || height == 0 || !width.is_multiple_of(across) || !height.is_multiple_of(down) {
            let what = format!("a picture of {width} x {height}; sides must be multiples of {across} and {down}");
            return Err(SessionError::Option(what));
        }
        Ok(LatentConfig { width: width / scale, height: height / scale, ..latent })
    }

    fn sampling(&self, config: &ModelConfig) -> Result<Sampling, SessionError> {
        let refused = |what: String| Err(SessionError::Option(what));
        if let Some(sampling) = &self.sampling {
            for schedule in [Some(&sampling.schedule), sampling.first.as_ref()].into_iter().flatten() {
                let numbers = schedule.sigmas.iter().chain(&schedule.timesteps);
                let falls = schedule.sigmas.windows(2).all(|pair| pair[1] < pair[0]);
                let sound = schedule.sigmas.iter().all(|sigma| (0.0..=1.0).contains(sigma) && *sigma > 0.0);
                let (steps, same) = (schedule.len(), schedule.len() == schedule.timesteps.len());
                if !same || !falls || !sound || !numbers.clone().all(|number| number.is_finite()) {
                    return refused(
                        "noise levels must fall from at most 1 and stay above 0, with a timestep each".into(),
                    );
                }
                if !(1..=MOST_STEPS).contains(&steps) {
                    return refused(format!("a schedule of {steps} steps, expected 1 to {MOST_STEPS}"));
                }
            }
            if !sampling.guidance.is_finite() {
                return refused(format!("guidance is {}, expected a number", sampling.guidance));
            }
            if sampling.guided() && config.dit.text.is_none() {
                return refused("guidance leads away from a negative prompt, and this model reads no prompts".into());
            }
            return Ok(sampling.clone());
        }
        let steps = self.steps.unwrap_or(config.schedule.default_steps);
        match config.schedule.sigmas(steps) {
            Some(sigmas) => {
                let first = config.schedule.first_sigmas().map(|sigmas| Schedule::of(&sigmas));
                Ok(Sampling { sampler: config.schedule.sampler, first, ..Sampling::few(&sigmas) })
            }
            None => {
                let known: Vec<_> = config.schedule.steps.keys().map(|n| format!("{n}")).collect();
                refused(format!("steps is {steps}; this model has step lists for {}", known.join(", ")))
            }
        }
    }
}

/// The step lists that a stream may change between, the longest first: all of the model's where it is sampled by one of them.
fn lists(config: &ModelConfig, sampling: &Sampling) -> Vec<Schedule> {
    let steps = config.schedule.steps.keys().rev();
    let all: Vec<_> = steps.filter_map(|&steps| Some(Schedule::of(&config.schedule.sigmas(steps)?))).collect();
    let plain = sampling.sampler == config.schedule.sampler && sampling.first.is_none();
    if plain && all.contains(&sampling.schedule) { all } else { vec![sampling.schedule.clone()] }
}

/// The rings of all groups of layers, and which layer has which; `own` and `past` are of those that the file does not name.
fn groups(history: &HistoryConfig, layers: usize, own: Ring, past: Past) -> Result<(Vec<Ring>, Groups), SessionError> {
    let (mut rings, mut groups) = (vec![own], Groups::from(past));
    for GroupConfig { layers: named, window, sink, every, route } in &history.groups {
        let (window, every, route) = (*window, *every, *route);
        let room = window.saturating_sub(own.chunk.div_ceil(every));
        if room < 1 || *sink > room || route > room {
            return Err(SessionError::Option(format!(
                "chunks of {} frames leave room for {room} more in the window of {window} of layers {named:?}, which need {}",
                own.chunk,
                1.max(*sink).max(route)
            )));
        }
        groups.layers.resize(layers, 0);
        named.iter().for_each(|&layer| groups.layers[layer] = rings.len());
        rings.push(Ring { window, every, sink: *sink, ..own });
        groups.pasts.push(Past {
            window,
            every,
            route,
            most_route: 0,
            route_sink: 0,
            route_recent: past.route_recent.min(route),
            ..past
        });
    }
    Ok((rings, groups))
}
