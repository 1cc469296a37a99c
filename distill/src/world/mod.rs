//! A small place seen in first person: the source of training data, and the ground truth to compare a model with.
//!
//! Everything follows from (seed, shard, episode), and the renderer uses only exactly rounded operations: a recording is the
//! same on every machine.

pub mod bot;
pub mod colour;
pub mod map;
pub mod player;
pub mod render;
pub mod rng;

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

pub use self::bot::Bot;
pub use self::colour::Light;
pub use self::player::{ACTIONS, Action, Pose};
pub use self::render::{FRAME, SIZE, View, render, render_view};
pub use self::rng::Rng;
use crate::recording::{RecordingError, RecordingInfo, Shard};

/// Frames a second that the speeds of the body are made for.
pub const FPS: f32 = 20.0;
/// Frames a change of light takes.
pub const FADE: usize = 3;
/// Columns of the recording's `poses`: x and y in cells, heading in tenths of a degree clockwise from east, the event
/// number of the light before the last switch, how much of the light in force has come, strength of the flash.
pub const POSE_COLUMNS: [&str; 6] = ["x", "y", "heading", "light_before", "fade", "flash"];

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
    /// A shard could not be written.
    #[error(transparent)]
    Write(#[from] RecordingError),
}

/// The running world: a player, the light, a flash.
#[derive(Clone, Debug)]
pub struct World {
    view: View,
    fading: usize,
}

impl World {
    /// A world with settled light.
    pub fn new(pose: Pose, light: Light) -> Self {
        Self { view: View { pose, from: light, light, fade: 1.0, flash: 0.0 }, fading: 0 }
    }

    /// A world that starts somewhere, anyhow.
    pub fn anywhere(rng: &mut Rng) -> Self {
        let cells = map::open_cells();
        let (x, y) = cells[rng.range(0, cells.len() - 1)];
        let mut pose = Pose { x: x as f32 + 0.5, y: y as f32 + 0.5, heading: 0 };
        // The middle of a cell is always free; elsewhere we try.
        let (dx, dy) = (rng.unit() - 0.5, rng.unit() - 0.5);
        if map::free(pose.x + dx, pose.y + dy, player::RADIUS) {
            (pose.x, pose.y) = (pose.x + dx, pose.y + dy);
        }
        pose.heading = rng.range(0, usize::from(player::FULL_TURN) - 1) as u16;
        Self::new(pose, Light::ALL[rng.range(0, Light::ALL.len() - 1)])
    }

    /// What the present frame shows.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Goes one frame on. With `light` a switch begins, which the new frame is the first to show.
    pub fn step(&mut self, action: Action, light: Option<Light>) {
        let view = &mut self.view;
        view.pose = view.pose.after(action);
        // Two frames: full while pressed, then half.
        view.flash = if action.attack {
            1.0
        } else if view.flash > 0.75 {
            0.5
        } else {
            0.0
        };
        if let Some(light) = light.filter(|&light| light != view.light) {
            (view.from, view.light) = (view.light, light);
            self.fading = FADE;
        }
        self.fading = self.fading.saturating_sub(1);
        view.fade = (FADE - self.fading) as f32 / FADE as f32;
    }
}

/// A row of `poses`, in the order of [`POSE_COLUMNS`].
pub fn pose_row(view: &View) -> [f32; 6] {
    let p = view.pose;
    [p.x, p.y, f32::from(p.heading), f32::from(view.from.index()), view.fade, view.flash]
}

/// The view that a row of `poses` and its event number describe; rendering it gives the recorded frame exactly. `None` if
/// the row is no such row.
pub fn view_from_row(row: &[f32], event: u8) -> Option<View> {
    let &[x, y, heading, from, fade, flash] = row else { return None };
    let pose = Pose { x, y, heading: heading as u16 % player::FULL_TURN };
    Some(View { pose, from: Light::from_index(from as u8)?, light: Light::from_index(event)?, fade, flash })
}

/// What is written about a recording of this world.
pub fn info(seed: u64) -> RecordingInfo {
    RecordingInfo {
        width: SIZE,
        height: SIZE,
        fps: FPS,
        actions: ACTIONS.map(String::from).to_vec(),
        events: Light::ALL.map(|l| l.name().to_string()).to_vec(),
        license: "MIT OR Apache-2.0".into(),
        credits: "Rendered by Causeway's own ray caster; no third-party art".into(),
        source: "causeway-distill world: rooms".into(),
        seed,
    }
}

/// One shard of `len` frames: as many episodes as fit, the last cut short. The same numbers give the same shard.
pub fn play(seed: u64, index: usize, len: usize, mut each: impl FnMut()) -> Shard {
    let mut shard = Shard::default();
    let mut episode = 0;
    while shard.episode_starts.len() < len {
        let mut rng = Rng::new(seed, index as u64, episode);
        let frames = rng.range(400, 600).min(len - shard.episode_starts.len());
        let (mut world, mut bot) = (World::anywhere(&mut rng), Bot::default());
        let mut switch = rng.range(40, 120);
        for frame in 0..frames {
            let mut action = Action::default();
            if frame > 0 {
                action = bot.act(world.view().pose, &mut rng);
                let light = (frame == switch).then(|| {
                    switch = frame + rng.range(40, 120);
                    let other = rng.range(1, Light::ALL.len() - 1);
                    Light::ALL[(world.view().light as usize + other) % Light::ALL.len()]
                });
                world.step(action, light);
            }
            let view = world.view();
            shard.frames.extend_from_slice(&render_view(view));
            shard.actions.extend(action.row().map(f32::from));
            shard.events.push(view.light.index());
            shard.poses.extend(pose_row(view));
            shard.episode_starts.push(u8::from(frame == 0));
            each();
        }
        episode += 1;
    }
    shard
}

/// Records at least `frames` frames, in whole shards of `shard` frames, into the folder `out` (made if missing).
///
/// # Errors
/// [`RecordError`] if there is nothing to record or a file cannot be written.
pub fn record(out: &Path, seed: u64, frames: usize, shard: usize) -> Result<(), RecordError> {
    if frames == 0 || shard == 0 {
        return Err(RecordError::Empty { frames, shard });
    }
    let shards = frames.div_ceil(shard);
    let style = ProgressStyle::with_template("recording {bar:32} {pos}/{len} frames, {per_sec}, {eta} left");
    let bar = ProgressBar::new((shards * shard) as u64);
    if let Ok(style) = style {
        bar.set_style(style);
    }
    for index in 0..shards {
        play(seed, index, shard, || bar.inc(1)).write(out, index, &info(seed))?;
    }
    bar.finish();
    Ok(())
}

#[cfg(test)]
mod tests;
