//! Bevy without a window.

use std::time::Duration;

use bevy::{
    app::ScheduleRunnerPlugin,
    log::{Level, LogPlugin},
    prelude::*,
    render::RenderPlugin,
    window::ExitCondition,
    winit::WinitPlugin,
};

/// Makes `app` run as fast as it can, and draw.
pub fn plugins(app: &mut App) {
    let window = WindowPlugin { primary_window: None, exit_condition: ExitCondition::DontExit, ..default() };
    // The picture is taken once; what draws it must be there.
    let render = RenderPlugin { synchronous_pipeline_compilation: true, ..default() };
    // Standard output is for the frames; an error among them is no frame.
    let log = LogPlugin { level: Level::ERROR, ..default() };
    let plugins = DefaultPlugins.set(window).set(render).set(log).set(ImagePlugin::default_nearest());
    app.add_plugins(plugins.disable::<WinitPlugin>()).add_plugins(ScheduleRunnerPlugin::run_loop(Duration::ZERO));
}

/// FNV-1a.
pub fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
