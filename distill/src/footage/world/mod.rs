//! A small place seen in first person: the source of training data, and the ground truth to compare a model with.
//!
//! The map is always the same, so weights can know it. Colours of banners, and which torches burn, doors stand open and levers are
//! up, are drawn anew for each episode: only history can tell them.
//!
//! Everything follows from (seed, shard, episode), and the renderer uses only exactly rounded operations: a recording is the
//! same on every machine.

pub mod bot;
pub mod colour;
pub mod fact;
pub mod facts;
pub mod map;
pub mod player;
pub mod render;
pub mod rng;
mod view;
mod wall;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

pub use self::bot::{Bot, Habits};
pub use self::colour::Light;
pub use self::map::{KEEP, Map};
pub use self::player::{ACTIONS, Action, Body, Key, Pose};
pub use self::render::{Size, render};
pub use self::rng::Rng;
pub use self::view::View;
use crate::footage::recording::{Recording, RecordingError, RecordingInfo, Shard};
use crate::judge::sheet::Sheet;
use crate::train::state::StateError;

/// Movements a second.
pub const PACE: f32 = 4.0;
/// Frames a change of light takes.
pub const FADE: usize = 3;
/// Columns of the recording's `poses`: x and y in cells, heading in tenths of a degree clockwise from east, the event number of
/// the light before the last switch of light, how much of the light in force has come, the flames' phase, the banners' colours
/// and the switches that are on as [`View`] has them, how far the switch ahead has come.
pub const POSE_COLUMNS: [&str; 9] = ["x", "y", "heading", "light_before", "fade", "phase", "banners", "on", "change"];

/// What recordings of this world call their source, before the map's name.
const SOURCE: &str = "causeway-distill world: ";

/// Why recording failed.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// `shard` was 0, or no frames were asked for.
    #[error("cannot record {frames} frames in shards of {shard}: both must be at least 1")]
    Empty {
        /// Frames asked for.
        frames: usize,
        /// Frames a shard asked for.
        shard: usize,
    },
    /// No such place.
    #[error("there is no place called {name}; there is {known}")]
    Place {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A shard could not be written.
    #[error(transparent)]
    Write(#[from] RecordingError),
    /// A stop was asked for.
    #[error("recording was stopped; the same command records all of it")]
    Stopped,
}

/// A place, and how large its pictures are: what a frame's pose row must be joined with to render it.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    /// The place.
    pub map: &'static Map,
    /// Its pictures.
    pub size: Size,
}

impl Scene {
    /// The place called `name` in pictures of `size`.
    ///
    /// # Errors
    /// [`RecordError::Place`] if there is none.
    pub fn named(name: &str, size: Size) -> Result<Self, RecordError> {
        let known = || map::all().map(|map| map.name).join(", ");
        let map = map::named(name).ok_or_else(|| RecordError::Place { name: name.into(), known: known() })?;
        Ok(Self { map, size })
    }

    /// The scene a recording shows, if it is one of this world.
    pub fn of(info: &RecordingInfo) -> Option<Self> {
        let map = map::named(info.source.strip_prefix(SOURCE)?.split(',').next()?)?;
        Some(Self { map, size: Size { width: info.width, height: info.height } })
    }

    /// Its exact picture: sRGB bytes [height, width, 3].
    pub fn render(&self, view: &View) -> Vec<u8> {
        render(self.map, self.size, view)
    }

    /// Draws what a body at rest sees: a row of four headings a cell, in the first light and, beside each, in another; every other
    /// cell with its switches on.
    ///
    /// # Errors
    /// [`StateError`] when the picture cannot be written.
    pub fn contact_sheet(&self, path: &Path) -> Result<(), StateError> {
        let mut sheet = Sheet::new(self.size.width, self.size.height);
        for (i, cell) in self.map.cells().into_iter().enumerate() {
            let lights = [Light::Day, Light::ALL[1 + i % (self.map.lights - 1)]];
            let facts = [0b1_0001_0000_1110_0011, if i % 2 == 0 { 0 } else { u32::MAX }];
            let view = |side, light| *World::new(self.map, Body::new(cell, side), light, side as u8, facts).view();
            sheet.row((0..4).flat_map(|side| lights.map(|light| self.render(&view(side, light)))).collect());
        }
        sheet.write(path, 2)
    }

    /// What is written about a recording of it.
    pub fn info(&self, seed: u64, habits: Habits) -> RecordingInfo {
        let more = if habits == Habits::default() { String::new() } else { format!(", errands {}", habits.away) };
        RecordingInfo {
            width: self.size.width,
            height: self.size.height,
            fps: f32::from(self.map.frames) * PACE,
            latch: usize::from(self.map.frames),
            actions: ACTIONS.map(String::from).to_vec(),
            events: Light::ALL[..self.map.lights].iter().map(|l| l.name().to_string()).collect(),
            license: "MIT OR Apache-2.0".into(),
            credits: "Rendered by Causeway's own ray caster; no third-party art".into(),
            source: format!("{SOURCE}{}{more}", self.map.name),
            seed,
        }
    }

    /// One shard of `len` frames by the usual bot: as many episodes as fit, the last cut short. The same numbers give the same shard.
    pub fn play(&self, seed: u64, index: usize, len: usize, each: impl FnMut()) -> Shard {
        self.play_by(Habits::default(), seed, index, len, each)
    }

    /// [`Self::play`] by a bot of other `habits`.
    pub fn play_by(&self, habits: Habits, seed: u64, index: usize, len: usize, mut each: impl FnMut()) -> Shard {
        let mut shard = Shard::default();
        let mut episode = 0;
        while shard.episode_starts.len() < len {
            let mut rng = Rng::new(seed, index as u64, episode);
            let frames = rng.range(400, 600).min(len - shard.episode_starts.len());
            let (mut world, mut bot) = (World::anywhere(self.map, &mut rng), Bot::new(habits));
            let mut switch = rng.range(60, 200);
            for frame in 0..frames {
                let mut told = None;
                if frame > 0 {
                    let key = bot.act(self.map, world.body(), &mut rng);
                    let light = (frame == switch).then(|| {
                        switch = frame + rng.range(60, 200);
                        let other = rng.range(1, self.map.lights - 1);
                        Light::ALL[(world.view().light as usize + other) % self.map.lights]
                    });
                    told = world.step(key, light);
                }
                let view = world.view();
                shard.frames.extend_from_slice(&self.render(view));
                shard.actions.extend(player::row(told));
                shard.events.push(view.light.index());
                shard.poses.extend(pose_row(view));
                shard.episode_starts.push(u8::from(frame == 0));
                each();
            }
            episode += 1;
        }
        shard
    }

    /// What [`Self::record`] would write, in memory.
    pub fn recording(&self, seed: u64, frames: usize, shard: usize) -> Recording {
        let mut all = Shard::default();
        for index in 0..frames.div_ceil(shard.max(1)) {
            let mut one = self.play(seed, index, shard.max(1), || ());
            all.frames.append(&mut one.frames);
            all.actions.append(&mut one.actions);
            all.events.append(&mut one.events);
            all.poses.append(&mut one.poses);
            all.episode_starts.append(&mut one.episode_starts);
        }
        let Shard { frames, actions, events, poses, episode_starts } = all;
        Recording { frames, actions, events, poses, episode_starts, info: self.info(seed, Habits::default()) }
    }

    /// Records at least `frames` frames by a bot of such `habits`, in whole shards of `shard` frames, into the folder `out` (made if missing), on all cores.
    /// Once `stop` is set no further shard is begun.
    ///
    /// # Errors
    /// [`RecordError`] if there is nothing to record, a file cannot be written or a stop was asked for.
    pub fn record(
        &self,
        out: &Path,
        habits: Habits,
        seed: u64,
        frames: usize,
        shard: usize,
        stop: &AtomicBool,
    ) -> Result<(), RecordError> {
        if frames == 0 || shard == 0 {
            return Err(RecordError::Empty { frames, shard });
        }
        let shards = frames.div_ceil(shard);
        let style = ProgressStyle::with_template("recording {bar:32} {pos}/{len} frames, {per_sec}, {eta} left");
        let bar = ProgressBar::new((shards * shard) as u64);
        if let Ok(style) = style {
            bar.set_style(style);
        }
        let next = AtomicUsize::new(0);
        let work = || -> Result<(), RecordError> {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= shards {
                    return Ok(());
                }
                if stop.load(Ordering::Relaxed) {
                    return Err(RecordError::Stopped);
                }
                self.play_by(habits, seed, index, shard, || bar.inc(1)).write(out, index, &self.info(seed, habits))?;
            }
        };
        let workers = std::thread::available_parallelism().map_or(1, usize::from).min(shards);
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            running.into_iter().try_for_each(|worker| match worker.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })?;
        bar.finish();
        Ok(())
    }
}

/// The running world: a player, the light, flames, banners, switches.
#[derive(Clone, Debug)]
pub struct World {
    map: &'static Map,
    body: Body,
    view: View,
    fading: usize,
}

impl World {
    /// A world with settled light, seen by a body at rest; banners and switches as [`View`] has them.
    pub fn new(map: &'static Map, body: Body, light: Light, phase: u8, [banners, on]: [u32; 2]) -> Self {
        let view = View { pose: body.pose(map), from: light, light, fade: 1.0, phase, banners, on, change: 0.0 };
        Self { map, body, view, fading: 0 }
    }

    /// A world that starts somewhere, anyhow.
    pub fn anywhere(map: &'static Map, rng: &mut Rng) -> Self {
        let cells = map.cells();
        let body = Body::new(cells[rng.range(0, cells.len() - 1)], rng.range(0, 3));
        let banners = rng.range(0, 6usize.pow(map.banners as u32) - 1) as u32;
        let on = rng.range(0, (1 << map.switches) - 1) as u32;
        let light = Light::ALL[rng.range(0, map.lights - 1)];
        Self::new(map, body, light, rng.range(0, 3) as u8, [banners, on])
    }

    /// The player.
    pub fn body(&self) -> Body {
        self.body
    }

    /// What the present frame shows.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Goes one frame on with `key` down; returns the movement the new frame is part of. With `light` a switch of light begins,
    /// which the new frame is the first to show.
    pub fn step(&mut self, key: Action, light: Option<Light>) -> Action {
        let (was, told) = (self.body, self.body.latched(key));
        self.body = was.after(self.map, key);
        let view = &mut self.view;
        view.pose = self.body.pose(self.map);
        view.phase = (view.phase + 1) % 4;
        view.change = 0.0;
        if let (Some(Key::Use), Some(n)) = (told, self.map.decor(was.cell, was.side).and_then(map::Decor::switch)) {
            if was.moving.is_none() {
                view.on ^= 1 << n;
            }
            view.change = self.body.moving.map_or(0.0, |(_, done)| f32::from(done) / f32::from(self.map.frames));
        }
        if let Some(light) = light.filter(|&light| light != view.light) {
            (view.from, view.light) = (view.light, light);
            self.fading = FADE;
        }
        self.fading = self.fading.saturating_sub(1);
        view.fade = (FADE - self.fading) as f32 / FADE as f32;
        told
    }
}

/// A row of `poses`, in the order of [`POSE_COLUMNS`]. Every number is exact in `f32`: nine banners or 24 switches are.
pub fn pose_row(view: &View) -> [f32; 9] {
    let View { pose, from, fade, phase, banners, on, change, .. } = *view;
    let (before, heading) = (f32::from(from.index()), f32::from(pose.heading));
    [pose.x, pose.y, heading, before, fade, f32::from(phase), banners as f32, on as f32, change]
}

/// The view that a row of `poses` and its event number describe; rendering it gives the recorded frame exactly. `None` if
/// the row is no such row.
pub fn view_from_row(row: &[f32], event: u8) -> Option<View> {
    let &[x, y, heading, from, fade, phase, banners, on, change] = row else { return None };
    let pose = Pose { x, y, heading: heading as u16 % player::FULL_TURN };
    let (from, light) = (Light::from_index(from as u8)?, Light::from_index(event)?);
    Some(View { pose, from, light, fade, phase: phase as u8, banners: banners as u32, on: on as u32, change })
}

#[cfg(test)]
mod tests;
