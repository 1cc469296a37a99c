//! Without a window, with the keys of a script.
//!
//! The script's first line holds the seed and the number of frames; then every line is one frame: the actions, and the event that begins
//! with it or -1.

use std::{collections::VecDeque, time::Duration};

use bevy::{
    asset::RenderAssetUsages,
    camera::RenderTarget,
    prelude::*,
    render::{
        render_resource::{Extent3d, TextureDimension, TextureFormat, TextureUsages},
        view::screenshot::{Screenshot, ScreenshotCaptured},
    },
};
use causeway_bevy::{
    NeuralWorld, WorldEvent, WorldFrame, WorldReady,
    runtime::{Device, EventTime, SessionOptions},
};

use crate::headless::{self, hash};

/// Width of the picture, pixels.
const WIDTH: u32 = 512;

/// What is still to be played, and where the picture goes.
#[derive(Resource)]
struct Walk {
    lines: VecDeque<(Vec<f32>, i64)>,
    view: Handle<Image>,
    picture: String,
}

/// Makes `app` a player of `script`.
pub fn play(app: &mut App, model: String, script: &str, picture: String) {
    let text = std::fs::read_to_string(script).unwrap_or_else(|error| panic!("{script}: {error}"));
    let number = |word: &str| word.parse().unwrap_or_else(|error| panic!("{script}: {word}: {error}"));
    let mut lines = text.lines().map(|line| line.split(' ').map(number).collect::<Vec<i64>>());
    let seed = lines.next().and_then(|head| head.first().copied()).unwrap_or_default() as u64;
    let lines = lines.filter_map(|mut line| Some((line.pop()?, line)));
    let lines: VecDeque<_> = lines.map(|(event, action)| (action.iter().map(|&n| n as f32).collect(), event)).collect();

    headless::plugins(app);
    let open = move |mut commands: Commands, mut images: ResMut<Assets<Image>>| -> Result {
        let options = SessionOptions { seed, ..default() };
        let mut world = crate::open((&model, None), &Device::cpu(2), options, &mut images)?;
        (world.budget, world.pace) = (Duration::from_millis(20), None);
        let camera = crate::show(world, &images, &mut commands);
        let size = Extent3d { width: WIDTH, height: WIDTH, depth_or_array_layers: 1 };
        let (format, usage) = (TextureFormat::Rgba8UnormSrgb, RenderAssetUsages::RENDER_WORLD);
        let mut view = Image::new_uninit(size, TextureDimension::D2, format, usage);
        view.texture_descriptor.usage |= TextureUsages::RENDER_ATTACHMENT;
        let view = images.add(view);
        commands.entity(camera).insert(RenderTarget::from(view.clone()));
        commands.insert_resource(Walk { lines: lines.clone(), view, picture: picture.clone() });
        Ok(())
    };
    app.add_systems(Startup, open).add_systems(Update, (press_first, step).chain());
}

/// Presses the keys of the script's next line; false at its end.
fn press(
    walk: &mut Walk,
    (entity, world): (Entity, &mut NeuralWorld),
    events: &mut MessageWriter<WorldEvent>,
) -> Result<bool> {
    let Some((action, event)) = walk.lines.pop_front() else { return Ok(false) };
    world.set_action(&action)?;
    if let Ok(event) = usize::try_from(event) {
        events.write(WorldEvent { world: entity, event, time: EventTime::NextChunk });
    }
    Ok(true)
}

fn press_first(
    mut walk: ResMut<Walk>,
    world: Single<(Entity, &mut NeuralWorld)>,
    mut ready: MessageReader<WorldReady>,
    mut events: MessageWriter<WorldEvent>,
) -> Result {
    let (entity, mut world) = world.into_inner();
    if ready.read().next().is_some() {
        press(&mut walk, (entity, &mut world), &mut events)?;
    }
    Ok(())
}

/// Answers every frame with the keys of the next one, and the last one with a picture.
fn step(
    mut walk: ResMut<Walk>,
    world: Single<(Entity, &mut NeuralWorld)>,
    images: Res<Assets<Image>>,
    mut frames: MessageReader<WorldFrame>,
    mut events: MessageWriter<WorldEvent>,
    mut commands: Commands,
) -> Result {
    let (entity, mut world) = world.into_inner();
    for frame in frames.read() {
        let pixels =
            images.get(&world.image()).and_then(|image| image.data.as_deref()).ok_or("the image has no pixels")?;
        println!("{} {:016x}", frame.receipt.frame, hash(pixels));
        if !press(&mut walk, (entity, &mut world), &mut events)? {
            world.playing = false;
            let picture = walk.picture.clone();
            let save = move |shot: On<ScreenshotCaptured>, mut exit: MessageWriter<AppExit>| -> Result {
                shot.image.clone().try_into_dynamic()?.to_rgb8().save(&picture)?;
                exit.write(AppExit::Success);
                Ok(())
            };
            commands.spawn(Screenshot::image(walk.view.clone())).observe(save);
        }
    }
    Ok(())
}
