//! What the end-to-end tests share.

pub mod tiny;

pub mod clock;
pub mod counting;
pub mod fuzz;
pub mod game;
pub mod hollow;
pub mod machine;
pub mod naive;
pub mod snapshots;
pub mod sparse;
pub mod stream;
#[cfg(feature = "text")]
pub mod tour;
pub mod wan;
pub mod waypoint;
