//! The state machine behind [`Session::pump`].

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use causeway_ops::{Params, memory::reserved, plan::PassId};

use super::{
    Receipt, Session,
    budget::{Budget, Pump},
    error::SessionError,
};
use crate::model::WorldPasses;

/// What the session is doing. Each stage but `Begin` and `Read` is one pass of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Between chunks: take actions and events, fill tables.
    Begin,
    /// Cross-attention keys and values of a new event.
    Condition,
    /// Encode the start picture.
    Encode,
    /// Draw noise.
    Noise,
    /// Denoise step.
    Denoise(u32),
    /// Decode frame f of the chunk.
    Decode(u32),
    /// Copy frame f's pixels to the host.
    Read(u32),
    /// Clean-context pass.
    Commit,
}

/// Where the session is: a stage, the next node of its pass, and whether this is a chunk or a start frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub stage: Stage,
    pub node: usize,
    /// The frame in flight is one the stream starts from, not a generated chunk.
    pub opening: bool,
    /// Visible history of the chunk in flight.
    pub history: u32,
}

impl Cursor {
    pub const START: Self = Self { stage: Stage::Begin, node: 0, opening: false, history: 0 };

    fn goto(&mut self, stage: Stage) {
        self.stage = stage;
        self.node = 0;
    }

    /// Back to the beginning of the chunk, if none of its frames has left.
    pub fn abort(&mut self) -> bool {
        let droppable = !self.opening && matches!(self.stage, Stage::Condition | Stage::Noise | Stage::Denoise(_));
        if droppable {
            self.goto(Stage::Begin);
        }
        droppable
    }
}

/// Frames that a stream starts from.
#[derive(Clone, Debug, Default)]
pub(super) struct Opening {
    /// Channels-last latents, each followed by zeros up to a chunk's size.
    pub latents: Vec<Vec<f32>>,
    /// Event of each of them.
    pub events: Vec<u32>,
    /// Action vectors of all of them, one after the other; none if empty.
    pub actions: Vec<f32>,
    /// A picture to encode instead.
    pub image: Option<Vec<u8>>,
    /// How many have been begun.
    pub next: usize,
}

impl Opening {
    /// A picture (RGBA8) of the model's size, under `event`.
    pub fn picture(image: &[u8], (width, height): (usize, usize), event: usize) -> Result<Self, SessionError> {
        let expected = 4 * width * height;
        if image.len() != expected {
            return Err(SessionError::StartSize { what: "picture", expected, found: image.len() });
        }
        let mut copy = reserved(expected)?;
        copy.extend_from_slice(image);
        Ok(Self { image: Some(copy), events: [event as u32].into(), ..Self::default() })
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        let floats: usize = self.latents.iter().map(Vec::len).sum();
        4 * (floats + self.actions.len()) + self.image.as_ref().map_or(0, Vec::len)
    }

    pub fn frames(&self) -> usize {
        if self.image.is_some() { 1 } else { self.latents.len() }
    }
}

/// How far a node may reach beyond the budget, microseconds.
const TOLERANCE_MICROS: u64 = 100;
/// Longest slice of GPU work handed out at once, microseconds (docs/design.md, idea 3).
const SLICE_MICROS: u64 = 1_500;

pub(super) fn pump(s: &mut Session, budget: Budget) -> Result<Pump, SessionError> {
    let start = s.clock.micros();
    let mut nodes = 0;
    loop {
        if nodes > 0 && (s.interrupt.load(Ordering::Relaxed) || overruns(s, budget, start)) {
            return Ok(Pump::Pending);
        }
        let slice = match budget {
            Budget::Frame => u64::MAX,
            Budget::Micros(micros) => SLICE_MICROS.min(micros.saturating_sub(since(s, start))),
            Budget::Nodes(_) => 0,
        };
        let before = s.stats.nodes;
        match step(s, slice, budget == Budget::Frame)? {
            Some(outcome) => return Ok(outcome),
            None => nodes += (s.stats.nodes - before) as usize,
        }
        let spent = match budget {
            Budget::Frame => false,
            Budget::Micros(micros) => since(s, start) >= micros,
            Budget::Nodes(limit) => nodes >= limit,
        };
        if spent {
            return Ok(Pump::Pending);
        }
    }
}

/// Whether the next node alone would exceed the budget, to judge from what it cost before. Such a node waits for the next pump, where
/// it comes first: a host's frame is better ended a little early than late.
fn overruns(s: &Session, budget: Budget, start: u64) -> bool {
    let Cursor { stage, opening, .. } = s.cursor;
    let (Budget::Micros(micros), Some(pass)) = (budget, pass(&s.world.passes, stage, opening)) else { return false };
    let next = s.backend.node_micros(pass, s.cursor.node).unwrap_or(0.0) as u64;
    next > TOLERANCE_MICROS && since(s, start).saturating_add(next) > micros.saturating_add(TOLERANCE_MICROS)
}

/// Microseconds since `start`. A clock that runs backwards, as a host's may, has spent every budget: a pump that is too short is
/// made up for by the next one, one without an end is not.
fn since(s: &Session, start: u64) -> u64 {
    s.clock.micros().checked_sub(start).unwrap_or(u64::MAX)
}

/// One slice of one pass, or one transition; Some when pumping must return.
fn step(s: &mut Session, slice: u64, wait: bool) -> Result<Option<Pump>, SessionError> {
    let stage = s.cursor.stage;
    match stage {
        Stage::Begin => return begin(s),
        Stage::Read(f) => return read(s, f, wait),
        _ => {}
    }
    let Some(pass) = pass(&s.world.passes, stage, s.cursor.opening) else { return Ok(None) };
    if !wait && !s.backend.idle()? {
        return Ok(Some(Pump::Pending));
    }
    let len = s.backend.plan().pass(pass).nodes.len();
    let count = if slice == 0 { 1 } else { s.backend.slice(pass, s.cursor.node, slice) };
    let end = len.min(s.cursor.node + count.max(1));
    let params = params(s, stage);
    s.backend.run(pass, s.cursor.node..end, &params)?;
    s.stats.nodes += (end - s.cursor.node) as u64;
    s.cursor.node = end;
    if end == len {
        finish(s, stage);
    }
    Ok(None)
}

/// The pass of a stage, if it has one; `opening` if the frame in flight is one that the stream starts from.
pub(super) fn pass(passes: &WorldPasses, stage: Stage, opening: bool) -> Option<PassId> {
    Some(match stage {
        Stage::Condition => passes.condition,
        Stage::Encode => passes.encode,
        Stage::Noise => passes.noise,
        Stage::Denoise(_) => passes.denoise,
        Stage::Decode(f) => passes.decode[f as usize],
        Stage::Commit if opening => passes.commit_one,
        Stage::Commit => passes.commit,
        Stage::Begin | Stage::Read(_) => return None,
    })
}

fn params(s: &Session, stage: Stage) -> Params {
    let sigmas = &s.settled.sigmas;
    let (step, sigma, next_sigma, timestep) = match stage {
        Stage::Denoise(i) => {
            let sigma = sigmas[i as usize];
            (i, sigma, sigmas.get(i as usize + 1).copied().unwrap_or(0.0), 1000.0 * sigma)
        }
        _ => (0, 0.0, 0.0, s.context_timestep),
    };
    Params {
        seed: s.seed,
        // The noise counter wraps after 2^32 frames, 6.8 years at 20 frames a second.
        frame: s.frame as u32,
        step,
        history: s.cursor.history,
        timestep,
        sigma,
        next_sigma,
    }
}

/// The stage after `stage`'s pass has run.
fn finish(s: &mut Session, stage: Stage) {
    let next = match stage {
        Stage::Condition => {
            s.conditioned = true;
            content(s)
        }
        Stage::Encode => Stage::Decode(0),
        Stage::Noise => Stage::Denoise(0),
        Stage::Denoise(i) if (i as usize) + 1 < s.settled.sigmas.len() => Stage::Denoise(i + 1),
        Stage::Denoise(_) => Stage::Decode(0),
        Stage::Decode(f) => Stage::Read(f),
        Stage::Commit => {
            let made = frames(s);
            s.frame += made as u64;
            if !s.cursor.opening {
                s.movement.commit(made);
            }
            Stage::Begin
        }
        Stage::Begin | Stage::Read(_) => stage,
    };
    s.cursor.goto(next);
}

/// How the frames in flight come to be.
fn content(s: &Session) -> Stage {
    match (s.cursor.opening, &s.opening.image) {
        (false, _) => Stage::Noise,
        (true, Some(_)) => Stage::Encode,
        (true, None) => Stage::Decode(0),
    }
}

fn frames(s: &Session) -> usize {
    if s.cursor.opening { 1 } else { s.settled.ring.chunk }
}

fn begin(s: &mut Session) -> Result<Option<Pump>, SessionError> {
    if s.queue.is_full() {
        return Ok(Some(Pump::Full));
    }
    s.cursor.opening = s.opening.next < s.opening.frames();
    s.began = s.clock.micros();
    let frames = frames(s);
    let event = if s.cursor.opening { begin_opening(s)? } else { begin_chunk(s, frames)? };
    if event != s.current.event {
        s.conditioned = false;
        s.current.event = event;
    }
    let (backend, ring) = (s.backend.as_mut(), &s.settled.ring);
    s.cursor.history = s.tables.place(backend, &s.world, ring, s.rope, s.frame, frames)?;
    if s.conditioned {
        let next = content(s);
        s.cursor.goto(next);
    } else {
        s.tables.mix(s.backend.as_mut(), &s.world, event)?;
        s.cursor.goto(Stage::Condition);
    }
    Ok(None)
}

/// Takes the next start frame; returns the event in force there.
fn begin_opening(s: &mut Session) -> Result<u32, SessionError> {
    let index = s.opening.next;
    s.opening.next += 1;
    let entries = s.action.len();
    let action = s.opening.actions.get(index * entries..(index + 1) * entries).filter(|action| !action.is_empty());
    s.tables.act(s.backend.as_mut(), &s.world, action)?;
    match &s.opening.image {
        Some(image) => s.backend.write(s.world.image, image)?,
        None => s.backend.write(s.world.latents, bytemuck::cast_slice(&s.opening.latents[index]))?,
    }
    Ok(s.opening.events.get(index).copied().unwrap_or(s.current.event))
}

/// Takes the newest action and the events that are due; returns the event in force.
fn begin_chunk(s: &mut Session, frames: usize) -> Result<u32, SessionError> {
    let action = s.movement.next(&s.action, s.action_ticket);
    s.tables.act(s.backend.as_mut(), &s.world, Some(action))?;
    let mut event = s.current.event;
    if let Some(due) = s.events.due(s.frame + frames as u64) {
        s.current.ticket = due.ticket;
        event = due.event;
    }
    s.chunk_tickets = (s.movement.ticket, s.current.ticket);
    Ok(event)
}

/// Moves frame f's pixels into the queue.
fn read(s: &mut Session, f: u32, wait: bool) -> Result<Option<Pump>, SessionError> {
    let pixels = s.world.pixels;
    let Some(buffer) = s.queue.next_buffer() else { return Ok(Some(Pump::Full)) };
    if !s.reading {
        s.backend.keep(pixels, s.frame + u64::from(f))?;
    }
    if wait && !s.reading {
        s.backend.read(pixels, buffer)?;
    } else {
        if !s.reading {
            s.backend.begin_read(pixels)?;
            s.reading = true;
        }
        if !s.backend.poll_read(buffer)? {
            // With no budget to respect there is nothing better to do than to ask again.
            return Ok(if wait { None } else { Some(Pump::Pending) });
        }
    }
    s.reading = false;
    let (action, event_ticket) = s.chunk_tickets;
    s.queue.push(Receipt {
        frame: s.frame + u64::from(f),
        action,
        first_of_action: action > s.shown_tickets.0,
        event: s.current.event,
        event_ticket,
        first_of_event: event_ticket > s.shown_tickets.1,
        began: s.began,
        ready: s.clock.micros().max(s.began),
    });
    s.shown_tickets = s.chunk_tickets;
    s.stats.frames += 1;
    let last = f as usize + 1 == frames(s);
    s.cursor.goto(if last { Stage::Commit } else { Stage::Decode(f + 1) });
    Ok(Some(Pump::Frame))
}
