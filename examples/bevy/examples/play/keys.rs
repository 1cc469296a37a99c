//! In a window, with the keyboard.

use std::time::Duration;

use bevy::{prelude::*, window::WindowResolution};
use causeway_bevy::{
    NeuralWorld, WorldEvent, WorldFailed,
    runtime::{Device, EventTime, SessionOptions},
};

/// Keys of actions that a world may have.
const WALK: [(&str, [KeyCode; 2]); 5] = [
    ("forward", [KeyCode::ArrowUp, KeyCode::KeyW]),
    ("back", [KeyCode::ArrowDown, KeyCode::KeyS]),
    ("left", [KeyCode::ArrowLeft, KeyCode::KeyA]),
    ("right", [KeyCode::ArrowRight, KeyCode::KeyD]),
    ("attack", [KeyCode::Space, KeyCode::Space]),
];

/// Keys of events, in the model's order.
const SWITCH: [KeyCode; 9] = [
    KeyCode::Digit1,
    KeyCode::Digit2,
    KeyCode::Digit3,
    KeyCode::Digit4,
    KeyCode::Digit5,
    KeyCode::Digit6,
    KeyCode::Digit7,
    KeyCode::Digit8,
    KeyCode::Digit9,
];

/// Makes `app` a game in a window.
pub fn play(app: &mut App, model: String) {
    let resolution = WindowResolution::new(512, 512);
    let window = Window { title: "Causeway".into(), resolution, ..default() };
    let window = WindowPlugin { primary_window: Some(window), ..default() };
    app.add_plugins(DefaultPlugins.set(window).set(ImagePlugin::default_nearest()));
    let open = move |mut commands: Commands, mut images: ResMut<Assets<Image>>| -> Result {
        let mut world = super::open(&model, &Device::auto(Device::cpu(0)), SessionOptions::default(), &mut images)?;
        // What this game gives of each of its frames.
        world.budget = Duration::from_millis(8);
        super::show(world, &mut commands);
        Ok(())
    };
    app.add_systems(Startup, open).add_systems(Update, (press, complain));
}

fn press(
    world: Single<(Entity, &mut NeuralWorld)>,
    keys: Res<ButtonInput<KeyCode>>,
    time: Res<Time>,
    mut events: MessageWriter<WorldEvent>,
    mut exit: MessageWriter<AppExit>,
) -> Result {
    let (entity, mut world) = world.into_inner();
    let held = |name: &String| {
        let key = WALK.iter().find(|(action, _)| action == name);
        f32::from(key.is_some_and(|(_, keys_of)| keys.any_pressed(*keys_of)))
    };
    let action: Vec<_> = world.session().actions().iter().map(held).collect();
    world.set_action(&action)?;
    let known = world.session().events().len();
    for (event, _) in SWITCH.iter().take(known).enumerate().filter(|(_, key)| keys.just_pressed(**key)) {
        events.write(WorldEvent { world: entity, event, time: EventTime::NextChunk });
    }
    if keys.just_pressed(KeyCode::Backspace) {
        world.session().restart(time.elapsed().as_millis() as u64)?;
    }
    if keys.just_pressed(KeyCode::Escape) {
        exit.write(AppExit::Success);
    }
    Ok(())
}

fn complain(mut failures: MessageReader<WorldFailed>) {
    for failure in failures.read() {
        error!("{}", failure.error);
    }
}
