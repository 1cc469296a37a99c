//! Threads behind a trait, so that a host can supply its own job system.

#[cfg(feature = "std")]
mod pool;
mod serial;

#[cfg(feature = "std")]
pub use self::pool::{Join, ThreadPool};
pub use self::serial::{Parallel, Serial};
