//! The functions of the interface.

mod library;
mod model;
mod session;
mod state;
mod vulkan;

pub use library::*;
pub use model::*;
pub use session::*;
pub use state::*;
pub use vulkan::*;
