//! A world that is played: keys in, pictures out, in the terminal and in a window.

pub mod colour;
pub mod film;
pub mod keys;
pub mod live;
pub mod memory;
pub mod screen;
pub mod terminal;
pub mod tour;
#[cfg_attr(not(feature = "text"), path = "untyped.rs")]
pub mod typed;
