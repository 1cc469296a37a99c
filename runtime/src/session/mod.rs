//! The session: one stream of one model, a state machine over (program, step, node, part).
//!
//! A chunk begins by taking the newest action and the changes that are due. Noise becomes latents in a few denoise steps, latents
//! become pictures, and the clean-context pass commits the chunk to the ring. [`Session::pump`] advances this by as many nodes as
//! the budget allows and never waits for a GPU. Nothing that happens before the commit pass is visible to later chunks.

mod acts;
mod alarms;
mod arena;
mod begin;
mod budget;
mod changes;
mod create;
mod creation;
mod cursor;
mod error;
mod exact;
mod fields;
mod frame_table;
mod gate;
mod given;
mod governor;
mod health;
mod host;
mod identity;
mod inbox;
#[cfg(feature = "std")]
mod inside;
mod kept;
mod look;
mod movement;
#[cfg(not(feature = "matrix-game"))]
mod no_rows;
mod opening;
mod options;
#[cfg(feature = "std")]
mod outbox;
mod pace;
mod placed;
mod planned;
mod pump;
mod quality;
mod receipt;
mod ring;
#[cfg(feature = "matrix-game")]
mod rows;
mod rules;
mod saved;
#[allow(clippy::module_inception, reason = "the folder is about the type that the file defines")]
mod session;
mod settled;
#[cfg(feature = "std")]
mod shared;
mod slow;
mod snapshot;
mod state;
mod tables;
mod taken;
mod told;
mod watch;
#[cfg(feature = "std")]
mod worker;

#[cfg(not(feature = "matrix-game"))]
use no_rows as rows;

pub use alarms::Alarms;
pub use budget::{Budget, Progress, Pump, Pumped, Stats};
pub use changes::{Change, Condition, EventTime, Sink, Way};
pub use creation::{Creation, Files};
pub(crate) use error::finite;
pub use error::{SessionError, SharedError};
pub use exact::{Exact, Moment};
pub use gate::Gate;
pub use health::Health;
pub use inbox::Inbox;
#[cfg(feature = "std")]
pub use inside::this_thread;
pub use options::{Output, SessionOptions, Start};
pub use pace::Pace;
pub use planned::{Need, Planned};
pub use quality::{Quality, QualityChange};
pub use receipt::{Frame, Receipt};
pub use ring::{Ring, Visible};
pub use saved::Saved;
pub use session::{Session, read_latent};
#[cfg(feature = "std")]
pub use shared::Shared;
pub use snapshot::Snapshot;
#[cfg(feature = "std")]
pub use worker::Round;
