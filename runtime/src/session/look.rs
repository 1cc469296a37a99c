//! How a session looks at the chunk that it has just made, and what it does about one that alarms.

use half::{f16, slice::HalfFloatSliceExt};

use super::{
    alarms::Alarms,
    gate::Gate,
    health::Health,
    quality::Quality,
    session::Session,
    watch::{Counts, Pressed, SETTLED, STILL, STUCK},
};
use crate::model::ProgramId;

/// Root mean square of the difference.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    let sum: f32 = a
        .chunks(1024)
        .zip(b.chunks(1024))
        .map(|(a, b)| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>())
        .sum();
    libm::sqrtf(sum / a.len().max(1) as f32)
}

impl Session {
    /// How the chunk of so many frames came out whose latents were fetched. Nothing but the counts is touched, and those only by what it returns.
    pub(super) fn look(&mut self, frames: usize) -> Seen {
        let (limits, len) = (self.settled.health, self.settled.dit.latent_len());
        let pressed = self.pressed(frames);
        let blends = self.state.told().any(|told| told.changes());
        let Self { tables, state, .. } = self;
        let before = state.ring.checked_sub(1).and_then(|newest| state.kept.frame(newest));
        let (latents, rest) = tables.finished.split_at(frames * len);
        let mut health = Health::of(latents, &mut tables.sums);
        let room = &mut tables.latents[..len];
        let mut changes = 0.0;
        if let Some((before, _)) = before {
            before.convert_to_f32_slice(room);
            changes += distance(&latents[..len], room);
        }
        let pairs = latents.chunks_exact(len).zip(latents.chunks_exact(len).skip(1));
        changes += pairs.map(|(before, after)| distance(before, after)).sum::<f32>();
        let counted = (frames - usize::from(before.is_none())).max(1);
        health.change = changes / counted as f32;
        let watch = &state.watch;
        let moved = before.is_none() || health.change >= limits.moves;
        let mut counts = watch.counts.after(frames as u32, pressed, moved);
        if blends {
            counts = Counts { settling: SETTLED, ..Counts::default() };
        }
        if watch.counts.resting >= STILL && counts.resting > 0 {
            watch.still.convert_to_f32_slice(room);
            health.drift = distance(&latents[(frames - 1) * len..], room);
        }
        // What the heads preferred when the chunk before was committed.
        let ages = &rest[rest.len() - self.stream.preferences..];
        prefer(&mut health, ages, self.settled.ring().window as f32 / 2.0);
        let stuck = limits.moves > 0.0 && counts.stuck >= STUCK;
        Seen { health: health.alarmed(&limits, stuck), counts }
    }

    /// Remembers it.
    pub(super) fn note(&mut self, frames: usize, Seen { health, counts }: Seen) {
        let (len, watch) = (self.settled.dit.latent_len(), &mut self.state.watch);
        if watch.counts.resting < STILL && counts.resting >= STILL {
            watch.still.convert_from_f32_slice(&self.tables.finished[(frames - 1) * len..][..len]);
            watch.still.iter_mut().filter(|value| !value.is_finite()).for_each(|value| *value = f16::ZERO);
        }
        watch.counts = counts;
        self.state.health = health;
    }

    /// Drops a chunk that alarms, where the gate does, once.
    pub(super) fn held_back(&mut self, alarms: Alarms) -> bool {
        let number = self.state.chunk + 1;
        let held = self.gate != Gate::Report && !alarms.is_empty() && self.state.watch.held != number;
        if held {
            self.state.watch.held = number;
            self.abort_chunk();
        }
        held
    }

    /// What the chunk that is about to begin is made with: with little of the past where the gate dropped it.
    pub(super) fn guarded(&self) -> Quality {
        let quality = self.quality();
        let near = self.gate == Gate::Near && self.state.watch.held == self.state.chunk + 1;
        if near { Quality { window: self.rules.qualities.window.0, ..quality } } else { quality }
    }

    /// What was pressed in the frames in flight.
    fn pressed(&self, frames: usize) -> Pressed {
        let told = self.state.kept.told(frames);
        match self.state.cursor.program {
            _ if told.is_empty() => Pressed::Unknown,
            Some(ProgramId::Given(_)) if self.opening.actions.is_empty() => Pressed::Unknown,
            Some(ProgramId::Chunk(_) | ProgramId::Given(_)) => {
                if told.iter().all(|&value| value == 0.0) {
                    Pressed::Nothing
                } else {
                    Pressed::Something
                }
            }
            _ => Pressed::Unknown,
        }
    }
}

/// A chunk's figures, and the counts after it.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub health: Health,
    counts: Counts,
}

/// Puts in what is made of ages [heads, 2] of preferred and of routed frames; heads that had no past say nothing.
fn prefer(health: &mut Health, ages: &[f32], near: f32) {
    let (mut heads, mut far, mut age) = (0.0, 0.0, 0.0);
    for [preferred, routed] in ages.as_chunks::<2>().0 {
        if *preferred > 0.0 {
            heads += 1.0;
            far += f32::from(u8::from(*preferred > near));
            age += routed;
        }
    }
    if heads > 0.0 {
        (health.far_share, health.route_age) = (far / heads, age / heads);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_without_a_past_say_nothing() {
        let mut health = Health::default();
        prefer(&mut health, &[0.0; 6], 4.0);
        assert_eq!(health, Health::default());
        prefer(&mut health, &[1.0, 2.0, 9.0, 3.0, 0.0, 0.0, 4.0, 4.0], 4.0);
        assert_eq!((health.far_share, health.route_age), (1.0 / 3.0, 3.0));
    }
}
