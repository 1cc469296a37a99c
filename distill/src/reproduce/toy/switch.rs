//! A bump that keeps moving, whose hue goes over into one of two as the event in force says. The event never changes within a clip, and
//! under one event most bumps move right, under the other left. So a teacher asked for the other hue asks for the other direction
//! too, though nothing in a switch says so: the conditional bias that Delta Forcing is about.

use std::f32::consts::{PI, TAU};

use crate::footage::latents::Latents;
use crate::reproduce::toy::tracker::draw;
use crate::reproduce::toy::{CELLS, Reading, latents, way};
use crate::rng::Rng;

/// Cells a frame.
pub const SPEED: f32 = 1.0;

/// Share of clips that move as most of their hue do.
const USUAL: f32 = 0.95;

/// What is left of the way to an event's hue after a frame.
const LEFT: f32 = 0.5;

/// Hue of an event.
fn hue(event: u8) -> f32 {
    if event == 0 { -0.25 * PI } else { 0.25 * PI }
}

/// `episodes` clips of `frames` frames, each of one event.
pub fn record(episodes: usize, frames: usize, seed: u64) -> Latents {
    clips(episodes, frames, 1, seed, |rng| {
        let (event, start, usual) = (rng.below(2) as u8, rng.unit() * CELLS as f32, rng.unit() < USUAL);
        let by = if (event == 0) == usual { SPEED } else { -SPEED };
        Clip { event, start, by, away: PI * (rng.unit() - 0.5) - hue(event) }
    })
}

/// `episodes` true streams of `frames` frames that move as most under their first event do, and go on so when it changes at frame
/// `at`; their event is the new one throughout, as a stream is seen anew after a change (spec 2.6).
pub fn changed(episodes: usize, frames: usize, at: usize, seed: u64) -> Latents {
    clips(episodes, frames, at, seed, |rng| {
        let (event, start) = (rng.below(2) as u8, rng.unit() * CELLS as f32);
        let by = if event == 0 { SPEED } else { -SPEED };
        Clip { event: 1 - event, start, by, away: hue(event) - hue(1 - event) }
    })
}

/// What makes a clip.
struct Clip {
    event: u8,
    /// Place of the bump in its first frame.
    start: f32,
    /// Cells a frame.
    by: f32,
    /// How far its hue is from its event's at first.
    away: f32,
}

/// Clips whose hue nears that of their event from frame `at` on.
fn clips(episodes: usize, frames: usize, at: usize, seed: u64, clip: impl Fn(&mut Rng) -> Clip) -> Latents {
    let mut rng = Rng::new(seed);
    let (mut data, mut events) = (Vec::new(), Vec::new());
    for _ in 0..episodes {
        let Clip { event, start, by, away } = clip(&mut rng);
        for f in 0..frames {
            let since = (f + 1).saturating_sub(at) as i32;
            data.extend(draw(start + by * f as f32, hue(event) + away * LEFT.powi(since)));
            events.push(event);
        }
    }
    let n = events.len();
    latents(data, 2 * CELLS, vec![0.0; n], events, frames)
}

/// What a switch did to a stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Worth {
    /// Frames until nine tenths of the way to the new hue are done; as many as there are if never.
    pub reached: f64,
    /// Share of steps after the switch that go on in the direction of before.
    pub kept: f64,
    /// Mean distance of a step from the true length, cells.
    pub uneven: f64,
    /// Mean of [`Reading::off`] after the switch.
    pub off: f64,
}

/// Judges streams [B, F, 2 CELLS] of `frames` frames whose event became `events` [B] at frame `at`.
pub fn judge(streams: &[f32], frames: usize, at: usize, events: &[u8]) -> Worth {
    let mut worth = Worth::default();
    let (share, steps) = (1.0 / events.len() as f64, 1.0 / (frames - at) as f64);
    for (stream, &event) in streams.chunks_exact(frames * 2 * CELLS).zip(events) {
        let readings: Vec<Reading> = stream.chunks_exact(2 * CELLS).map(Reading::new).collect();
        let step = |i: usize| way(readings[i - 1].place, readings[i].place);
        let before = (1..at).map(step).sum::<f32>();
        let away = |r: &Reading| ((r.hue - hue(event) + PI).rem_euclid(TAU) - PI).abs();
        let tenth = 0.1 * (hue(1) - hue(0));
        let reached = readings[at..].iter().position(|r| away(r) < tenth).map_or(frames - at, |i| i + 1);
        worth.reached += share * reached as f64;
        for (i, reading) in readings.iter().enumerate().skip(at) {
            worth.kept += share * steps * f64::from(u8::from(step(i) * before > 0.0));
            worth.uneven += share * steps * f64::from((step(i).abs() - SPEED).abs());
            worth.off += share * steps * f64::from(reading.off);
        }
    }
    worth
}
