//! The functions of the interface.

mod library;
mod model;
mod session;
mod state;
#[cfg_attr(not(feature = "text"), path = "../no_text.rs")]
mod text;
mod vulkan;

pub use library::*;
pub use model::*;
pub use session::*;
pub use state::*;
pub use text::*;
pub use vulkan::*;
