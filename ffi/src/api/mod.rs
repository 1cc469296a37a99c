//! The functions of the interface.

mod library;
mod model;
#[cfg(not(feature = "text"))]
mod no_text;
mod session;
mod state;
#[cfg(feature = "text")]
mod text;
mod vulkan;

pub use library::*;
pub use model::*;
#[cfg(not(feature = "text"))]
pub use no_text::*;
pub use session::*;
pub use state::*;
#[cfg(feature = "text")]
pub use text::*;
pub use vulkan::*;
