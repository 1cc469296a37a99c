//! What is tried on what: a dreamer, footage, and the truth where a renderer knows it.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::dreamer::{Dreamer, Memory, Picture, Play, Real, SHOWN};
use super::error::ScoreError;
use super::held::{self, Held};
use super::probe;
use super::truth::Truth;
use crate::footage::recording::Recording;
use crate::footage::sight::Nearest;
use crate::footage::world::{Scene, View, World, view_from_row};

/// Rows of the score; those with higher numbers are measured only if named.
pub const ROWS: u8 = 8;

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
    /// Numbers of the rows to measure; the first [`ROWS`] if empty.
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
pub(super) struct Start {
    /// The last real frame in the recording.
    pub(super) at: usize,
    pub(super) real: Real,
    /// The world there, where a renderer knows it.
    pub(super) world: Option<World>,
}

/// A dreamer and the footage to try it on.
pub struct Trial<'a> {
    pub(super) dreamer: &'a dyn Dreamer,
    pub(super) held: Held<'a>,
    /// The renderer, or why there is none.
    pub(super) truth: Result<Truth, String>,
    /// Held frames to look for the nearest in, where there is no renderer.
    pub(super) nearest: Nearest<&'a [u8]>,
    pub(super) options: Options,
}

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

    pub(super) fn wants(&self, number: u8) -> bool {
        let all = self.options.rows.is_empty() && number <= ROWS;
        all || self.options.rows.contains(&number)
    }

    pub(super) fn seeds(&self) -> Range<u64> {
        0..self.options.seeds
    }

    /// Frames attention sees.
    pub(super) fn window(&self) -> usize {
        self.options.memory.window.unwrap_or(self.dreamer.memory().0)
    }

    /// History frames a query is routed to; 0 for all.
    pub(super) fn route(&self) -> usize {
        self.options.memory.route.unwrap_or(self.dreamer.memory().1)
    }

    pub(super) fn fps(&self) -> f64 {
        f64::from(self.held.recording.info.fps)
    }

    /// Why there is no roll-out of `frames` frames.
    pub(super) fn too_short(&self, frames: usize) -> String {
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
    pub(super) fn starts(&self) -> Vec<usize> {
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

    /// Frames from which nothing is pressed for `long`, of footage alone.
    pub(super) fn stills(&self, long: usize) -> Vec<usize> {
        let held = &self.held;
        let mut idle = vec![0usize; held.recording.len() + 1];
        for i in (0..held.recording.len()).rev() {
            idle[i] = if held.told(i) == held::Told::Nothing { idle[i + 1] + 1 } else { 0 };
        }
        let events = &held.recording.events;
        let same = |i: usize| events[i..=i + long].iter().all(|&event| event == events[i]);
        held.spread(self.options.starts, |i| held.is_start(i, long) && idle[i + 1] >= long && same(i))
    }

    pub(super) fn start(&self, at: usize) -> Start {
        let mut real = self.held.real(at);
        let mut world = None;
        if let Ok(truth) = &self.truth {
            real.views = truth.views(&self.held, at).unwrap_or_default();
            world = truth.world(&self.held, at);
        }
        Start { at, real, world }
    }

    /// A picture in the light of frame `at` of `play`, from elsewhere.
    pub(super) fn unrelated(&self, start: &Start, play: &Play, at: usize) -> Option<Picture> {
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

    /// What `f` makes of each of `count` numbers, in order, on so many threads.
    pub(super) fn each<T: Send>(
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
        let view = view_from_row(held.recording.pose(i), held.recording.events[i]);
        if view.is_none_or(|view| truth.scene.render(&view) != held.recording.frame(i)) {
            return Err(format!("the renderer does not make frame {i} of this footage; it may be older"));
        }
    }
    Ok(truth)
}
