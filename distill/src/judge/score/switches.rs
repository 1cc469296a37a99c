//! Row 10: what is left of the truth after many abrupt switches of light, along a walk, beside the same walk in one light.

use super::dreamer::{Picture, Play};
use super::light;
use super::report::Row;
use super::target::Target;
use super::trial::{Start, Trial};
use super::truth;
use crate::stats::bootstrap::{median, over};

/// Switches of a walk.
pub const SWITCHES: usize = 12;
/// Frames between two of them.
const APART: usize = 24;
/// Switches of the first part and of the last that are told apart.
const PART: usize = SWITCHES / 3;

/// A walk with switches, and the same without.
pub struct Switches {
    /// The two truths.
    pub plays: [Play; 2],
    targets: [Vec<Option<Target>>; 2],
}

/// By how much each light's last frame falls short of the codec, on the walk with switches and on that without.
pub type Lasted = [Vec<Option<f64>>; 2];

impl Switches {
    /// From `start`, the walk of number `number`; none where there is no renderer, or one light only.
    pub fn new(trial: &Trial<'_>, start: &Start, number: usize) -> Option<Self> {
        let (Ok(truth), Some(world)) = (&trial.truth, &start.world) else { return None };
        let keys = truth::walk(truth.scene.map, world.body(), number as u64, SWITCHES * APART);
        let (mut light, mut switches) = (world.view().light, Vec::new());
        for k in 0..SWITCHES {
            light = light::other(truth.scene.map, light, number + k)?;
            switches.push((k * APART, light));
        }
        let plays = [&switches[..], &[]].map(|switches| truth.play(world, &keys, switches));
        let last = |play: &Play| -> Vec<Option<Target>> {
            (1..=SWITCHES).map(|k| Target::new(trial, &start.real, play, k * APART - 1)).collect()
        };
        let targets = [last(&plays[0]), last(&plays[1])];
        Some(Self { plays, targets })
    }

    /// Measures the dreams of both.
    pub fn measure(&self, dreams: [Vec<Picture>; 2]) -> Lasted {
        let short = |k: usize| -> Vec<Option<f64>> {
            let one = |target: &Option<Target>| target.as_ref().and_then(|t| t.deficit(dreams[k].get(t.at)?));
            self.targets[k].iter().map(one).collect()
        };
        [short(0), short(1)]
    }
}

/// The row; `found` has the dreams of each start.
pub fn row(trial: &Trial<'_>, found: &[Vec<Lasted>]) -> Row {
    let mut row = Row::new(
        10,
        "switches of light",
        "",
        &format!(
            "a fixed walk of {SWITCHES} lights, {APART} frames each; the last frame of each light against the truth, as dB short of the \
             codec, median over starts and switches; beside it the same walk in one light"
        ),
    );
    if let Err(why) = &trial.truth {
        return row.missing(why);
    }
    let mut parts = Vec::new();
    for (k, walk) in ["switched", "one light"].into_iter().enumerate() {
        let mut said = Vec::new();
        for (part, range) in [("first", 0..PART), ("last", SWITCHES - PART..SWITCHES), ("all", 0..SWITCHES)] {
            let of = |dreams: &Vec<Lasted>| {
                dreams.iter().flat_map(|d| d[k][range.clone()].iter().flatten().copied()).collect()
            };
            let short: Vec<Vec<f64>> = found.iter().map(of).collect();
            let short = row.figure(format!("{walk}, {part}"), over(&short, median));
            said.extend(short.map(|short| format!("{part} {short}")));
        }
        if !said.is_empty() {
            parts.push(format!("{walk}: {} dB short", said.join(", ")));
        }
    }
    if parts.is_empty() {
        return row.missing("no start in held, or one light only");
    }
    row.found(parts.join("<br>"), None)
}
