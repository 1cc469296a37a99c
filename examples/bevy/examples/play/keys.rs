//! In a window, with the keyboard.

use std::{path::Path, time::Duration};

use bevy::{
    input::keyboard::{Key, KeyboardInput},
    prelude::*,
    window::WindowResolution,
};
use causeway_bevy::{
    NeuralWorld, Prompt, WorldEvent, WorldFailed, WorldPrompt,
    runtime::{Device, EventTime, SessionOptions},
};

use crate::saves;

/// Where the game is saved.
const SAVE: &str = "world.save";

/// Keys of actions that a world may have.
const WALK: [(&str, [KeyCode; 2]); 5] = [
    ("forward", [KeyCode::ArrowUp, KeyCode::KeyW]),
    ("back", [KeyCode::ArrowDown, KeyCode::KeyS]),
    ("left", [KeyCode::ArrowLeft, KeyCode::KeyA]),
    ("right", [KeyCode::ArrowRight, KeyCode::KeyD]),
    ("attack", [KeyCode::Space, KeyCode::Space]),
];

/// Keys of events or prompts, in the file's order.
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

/// What is being typed.
#[derive(Resource, Default)]
struct Line(Option<String>);

/// Makes `app` a game in a window.
pub fn play(app: &mut App, model: String, text: Option<String>) {
    let resolution = WindowResolution::new(512, 512);
    let window = Window { title: "Causeway".into(), resolution, ..default() };
    let window = WindowPlugin { primary_window: Some(window), ..default() };
    app.add_plugins(DefaultPlugins.set(window).set(ImagePlugin::default_nearest()));
    let open = move |mut commands: Commands, mut images: ResMut<Assets<Image>>| -> Result {
        let mut world = crate::open(
            (&model, text.as_deref()),
            &Device::auto(Device::cpu(0)),
            SessionOptions::default(),
            &mut images,
        )?;
        // What this game gives of each of its frames.
        world.budget = Duration::from_millis(8);
        crate::show(world, &images, &mut commands);
        Ok(())
    };
    app.init_resource::<Line>().add_systems(Startup, open);
    app.add_systems(Update, (press.run_if(|line: Res<Line>| line.0.is_none()), write, complain).chain());
}

fn press(
    world: Single<(Entity, &mut NeuralWorld)>,
    keys: Res<ButtonInput<KeyCode>>,
    time: Res<Time>,
    mut events: MessageWriter<WorldEvent>,
    mut prompts: MessageWriter<WorldPrompt>,
    mut exit: MessageWriter<AppExit>,
) -> Result {
    let (entity, mut world) = world.into_inner();
    let held = |name: &String| {
        let key = WALK.iter().find(|(action, _)| action == name);
        f32::from(key.is_some_and(|(_, keys_of)| keys.any_pressed(*keys_of)))
    };
    let stored = world.prompts().len();
    let known = world.session().map_or(0, |session| session.events().len());
    if let Some(session) = world.session() {
        let action: Vec<_> = session.actions().iter().map(held).collect();
        if !action.is_empty() {
            session.set_action(&action)?;
        }
        if keys.just_pressed(KeyCode::Backspace) {
            session.restart(time.elapsed().as_millis() as u64)?;
        }
    }
    for (number, _) in SWITCH.iter().enumerate().filter(|(_, key)| keys.just_pressed(**key)) {
        if number < known {
            events.write(WorldEvent { world: entity, event: number, time: EventTime::NextChunk });
        }
        if number < stored {
            prompts.write(WorldPrompt { world: entity, prompt: Prompt::Stored(number) });
        }
    }
    let path = Path::new(SAVE);
    let done = match () {
        () if keys.just_pressed(KeyCode::F5) => saves::save(&mut world, path),
        () if keys.just_pressed(KeyCode::F9) => saves::load(&mut world, path),
        () => Ok(()),
    };
    if let Err(error) = done {
        error!("{SAVE}: {error}");
    }
    if keys.just_pressed(KeyCode::Escape) {
        exit.write(AppExit::Success);
    }
    Ok(())
}

/// Enter begins a line, and says it; escape leaves it.
fn write(
    world: Single<(Entity, &NeuralWorld)>,
    mut window: Single<&mut Window>,
    mut line: ResMut<Line>,
    mut keys: MessageReader<KeyboardInput>,
    mut prompts: MessageWriter<WorldPrompt>,
) {
    let (entity, world) = world.into_inner();
    for key in keys.read().filter(|key| key.state.is_pressed()) {
        match (&key.logical_key, &mut line.0) {
            (Key::Enter, None) => line.0 = Some(String::new()),
            (Key::Enter, Some(_)) => {
                let words = line.0.take().unwrap_or_default();
                prompts.write(WorldPrompt { world: entity, prompt: Prompt::Words(words) });
            }
            (Key::Escape, Some(_)) => line.0 = None,
            (Key::Backspace, Some(words)) => _ = words.pop(),
            (_, Some(words)) => words.push_str(key.text.as_deref().unwrap_or_default()),
            _ => {}
        }
    }
    let percent = |share: f32| format!("Causeway: {:.0} %", 100.0 * share);
    window.title = match (&line.0, world.progress(), world.prompt_progress()) {
        (Some(words), ..) => format!("{words}_"),
        (None, done, _) if done < 1.0 => percent(done),
        (None, _, done) if done < 1.0 => percent(done),
        _ => "Causeway".into(),
    };
}

fn complain(mut failures: MessageReader<WorldFailed>) {
    for failure in failures.read() {
        error!("{}", failure.error);
    }
}
