//! Stage `streaming`: long tuning with events (LongLive, spec 5.6), and on top of it Delta Forcing (spec 5.8).
//!
//! A stream runs under one event; at a chunk boundary the event changes, what the student remembers is seen anew under the new one
//! (recache, spec 2.6), and the student goes on. The window that is judged overlaps the frames before the change, and the teacher
//! is asked under the event in force. Half of all streams do not change there, so that what works is kept.
//!
//! A stream may have gone through other changes before, as published on to 240 latents. Nothing is kept between steps but weights: how far a
//! stream has come is drawn, and it is made anew up to there, by the student as it is now. So a run that was killed goes on to the same numbers.

use std::cell::Cell;
use std::path::Path;

use burn::tensor::Device;

use crate::footage::latents::Windows;
use crate::method::delta_forcing::{DeltaForcing, Radius};
use crate::method::score::{Pair, Scores, Verdict};
use crate::method::self_rollout::Made;
use crate::method::teacher_forcing::World;
use crate::net::rollout::Engine;
use crate::net::weights::Weights;
use crate::rng::Rng;
use crate::train::optim::{Part, Rule};
use crate::train::state::StateError;
use crate::train::trainer::{Figures, Job, Stage};

/// Tuning on streams with events.
pub struct Streaming<'a> {
    /// Data and settings; of the data only actions are seen, and which events there are.
    pub world: World<'a>,
    /// What is trained, and what knows the data: a bidirectional model as published, or a causal one.
    pub pair: Pair<'a>,
    /// Denoising steps of a frame: an entry of the schedule.
    pub steps: usize,
    /// Frames before the change that the student remembers.
    pub context: usize,
    /// The last of them that the scores see too: as published few, at most 3 of 21 (spec 5.6).
    pub overlap: usize,
    /// Most changes that a stream has gone through before the part that is judged; how many is drawn.
    pub changes: usize,
    /// Changes are from and to the first so many events; 0 for all.
    pub among: usize,
    /// Delta Forcing; distribution matching alone if `None`.
    pub delta: Option<DeltaForcing>,
}

impl Streaming<'_> {
    /// A window whose first frames were made under one event and the rest under another (the same where `switch` is false): the
    /// rest is what is judged.
    pub fn stream(&self, student: Engine<'_>, batch: usize, switch: bool, rng: &mut Rng) -> Made {
        let world = &self.world;
        let sigmas = world.config.schedule.sigmas(self.steps).unwrap_or_else(|| vec![1.0]);
        let mut windows = world.data.windows(batch, world.frames, rng);
        if self.among > 0 {
            for row in windows.events.chunks_exact_mut(world.frames).filter(|row| usize::from(row[0]) >= self.among) {
                row.fill(rng.below(self.among) as u8);
            }
        }
        // Plain roll-out under the first event.
        let mut stream = Made::roll_out(student, world, windows, 0, &sigmas, rng).windows;
        let changes = if self.changes > 0 { rng.below(self.changes + 1) } else { 0 };
        for _ in 0..changes {
            let next = self.onward(&stream, true, rng);
            stream = Made::roll_out(student, world, next, self.context, &sigmas, rng).windows;
        }
        let next = self.onward(&stream, switch, rng);
        let exit = 1 + rng.below(sigmas.len());
        let made = Made::roll_out(student, world, next, self.context, &sigmas[..exit], rng);
        Made { unseen: self.context - self.overlap, ..made }
    }

    /// The newest frames of `stream` and room for those to come, under another event if there is to be a `switch`.
    fn onward(&self, stream: &Windows, switch: bool, rng: &mut Rng) -> Windows {
        let (frames, all) = (self.world.frames, self.world.config.dit.events.len());
        let mut next = stream.part(frames - self.context, self.context).extended(frames);
        if switch {
            let events = if self.among > 0 { self.among } else { all };
            for row in next.events.chunks_exact_mut(frames) {
                // Any but the one in force; frames from before the change are seen anew under it.
                let other = (usize::from(row[self.context]) + 1 + rng.below(events - 1)) % events;
                row.fill(other as u8);
            }
        }
        next
    }

    /// Streams of the student in `both`, whose event changes or not, and what the scores say of them between these levels, or at those of
    /// supervision; to measure a radius on those without a change.
    pub fn judged(
        &self,
        both: &Weights,
        device: &Device,
        switch: bool,
        levels: Option<[f32; 2]>,
        seed: u64,
    ) -> Vec<(Made, Verdict)> {
        let [student, critic] = self.pair.split(both);
        let leaves = self.world.leaves(&student, device);
        let (scores, engine, mut rng) =
            (self.pair.scores(&critic), self.world.engine(&student, &leaves), Rng::new(seed));
        (0..24)
            .map(|_| {
                let made = self.stream(engine, self.world.batch, switch, &mut rng);
                let verdict = self.told(scores, &made, levels, device, &mut rng);
                (made, verdict)
            })
            .collect()
    }

    /// What the scores say of `made` between these levels, or at those of supervision.
    fn told(
        &self,
        scores: Scores<'_>,
        made: &Made,
        levels: Option<[f32; 2]>,
        device: &Device,
        rng: &mut Rng,
    ) -> Verdict {
        match levels {
            None => scores.judge(&self.world, device, made, rng),
            Some(levels) => scores.judge_between(&self.world, device, made, levels, rng),
        }
    }
}

impl Windows {
    /// The same windows with room for `frames` frames: the last action and event go on, the frames are empty.
    fn extended(&self, frames: usize) -> Self {
        fn longer<T: Copy>(values: &[T], batch: usize, from: usize, to: usize, fill: Option<T>) -> Vec<T> {
            let row = values.len() / batch;
            let one = row / from;
            let mut out = Vec::with_capacity(batch * one * to);
            for values in values.chunks_exact(row) {
                out.extend_from_slice(values);
                for i in 0..(to - from) * one {
                    out.push(fill.unwrap_or(values[row - one + i % one]));
                }
            }
            out
        }
        let of = (self.batch, self.frames);
        Self {
            frames,
            real: longer(&self.real, of.0, of.1, frames, Some(0.0)),
            actions: longer(&self.actions, of.0, of.1, frames, None),
            events: longer(&self.events, of.0, of.1, frames, None),
            before: self.before.clone(),
            firsts: self.firsts.clone(),
            blind: self.blind.clone(),
            ..*self
        }
    }
}

impl Stage for Streaming<'_> {
    fn name(&self) -> &'static str {
        if self.delta.is_some() { "delta" } else { "streaming" }
    }

    fn batch(&self) -> usize {
        self.world.batch
    }

    fn rule(&self) -> Rule {
        self.world.rule
    }

    fn part(&self, step: u64, len: usize) -> Part {
        self.pair.part(step, len)
    }

    fn gradient(&self, mut job: Job<'_>, flat: &mut [f32]) -> (f32, usize) {
        let switch = job.rng.below(2) == 0;
        let moves = Pair::student_moves(job.state.step);
        let follows = moves && self.delta.as_ref().is_some_and(|delta| delta.options.radius == Radius::Running);
        let (quiet, device) = (Cell::new(None), job.device.clone());
        let roll_out = |student: Engine<'_>, job: &mut Job<'_>| {
            if follows {
                quiet.set(Some(self.stream(student, job.share, false, &mut job.rng)));
            }
            self.stream(student, job.share, switch, &mut job.rng)
        };
        self.pair.gradient(&self.world, job, flat, roll_out, |scores, made, verdict, rng| {
            let mut gradient = verdict.matching(made);
            if let Some(delta) = &self.delta {
                let levels = delta.options.levels;
                let told = |made: &Made, rng: &mut Rng| self.told(scores, made, levels, &device, rng);
                let moved = quiet.take().map(|quiet| delta.following(&quiet, &told(&quiet, rng)));
                let probe = levels.map(|_| told(made, rng));
                let at = switch.then_some(self.context);
                let told = probe.as_ref().unwrap_or(verdict);
                moved.as_ref().unwrap_or(delta).apply(made, told, at, &mut gradient, rng);
            }
            gradient
        })
    }

    fn inspect(&self, net: &Weights, device: &Device, dir: &Path, step: u64) -> Result<Figures, StateError> {
        self.world.roll_few(&self.pair.split(net)[0], device, dir, (self.name(), step))
    }
}
