//! A world that is played: keys in, pictures out, in the terminal and in a window.

pub mod colour;
pub mod film;
pub mod keys;
pub mod live;
pub mod memory;
pub mod screen;
pub mod terminal;
pub mod tour;
#[cfg(feature = "text")]
pub mod typed;
#[cfg(not(feature = "text"))]
pub mod untyped;

#[cfg(not(feature = "text"))]
pub use untyped as typed;
