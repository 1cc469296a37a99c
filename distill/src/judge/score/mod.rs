//! The world score: what a model file is worth as a place to be in, measured against the truth.
//!
//! Of the built-in world the truth is rendered along any keys. Of other footage there is only what was recorded, and rows that need
//! more say so.

mod back;
pub mod bootstrap;
pub mod dreamer;
mod facts;
mod held;
mod light;
mod next;
mod pictures;
mod probe;
mod recall;
pub mod report;
mod still;
mod target;
mod truth;
mod walk;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use causeway_runtime::SessionError;
use causeway_runtime::config::ModelConfig;

use self::dreamer::{Dreamer, Memory, Picture, Play, Real, SHOWN};
use self::held::Held;
pub use self::pictures::Pictures;
pub use self::report::{Report, Row};
use self::truth::Truth;
use crate::footage::recording::Recording;
use crate::footage::sight::Nearest;
use crate::footage::world::{Scene, View, World};

/// Why there is no score.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// The model file cannot be scored.
    #[error("this model cannot be scored: {0}")]
    Model(String),
    /// The footage is not of the model's world.
    #[error("the footage does not fit the model: {what} of the footage is {footage}, of the model {model}")]
    Footage {
        /// What differs.
        what: &'static str,
        /// As the footage has it.
        footage: String,
        /// As the model has it.
        model: String,
    },
    /// The runtime refused something.
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// Starts, and windows a key, and questions a kind of fact.
    pub starts: usize,
    /// Noise seeds of each.
    pub seeds: u64,
    /// Frames of a walk.
    pub frames: usize,
    /// After how many frames facts are asked for.
    pub asked: Vec<usize>,
    /// What the dreamer remembers by default.
    pub memory: Memory,
    /// Starts measured at once.
    pub threads: usize,
    /// Numbers of the rows to measure; all if empty.
    pub rows: Vec<u8>,
}

impl Options {
    /// The whole score.
    pub fn full(threads: usize) -> Self {
        let memory = Memory::default();
        Self { starts: 32, seeds: 3, frames: 600, asked: vec![30, 60], memory, threads, rows: Vec::new() }
    }

    /// What takes minutes.
    pub fn quick(threads: usize) -> Self {
        Self { starts: 8, seeds: 1, frames: 256, asked: vec![30], ..Self::full(threads) }
    }
}

/// Where roll-outs begin.
struct Start {
    /// The last real frame in the recording.
    at: usize,
    real: Real,
    /// The world there, where a renderer knows it.
    world: Option<World>,
}

/// A dreamer and the footage to try it on.
pub struct Trial<'a> {
    dreamer: &'a dyn Dreamer,
    held: Held<'a>,
    /// The renderer, or why there is none.
    truth: Result<Truth, String>,
    /// Held frames to look for the nearest in, where there is no renderer.
    nearest: Nearest<&'a [u8]>,
    options: Options,
}

/// What is rolled out from one start.
struct Case {
    start: Start,
    walk: Option<walk::Walk>,
    still: Option<still::Still>,
    back: Vec<back::Back>,
    light: Option<light::Switch>,
}

/// What its dreams came to, one a seed.
#[derive(Default)]
struct Found {
    walk: Vec<walk::Walked>,
    still: Vec<[f64; 2]>,
    back: Vec<Vec<Option<[f64; 2]>>>,
    light: Vec<light::Switched>,
    strip: Option<[Vec<Picture>; 2]>,
}

/// Starts whose pictures are kept.
const SHEETS: usize = 6;

impl<'a> Trial<'a> {
    /// A trial of `dreamer` on `recording`, whose truth `scene` renders if there is one.
    pub fn new(dreamer: &'a dyn Dreamer, recording: &'a Recording, scene: Option<Scene>, options: Options) -> Self {
        let held = Held::new(recording);
        let truth = match scene {
            None => Err("no renderer knows the place of this footage".into()),
            Some(scene) => checked(Truth::new(scene), &held),
        };
        // Enough to find something alike, and few enough to look through.
        let step = recording.len().div_ceil(4000).max(1);
        let frames = if truth.is_ok() { 0 } else { recording.len() };
        let nearest = (0..frames).step_by(step).map(|i| recording.frame(i)).collect();
        Self { dreamer, truth, nearest: Nearest::new(nearest, recording.info.width), held, options }
    }

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

    fn wants(&self, number: u8) -> bool {
        self.options.rows.is_empty() || self.options.rows.contains(&number)
    }

    fn seeds(&self) -> Range<u64> {
        0..self.options.seeds
    }

    /// Frames attention sees.
    fn window(&self) -> usize {
        self.options.memory.window.unwrap_or(self.dreamer.memory().0)
    }

    /// History frames a query is routed to; 0 for all.
    fn route(&self) -> usize {
        self.options.memory.route.unwrap_or(self.dreamer.memory().1)
    }

    fn fps(&self) -> f64 {
        f64::from(self.held.recording.info.fps)
    }

    /// Why there is no roll-out of `frames` frames.
    fn too_short(&self, frames: usize) -> String {
        if self.truth.is_ok() {
            return match self.starts().is_empty() {
                true => "held has no body at rest after 24 frames in one settled light".into(),
                false => format!("walks of {} frames were asked for, {frames} are needed", self.options.frames),
            };
        }
        let longest = self.held.longest().map_or("are none".into(), |n| format!("follow at most {n}"));
        format!(
            "on {SHOWN} frames of one condition there must follow {frames} of the same episode; in held there {longest}"
        )
    }

    /// Frames of the recording from which walks begin.
    fn starts(&self) -> Vec<usize> {
        let (held, count) = (&self.held, self.options.starts);
        match &self.truth {
            Ok(truth) => held.spread(count, |i| {
                held.is_start(i, 0) && truth.world(held, i).is_some() && truth.views(held, i).is_some()
            }),
            // As long as can be, but not so long that few are left.
            Err(_) => [self.options.frames, 256, 64, 16]
                .into_iter()
                .filter(|&after| after <= self.options.frames)
                .map(|after| held.spread(count, |i| held.is_start(i, after) && !self.under_way(i)))
                .find(|found| found.len() >= count.div_ceil(2))
                .unwrap_or_else(|| held.spread(count, |i| held.is_start(i, 1) && !self.under_way(i))),
        }
    }

    /// Whether at frame `i` an action that lasts may be under way, whose beginning a session would not know of.
    fn under_way(&self, i: usize) -> bool {
        self.held.recording.info.latch > 1 && self.held.told(i) != held::Told::Nothing
    }

    /// Frames from which nothing is pressed for long, of footage alone.
    fn stills(&self) -> Vec<usize> {
        let held = &self.held;
        let mut idle = vec![0usize; held.recording.len() + 1];
        for i in (0..held.recording.len()).rev() {
            idle[i] = if held.told(i) == held::Told::Nothing { idle[i + 1] + 1 } else { 0 };
        }
        let events = &held.recording.events;
        let same = |i: usize| events[i..=i + still::STILL].iter().all(|&event| event == events[i]);
        held.spread(self.options.starts, |i| held.is_start(i, still::STILL) && idle[i + 1] >= still::STILL && same(i))
    }

    fn start(&self, at: usize) -> Start {
        let mut real = self.held.real(at);
        let mut world = None;
        if let Ok(truth) = &self.truth {
            real.views = truth.views(&self.held, at).unwrap_or_default();
            world = truth.world(&self.held, at);
        }
        Start { at, real, world }
    }

    /// A picture in the light of frame `at` of `play`, from elsewhere.
    fn unrelated(&self, start: &Start, play: &Play, at: usize) -> Option<Picture> {
        let number = start.at.wrapping_mul(7919) + at;
        match (&self.truth, play.views.get(at)) {
            (Ok(truth), Some(view)) => {
                let poses = truth.probe.poses();
                let any = (0..poses.len()).map(|k| poses[(number + k) % poses.len()]);
                let mut far = any.filter(|pose| !probe::near(*pose, view.pose));
                far.next().map(|pose| truth.scene.render(&View { pose, ..*view }))
            }
            _ => {
                let (all, event) = (self.held.recording.len(), *play.events.get(at)?);
                let here = start.at + 1 + at;
                let far = |i: &usize| self.held.recording.events[*i] == event && here.abs_diff(*i) >= 50.min(all / 2);
                (0..all).map(|k| (number + k) % all).find(far).map(|i| self.held.frame(i))
            }
        }
    }

    /// All dreams but those of rows 2 and 5's second half: what begins at one start is dreamt together.
    fn roll_outs(&self) -> Result<Vec<Found>, ScoreError> {
        let some = |numbers: &[u8]| numbers.iter().any(|&n| self.wants(n));
        let walks = some(&[1, 3, 6]);
        let (mut cases, rendered) = (Vec::new(), self.truth.is_ok());
        if walks || rendered && some(&[4, 5, 7]) {
            cases.extend(self.starts().into_iter().map(|at| (at, walks, rendered && self.wants(4))));
        }
        if !rendered && self.wants(4) {
            cases.extend(self.stills().into_iter().map(|at| (at, false, true)));
        }
        self.each("roll-outs", cases.len(), |i| {
            let (at, walk, still) = cases[i];
            let start = self.start(at);
            let case = Case {
                walk: walk.then(|| walk::Walk::new(self, &start, i)),
                still: still.then(|| still::Still::new(self, &start)),
                back: if self.wants(5) { back::Back::all(self, &start, i) } else { Vec::new() },
                light: if self.wants(7) { light::Switch::new(self, &start, i) } else { None },
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
        let plays: Vec<&Play> = walk.chain(still).chain(back).chain(light).collect();
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
            (Ok(truth), Some(world)) => truth.play(world, &truth::walk(truth.scene.map, world.body(), 0, 64), None),
            _ => self.held.follow(start.at, 64.min(self.held.after(start.at))),
        };
        let Some(cost) = self.dreamer.cost(&start.real, &play)? else { return Ok(row.missing("nothing is computed")) };
        let exact = |value: f64| Some(bootstrap::Estimate { value, low: value, high: value });
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

    /// What `f` makes of each of `count` numbers, in order, on so many threads.
    fn each<T: Send>(
        &self,
        what: &str,
        count: usize,
        f: impl Fn(usize) -> Result<T, ScoreError> + Sync,
    ) -> Result<Vec<T>, ScoreError> {
        let next = AtomicUsize::new(0);
        let bar = indicatif::ProgressBar::new(count as u64);
        bar.set_style(
            indicatif::ProgressStyle::with_template("{prefix:12} [{bar:30}] {pos}/{len}, {eta} left")
                .unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()),
        );
        bar.set_prefix(what.to_owned());
        let work = || -> Result<Vec<(usize, T)>, ScoreError> {
            let mut done = Vec::new();
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= count {
                    return Ok(done);
                }
                // After an error the others need not go on.
                done.push((i, f(i).inspect_err(|_| next.store(count, Ordering::Relaxed))?));
                bar.inc(1);
            }
        };
        let workers = self.options.threads.max(1).min(count.max(1));
        let mut all = std::thread::scope(|scope| {
            let running: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            let mut all = Vec::new();
            for worker in running {
                match worker.join() {
                    Ok(done) => all.extend(done?),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ok::<_, ScoreError>(all)
        })?;
        bar.finish_and_clear();
        all.sort_by_key(|one| one.0);
        Ok(all.into_iter().map(|one| one.1).collect())
    }
}

/// `truth`, if the renderer makes the frames that `held` has.
fn checked(truth: Truth, held: &Held<'_>) -> Result<Truth, String> {
    let step = (held.recording.len() / 16).max(1);
    for i in (0..held.recording.len()).step_by(step) {
        let view = crate::footage::world::view_from_row(held.recording.pose(i), held.recording.events[i]);
        if view.is_none_or(|view| truth.scene.render(&view) != held.recording.frame(i)) {
            return Err(format!("the renderer does not make frame {i} of this footage; it may be older"));
        }
    }
    Ok(truth)
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
