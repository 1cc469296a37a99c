//! What networks are trained on and held to: recordings, their latents, and the built-in world.

pub mod data;
pub mod film;
pub mod latents;
pub mod recording;
pub mod returns;
pub mod sight;
pub mod world;
