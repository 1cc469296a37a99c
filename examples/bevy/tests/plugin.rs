//! The component without a renderer.

use std::time::Duration;

use bevy::{asset::AssetPlugin, prelude::*, time::TimeUpdateStrategy};
use causeway_bevy::{
    NeuralWorld, NeuralWorldPlugin, Prompt, WorldError, WorldEvent, WorldFailed, WorldFile, WorldFrame, WorldPrompt,
    WorldReady,
    runtime::{Device, EventTime, Model, Session, SessionError, SessionOptions, Start},
};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/rooms.safetensors");

/// An app whose every update is 10 ms of game time.
fn app() -> App {
    let mut app = App::new();
    app.add_plugins((MinimalPlugins, AssetPlugin::default(), NeuralWorldPlugin)).init_asset::<Image>();
    app.insert_resource(TimeUpdateStrategy::ManualDuration(Duration::from_millis(10)));
    app
}

/// A world that makes a frame in every update, the first one from the first action and event.
fn spawn(app: &mut App, seed: u64) -> Entity {
    let options = SessionOptions { seed, start: Start::Empty, ..default() };
    let session = Session::new(&Model::open(MODEL).unwrap(), &Device::cpu(0), options).unwrap();
    let mut world = NeuralWorld::new(session, &mut app.world_mut().resource_mut());
    world.budget = Duration::from_secs(60);
    app.world_mut().spawn(world).id()
}

/// What was written since the last call, at most two updates ago.
fn read<M: Message + Clone>(app: &mut App) -> Vec<M> {
    app.world_mut().resource_mut::<Messages<M>>().drain().collect()
}

fn pixels(app: &mut App, world: Entity) -> Vec<u8> {
    let image = app.world().entity(world).get::<NeuralWorld>().unwrap().image();
    app.world_mut().resource::<Assets<Image>>().get(&image).unwrap().data.clone().unwrap()
}

#[test]
fn worlds_stream_side_by_side_and_pause_each_by_itself() {
    let mut app = app();
    let (a, b) = (spawn(&mut app, 1), spawn(&mut app, 1));
    app.update();
    let frames = read::<WorldFrame>(&mut app);
    assert_eq!(frames.iter().map(|frame| (frame.world, frame.receipt.frame)).collect::<Vec<_>>(), [(a, 0), (b, 0)]);
    assert_eq!(pixels(&mut app, a), pixels(&mut app, b));
    app.world_mut().entity_mut(b).get_mut::<NeuralWorld>().unwrap().playing = false;
    for n in 1..6 {
        app.world_mut().entity_mut(a).get_mut::<NeuralWorld>().unwrap().set_action(&[0.0, 0.0, 1.0, 0.0, 0.0]).unwrap();
        app.update();
        let frames = read::<WorldFrame>(&mut app);
        let frames: Vec<_> = frames.iter().map(|it| (it.world, it.receipt.frame, it.receipt.action)).collect();
        assert_eq!(frames, [(a, n, n)]);
    }
    assert!(pixels(&mut app, a) != pixels(&mut app, b));
}

#[test]
fn a_pace_holds_frames_back_by_the_games_time() {
    let mut app = app();
    let world = spawn(&mut app, 1);
    app.world_mut().entity_mut(world).get_mut::<NeuralWorld>().unwrap().pace = Some(25.0);
    let arrivals: Vec<_> = (0..12)
        .filter(|_| {
            app.update();
            !read::<WorldFrame>(&mut app).is_empty()
        })
        .collect();
    assert_eq!(arrivals, [0, 4, 8]);
}

#[test]
fn an_event_shows_in_a_receipt_and_an_unknown_one_is_refused() {
    let mut app = app();
    let world = spawn(&mut app, 1);
    app.world_mut().write_message(WorldEvent { world, event: 99, time: EventTime::NextChunk });
    app.world_mut().write_message(WorldEvent { world, event: 2, time: EventTime::NextChunk });
    app.update();
    let receipt = read::<WorldFrame>(&mut app)[0].receipt;
    assert!(receipt.event == 2 && receipt.first_of_event, "{receipt:?}");
    let failures = read::<WorldFailed>(&mut app);
    assert!(matches!(
        failures[..],
        [WorldFailed { error: WorldError::Session(SessionError::UnknownEvent { found: 99, .. }), .. }]
    ));
    // The refusal did not pause it, and being pumped is no change of the component.
    let changed = |app: &App| app.world().entity(world).get_change_ticks::<NeuralWorld>().unwrap().changed;
    let before = changed(&app);
    app.update();
    assert_eq!((read::<WorldFrame>(&mut app).len(), changed(&app)), (1, before));
}

#[test]
fn a_world_is_created_in_updates_and_goes_on_from_a_saved_game() {
    let mut app = app();
    let file = WorldFile::open(MODEL).unwrap();
    let begin = |app: &mut App| {
        let options = SessionOptions { seed: 1, ..default() };
        let world = NeuralWorld::begin(&file, &Device::cpu(0), options, &mut app.world_mut().resource_mut()).unwrap();
        app.world_mut().spawn(world).id()
    };
    let of = |app: &App, world: Entity| app.world().entity(world).get::<NeuralWorld>().unwrap().progress();
    // A little in each update, until it is there; then a frame.
    let until = |app: &mut App, world: Entity| {
        let (mut before, mut updates) = (0.0, 0);
        while of(app, world) < 1.0 {
            assert!(read::<WorldFrame>(app).is_empty() && of(app, world) >= before);
            (before, updates) = (of(app, world), updates + 1);
            app.world_mut().entity_mut(world).get_mut::<NeuralWorld>().unwrap().budget = Duration::from_micros(1);
            app.update();
        }
        assert!(updates > 10, "{updates} updates");
        assert_eq!(read::<WorldReady>(app).len(), 1);
        app.world_mut().entity_mut(world).get_mut::<NeuralWorld>().unwrap().budget = Duration::from_secs(60);
    };
    let world = begin(&mut app);
    until(&mut app, world);
    for n in 0..5 {
        app.update();
        assert_eq!(read::<WorldFrame>(&mut app)[0].receipt.frame, n);
    }
    let saved = app.world_mut().entity_mut(world).get_mut::<NeuralWorld>().unwrap().save().unwrap().unwrap();
    app.world_mut().despawn(world);
    // Before it is there.
    let world = begin(&mut app);
    app.world_mut().entity_mut(world).get_mut::<NeuralWorld>().unwrap().load(saved).unwrap();
    until(&mut app, world);
    app.update();
    let frame = read::<WorldFrame>(&mut app)[0].receipt.frame;
    assert!((4..=5).contains(&frame), "it went on at frame {frame}");
    // A world of actions is told no prompts.
    app.world_mut().write_message(WorldPrompt { world, prompt: Prompt::Stored(0) });
    app.world_mut().write_message(WorldPrompt { world, prompt: Prompt::Words("two foxes".into()) });
    app.update();
    let failures: Vec<_> = read::<WorldFailed>(&mut app).into_iter().map(|failed| failed.error).collect();
    assert_eq!(failures, [WorldError::UnknownPrompt { found: 0, stored: 0 }, WorldError::NoText]);
    assert_eq!(read::<WorldFrame>(&mut app).len(), 1);
}
