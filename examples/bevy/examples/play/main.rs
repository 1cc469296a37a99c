//! Plays a world on a quad: arrow keys or WASD walk, space attacks, 1 to 9 switch events, backspace begins anew, escape ends.
//!
//!     cargo run --example play [MODEL [SCRIPT PICTURE.png]]
//!
//! With a script (tests/data/walk.txt) the keys come from there and there is no window: it prints number and hash of every frame and saves
//! what the camera sees at the end.

mod keys;
mod walk;

use bevy::{camera::ScalingMode, prelude::*};
use causeway_bevy::{
    NeuralWorld, NeuralWorldPlugin,
    runtime::{Device, Model, Session, SessionOptions},
};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/rooms.safetensors");

fn main() -> AppExit {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let mut app = App::new();
    match &arguments[..] {
        [] => keys::play(&mut app, MODEL.into()),
        [model] => keys::play(&mut app, model.clone()),
        [model, script, picture] => walk::play(&mut app, model.clone(), script, picture.clone()),
        _ => {
            eprintln!("play [MODEL [SCRIPT PICTURE.png]]");
            return AppExit::error();
        }
    }
    app.add_plugins(NeuralWorldPlugin).run()
}

/// The world of a model file, at its own pace.
fn open(model: &str, device: &Device, options: SessionOptions, images: &mut Assets<Image>) -> Result<NeuralWorld> {
    let model = Model::open(model)?;
    // What is made ahead of its time shows old keys.
    let options = SessionOptions { queue: model.config().dit.chunk, ..options };
    let mut world = NeuralWorld::new(Session::new(&model, device, options)?, images);
    world.pace = Some(model.config().fps);
    Ok(world)
}

/// Spawns a world on a quad, and the camera, whose entity comes back, that sees it as large as fits.
fn show(mut world: NeuralWorld, commands: &mut Commands) -> Entity {
    let (width, height) = world.session().picture();
    let aspect = width as f32 / height as f32;
    let quad = Sprite { image: world.image(), custom_size: Some(Vec2::new(aspect, 1.0)), ..default() };
    commands.spawn((quad, world));
    let mut view = OrthographicProjection::default_2d();
    view.scaling_mode = ScalingMode::AutoMin { min_width: aspect, min_height: 1.0 };
    commands.spawn((Camera2d, Msaa::Off, Projection::from(view))).id()
}
