//! The structs and constants of the C interface, a file for each thing that they are about. Structs only grow at their end; `struct_size` says how
//! much of one a caller knows.

mod condition;
mod device;
mod frame;
mod host;
mod model;
mod picture;
mod session;
mod status;
mod text;
mod vulkan;

pub use condition::*;
pub use device::*;
pub use frame::*;
pub use host::*;
pub use model::*;
pub use picture::*;
pub use session::*;
pub use status::*;
pub use text::*;
pub use vulkan::*;

/// Version of this interface. It grows by one when something is added; nothing is ever removed or changed.
pub const CW_ABI_VERSION: u32 = 4;
