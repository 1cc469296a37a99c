//! How a stream of a Wan model runs: what `rollout` and `generate` share.

use std::path::Path;

use causeway_runtime::{
    Device, EventTime, Session, SessionError, SessionOptions,
    config::{ModelConfig, Positions, ScheduleConfig},
    import::Checkpoint,
    sampler::{Sampler, Sampling, Schedule},
    session::{Change, Condition, Sink, Way},
};

use crate::{
    command::convert::{self, Steps},
    error::Error,
    options::kv::Kv,
};

/// Options of a stream.
#[derive(Clone, Debug, clap::Args)]
pub struct StreamArgs {
    /// Unwarped timesteps [default: the model's]
    #[arg(long, value_name = "T,T,...", value_parser = convert::steps)]
    steps: Option<Steps>,
    /// Own unwarped timesteps of the first chunk
    #[arg(long, value_name = "T,T,...", value_parser = convert::steps)]
    first_steps: Option<Steps>,
    /// How latents are stepped; `few` is a distilled student's [default: the model's, through its list of steps]
    #[arg(long, value_enum)]
    sampler: Option<SamplerName>,
    /// Steps of Euler and UniPC
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    steps_count: u16,
    /// Guidance away from the tensor `negative`; 1 for none
    #[arg(long, default_value_t = 1.0, value_name = "G")]
    guidance: f32,
    /// Timestep shift [default: the model's]
    #[arg(long, value_name = "X")]
    shift: Option<f32>,
    /// Timestep at which the commit pass sees clean frames [default: the model's]
    #[arg(long, value_name = "T")]
    context_noise: Option<f32>,
    /// Latent frames denoised together [default: the model's]
    #[arg(long, value_name = "N")]
    pub chunk: Option<usize>,
    /// Frames of the first chunk [default: as of all others]
    #[arg(long, value_name = "N")]
    first_chunk: Option<usize>,
    /// Latent frames attention sees, sink and chunk included; -1 for all [default: the model's]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(-1..=4096))]
    window: Option<i64>,
    /// First frames that stay in the window [default: the model's]
    #[arg(long, value_name = "N")]
    sink: Option<usize>,
    /// History frames a query attends to; 0 for all [default: the model's]
    #[arg(long, value_name = "K")]
    route: Option<usize>,
    /// Of these, oldest visible frames that are always kept
    #[arg(long, value_name = "N")]
    route_sink: Option<usize>,
    /// Newest frames that are always kept [default: 1]
    #[arg(long, value_name = "N")]
    route_recent: Option<usize>,
    /// Change to the next prompt (context2, ...) at the first chunk from this latent frame on, and what becomes of the ring: recache, keep
    /// or reset; frames must rise from one to the next
    #[arg(long, value_name = "FRAME:HOW", value_parser = switch)]
    switch: Vec<At>,
    /// Chunks over which a prompt goes over into the next
    #[arg(long, default_value_t = 1, value_name = "N")]
    blend: usize,
    /// A recache makes the window's oldest frames the sink instead of protecting the old one
    #[arg(long)]
    refresh_sink: bool,
    /// Number visible frames from 0 on
    #[arg(long)]
    compact: bool,
    /// Rows that the context is padded to [default: the model's]
    #[arg(long, value_name = "N")]
    text_len: Option<usize>,
    /// Type of the ring of keys and values
    #[arg(long, value_enum, default_value_t = Kv::F32)]
    kv: Kv,
    /// Plain scalar arithmetic on the CPU: the same bits on every one, slowly
    #[arg(long)]
    pub strict: bool,
}

/// A sampler by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum SamplerName {
    /// Guess the clean latents, add fresh noise of the next level.
    Few,
    /// Straight along the flow.
    Euler,
    /// UniPC of order 2.
    Unipc,
}

/// When a prompt changes, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct At {
    frame: u64,
    how: Way,
}

fn switch(text: &str) -> Result<At, String> {
    let at = text.split_once(':').and_then(|(frame, how)| {
        let how = match how {
            "recache" => Way::Recache,
            "keep" => Way::Keep,
            "reset" => Way::Reset,
            _ => return None,
        };
        Some(At { frame: frame.parse().ok()?, how })
    });
    at.ok_or_else(|| "expected a frame and recache, keep or reset, such as 40:recache".to_owned())
}

/// Text embeddings of a stream.
#[derive(Default)]
pub struct Prompts {
    /// `context`, then `context2` and so on, each [n, dim].
    pub texts: Vec<Vec<f32>>,
    /// `negative` [n, dim], what guidance leads away from.
    pub negative: Option<Vec<f32>>,
    /// Values of a row.
    pub dim: usize,
}

impl Prompts {
    /// Reads the prompts of the safetensors file `path`.
    ///
    /// # Errors
    /// A file that cannot be read, no `context`, prompts of different widths.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::of(&Checkpoint::open(path).map_err(Error::import(path))?, path)
    }

    /// The prompts of an opened file.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn of(file: &Checkpoint, path: &Path) -> Result<Self, Error> {
        let refuse = |what: String| Error::Usage(format!("{}: {what}", path.display()));
        let mut dim = None;
        let mut prompt = |name: &str| {
            let Some(entry) = file.entries().iter().find(|entry| entry.name == name) else { return Ok(None) };
            let width = dim.map_or("text_dim".to_owned(), |dim: usize| dim.to_string());
            match entry.shape[..] {
                [_, found] if dim.is_none_or(|dim| dim == found) => dim = Some(found),
                _ => return Err(refuse(format!("{name} must be [n, {width}], but the tensor is {:?}", entry.shape))),
            }
            file.read_all(entry).map(Some).map_err(Error::import(path))
        };
        // A game's context is the features of a picture.
        let first = match prompt("image_context")? {
            Some(picture) => picture,
            None => prompt("context")?.ok_or_else(|| refuse("there is no tensor `context`".into()))?,
        };
        let mut texts = vec![first];
        while let Some(text) = prompt(&format!("context{}", texts.len() + 1))? {
            texts.push(text);
        }
        let negative = prompt("negative")?;
        Ok(Self { texts, negative, dim: dim.unwrap_or(0) })
    }
}

/// Where chunks begin in a stream.
pub struct Chunks {
    /// Latent frames of the first chunk.
    first: u64,
    /// Of every other.
    chunk: u64,
    /// Clean latent frames that the stream begins with; no prompt changes in them.
    given: u64,
    /// All latent frames that are made or given.
    frames: u64,
}

impl Chunks {
    /// The first place from `frame` on where a prompt can change; `None` beyond the last chunk.
    fn boundary(&self, frame: u64) -> Option<u64> {
        let start = match frame.max(self.given) {
            0 => 0,
            at if at <= self.first => self.first,
            at => (at - self.first).checked_next_multiple_of(self.chunk)?.checked_add(self.first)?,
        };
        Some(start).filter(|&start| start < self.frames)
    }
}

/// Slots for prompts: two in turn, and one for the negative prompt.
const SLOTS: usize = 3;
const NEGATIVE: usize = 2;

/// The changes of prompt that are still to come.
pub struct Switches<'a> {
    rest: std::iter::Peekable<std::iter::Zip<std::slice::Iter<'a, At>, std::slice::Iter<'a, Vec<f32>>>>,
    chunks: Chunks,
    blend: usize,
    sink: Sink,
    /// Slot of the next prompt.
    slot: usize,
}

impl Switches<'_> {
    /// Queues the next changes of prompt, as many as there are slots for; to be called now and then.
    ///
    /// # Errors
    /// A prompt that does not fit the session.
    pub fn feed(&mut self, session: &mut Session) -> Result<(), Error> {
        while let Some(&(at, text)) = self.rest.peek() {
            match session.set_prompt(self.slot, text) {
                Err(SessionError::SlotInUse(_)) => break,
                result => result?,
            }
            let start = self.chunks.boundary(at.frame).unwrap_or(at.frame);
            let change = Change::to(Condition::Prompt(self.slot));
            let time = EventTime::Frame(session.picture_of(start));
            session.queue(Change { way: at.how, sink: self.sink, chunks: self.blend, time, ..change })?;
            self.slot = 1 - self.slot;
            self.rest.next();
        }
        Ok(())
    }
}

impl StreamArgs {
    /// Options of a stream of `frames` latent frames of a model of this configuration, on a device.
    ///
    /// # Errors
    /// As many prompts as changes and one more are expected; prompts that the model does not read; settings out of range.
    pub fn options(
        &self,
        config: &ModelConfig,
        device: &Device,
        prompts: &Prompts,
        frames: usize,
    ) -> Result<SessionOptions, Error> {
        if config.dit.text.is_none() {
            return self.unprompted(config, device, prompts, frames);
        }
        let count = prompts.texts.len();
        if self.switch.len() + 1 != count {
            return Err(Error::Usage(format!(
                "there are {count} prompts (context, context2, ...), but --switch is given {} times",
                self.switch.len()
            )));
        }
        let dim = config.dit.text.map_or(0, |text| text.dim);
        if prompts.dim != dim {
            let what = format!("the prompt has rows of {}, the model takes {dim}", prompts.dim);
            return Err(Error::Usage(what));
        }
        let rows = prompts.texts.iter().chain(&prompts.negative).map(|text| text.len() / dim.max(1));
        Ok(SessionOptions {
            recache: self.switch.iter().any(|at| at.how == Way::Recache),
            // A picture's features are not padded.
            prompt_length: if config.dit.game().is_some() { rows.clone().max() } else { self.text_len },
            prompt_rows: rows.max(),
            prompt_slots: Some(SLOTS),
            ..self.plain(config, device, frames)?
        })
    }

    /// The same of a model that reads no prompts.
    fn unprompted(
        &self,
        config: &ModelConfig,
        device: &Device,
        prompts: &Prompts,
        frames: usize,
    ) -> Result<SessionOptions, Error> {
        if !self.switch.is_empty() || self.guided() || !prompts.texts.is_empty() || self.text_len.is_some() {
            let what = "this model reads no prompts: `context`, --switch, --guidance and --text-len must be left out";
            return Err(Error::Usage(what.to_owned()));
        }
        self.plain(config, device, frames)
    }

    /// What does not depend on prompts.
    fn plain(&self, config: &ModelConfig, device: &Device, frames: usize) -> Result<SessionOptions, Error> {
        Ok(SessionOptions {
            window: match self.window {
                Some(-1) => Some(frames),
                Some(window) => Some(window as usize),
                None => None,
            },
            sink: self.sink,
            chunk: self.chunk,
            first_chunk: self.first_chunk,
            route: self.route,
            route_sink: self.route_sink,
            route_recent: self.route_recent,
            kv: self.kv.on(device),
            sampling: Some(self.sampling(&config.schedule)?),
            positions: self.compact.then_some(Positions::Compact),
            context_noise: self.context_noise,
            ..SessionOptions::default()
        })
    }

    /// Where chunks begin in a stream of `frames` latent frames, `given` of them clean, by a model of `chunk` frames.
    pub fn chunks(&self, chunk: usize, given: usize, frames: usize) -> Chunks {
        let chunk = self.chunk.unwrap_or(chunk).max(1);
        let first = self.first_chunk.unwrap_or(chunk).max(1);
        Chunks { first: first as u64, chunk: chunk as u64, given: given as u64, frames: frames as u64 }
    }

    /// Refuses changes of prompt that leave one of the prompts unseen.
    ///
    /// # Errors
    /// Frames that do not rise, two changes in one chunk, a change before anything is seen or after all.
    pub fn check_switches(&self, chunks: &Chunks) -> Result<(), Error> {
        let refuse = |what: String| Err(Error::Usage(what));
        let mut last = None;
        for (number, &At { frame, .. }) in self.switch.iter().enumerate() {
            let prompt = |number: usize| if number == 0 { "context".into() } else { format!("context{}", number + 1) };
            let (before, next) = (prompt(number), prompt(number + 1));
            if let Some((_, earlier)) = last.filter(|&(_, earlier)| frame <= earlier) {
                return refuse(if frame == earlier {
                    format!("--switch {frame} is given twice: {before} would not be seen")
                } else {
                    format!(
                        "--switch {frame} comes after --switch {earlier}; give them in rising order, the first for context2"
                    )
                });
            }
            let Some(at) = chunks.boundary(frame) else {
                let frames = chunks.frames;
                return refuse(format!(
                    "--switch {frame} is never reached: no chunk of the {frames} latent frames begins there or later, and {next} would not be seen"
                ));
            };
            if let Some((_, earlier)) = last.filter(|&(place, _)| place == at) {
                return refuse(format!(
                    "--switch {earlier} and --switch {frame} both come with the chunk that begins at latent frame {at}: {before} would not be seen"
                ));
            }
            if at == 0 {
                return refuse(format!("--switch {frame} comes before the first chunk: {before} would not be seen"));
            }
            last = Some((at, frame));
        }
        Ok(())
    }

    /// Whether the stream is led away from a negative prompt.
    pub fn guided(&self) -> bool {
        self.guidance != 1.0
    }

    /// Gives a session its first prompt, and the negative one where there is guidance; returns the changes to come.
    ///
    /// # Errors
    /// Guidance without a negative prompt, prompts that do not fit the session.
    pub fn begin<'a>(
        &'a self,
        session: &mut Session,
        prompts: &'a Prompts,
        chunks: Chunks,
    ) -> Result<Switches<'a>, Error> {
        if let Some(first) = prompts.texts.first() {
            session.set_prompt(0, first)?;
            session.queue(Change::to(Condition::Prompt(0)))?;
        }
        if self.guided() {
            let negative = prompts.negative.as_deref().ok_or_else(|| Error::Usage(NO_NEGATIVE.to_owned()))?;
            session.set_prompt(NEGATIVE, negative)?;
            session.queue(Change::to(Condition::Negative(NEGATIVE)))?;
        }
        let sink = if self.refresh_sink { Sink::Refreshed } else { Sink::Kept };
        let rest = self.switch.iter().zip(prompts.texts.get(1..).unwrap_or_default()).peekable();
        Ok(Switches { rest, chunks, blend: self.blend, sink, slot: 1 })
    }

    /// The sampler and its noise levels.
    ///
    /// # Errors
    /// Settings out of range, steps the model has no list for.
    fn sampling(&self, schedule: &ScheduleConfig) -> Result<Sampling, Error> {
        let shift = self.shift.unwrap_or(schedule.shift);
        if !(shift > 0.0 && shift <= 100.0) {
            return Err(Error::Usage(format!("--shift is {shift}, expected above 0 and at most 100")));
        }
        if !self.guidance.is_finite() {
            return Err(Error::Usage(format!("--guidance is {}, expected a number", self.guidance)));
        }
        let sampling = |sampler, schedule| Sampling { sampler, schedule, first: None, guidance: self.guidance };
        let count = usize::from(self.steps_count);
        Ok(match self.sampler {
            None | Some(SamplerName::Few) => {
                // The file's own first list belongs to the file's steps.
                let file = self.steps.is_none().then(|| schedule.first_sigmas()).flatten();
                let own = match &self.first_steps {
                    Some(steps) => Some(warped(Some(steps), shift, schedule)?),
                    None => file.map(|sigmas| Schedule::of(&sigmas)),
                };
                let steps = warped(self.steps.as_ref(), shift, schedule)?;
                let sampler = if self.sampler.is_some() { Sampler::Few } else { schedule.sampler };
                Sampling { first: own, ..sampling(sampler, steps) }
            }
            Some(SamplerName::Euler) => sampling(Sampler::Euler, Schedule::euler(count, shift)),
            Some(SamplerName::Unipc) => sampling(Sampler::UniPc, Schedule::unipc(count, shift)),
        })
    }
}

/// Warped noise levels of the steps asked for, else of the model's.
fn warped(steps: Option<&Steps>, shift: f32, schedule: &ScheduleConfig) -> Result<Schedule, Error> {
    let mut schedule = ScheduleConfig { shift, ..schedule.clone() };
    if let Some(Steps(steps)) = steps {
        schedule.default_steps = steps.len();
        schedule.steps.insert(steps.len(), steps.clone());
    }
    let steps = schedule.default_steps;
    let sigmas =
        schedule.sigmas(steps).ok_or_else(|| Error::Usage(format!("the model has no list of {steps} steps")))?;
    Ok(Schedule::of(&sigmas))
}

const NO_NEGATIVE: &str = "--guidance needs the tensor `negative` in the inputs";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_change_where_chunks_begin() {
        let chunks = |first, chunk, given, frames| Chunks { first, chunk, given, frames };
        let starts = |chunks: &Chunks| (0..chunks.frames + 2).map(|frame| chunks.boundary(frame)).collect::<Vec<_>>();
        let some = |list: &[u64]| list.iter().map(|&at| Some(at)).collect::<Vec<_>>();
        let none = |count| vec![None; count];
        assert_eq!(starts(&chunks(3, 3, 0, 6)), [some(&[0, 3, 3, 3]), none(4)].concat());
        assert_eq!(starts(&chunks(1, 3, 0, 7)), [some(&[0, 1, 4, 4, 4]), none(4)].concat());
        // Given frames are over before a prompt can change.
        assert_eq!(starts(&chunks(1, 2, 3, 7)), [some(&[3, 3, 3, 3, 5, 5]), none(3)].concat());
        assert_eq!(chunks(3, 3, 0, u64::MAX).boundary(u64::MAX), None);
    }
}
