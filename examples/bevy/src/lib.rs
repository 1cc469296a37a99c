//! Neural worlds in Bevy: a [`NeuralWorld`] component that computes within a budget of each of the game's frames and shows what it makes in
//! an [`Image`].
//!
//! ```no_run
//! use bevy::prelude::*;
//! use causeway_bevy::{
//!     NeuralWorld, NeuralWorldPlugin, WorldFile, WorldFrame,
//!     runtime::{Device, SessionOptions},
//! };
//!
//! fn open(mut commands: Commands, mut images: ResMut<Assets<Image>>) -> Result {
//!     let file = WorldFile::open("models/rooms.safetensors")?;
//!     let world = NeuralWorld::begin(&file, &Device::auto(Device::cpu(0)), SessionOptions::default(), &mut images)?;
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

mod files;
mod prompts;
mod world;

pub use causeway_runtime as runtime;
pub use files::WorldFile;
pub use prompts::Prompt;
#[cfg(feature = "text")]
pub use prompts::Text;
pub use world::NeuralWorld;

use std::{fmt, time::Duration};

use bevy::{asset::AssetEventSystems, prelude::*};
use runtime::{EventTime, Receipt, SessionError};
use world::Step;

/// Pumps every [`NeuralWorld`] in [`PostUpdate`], so that a frame shows in the update that made it.
#[derive(Debug, Default)]
pub struct NeuralWorldPlugin;

/// The system that pumps, in [`PostUpdate`].
#[derive(SystemSet, Clone, Debug, PartialEq, Eq, Hash)]
pub struct NeuralWorldSystems;

impl Plugin for NeuralWorldPlugin {
    fn build(&self, app: &mut App) {
        app.add_message::<WorldEvent>().add_message::<WorldPrompt>().add_message::<WorldReady>();
        app.add_message::<WorldTold>().add_message::<WorldFrame>().add_message::<WorldFailed>();
        app.add_systems(PostUpdate, pump.in_set(NeuralWorldSystems).before(AssetEventSystems));
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

/// Write it to tell a world a prompt.
#[derive(Message, Clone, Debug)]
pub struct WorldPrompt {
    /// Entity of the [`NeuralWorld`].
    pub world: Entity,
    /// What it is told.
    pub prompt: Prompt,
}

/// A world was told a prompt, which comes in force with its next chunk.
#[derive(Message, Clone, Copy, Debug)]
pub struct WorldTold {
    /// Entity of the [`NeuralWorld`].
    pub world: Entity,
    /// Ticket that receipts name from the first frame under it on.
    pub ticket: u64,
}

/// A world that was begun is there. It plays from the next update on, so that the game has the first word.
#[derive(Message, Clone, Copy, Debug)]
pub struct WorldReady {
    /// Entity of the [`NeuralWorld`].
    pub world: Entity,
}

/// A world refused an event or a prompt, or could not go on and was paused.
#[derive(Message, Clone, Debug)]
pub struct WorldFailed {
    /// Entity of the [`NeuralWorld`].
    pub world: Entity,
    /// Why.
    pub error: WorldError,
}

/// Why a world did not do what it was asked.
#[derive(Clone, Debug, PartialEq)]
pub enum WorldError {
    /// The session refused it, or failed.
    Session(SessionError),
    /// The world's file stores no such prompt.
    UnknownPrompt {
        /// The number that was asked for.
        found: usize,
        /// How many there are.
        stored: usize,
    },
    /// Words, and the world has no text encoder.
    NoText,
    /// What the text encoder says.
    Text(String),
    /// The file could not be read.
    File(String),
}

impl fmt::Display for WorldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(error) => error.fmt(f),
            Self::UnknownPrompt { found, stored } => {
                write!(f, "there is no prompt {found}; the file stores {stored}, from 0")
            }
            Self::NoText => f.write_str("a prompt in words needs a text encoder, and this world has none"),
            Self::Text(what) | Self::File(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for WorldError {}

impl From<SessionError> for WorldError {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

/// Hands over what the game says, pumps, and delivers at most one frame of each world.
fn pump(
    time: Res<Time>,
    mut worlds: Query<(Entity, &mut NeuralWorld)>,
    mut images: ResMut<Assets<Image>>,
    (mut events, mut prompts): (MessageReader<WorldEvent>, MessageReader<WorldPrompt>),
    (mut ready, mut told): (MessageWriter<WorldReady>, MessageWriter<WorldTold>),
    mut frames: MessageWriter<WorldFrame>,
    mut failures: MessageWriter<WorldFailed>,
) {
    for &WorldEvent { world, event, time } in events.read() {
        if let Ok((_, mut found)) = worlds.get_mut(world)
            && let Some(Err(error)) = found.session().map(|session| session.queue_event(event, time))
        {
            failures.write(WorldFailed { world, error: error.into() });
        }
    }
    for WorldPrompt { world, prompt } in prompts.read() {
        if let Ok((_, mut found)) = worlds.get_mut(*world)
            && let Err(error) = found.tell(prompt)
        {
            failures.write(WorldFailed { world: *world, error });
        }
    }
    for (entity, mut world) in &mut worlds {
        // What the game changed is news to its systems; that a world was pumped is not.
        let world = world.bypass_change_detection();
        let micros = world.budget.as_micros() as u64;
        let (left, step) = world.step_prompt(micros);
        match step {
            Step::Told(ticket) => _ = told.write(WorldTold { world: entity, ticket }),
            Step::Failed(error) => _ = failures.write(WorldFailed { world: entity, error }),
            _ => {}
        }
        match world.step(left) {
            Step::Ready => _ = ready.write(WorldReady { world: entity }),
            Step::Failed(error) => {
                world.playing = false;
                failures.write(WorldFailed { world: entity, error });
            }
            Step::Played if time.elapsed() >= world.due => {
                let Some(receipt) = world.show(&mut images) else { continue };
                let pace = world.pace.map_or(Duration::ZERO, |pace| Duration::from_secs_f32(1.0 / pace));
                world.due = time.elapsed() + pace;
                frames.write(WorldFrame { world: entity, receipt });
            }
            _ => {}
        }
    }
}
