//! What a session accepts from its host, checked before anything is touched: by the session itself, and by an inbox before it.

use alloc::{format, string::String, vec::Vec};

use super::{
    changes::{Change, Changes, Condition, EventTime, Kind, Queued, Way},
    error::{SessionError, within},
    placed,
    quality::Qualities,
};
use crate::config::LimitsConfig;

/// How far the weights of a mix may be from a sum of 1.
pub(super) const MIX: f32 = 1e-3;

/// What a session's model is told, and how much of it there is room for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rules {
    /// Names of the action vector's entries.
    pub actions: Vec<String>,
    /// Names of the events.
    pub events: Vec<String>,
    /// Latent frames that an action lasts, and pictures of a chunk.
    pub latch: usize,
    pub pictures: usize,
    /// Bytes of a picture that becomes the newest frame; 0 where none can.
    pub placed: usize,
    /// Values in a row of a prompt; 0 where the model reads none.
    pub width: usize,
    /// Most rows of a prompt, and slots for prompts.
    pub rows: usize,
    /// Whether they must have as many: rows of a picture, which are not padded.
    pub whole: bool,
    pub slots: usize,
    /// Largest magnitudes.
    pub limits: LimitsConfig,
    /// Whether guidance leads away from a negative prompt.
    pub guided: bool,
    /// Whether the window can be computed anew.
    pub recache: bool,
    /// What chunks can be made with.
    pub qualities: Qualities,
}

impl Rules {
    pub fn action(&self, action: &[f32]) -> Result<(), SessionError> {
        let (expected, found) = (self.actions.len(), action.len());
        if found != expected {
            return Err(SessionError::ActionLength { expected, found });
        }
        match action.iter().position(|x| !x.is_finite()) {
            Some(at) => Err(SessionError::ActionValue(at)),
            None => within("the action", action, self.limits.action),
        }
    }

    /// Rows of actions of `count` numbers, one after the other.
    pub fn actions(&self, actions: &[f32], count: usize) -> Result<(), SessionError> {
        let entries = self.actions.len();
        if count != entries || entries == 0 || actions.is_empty() || !actions.len().is_multiple_of(entries) {
            let found = if count == entries { actions.len() } else { count };
            return Err(SessionError::ActionLength { expected: entries, found });
        }
        let (rows, most) = (actions.len() / entries, if self.latch > 1 { 1 } else { self.pictures });
        if rows > most {
            return Err(SessionError::ActionRows { rows, most });
        }
        actions.chunks_exact(entries).try_for_each(|row| self.action(row))
    }

    /// A picture that shall be the newest frames, `frames` of them.
    pub fn picture(&self, pixels: &[u8], frames: usize) -> Result<u32, SessionError> {
        let (expected, found) = (self.placed, pixels.len());
        if expected == 0 {
            let what = "this stream takes no pictures on its way: its codec must encode, and make as many of its first latent frame as of others";
            return Err(SessionError::Option(what.into()));
        }
        if found != expected {
            return Err(SessionError::PictureSize { expected, found });
        }
        let count = u32::try_from(frames).ok().filter(|count| (1..=placed::MOST).contains(count));
        count.ok_or(SessionError::PictureFrames { found: frames, most: placed::MOST as usize })
    }

    /// Rows of a prompt for slot `slot`, given as rows of `width` values.
    pub fn prompt(&self, slot: usize, values: &[f32], width: usize) -> Result<usize, SessionError> {
        let (expected, most, slots) = (self.width, self.rows, self.slots);
        if expected == 0 {
            return Err(self.no_such("prompts"));
        }
        if slot >= slots {
            return Err(SessionError::NoSlot { slot, slots });
        }
        let whole = width > 0 && values.len().is_multiple_of(width);
        let (rows, width) = if whole { (values.len() / width, width) } else { (1, values.len()) };
        if width != expected || rows > most || self.whole && rows < most {
            return Err(SessionError::Prompt { rows, width, most, expected });
        }
        within("the prompt", values, self.limits.prompt)?;
        Ok(rows)
    }

    /// Which condition a change is of, and its slot or the strongest of its events.
    fn change(&self, change: &Change<'_>) -> Result<(Kind, usize), SessionError> {
        let (events, slots) = (self.events.len(), self.slots);
        let of = match change.condition {
            Condition::Event(_) | Condition::Mix(_) if events == 0 => return Err(self.no_such("events")),
            Condition::Event(event) if event >= events => {
                return Err(SessionError::UnknownEvent { found: event, known: self.events.join(", ") });
            }
            Condition::Event(event) => (Kind::Events, event),
            Condition::Mix(weights) => (Kind::Events, self.strongest(weights)?),
            Condition::Prompt(_) | Condition::Negative(_) if self.width == 0 => return Err(self.no_such("prompts")),
            Condition::Negative(_) if !self.guided => {
                return Err(self.no_such("negative prompt, for it was created without guidance"));
            }
            Condition::Prompt(slot) | Condition::Negative(slot) if slot >= slots => {
                return Err(SessionError::NoSlot { slot, slots });
            }
            Condition::Prompt(slot) => (Kind::Prompt, slot),
            Condition::Negative(slot) => (Kind::Negative, slot),
        };
        if change.way == Way::Recache && !self.recache {
            return Err(SessionError::NoRecache);
        }
        Ok(of)
    }

    /// Queues a change that is sound, under its ticket.
    pub fn queue(&self, changes: &mut Changes, change: &Change<'_>, ticket: u64) -> Result<(), SessionError> {
        let (kind, index) = self.change(change)?;
        let from = match change.time {
            EventTime::NextChunk => 0,
            EventTime::Frame(frame) => frame,
        };
        let (way, sink) = (change.way, change.sink);
        let chunks = u32::try_from(change.chunks).unwrap_or(u32::MAX);
        let queued = Queued { kind, index: index as u32, ticket, from, way, sink, chunks, mix: 0 };
        changes.push(queued, (0..self.events.len()).map(|event| change.weight(event, index)))
    }

    /// The strongest of events to mix.
    fn strongest(&self, weights: &[f32]) -> Result<usize, SessionError> {
        let events = self.events.len();
        let wrong = |what: String| Err(SessionError::Mix { events, what });
        if weights.len() != events {
            return wrong(format!("{} were given", weights.len()));
        }
        if let Some(at) = weights.iter().position(|weight| !weight.is_finite() || *weight < 0.0) {
            return wrong(format!("number {at} is {}", weights[at]));
        }
        let sum: f32 = weights.iter().sum();
        if (sum - 1.0).abs() > MIX {
            return wrong(format!("their sum is {sum}"));
        }
        let strongest = (0..events).rev().max_by(|&a, &b| weights[a].total_cmp(&weights[b]));
        Ok(strongest.unwrap_or(0))
    }

    fn no_such(&self, asked: &'static str) -> SessionError {
        let all = [
            (!self.actions.is_empty(), "actions"),
            (!self.events.is_empty(), "events and mixes of events"),
            (self.width > 0, "prompts"),
            (self.width > 0 && self.guided, "negative prompts"),
        ];
        let takes: Vec<_> = all.iter().filter(|(takes, _)| *takes).map(|(_, name)| *name).collect();
        SessionError::Condition { asked, takes: takes.join(", ") }
    }
}

impl Change<'_> {
    /// The weight of an event in it, which is of index `index`.
    fn weight(&self, event: usize, index: usize) -> f32 {
        match self.condition {
            Condition::Mix(weights) => weights[event],
            _ => f32::from(u8::from(event == index)),
        }
    }
}
