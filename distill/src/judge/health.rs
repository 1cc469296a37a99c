//! Where the figures of a sound stream lie: what a session says of real footage that it is shown.

use causeway_runtime::config::HealthConfig;
use causeway_runtime::session::Health;
use causeway_runtime::{Budget, Device, Model, Pump, Session, SessionError, SessionOptions, Start};

use super::score::ScoreError;
use crate::footage::data::Episodes;
use crate::footage::latents;
use crate::footage::recording::Recording;

/// Frames after a change of condition before the picture is all of the new one.
const SETTLED: usize = 16;
/// Fewest frames in one condition that are worth a stream.
const LEAST: usize = 32;
/// Frames in a row of which one at least moves while something is pressed.
const STUCK: usize = 6;

/// What a session says of footage, frame by frame.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Of all frames.
    pub all: Vec<Health>,
    /// Changes of frames in which something was pressed, and the largest of [`STUCK`] such in a row.
    pub pressed: Vec<f32>,
    /// The same of [`STUCK`] in a row: the largest.
    pub moved: Vec<f32>,
}

impl Seen {
    /// What a session of `model` says of `recording`: latents of each stretch in one condition are committed to its ring with what was pressed.
    ///
    /// # Errors
    /// A file without an encoder, footage that the model does not fit.
    pub fn of(model: &Model<'_>, recording: &Recording, threads: usize) -> Result<Self, ScoreError> {
        let dit = &model.config().dit;
        let codec = latents::codec_of(model).map_err(|error| ScoreError::Model(error.to_string()))?;
        let mut data = latents::encode(recording, &codec, &model.config().codec, None, threads);
        latents::normalise(&mut data, latents::area(dit), &dit.latent_mean, &dit.latent_std);
        let mut seen = Self::default();
        for (from, to) in stretches(recording) {
            let range = from * dit.latent_len()..to * dit.latent_len();
            let options = SessionOptions {
                start: Start::Latents(data[range].to_vec()),
                start_actions: (from..to).flat_map(|i| recording.action(i)).copied().collect(),
                event: Some(usize::from(recording.events[from])),
                ..SessionOptions::default()
            };
            let mut session = Session::new(model, &Device::cpu(threads), options)?;
            seen.watch(&mut session, (from..to).map(|i| recording.action(i)))?;
        }
        Ok(seen)
    }

    fn watch<'a>(
        &mut self,
        session: &mut Session,
        actions: impl Iterator<Item = &'a [f32]>,
    ) -> Result<(), SessionError> {
        let mut row = Vec::new();
        for (n, action) in actions.enumerate() {
            while session.pump(Budget::Frame)? != Pump::Frame {}
            let Some(health) = session.frame().map(|frame| frame.receipt.health) else { continue };
            session.release();
            self.all.push(health);
            if n == 0 || action.iter().all(|&value| value == 0.0) {
                row.clear();
                continue;
            }
            self.pressed.push(health.change);
            row.push(health.change);
            if let Some(last) = row.last_chunk::<STUCK>() {
                self.moved.push(last.iter().copied().fold(0.0, f32::max));
            }
        }
        Ok(())
    }

    /// The limits that a model file can state: all but a thousandth of the footage lies well within them.
    pub fn limits(&self) -> HealthConfig {
        let of = |figure: fn(&Health) -> f32| self.all.iter().map(figure).collect::<Vec<f32>>();
        // As far again as a tenth of what there is.
        let within = |figure: fn(&Health) -> f32| {
            let all = of(figure);
            let (low, high) = (quantile(&all, 0.001), quantile(&all, 0.999));
            let room = (high - low) / 10.0;
            [low - room, high + room]
        };
        let [low, high] = within(|health| health.detail);
        let drifts: Vec<f32> = of(|health| health.drift).into_iter().filter(|&drift| drift > 0.0).collect();
        let [least, most] = within(|health| health.spread);
        HealthConfig {
            mean: within(|health| health.mean),
            spread: [least.max(0.0), most],
            detail: [low.max(0.0), high.min(1.0)],
            moves: quantile(&self.moved, 0.001),
            // By itself a world moves less than one that is moved.
            drift: quantile(&drifts, 0.999).max(quantile(&self.pressed, 0.05)),
            far: (2.0 * quantile(&of(|health| health.far_share), 0.999)).clamp(0.1, 1.0),
        }
    }
}

/// The value that a share of all does not exceed; 0 of none.
fn quantile(values: &[f32], share: f64) -> f32 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    sorted.get((sorted.len().saturating_sub(1) as f64 * share).round() as usize).copied().unwrap_or(0.0)
}

/// Stretches of a recording in which nothing but what is pressed changes.
fn stretches(recording: &Recording) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    for episode in Episodes::new(&recording.episode_starts).ranges() {
        let mut from = episode.start;
        for at in episode.start + 1..=episode.end {
            if at == episode.end || recording.events[at] != recording.events[at - 1] {
                if at >= from + LEAST {
                    all.push((from, at));
                }
                from = at + SETTLED;
            }
        }
    }
    all
}
