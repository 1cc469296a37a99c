//! What a stream starts from.

use alloc::{vec, vec::Vec};

use causeway_ops::{BackendError, memory::reserved, quant::WeightSource};

use super::{
    error::{SessionError, within},
    options::Start,
};
use crate::{
    config::{DitConfig, ModelConfig},
    file::Model,
    layout::interleave,
};

/// Frames that a stream starts from.
#[derive(Clone, Debug, Default)]
pub(super) struct Opening {
    /// Latents [count, height, width, channels].
    pub latents: Vec<f32>,
    /// Event of each of them.
    pub events: Vec<u32>,
    /// Action vectors of all of them, one after the other; none if empty.
    pub actions: Vec<f32>,
    /// The picture condition [rows, height, width, channels] of a game.
    pub condition: Vec<f32>,
    /// A picture to encode instead.
    pub image: Option<Vec<u8>>,
    /// Latent frames.
    pub frames: usize,
}

impl Opening {
    /// The picture condition of a game's stream, [rows, channels, height, width].
    pub fn set_condition(&mut self, dit: &DitConfig, condition: &[f32], most: f32) -> Result<(), SessionError> {
        let wrong = |expected| {
            let found = condition.len();
            Err(SessionError::StartSize { what: "picture condition", expected, found })
        };
        let Some(channels) = dit.game().map(|game| game.condition) else {
            return if condition.is_empty() { Ok(()) } else { wrong(0) };
        };
        let len = channels * dit.latent.height * dit.latent.width;
        if condition.is_empty() || !condition.len().is_multiple_of(len) {
            return wrong(len);
        }
        if let Some(index) = condition.iter().position(|value| !value.is_finite()) {
            return Err(SessionError::NotFinite { what: "the picture condition", index });
        }
        within("the picture condition", condition, most)?;
        self.condition = vec![0.0; condition.len()];
        let rows = condition.chunks_exact(len).zip(self.condition.chunks_exact_mut(len));
        rows.for_each(|(planar, row)| interleave(planar, channels, row));
        Ok(())
    }

    /// First frames of the stream, and what was told of them. Of a picture `repeat` latent frames are made.
    pub fn new(
        model: &Model<'_>,
        dit: &DitConfig,
        start: &Start,
        actions: &[f32],
        (picture, repeat): ((usize, usize), usize),
        event: usize,
    ) -> Result<Self, SessionError> {
        let opening = match start {
            Start::Empty => Self::default(),
            Start::Image(image) => Self::picture(image, picture, repeat, event)?,
            Start::Latents(latents) => Self::latents(dit, latents, &[event])?,
            Start::Stored => Self::stored(model, dit, event)?,
        };
        let expected = opening.frames * dit.actions.len();
        if ![0, expected].contains(&actions.len()) {
            return Err(SessionError::StartSize { what: "actions", expected, found: actions.len() });
        }
        let limits = &model.config().limits;
        if let Some(at) = actions.iter().position(|x| !x.is_finite()) {
            return Err(SessionError::ActionValue(at));
        }
        within("the start actions", actions, limits.action)?;
        if matches!(start, Start::Latents(_)) {
            within("the start latents", &opening.latents, limits.latent)?;
        }
        Ok(Self { actions: actions.to_vec(), ..opening })
    }

    /// A picture (RGBA8) of the stream's size that fills `frames` latent frames, under `event`.
    pub fn picture(
        image: &[u8],
        (width, height): (usize, usize),
        frames: usize,
        event: usize,
    ) -> Result<Self, SessionError> {
        let expected = 4 * width * height;
        if image.len() != expected {
            return Err(SessionError::StartSize { what: "picture", expected, found: image.len() });
        }
        let mut copy = reserved(expected)?;
        copy.extend_from_slice(image);
        Ok(Self { image: Some(copy), events: [event as u32].into(), frames, ..Self::default() })
    }

    /// Latents [count, C, H, W], under events of which the last one goes on.
    fn latents(dit: &DitConfig, planar: &[f32], events: &[usize]) -> Result<Self, SessionError> {
        let len = dit.latent_len();
        if planar.is_empty() || !planar.len().is_multiple_of(len) {
            return Err(SessionError::StartSize { what: "latents", expected: len, found: planar.len() });
        }
        if let Some(index) = planar.iter().position(|value| !value.is_finite()) {
            return Err(SessionError::NotFinite { what: "the start latents", index });
        }
        let mut latents = vec![0.0; planar.len()];
        for (planar, frame) in planar.chunks_exact(len).zip(latents.chunks_exact_mut(len)) {
            interleave(planar, dit.latent.channels, frame);
        }
        let frames = planar.len() / len;
        let event = |at: usize| events.get(at).or(events.last()).map_or(0, |&event| event as u32);
        Ok(Self { latents, frames, events: (0..frames).map(event).collect(), ..Self::default() })
    }

    /// What the model file stores, if it stores something.
    fn stored(model: &Model<'_>, dit: &DitConfig, event: usize) -> Result<Self, SessionError> {
        let config: &ModelConfig = model.config();
        let Some(stored) = config.start.as_ref().filter(|_| dit.latent == config.dit.latent) else {
            return Ok(Self::default());
        };
        let view = model.tensor(&stored.latents).ok_or_else(|| SessionError::StoredStart(stored.latents.clone()))?;
        let values = view.to_f32().map_err(|error| BackendError::unread(&stored.latents, error))?;
        let events = if stored.events.is_empty() { vec![event] } else { stored.events.clone() };
        Self::latents(dit, &values, &events)
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        let words = self.condition.len() + self.latents.len() + self.actions.len() + self.events.len();
        4 * words + self.image.as_ref().map_or(0, Vec::len)
    }
}
