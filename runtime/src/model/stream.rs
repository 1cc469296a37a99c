//! The plan of a stream: a causal denoiser, perhaps a codec, and the programs that a session walks.
//!
//! One function writes them for every model. What differs from model to model is in the configuration: which conditions the denoiser reads,
//! how many frames a chunk has, what its answer means, which codec there is.

use alloc::{format, vec, vec::Vec};

use causeway_ops::{
    BufferId, GROUPS, Kv, Plan, PlanBuilder,
    op::{Copy, Gather, Noise, Scatter, Solve, ToPixels},
    plan::{BufferKind, Element, PassId},
};

use super::{
    Conditions, Group, Groups, Levels, ModelError, Past,
    codec::{Codec, CodecSource, Frames},
    decoder::check_size,
    denoiser::Denoiser,
    program::{Level, Program, Programs, Recaching, Side, Step, Then},
};
use crate::{
    config::{DitConfig, LatentConfig, Prediction},
    sampler::Sampler,
};

/// What a stream's plan depends on.
#[derive(Clone, Debug)]
pub struct StreamShape<'a> {
    /// The denoiser, for the size of latents and of chunks that the stream has.
    pub dit: &'a DitConfig,
    /// Frames of the first chunk, at most `dit.chunk`.
    pub first: usize,
    /// Frames of those given that are committed at once: the first time, and later. At most a chunk.
    pub given: [usize; 2],
    /// What the stream's layers keep of their past.
    pub groups: Groups,
    /// Rows of text, the one that stands for padding included.
    pub text_rows: usize,
    /// Whether there is a second ring, of the negative prompt.
    pub guided: bool,
    /// What can be computed anew; nothing if empty.
    pub recache: Vec<Recache>,
    /// Timesteps that passes are told.
    pub levels: Levels,
    /// How latents are stepped.
    pub sampler: Sampler,
    /// The host gives all noise, and can read the flow.
    pub exact: bool,
    /// What makes pictures; without it a stream gives latents.
    pub codec: Option<CodecSource<'a>>,
    /// Whether a picture may be given.
    pub picture: bool,
}

/// Passes that compute frames of the window anew, all at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recache {
    /// History that they see: the sink, where it keeps what it has.
    pub history: usize,
    /// How many frames there can be.
    pub frames: Vec<usize>,
}

/// Latents of the newest frames, from which keys and values can be computed anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recent {
    /// Rows u32 [window] that a pass takes latents from or puts them to.
    pub table: BufferId,
    /// Rows that frames lie in: as many as the window has.
    pub rows: usize,
}

/// Where recent frames are remembered, a row for each.
struct Memories {
    recent: Recent,
    latents: BufferId,
    /// What it was told, and the frame before its chunk, where the model reads them.
    actions: Option<BufferId>,
    previous: Option<BufferId>,
}

/// A plan and the buffers that a session touches.
#[derive(Clone, Debug)]
pub struct StreamPlan {
    /// The plan.
    pub plan: Plan,
    /// What a session runs.
    pub programs: Programs,
    /// Normalised latents of the frames in flight [most frames of a pass, height, width, channels].
    pub latents: BufferId,
    /// The groups of its layers, and their tables.
    pub groups: Vec<Group>,
    /// The last committed latent frame, where the model reads it.
    pub previous: Option<BufferId>,
    /// What the model is told.
    pub conditions: Conditions,
    /// As the text's own, of the negative prompt.
    pub negative_offsets: Option<BufferId>,
    /// Where there is something to compute anew.
    pub recent: Option<Recent>,
    /// What the host is given: RGBA8 [height, width], or a latent frame [height, width, channels].
    pub output: BufferId,
    /// The latent frame that is being shown [height, width, channels].
    pub picked: BufferId,
    /// Latents of the frames in flight once they are clean [chunk, height, width, channels], and `preferences` values behind them.
    pub finished: BufferId,
    /// How many ages of what heads prefer there are: two of each head that is asked.
    pub preferences: usize,
    /// RGBA8 input.
    pub image: Option<BufferId>,
    /// Of an exact stream.
    pub exact: Option<Exact>,
    /// Pictures, or latent frames, that the host is given for the stream's first latent frame, and for every other.
    pub pictures: [usize; 2],
}

/// What the host of an exact stream writes and reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exact {
    /// Fresh noise of a step [chunk, height, width, channels].
    pub fresh: BufferId,
    /// The flow under the prompt [chunk, height, width, channels].
    pub flow: BufferId,
    /// Timestep sinusoids [most frames of a pass, freq_dim], of a network that is not told levels by a table.
    pub sinusoids: Option<BufferId>,
}

/// The passes over so many frames.
#[derive(Clone, Debug)]
struct Passes {
    frames: usize,
    /// None of an exact stream.
    noise: Option<PassId>,
    denoise: Vec<PassId>,
    judge: PassId,
    commit: Vec<PassId>,
}

/// The passes between latents and what the host is given.
struct Shown {
    /// A frame of the chunk to where the next pass finds it.
    pick: Vec<PassId>,
    /// The stream's first latent frame, and any other, to pictures; nothing without a codec.
    decode: Vec<PassId>,
    /// Each picture to the output.
    show: Vec<PassId>,
    /// How often the stream's first latent frame is decoded before that, and how many pictures that makes.
    warmup: usize,
    made: usize,
    pictures: [usize; 2],
}

impl StreamPlan {
    /// Emits the plan.
    ///
    /// # Errors
    /// [`ModelError`] where the shape cannot be, or the model asks for what this build cannot run.
    pub fn new(shape: &StreamShape<'_>) -> Result<Self, ModelError> {
        let mut maker = Maker::new(shape)?;
        let mut programs = Programs::default();
        for (side, dit) in maker.sides.iter().enumerate().filter(|(_, dit)| dit.conditioned()) {
            let pass = maker.b.pass(format!("condition{}", maker.names[side]));
            dit.condition(&mut maker.b)?;
            programs.condition.push(Program { frames: 0, steps: [Step::plain(pass)].into(), droppable: 1 });
        }
        let made = [shape.dit.chunk, shape.first];
        // A saved game may begin in the midst of a chunk.
        let wanted = |frames: &usize| *frames == 1 || made.contains(frames) || shape.given.contains(frames);
        let counts = (1..=shape.dit.chunk).rev().filter(wanted);
        let passes: Vec<Passes> = counts.map(|frames| maker.passes(frames, made.contains(&frames))).collect();
        let of = |frames: usize| passes.iter().find(|passes| passes.frames == frames).ok_or_else(faulty);
        let shown = maker.shown()?;
        programs.chunk = [chunk(of(shape.first)?, &shown, true), chunk(of(shape.dit.chunk)?, &shown, false)];
        programs.given = [given(of(shape.given[0])?, &shown, true), given(of(shape.given[1])?, &shown, false)];
        if let Some(steps) = maker.picture(shape.given[0])? {
            let rest = given(of(shape.given[0])?, &shown, true);
            // Of one frame: what makes the first of them. A codec whose first frame is another's is no encoder of a still one.
            let alike = shown.pictures[0] == shown.pictures[1];
            if let (Some(one), true, 1) = (steps.get(..2), alike, shape.given[1]) {
                let rest = given(of(1)?, &shown, false);
                programs.placed = Some(Program { steps: [one, &rest.steps].concat(), ..rest });
            }
            programs.picture = Some(Program { steps: [steps, rest.steps].concat(), ..rest });
        }
        let sizes = if shape.dit.chunk > 1 { vec![1, shape.dit.chunk] } else { vec![1] };
        for frames in sizes {
            programs.restore.push(restored(of(frames)?, &shown));
        }
        programs.recache = maker.recache();
        maker.finish(programs, shown.pictures)
    }

    /// The pass called so, for tools.
    pub fn pass(plan: &Plan, name: &str) -> Option<PassId> {
        plan.passes.iter().position(|pass| pass.name == name).map(|at| PassId(at as u32))
    }
}

/// Whether there can be such groups of layers for chunks of so many frames.
fn check_groups(groups: &Groups, chunk: usize) -> Result<(), ModelError> {
    let unsupported = |what| Err(ModelError::Unsupported(what));
    let count = groups.pasts.len();
    if !(1..=GROUPS).contains(&count) || groups.layers.iter().any(|&group| group >= count) {
        return unsupported(format!(
            "{count} groups of layers, of at most {GROUPS}, and layers of {:?}",
            groups.layers
        ));
    }
    for &Past { window, every, .. } in &groups.pasts {
        if every == 0 || window < chunk.div_ceil(every) {
            return unsupported(format!("chunks of {chunk} frames in a window of {window} that keeps every {every}th"));
        }
    }
    Ok(())
}

fn faulty() -> ModelError {
    ModelError::Unsupported("a stream without passes".into())
}

/// Noise, denoise steps, pictures, commit.
fn chunk(passes: &Passes, shown: &Shown, first: bool) -> Program {
    let mut steps: Vec<Step> = passes.noise.iter().map(|&pass| Step::plain(pass)).collect();
    let from = steps.len();
    steps.extend(passes.denoise.iter().map(|&pass| Step { level: Level::Step, ..Step::plain(pass) }));
    if let Some(last) = steps.last_mut() {
        last.then = Then::Again(from);
    }
    let rest = given(passes, shown, first);
    // Nothing is remembered before it was looked at; decoding changes what the codec remembers.
    let droppable = steps.len() + 1;
    steps.extend(rest.steps);
    Program { steps, droppable, ..rest }
}

/// The codec's memory, commit.
fn restored(passes: &Passes, shown: &Shown) -> Program {
    let seen = shown.pick.iter().take(passes.frames).flat_map(|pick| [pick].into_iter().chain(shown.decode.last()));
    let steps = seen.chain(&passes.commit).map(|&pass| Step::plain(pass)).collect();
    Program { frames: passes.frames, steps, droppable: 0 }
}

/// Pictures, commit.
fn given(passes: &Passes, shown: &Shown, first: bool) -> Program {
    let mut steps = Vec::from([Step { then: Then::Judge, ..Step::plain(passes.judge) }]);
    for frame in 0..passes.frames {
        steps.push(Step::plain(shown.pick[frame]));
        let first = first && frame == 0;
        let decode = if first { shown.decode.first() } else { shown.decode.last() };
        let runs = if first { 1 + shown.warmup } else { 1 };
        steps.extend(decode.into_iter().flat_map(|&pass| core::iter::repeat_n(Step::plain(pass), runs)));
        // Of a stream's first latent frame the last of its pictures, unless all are.
        let skip = if first { shown.made - shown.pictures[0] } else { 0 };
        let made = if first { shown.made } else { shown.show.len() };
        let given = shown.show.iter().take(made).skip(skip);
        steps.extend(given.map(|&pass| Step { then: Then::Give, ..Step::plain(pass) }));
        if shown.decode.is_empty() {
            steps.last_mut().into_iter().for_each(|step| step.then = Then::Give);
        }
    }
    steps.extend(passes.commit.iter().map(|&pass| Step::plain(pass)));
    Program { frames: passes.frames, steps, droppable: 0 }
}

/// Emits the parts of a plan.
struct Maker<'a> {
    shape: &'a StreamShape<'a>,
    b: PlanBuilder,
    /// The denoiser under the prompt, and under the negative one.
    sides: Vec<Denoiser<'a>>,
    names: [&'static str; 2],
    len: usize,
    latents: BufferId,
    /// What the two answer, where more than one pass reads it.
    answers: Vec<BufferId>,
    fresh: Option<BufferId>,
    /// What a sampler of several steps remembers.
    past: Option<[BufferId; 3]>,
    memories: Option<Memories>,
    codec: Option<Codec<'a>>,
    output: BufferId,
    finished: BufferId,
    image: Option<BufferId>,
    /// The latent frame that is shown.
    picked: BufferId,
}

impl<'a> Maker<'a> {
    fn new(shape: &'a StreamShape<'a>) -> Result<Self, ModelError> {
        let config = shape.dit;
        let (chunk, len) = (config.chunk, config.latent_len());
        let LatentConfig { height, width, channels } = config.latent;
        let unsupported = |what| Err(ModelError::Unsupported(what));
        check_size((height, width))?;
        if !len.is_multiple_of(4) {
            return unsupported(format!("a latent frame of {len} values, which is not a multiple of 4"));
        }
        let counts = [shape.first, shape.given[0], shape.given[1]];
        check_groups(&shape.groups, chunk)?;
        let window = shape.groups.pasts[0].window;
        if counts.iter().any(|frames| !(1..=chunk).contains(frames)) {
            return unsupported(format!("chunks of {chunk} frames, and {counts:?} of them"));
        }
        if let Some(theirs) = shape.codec.map(|codec| codec.channels()).filter(|&theirs| theirs != channels) {
            return unsupported(format!("it makes latents of {channels} channels, the codec takes {theirs}"));
        }
        if !shape.recache.is_empty() && shape.groups.pasts.len() > 1 {
            return unsupported("a recache of layers whose windows differ".into());
        }
        let recached = shape.recache.iter().flat_map(|recache| &recache.frames).max().copied();
        let most = chunk.max(recached.unwrap_or(0));
        let mut b = PlanBuilder::new();
        // Who rounds what is remembered may round what lives for a moment.
        b.halves(shape.groups.pasts.iter().any(|past| past.kv != Kv::F32));
        let latents = b.state("latents", most * len);
        let dit = Denoiser::new(&mut b, config, &shape.groups, shape.text_rows, most, &shape.levels)?;
        let names = ["", ".negative"];
        let negative = shape.guided.then(|| dit.beside(&mut b, names[1]));
        let sides: Vec<Denoiser<'_>> = [Some(dit), negative].into_iter().flatten().collect();
        let answer = |b: &mut PlanBuilder, name| {
            b.buffer(format!("flow_out{name}"), Element::F32, chunk * len, BufferKind::Output)
        };
        let kept = if shape.guided { 2 } else { usize::from(shape.exact) };
        let answers = names[..kept].iter().map(|name| answer(&mut b, name)).collect();
        let fresh = shape.exact.then(|| b.buffer("fresh", Element::F32, chunk * len, BufferKind::Input));
        let past = (shape.sampler == Sampler::UniPc)
            .then(|| ["from", "newer", "older"].map(|name| b.state(name, chunk * len)));
        let memories = recached.map(|_| {
            let table = b.buffer("recent_rows", Element::U32, window, BufferKind::Input);
            let actions =
                sides[0].conditions().actions.map(|_| b.state("recent_actions", window * config.actions.len()));
            let previous = sides[0].previous().map(|_| b.state("recent_previous", window * len));
            Memories {
                recent: Recent { table, rows: window },
                latents: b.state("recent", window * len),
                actions,
                previous,
            }
        });
        let codec = shape.codec.map(|source| Codec::new(&mut b, source, config.latent));
        let pixels = shape.codec.map_or(0, |codec| codec.space_factor().pow(2) * height * width);
        let (output, picked) = match &codec {
            Some(_) => (b.buffer("pixels", Element::U32, pixels, BufferKind::Output), b.state("latent", len)),
            None => {
                let latent = b.buffer("latent", Element::F32, len, BufferKind::Output);
                (latent, latent)
            }
        };
        let preferences = sides[0].preferences().map_or(0, |_| config.preferences());
        let finished = b.buffer("finished", Element::F32, chunk * len + preferences, BufferKind::Output);
        let image =
            (shape.picture && codec.is_some()).then(|| b.buffer("image", Element::U32, pixels, BufferKind::Input));
        Ok(Self {
            shape,
            b,
            sides,
            names,
            len,
            latents,
            answers,
            fresh,
            past,
            memories,
            codec,
            output,
            finished,
            image,
            picked,
        })
    }

    /// Emits the passes over `frames` frames, which are `made` or only given.
    fn passes(&mut self, frames: usize, made: bool) -> Passes {
        let all = frames == self.shape.dit.chunk;
        let which = if all { "".into() } else { format!(".{frames}") };
        let (latents, len, names) = (self.latents, self.len, self.names);
        let noise = (made && !self.shape.exact).then(|| {
            let pass = self.b.pass(format!("noise{which}"));
            self.b.push(Noise { y: latents, frames, len });
            pass
        });
        let mut denoise = Vec::new();
        for (side, name) in names.iter().enumerate().take(if made { self.sides.len() } else { 0 }) {
            denoise.push(self.b.pass(format!("denoise{which}{name}")));
            let answer = self.sides[side].denoise(&mut self.b, latents, frames);
            if let Some(&y) = self.answers.get(side) {
                self.b.push(Copy { x: answer, x_offset: 0, y, y_offset: 0, len: frames * len });
            }
            if !self.shape.guided {
                self.solve(answer, None, frames);
            }
        }
        if let (true, [v, u]) = (made && self.shape.guided, self.answers.as_slice()) {
            let (v, u) = (*v, *u);
            denoise.push(self.b.pass(format!("solve{which}")));
            self.solve(v, Some(u), frames);
        }
        let judge = self.b.pass(format!("judge{which}"));
        self.b.push(Copy { x: latents, x_offset: 0, y: self.finished, y_offset: 0, len: frames * len });
        if let Some(x) = self.sides[0].preferences() {
            let (y_offset, len) = (self.shape.dit.chunk * len, self.shape.dit.preferences());
            self.b.push(Copy { x, x_offset: 0, y: self.finished, y_offset, len });
        }
        let mut commit = Vec::new();
        for (side, name) in names.iter().enumerate().take(self.sides.len()) {
            commit.push(self.b.pass(format!("commit{which}{name}")));
            self.sides[side].commit(&mut self.b, latents, frames);
            if side == 0 {
                self.remember(frames);
            }
        }
        Passes { frames, noise, denoise, judge, commit }
    }

    fn solve(&mut self, v: BufferId, negative: Option<BufferId>, frames: usize) {
        let clean = self.shape.dit.prediction == Prediction::Clean;
        let (x, fresh, past, len) = (self.latents, self.fresh, self.past, self.len);
        self.b.push(Solve { x, v, negative, clean, fresh, past, frames, len });
    }

    /// Emits what is kept of committed frames beside their keys and values.
    fn remember(&mut self, frames: usize) {
        let (x, len) = (self.latents, self.len);
        if let Some(Memories { recent: Recent { table, rows }, latents: y, actions, previous }) = self.memories {
            let put = Scatter { x, x_offset: 0, table, offset: 0, y, rows: frames, slots: rows, len };
            self.b.push(put.clone());
            if let (Some(x), Some(y)) = (self.sides[0].conditions().actions, actions) {
                self.b.push(Scatter { x, y, len: self.shape.dit.actions.len(), ..put.clone() });
            }
            if let (Some(x), Some(y)) = (self.sides[0].previous(), previous) {
                (0..frames).for_each(|offset| self.b.push(Scatter { x, y, offset, rows: 1, ..put.clone() }));
            }
        }
        if let Some(previous) = self.sides[0].previous() {
            self.b.push(Copy { x, x_offset: (frames - 1) * len, y: previous, y_offset: 0, len });
        }
    }

    /// Emits the passes from latents to what the host is given.
    fn shown(&mut self) -> Result<Shown, ModelError> {
        let (latents, picked, len, output) = (self.latents, self.picked, self.len, self.output);
        let b = &mut self.b;
        let pick = (0..self.shape.dit.chunk).map(|frame| {
            let pass = b.pass(format!("pick.{frame}"));
            b.push(Copy { x: latents, x_offset: frame * len, y: picked, y_offset: 0, len });
            pass
        });
        let pick = pick.collect();
        let (Some(codec), Some(source)) = (&mut self.codec, self.shape.codec) else {
            let (decode, show, pictures) = (Vec::new(), Vec::new(), [1, 1]);
            return Ok(Shown { pick, decode, show, warmup: 0, made: 1, pictures });
        };
        let mut frames = Frames::new(source.time_factor());
        let (mut decode, mut made) = (Vec::new(), None);
        let names: &[_] =
            if codec.begins_apart() { &[("decode.first", true), ("decode", false)] } else { &[("decode", false)] };
        for &(name, first) in names {
            decode.push(b.pass(name));
            frames.taken = 0;
            codec.decode(b, picked, first, &mut |b, frame| frames.take(b, frame));
            made.get_or_insert(frames.taken);
        }
        let Some((x, [height, width])) = frames.output else {
            return Err(ModelError::Unsupported("a codec without pictures".into()));
        };
        let (patch, black) = (codec.patch, codec.black);
        let values = 3 * patch * patch * height * width;
        let mut show: Vec<PassId> = Vec::new();
        for picture in 0..source.time_factor() {
            show.push(b.pass(format!("show.{picture}")));
            b.push(ToPixels { x, x_offset: picture * values, y: output, height, width, patch, black });
        }
        let pictures = [source.first_pictures(), source.time_factor()];
        let made = made.unwrap_or(1).max(pictures[0]);
        Ok(Shown { pick, decode, show, warmup: source.warmup(), made, pictures })
    }

    /// Emits the passes of a picture that stands still for `frames` latent frames; their steps.
    fn picture(&mut self, frames: usize) -> Result<Option<Vec<Step>>, ModelError> {
        let (Some(image), Some(codec)) = (self.image, &mut self.codec) else { return Ok(None) };
        let (b, picked, latents, len) = (&mut self.b, self.picked, self.latents, self.len);
        let (mut steps, mut encode) = (Vec::new(), None);
        for frame in 0..frames {
            let first = frame == 0;
            let pass = match encode.filter(|_| frame > 1) {
                Some(pass) => pass,
                None => {
                    let pass = b.pass(if first { "encode" } else { "encode.next" });
                    codec.encode(b, image, first, picked)?;
                    pass
                }
            };
            encode = Some(pass);
            let place = b.pass(format!("place.{frame}"));
            b.push(Copy { x: picked, x_offset: 0, y: latents, y_offset: frame * len, len });
            steps.extend([pass, place].map(Step::plain));
        }
        Ok(Some(steps))
    }

    /// Emits the passes that compute frames anew.
    fn recache(&mut self) -> Vec<Recaching> {
        let Some(Memories { recent: Recent { table, rows }, latents: x, actions, previous }) = self.memories else {
            return Vec::new();
        };
        let (latents, len, names, entries) = (self.latents, self.len, self.names, self.shape.dit.actions.len());
        let mut all = Vec::new();
        for Recache { history, frames } in &self.shape.recache {
            for &frames in frames {
                let mut steps = Vec::new();
                for (side, name) in names.iter().enumerate().take(self.sides.len()) {
                    let b = &mut self.b;
                    steps.push(Step::plain(b.pass(format!("recache.{history}.{frames}{name}"))));
                    let take = Gather { x, table, offset: 0, y: latents, rows: frames, slots: rows, len };
                    let mut taken = |x, name, len| {
                        let y = b.scratch(name, frames * len);
                        b.push(Gather { x, y, len, ..take.clone() });
                        y
                    };
                    let actions = actions.map(|x| taken(x, "actions_then", entries));
                    let previous = previous.map(|x| taken(x, "previous_then", len));
                    b.push(take);
                    self.sides[side].seeing(*history, actions, previous).commit(b, latents, frames);
                }
                all.push(Recaching { history: *history, program: Program { frames, droppable: steps.len(), steps } });
            }
        }
        all
    }

    fn finish(self, programs: Programs, pictures: [usize; 2]) -> Result<StreamPlan, ModelError> {
        let dit = &self.sides[0];
        let negative = self.sides.get(Side::Negative as usize).and_then(|dit| dit.conditions().text);
        let given = self.fresh.zip(self.answers.first().copied());
        let exact = given.map(|(fresh, flow)| Exact { fresh, flow, sinusoids: dit.sinusoids() });
        Ok(StreamPlan {
            programs,
            latents: self.latents,
            groups: dit.groups().to_vec(),
            previous: dit.previous(),
            conditions: dit.conditions(),
            negative_offsets: negative.map(|text| text.offsets),
            recent: self.memories.map(|memories| memories.recent),
            output: self.output,
            picked: self.picked,
            finished: self.finished,
            preferences: dit.preferences().map_or(0, |_| self.shape.dit.preferences()),
            image: self.image,
            exact,
            pictures,
            plan: self.b.build()?,
        })
    }
}
