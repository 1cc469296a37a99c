//! Neural worlds in Bevy: a [`NeuralWorld`] component that computes within a budget of each of the game's frames and shows what it makes in
//! an [`Image`].
//!
//! ```no_run
//! use bevy::prelude::*;
//! use causeway_bevy::{
//!     NeuralWorld, NeuralWorldPlugin, WorldFrame,
//!     runtime::{Device, Model, Session, SessionOptions},
//! };
//!
//! fn open(mut commands: Commands, mut images: ResMut<Assets<Image>>) -> Result {
//!     let model = Model::open("models/rooms.safetensors")?;
//!     let session = Session::new(&model, &Device::auto(Device::cpu(0)), SessionOptions::default())?;
//!     let world = NeuralWorld::new(session, &mut images);
//!     commands.spawn(Camera2d);
//!     commands.spawn((Sprite::from_image(world.image()), world));
//!     Ok(())
//! }
//!
//! fn walk(mut world: Single<&mut NeuralWorld>, keys: Res<ButtonInput<KeyCode>>) -> Result {
//!     let forward = f32::from(keys.pressed(KeyCode::ArrowUp));
//!     world.set_action(&[forward, 0.0, 0.0, 0.0, 0.0])?;
//!     Ok(())
//! }
//!
//! fn look(mut frames: MessageReader<WorldFrame>) {
//!     for frame in frames.read() {
//!         println!("frame {} shows action {}", frame.receipt.frame, frame.receipt.action);
//!     }
//! }
//!
//! App::new().add_plugins((DefaultPlugins, NeuralWorldPlugin)).add_systems(Startup, open).add_systems(Update, (walk, look)).run();
//! ```

pub use causeway_runtime as runtime;

use std::time::Duration;

use bevy::{
    asset::{AssetEventSystems, RenderAssetUsages},
    platform::cell::SyncCell,
    prelude::*,
    render::render_resource::{Extent3d, TextureDimension, TextureFormat},
};
use runtime::{Budget, EventTime, Receipt, Session, SessionError};

/// Pumps every [`NeuralWorld`] in [`PostUpdate`], so that a frame shows in the update that made it.
#[derive(Debug, Default)]
pub struct NeuralWorldPlugin;

/// The system that pumps, in [`PostUpdate`].
#[derive(SystemSet, Clone, Debug, PartialEq, Eq, Hash)]
pub struct NeuralWorldSystems;

impl Plugin for NeuralWorldPlugin {
    fn build(&self, app: &mut App) {
        app.add_message::<WorldEvent>().add_message::<WorldFrame>().add_message::<WorldFailed>();
        app.add_systems(PostUpdate, pump.in_set(NeuralWorldSystems).before(AssetEventSystems));
    }
}

/// One stream of a world.
#[derive(Component)]
pub struct NeuralWorld {
    /// How long it may compute in each update.
    pub budget: Duration,
    /// Frames a second of the game's time ([`Time`]) at most; `None` shows each as soon as it is made.
    pub pace: Option<f32>,
    /// False pauses it. An error of the session does so too.
    pub playing: bool,
    session: SyncCell<Session>,
    image: Handle<Image>,
    /// When the next frame is due, by the game's time.
    due: Duration,
}

impl NeuralWorld {
    /// Takes a session over and makes the image for its frames. 2 ms an update and no pace, until you set others.
    pub fn new(session: Session, images: &mut Assets<Image>) -> Self {
        let (width, height) = session.picture();
        let size = Extent3d { width: width as u32, height: height as u32, depth_or_array_layers: 1 };
        let black = vec![0; 4 * width * height];
        // The pixels stay in the main world too: the next frame is exchanged for them.
        let image =
            Image::new(size, TextureDimension::D2, black, TextureFormat::Rgba8UnormSrgb, RenderAssetUsages::all());
        Self {
            budget: Duration::from_millis(2),
            pace: None,
            playing: true,
            session: SyncCell::new(session),
            image: images.add(image),
            due: Duration::ZERO,
        }
    }

    /// The image that shows the newest frame: RGBA8, sRGB, rows from the top. The same one for the world's life.
    pub fn image(&self) -> Handle<Image> {
        self.image.clone()
    }

    /// Sets the action that the next chunk will take (the latest wins) and returns its ticket, which receipts name.
    ///
    /// # Errors
    /// A vector of the wrong length, or a value that is not finite.
    pub fn set_action(&mut self, action: &[f32]) -> Result<u64, SessionError> {
        self.session().set_action(action)
    }

    /// The session: names of actions and events, snapshots, restarts. Frames that you pump and release yourself do not show.
    pub fn session(&mut self) -> &mut Session {
        self.session.get()
    }
}

/// Write it to switch an event of a world.
#[derive(Message, Clone, Copy, Debug)]
pub struct WorldEvent {
    /// Entity of the [`NeuralWorld`].
    pub world: Entity,
    /// Number of the event, as in [`Session::events`].
    pub event: usize,
    /// When.
    pub time: EventTime,
}

/// A new frame is in a world's image.
#[derive(Message, Clone, Copy, Debug)]
pub struct WorldFrame {
    /// Entity of the [`NeuralWorld`].
    pub world: Entity,
    /// Which action and event it is the first to show, and when it was made.
    pub receipt: Receipt,
}

/// A world refused an event, or could not go on and was paused.
#[derive(Message, Clone, Debug)]
pub struct WorldFailed {
    /// Entity of the [`NeuralWorld`].
    pub world: Entity,
    /// Why.
    pub error: SessionError,
}

/// Hands events over, pumps, and delivers at most one frame of each world.
fn pump(
    time: Res<Time>,
    mut worlds: Query<(Entity, &mut NeuralWorld)>,
    mut images: ResMut<Assets<Image>>,
    mut events: MessageReader<WorldEvent>,
    mut frames: MessageWriter<WorldFrame>,
    mut failures: MessageWriter<WorldFailed>,
) {
    for &WorldEvent { world, event, time } in events.read() {
        if let Ok((_, mut found)) = worlds.get_mut(world)
            && let Err(error) = found.session().queue_event(event, time)
        {
            failures.write(WorldFailed { world, error });
        }
    }
    for (entity, mut world) in &mut worlds {
        // What the game changed is news to its systems; that a world was pumped is not.
        let world = world.bypass_change_detection();
        if !world.playing {
            continue;
        }
        let session = world.session.get();
        if let Err(error) = session.pump(Budget::Micros(world.budget.as_micros() as u64)) {
            world.playing = false;
            failures.write(WorldFailed { world: entity, error });
            continue;
        }
        if time.elapsed() < world.due || session.frame().is_none() {
            continue;
        }
        let Some(mut image) = images.get_mut(&world.image) else { continue };
        if let Some(pixels) = image.data.as_mut()
            && let Some(receipt) = session.swap_frame(pixels)
        {
            world.due = world.pace.map_or(Duration::ZERO, |pace| time.elapsed() + Duration::from_secs_f32(1.0 / pace));
            frames.write(WorldFrame { world: entity, receipt });
        }
    }
}
