//! The C interface of the Causeway runtime. `include/causeway.h` is generated from this crate (`tests/header.rs`).
//!
//! * `api` holds the functions, `types` the structs and constants; everything else serves them.
//! * [`enter`] is the way in: panics and refused allocations become errors there.
//! * [`handle`] knows what a handle stands for; no pointer that a host passes as a handle is ever followed.
//! * [`ready`] is a session that several threads may use at once: actions and events go in, frames come out, without waiting for
//!   the thread that pumps.
//!
//! # Safety
//! Every function of `api` trusts its caller for one thing: that memory it is given is as long as it is said to be and is not used
//! by others during the call. All else (NULL, stale or wrong handles, sizes, options) is checked.
mod api;
mod create;
mod device;
mod enter;
mod error;
mod handle;
mod host;
mod image;
mod log_sink;
mod making;
mod memory;
mod model;
mod names;
mod opened;
mod picture;
mod pointers;
mod ready;
mod shutdown;
mod sized;
mod stream;
#[cfg(feature = "text")]
mod text;
mod threads;
mod types;
mod vulkan;

pub use api::*;
pub use types::*;
