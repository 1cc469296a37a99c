//! Row 7: how soon a switch of light shows, and whether the place outlives it.

use super::dreamer::{Picture, Play};
use super::probe::Gallery;
use super::report::Row;
use super::trial::{Start, Trial};
use crate::footage::sight::mean_colour;
use crate::footage::world::{Light, Map, Pose};
use crate::stats::bootstrap::{Estimate, mean, median, over};

/// Frames before the switch and from it on.
const BEFORE: usize = 4;
const AFTER: usize = 24;

/// Another light than `light`, the lights of `map` in turn by `number`; none where there is one only.
pub fn other(map: &Map, light: Light, number: usize) -> Option<Light> {
    let others: Vec<Light> = Light::ALL[..map.lights].iter().copied().filter(|&one| one != light).collect();
    others.get(number % others.len().max(1)).copied()
}

/// A switch of light that a body at rest sees.
pub struct Switch {
    /// The truth.
    pub play: Play,
    pose: Pose,
    galleries: [Gallery; 2],
}

/// What one dream of it came to.
pub struct Switched {
    /// Frames until nine tenths of the way to the new light; one more than there were if never.
    frames: f64,
    /// Whether the place is right in the last frame before and in the last after.
    right: [bool; 2],
}

impl Switch {
    /// From `start`, the lights in turn by `number`; none where there is no renderer, or one light only.
    pub fn new(trial: &Trial<'_>, start: &Start, number: usize) -> Option<Self> {
        let (Ok(truth), Some(world)) = (&trial.truth, &start.world) else { return None };
        let to = other(truth.scene.map, world.view().light, number)?;
        let play = truth.play(world, &[None; BEFORE + AFTER], &[(BEFORE, to)]);
        let galleries = [*world.view(), *play.views.last()?].map(|view| truth.probe.gallery(&view));
        Some(Self { pose: world.view().pose, play, galleries })
    }

    /// Measures a dream.
    pub fn measure(&self, dream: &[Picture]) -> Option<Switched> {
        let ends = [BEFORE - 1, BEFORE + AFTER - 1];
        let [from, to] = ends.map(|at| mean_colour(&self.play.truth[at]));
        let way: [f64; 3] = std::array::from_fn(|c| to[c] - from[c]);
        let length = way.iter().map(|x| x * x).sum::<f64>();
        let done = |picture: &Picture| {
            let now = mean_colour(picture);
            (0..3).map(|c| (now[c] - from[c]) * way[c]).sum::<f64>() / length
        };
        let after = dream.get(BEFORE..BEFORE + AFTER).filter(|_| length > 0.0)?;
        let frames = after.iter().position(|picture| done(picture) >= 0.9).unwrap_or(AFTER) + 1;
        let right = [0, 1].map(|k| self.galleries[k].is_at(&dream[ends[k]], self.pose));
        Some(Switched { frames: frames as f64, right })
    }
}

/// The row; `found` has the dreams of each start.
pub fn row(trial: &Trial<'_>, found: &[Vec<Switched>]) -> Row {
    let mut row = Row::new(
        7,
        "events",
        "90 % of the new light within 6 frames (median); the place right as often after it as before, within 5 points",
        &format!(
            "at rest; the mean colour's way from the true one before to the true one after; the truth takes 3 frames; the place \
             is asked in the last frame before the switch and {AFTER} frames later. The thresholds are our choice"
        ),
    );
    if let Err(why) = &trial.truth {
        return row.missing(why);
    }
    let of = |get: &dyn Fn(&Switched) -> f64| -> Vec<Vec<f64>> {
        found.iter().map(|one| one.iter().map(get).collect()).collect()
    };
    let right = |k: usize| of(&move |s| f64::from(u8::from(s.right[k])));
    let frames = row.figure("frames to 90 %", over(&of(&|s| s.frames), median));
    let before = row.figure("place right before", over(&right(0), mean));
    let after = row.figure("place right after", over(&right(1), mean));
    let (Some(frames), Some(before), Some(after)) = (frames, before, after) else {
        return row.missing("no start in held, or one light only");
    };
    let [b, a] = [before, after].map(|x| 100.0 * x.value);
    let met = frames.value <= 6.0 && a >= b - 5.0;
    let more = if frames.value > AFTER as f64 { "more than " } else { "" };
    row.found(
        format!("{more}{frames} frames; place right before {b:.0} %, after {a:.0} %", frames = Shown(frames)),
        Some(met),
    )
}

/// Frames, whole ones, of which the last stands for all beyond it.
struct Shown(Estimate);

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [value, low, high] = [self.0.value, self.0.low, self.0.high].map(|x| x.min(AFTER as f64));
        write!(f, "{value:.0} ({low:.0} to {high:.0})")
    }
}
