//! The functions of the interface.

mod library;
mod model;
mod session;
mod state;

pub use library::*;
pub use model::*;
pub use session::*;
pub use state::*;
