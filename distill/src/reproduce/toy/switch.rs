//! A bump that keeps moving, whose hue goes over into that of the event in force. The event says nothing about direction, and streams
//! whose event changes go on as they moved. But in clips of one event, which a judge may have learnt from, most bumps of one event move
//! right and most of another left. So such a judge, asked for the other hue, asks for the other direction too, though nothing in a
//! change says so: the conditional bias that Delta Forcing is about.

use std::f32::consts::{PI, TAU};

use crate::footage::latents::Latents;
use crate::reproduce::toy::tracker::draw;
use crate::reproduce::toy::{CELLS, Reading, latents, way};
use crate::rng::Rng;

/// Cells a frame.
pub const SPEED: f32 = 1.0;

/// Values of a picture.
pub const LEN: usize = 2 * CELLS;

/// The events. Only the first two follow each other in training.
pub const EVENTS: [&str; 3] = ["one", "other", "third"];

/// Those that follow each other in training.
pub const PAIR: usize = 2;

/// What is left of the way to an event's hue after a frame.
const LEFT: f32 = 0.5;

/// Hue of an event, radians; of what lies between two, that between theirs.
pub fn hue(event: f32) -> f32 {
    (event - 0.5) * 0.5 * PI
}

/// Whether most clips of an event move right.
pub fn usual(event: u8) -> bool {
    event != 1
}

/// Cells a frame to the right or left.
fn by(right: bool) -> f32 {
    if right { SPEED } else { -SPEED }
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
    /// The first frame that is nearer.
    at: usize,
}

/// Clips of `frames` frames.
fn clips(episodes: usize, frames: usize, seed: u64, clip: impl Fn(&mut Rng) -> Clip) -> Latents {
    let mut rng = Rng::new(seed);
    let (mut data, mut events) = (Vec::new(), Vec::new());
    for _ in 0..episodes {
        let Clip { event, start, by, away, at } = clip(&mut rng);
        for f in 0..frames {
            let since = (f + 1).saturating_sub(at) as i32;
            data.extend(draw(start + by * f as f32, hue(f32::from(event)) + away * LEFT.powi(since)));
            events.push(event);
        }
    }
    let n = events.len();
    latents(data, LEN, vec![0.0; n], events, frames)
}

/// How far from its event's hue a clip may begin.
fn anywhere(event: u8, rng: &mut Rng) -> f32 {
    PI * (1.5 * rng.unit() - 0.5) - hue(f32::from(event))
}

/// What a judge learns from: `episodes` clips of `frames` frames, each of one event, of which a share `share` moves as most of its event do.
pub fn record(episodes: usize, frames: usize, share: f32, seed: u64) -> Latents {
    clips(episodes, frames, seed, |rng| {
        let (event, start) = (rng.below(EVENTS.len()) as u8, rng.unit() * CELLS as f32);
        let right = usual(event) == (rng.unit() < share);
        Clip { event, start, by: by(right), away: anywhere(event, rng), at: 1 }
    })
}

/// What a student learns from: streams that move either way whatever their event, and go on so when it changes at some frame up to
/// number `most`. Their event is the new one throughout, as a stream is seen anew after a change (spec 2.6). With `agreed` they begin as most
/// clips of their first event move, so that nobody disagrees before a change.
pub fn streams(episodes: usize, frames: usize, most: usize, agreed: bool, seed: u64) -> Latents {
    clips(episodes, frames, seed, |rng| {
        let (start, right, at) = (rng.unit() * CELLS as f32, rng.below(2) == 0, rng.below(most + 1));
        let way = |first: u8| by(if agreed { usual(first) } else { right });
        if at == 0 {
            let event = rng.below(EVENTS.len()) as u8;
            return Clip { event, start, by: way(event), away: anywhere(event, rng), at: 1 };
        }
        let event = rng.below(PAIR) as u8;
        let by = way(1 - event);
        Clip { event, start, by, away: hue(f32::from(1 - event)) - hue(f32::from(event)), at }
    })
}

/// Cases made so that it is known whether a judge of clips is right about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// The stream follows, and moves as most clips of the new event do: the judge agrees.
    Agreement,
    /// The event has changed and the stream does not follow: the judge is right to ask for the new hue.
    Unmoved,
    /// The stream follows, and moves as few clips of the new event do: the judge is wrong to ask for another direction.
    Bias,
    /// The stream stands still: the judge is right to ask for motion.
    Collapsed,
}

/// All of them.
pub const CASES: [(Case, &str); 4] = [
    (Case::Agreement, "agreement"),
    (Case::Unmoved, "a change not yet followed"),
    (Case::Bias, "conditional bias"),
    (Case::Collapsed, "a student that stands still"),
];

/// `episodes` streams of `frames` frames of a case, whose event has changed at the second frame.
pub fn made(case: Case, episodes: usize, frames: usize, seed: u64) -> Latents {
    clips(episodes, frames, seed, |rng| {
        let (event, start) = (rng.below(PAIR) as u8, rng.unit() * CELLS as f32);
        let old = hue(f32::from(1 - event)) - hue(f32::from(event));
        let (right, still) = (usual(event) != (case == Case::Bias), case == Case::Collapsed);
        let (away, at) = match case {
            Case::Collapsed => (0.0, 1),
            Case::Unmoved => (old, frames),
            // Alike but for the direction.
            Case::Agreement | Case::Bias => (old, 1),
        };
        Clip { event, start, by: if still { 0.0 } else { by(right) }, away, at }
    })
}

/// `frames` true frames of a stream under one event.
pub fn start(event: u8, right: bool, place: f32, frames: usize) -> Vec<f32> {
    (0..frames).flat_map(|f| draw(place + by(right) * f as f32, hue(f32::from(event)))).collect()
}

/// What a change did to a stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Worth {
    /// Share of steps after it that go on in the direction of the stream's start.
    pub kept: f64,
    /// Frames until nine tenths of the way to the new hue are done; one more than there are if never.
    pub reached: f64,
    /// Distance of the hue in the last frame from the one asked for, radians.
    pub away: f64,
    /// Mean of [`Reading::off`].
    pub off: f64,
}

impl Worth {
    /// The mean of several.
    pub fn mean(all: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| all.iter().map(figure).sum::<f64>() / all.len() as f64;
        Self { kept: of(|w| w.kept), reached: of(|w| w.reached), away: of(|w| w.away), off: of(|w| w.off) }
    }
}

/// What became of `stream` [F, 2 CELLS], which began to the right or not, in the `span` frames from a change at frame `at` on, that asks
/// for hue `goal` in place of `old`.
pub fn judge(stream: &[f32], at: usize, span: usize, right: bool, [old, goal]: [f32; 2]) -> Worth {
    let readings: Vec<Reading> =
        stream[(at - 1) * LEN..(at + span) * LEN].chunks_exact(LEN).map(Reading::new).collect();
    let away = |r: &Reading| ((r.hue - goal + PI).rem_euclid(TAU) - PI).abs();
    let share = 1.0 / span as f64;
    let mut worth = Worth::default();
    for (before, now) in readings.iter().zip(&readings[1..]) {
        worth.kept += share * f64::from(u8::from((way(before.place, now.place) > 0.0) == right));
        worth.off += share * f64::from(now.off);
    }
    let near = readings[1..].iter().position(|r| away(r) < 0.1 * (goal - old).abs());
    worth.reached = near.map_or(span, |i| i) as f64 + 1.0;
    worth.away = f64::from(away(&readings[span]));
    worth
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A true stream is as good as the world is: all of its direction kept, nine tenths of the way done in four halvings.
    #[test]
    fn a_true_stream_keeps_its_direction_and_takes_four_frames_to_a_hue() {
        let hues = [hue(0.0), hue(1.0)];
        let stream: Vec<f32> = (0..12usize)
            .flat_map(|f| draw(3.0 - f as f32, hues[1] + (hues[0] - hues[1]) * LEFT.powi(f.saturating_sub(3) as i32)))
            .collect();
        let worth = judge(&stream, 4, 8, false, hues);
        assert_eq!((worth.kept, worth.reached), (1.0, 4.0));
        assert!(worth.off < 1e-3 && worth.away < 0.05, "{worth:?}");
        let other = judge(&stream, 4, 8, true, [hues[0], hue(2.0)]);
        assert_eq!((other.kept, other.reached), (0.0, 9.0));
    }

    /// Streams that agree begin as clips of their first event move, and after a change go on so: the other way than clips of their new one.
    #[test]
    fn streams_that_agree_disagree_with_clips_only_after_a_change() {
        let of = |agreed: bool| {
            let data = streams(300, 8, 4, agreed, 3);
            let one = |stream: usize| {
                let at = |f: usize| Reading::new(&data.data[(stream * 8 + f) * LEN..][..LEN]);
                let (event, right) = (data.events[stream * 8], way(at(0).place, at(1).place) > 0.0);
                // Streams that change begin with the hue of the pair's other event.
                let away = ((at(0).hue - hue(f32::from(event)) + PI).rem_euclid(TAU) - PI).abs();
                (usize::from(event) < PAIR && (away - 0.5 * PI).abs() < 0.05, right == usual(event))
            };
            let all: Vec<_> = (0..300).map(one).collect();
            [false, true].map(|changed| {
                let agree: Vec<bool> = all.iter().filter(|one| one.0 == changed).map(|one| one.1).collect();
                agree.iter().filter(|agrees| **agrees).count() as f64 / agree.len() as f64
            })
        };
        // A few that do not change begin there by chance.
        let [quiet, changed] = of(true);
        assert!(quiet == 1.0 && changed < 0.05, "{quiet}, {changed}");
        let [quiet, changed] = of(false);
        assert!((quiet - 0.5).abs() < 0.2 && (changed - 0.5).abs() < 0.1, "{quiet}, {changed}");
    }
}
