//! Plays a world on a quad: arrow keys or WASD walk, space attacks, 1 to 9 switch events, or prompts that the file stores; enter begins a line
//! that says one, where there is a text encoder, and says it. F5 saves the game and F9 loads it, backspace begins anew, escape ends.
//!
//!     cargo run --example play [MODEL [ENCODER]]
//!     cargo run --example play MODEL SCRIPT PICTURE.png
//!     cargo run --example play -- --tour BUNDLE SCRIPT SAVE [ENCODER]
//!
//! With a script (tests/data/walk.txt) the keys come from there and there is no window: it prints number and hash of every frame and saves
//! what the camera sees at the end. `--tour` does so with a script of prompts (tests/src/tour.rs) and a saved game.

mod headless;
mod keys;
mod saves;
mod tour;
mod walk;

use bevy::{camera::ScalingMode, prelude::*};
use causeway_bevy::{
    NeuralWorld, NeuralWorldPlugin, Text, WorldFile,
    runtime::{Device, SessionOptions, session::Files},
};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/rooms.safetensors");

fn main() -> AppExit {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let mut app = App::new();
    match &arguments[..] {
        [] => keys::play(&mut app, MODEL.into(), None),
        [flag, bundle, script, save] if flag == "--tour" => tour::play(&mut app, (bundle, None), script, save),
        [flag, bundle, script, save, text] if flag == "--tour" => {
            tour::play(&mut app, (bundle, Some(text)), script, save)
        }
        [model] => keys::play(&mut app, model.clone(), None),
        [model, text] => keys::play(&mut app, model.clone(), Some(text.clone())),
        [model, script, picture] => walk::play(&mut app, model.clone(), script, picture.clone()),
        _ => {
            eprintln!(
                "play [MODEL [ENCODER]], play MODEL SCRIPT PICTURE.png, play --tour BUNDLE SCRIPT SAVE [ENCODER]"
            );
            return AppExit::error();
        }
    }
    app.add_plugins(NeuralWorldPlugin).run()
}

/// The world of a model file, at its own pace, and perhaps with an encoder for what is typed.
fn open(
    (model, text): (&str, Option<&str>),
    device: &Device,
    options: SessionOptions,
    images: &mut Assets<Image>,
) -> Result<NeuralWorld> {
    let file = WorldFile::open(model)?;
    let config = file.model().config();
    // What is told shows at once; what is made ahead of its time shows old keys.
    let recache = file.reads_prompts();
    let queue = if recache { options.queue } else { config.dit.chunk };
    let mut world = NeuralWorld::begin(&file, device, SessionOptions { recache, queue, ..options }, images)?;
    if let Some(text) = text {
        world.set_text(Text::open(text, device, config.dit.text.map(|text| text.length))?);
    }
    world.pace = Some(config.fps);
    Ok(world)
}

/// Spawns a world on a quad, and the camera, whose entity comes back, that sees it as large as fits.
fn show(world: NeuralWorld, images: &Assets<Image>, commands: &mut Commands) -> Entity {
    let aspect = images.get(&world.image()).map_or(1.0, |image| image.size_f32().x / image.size_f32().y);
    let quad = Sprite { image: world.image(), custom_size: Some(Vec2::new(aspect, 1.0)), ..default() };
    commands.spawn((quad, world));
    let mut view = OrthographicProjection::default_2d();
    view.scaling_mode = ScalingMode::AutoMin { min_width: aspect, min_height: 1.0 };
    commands.spawn((Camera2d, Msaa::Off, Projection::from(view))).id()
}
