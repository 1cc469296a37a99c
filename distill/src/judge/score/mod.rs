//! The world score: what a model file is worth as a place to be in, measured against the truth.
//!
//! Of the built-in world the truth is rendered along any keys. Of other footage there is only what was recorded, and rows that need
//! more say so.

mod back;
pub mod dreamer;
mod error;
mod held;
mod light;
mod next;
mod pictures;
mod probe;
mod recall;
pub mod report;
mod still;
mod switches;
mod target;
mod trial;
mod truth;
mod walk;

use std::collections::BTreeMap;

use causeway_runtime::config::ModelConfig;

use self::dreamer::{Picture, Play};
pub use self::error::ScoreError;
pub use self::pictures::Pictures;
pub use self::report::{Report, Row};
use self::trial::Start;
pub use self::trial::{Options, Trial};
use crate::footage::recording::Recording;

/// What is rolled out from one start.
struct Case {
    start: Start,
    walk: Option<walk::Walk>,
    still: Option<still::Still>,
    back: Vec<back::Back>,
    light: Option<light::Switch>,
    through: Vec<back::Back>,
    switches: Option<switches::Switches>,
}

/// What its dreams came to, one a seed.
#[derive(Default)]
struct Found {
    walk: Vec<walk::Walked>,
    still: Vec<[f64; 2]>,
    back: Vec<Vec<Option<[f64; 2]>>>,
    light: Vec<light::Switched>,
    through: Vec<Vec<Option<[f64; 2]>>>,
    switches: Vec<switches::Lasted>,
    strip: Option<[Vec<Picture>; 2]>,
}

/// Starts whose pictures are kept.
const SHEETS: usize = 6;

impl Trial<'_> {
    /// All rows asked for, and pictures.
    ///
    /// # Errors
    /// [`ScoreError`] when the dreamer does not take the footage's actions or events.
    pub fn report(&self) -> Result<(Report, Pictures), ScoreError> {
        let (mut rows, mut pictures) = (Vec::new(), Pictures::default());
        let wants = |number: u8| self.wants(number);
        let mut found = self.roll_outs()?;
        let walks = found.iter_mut().map(|one| std::mem::take(&mut one.walk));
        let walks: Vec<walk::Walks> = walks.filter(|dreams| !dreams.is_empty()).collect();
        if wants(1) {
            rows.push(walk::hold(self, &walks));
        }
        if wants(2) {
            rows.push(next::row(self)?);
        }
        if wants(3) {
            rows.push(walk::likeness(self, &walks));
        }
        if wants(4) {
            rows.push(still::row(self, &found.iter().map(|one| one.still.clone()).collect::<Vec<_>>()));
        }
        if wants(5) {
            rows.push(back::row(self, &found.iter().map(|one| one.back.clone()).collect::<Vec<_>>()));
            let (row, shown) = recall::row(self)?;
            rows.push(row);
            pictures.memory = shown;
        }
        if wants(6) {
            rows.push(walk::crispness(self, &walks));
        }
        if wants(7) {
            rows.push(light::row(
                self,
                &found.iter_mut().map(|one| std::mem::take(&mut one.light)).collect::<Vec<_>>(),
            ));
        }
        if wants(8) {
            rows.push(self.cost()?);
        }
        if wants(9) {
            rows.push(back::through(self, &found.iter().map(|one| one.through.clone()).collect::<Vec<_>>()));
        }
        if wants(10) {
            rows.push(switches::row(self, &found.iter().map(|one| one.switches.clone()).collect::<Vec<_>>()));
        }
        let sheets = walks.into_iter().filter_map(|mut dreams| dreams.drain(..).next()).map(|walked| walked.pictures);
        pictures.walks = sheets.take(SHEETS).collect();
        pictures.back = found.into_iter().filter_map(|one| one.strip).take(SHEETS / 2).collect();
        let options = &self.options;
        let about = BTreeMap::from([
            ("starts", options.starts.to_string()),
            ("noise seeds", options.seeds.to_string()),
            ("frames of a walk", options.frames.to_string()),
            ("window", self.window().to_string()),
            ("route", self.route().to_string()),
            ("truth", self.truth.as_ref().map_or("what was recorded", |_| "rendered").into()),
        ]);
        Ok((Report { about, rows }, pictures))
    }

    /// All dreams but those of rows 2 and 5's second half: what begins at one start is dreamt together.
    fn roll_outs(&self) -> Result<Vec<Found>, ScoreError> {
        let some = |numbers: &[u8]| numbers.iter().any(|&n| self.wants(n));
        let walks = some(&[1, 3, 6]);
        let (mut cases, rendered) = (Vec::new(), self.truth.is_ok());
        if walks || rendered && some(&[4, 5, 7, 9, 10]) {
            cases.extend(self.starts().into_iter().map(|at| (at, walks, rendered && self.wants(4))));
        }
        if !rendered && self.wants(4) {
            cases.extend(self.stills(still::STILL).into_iter().map(|at| (at, false, true)));
        }
        self.each("roll-outs", cases.len(), |i| {
            let (at, walk, still) = cases[i];
            let start = self.start(at);
            let case = Case {
                walk: walk.then(|| walk::Walk::new(self, &start, i)),
                still: still.then(|| still::Still::new(self, &start)),
                back: if self.wants(5) { back::Back::all(self, &start, i, false) } else { Vec::new() },
                light: if self.wants(7) { light::Switch::new(self, &start, i) } else { None },
                through: if self.wants(9) { back::Back::all(self, &start, i, true) } else { Vec::new() },
                switches: if self.wants(10) { switches::Switches::new(self, &start, i) } else { None },
                start,
            };
            self.dream(&case)
        })
    }

    fn dream(&self, case: &Case) -> Result<Found, ScoreError> {
        let walk = case.walk.iter().map(|one| &one.play);
        let still = case.still.iter().map(|one| &one.play);
        let back = case.back.iter().map(|one| &one.play);
        let light = case.light.iter().map(|one| &one.play);
        let through = case.through.iter().map(|one| &one.play);
        let switches = case.switches.iter().flat_map(|one| &one.plays);
        let plays: Vec<&Play> = walk.chain(still).chain(back).chain(light).chain(through).chain(switches).collect();
        let mut found = Found::default();
        for seed in self.seeds() {
            let mut dreams = self.dreamer.dream(&case.start.real, &plays, self.options.memory, seed)?.into_iter();
            let next = &mut || dreams.next().unwrap_or_default();
            if let Some(walk) = &case.walk {
                found.walk.push(walk.measure(self, &next()));
            }
            if let Some(still) = &case.still {
                found.still.extend(still.measure(&next()));
            }
            let ways: Vec<Vec<Picture>> = case.back.iter().map(|_| next()).collect();
            found.back.push(case.back.iter().zip(&ways).map(|(back, dream)| back.measure(dream)).collect());
            if let (0, Some(back), Some(dream)) = (seed, case.back.get(1), ways.get(1)) {
                found.strip = Some([back.play.truth.clone(), dream.clone()]);
            }
            found.light.extend(case.light.as_ref().and_then(|light| light.measure(&next())));
            found.through.push(case.through.iter().map(|back| back.measure(&next())).collect());
            if let Some(switches) = &case.switches {
                found.switches.push(switches.measure([next(), next()]));
            }
        }
        Ok(found)
    }

    /// Row 8.
    fn cost(&self) -> Result<Row, ScoreError> {
        let mut row = Row::new(
            8,
            "cost of a frame",
            "",
            "64 frames of one walk on all cores; other work on the machine slows the clock",
        );
        let Some(start) = self.starts().first().map(|&at| self.start(at)) else {
            return Ok(row.missing(&self.too_short(1)));
        };
        let play = match (&self.truth, &start.world) {
            (Ok(truth), Some(world)) => truth.play(world, &truth::walk(truth.scene.map, world.body(), 0, 64), &[]),
            _ => self.held.follow(start.at, 64.min(self.held.after(start.at))),
        };
        let Some(cost) = self.dreamer.cost(&start.real, &play)? else { return Ok(row.missing("nothing is computed")) };
        let exact = |value: f64| Some(crate::stats::bootstrap::Estimate { value, low: value, high: value });
        row.figure("seconds", exact(cost.wall));
        row.figure("processor seconds", cost.processor.and_then(exact));
        row.figure("bytes", exact(cost.bytes as f64));
        let processor = cost.processor.map_or("not told by this system".into(), |s| format!("{:.1} ms", 1000.0 * s));
        let text = format!(
            "processor time {processor}, all cores together; {:.0} frames per second; {:.2} MB",
            1.0 / cost.wall.max(1e-9),
            cost.bytes as f64 / 1e6
        );
        Ok(row.found(text, None))
    }
}

/// Whether a recording is of what the model makes.
///
/// # Errors
/// [`ScoreError::Footage`].
pub fn fits(model: &ModelConfig, held: &Recording) -> Result<(), ScoreError> {
    let fault = |what, footage: String, model: String| Err(ScoreError::Footage { what, footage, model });
    let ((w, h), info) = (model.picture(), &held.info);
    if (w, h) != (info.width, info.height) {
        return fault("the picture", format!("{} x {}", info.width, info.height), format!("{w} x {h}"));
    }
    if model.dit.actions != info.actions {
        return fault("the list of actions", info.actions.join(", "), model.dit.actions.join(", "));
    }
    if model.dit.events != info.events {
        return fault("the list of events", info.events.join(", "), model.dit.events.join(", "));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
