//! Time behind a trait, so that a host without `std` can supply its own.

/// A monotonic clock, for any thread. One that runs backwards costs short pumps, nothing else.
pub trait Clock: Send + Sync {
    /// Microseconds since some fixed moment.
    fn micros(&self) -> u64;
}

/// A clock that stands still: budgets in time never run out and receipts carry zeros.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoClock;

impl Clock for NoClock {
    fn micros(&self) -> u64 {
        0
    }
}

/// The operating system's monotonic clock. WebAssembly without one has none: there it stands still, as [`NoClock`].
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug)]
pub struct SystemClock(Option<std::time::Instant>);

#[cfg(feature = "std")]
impl Default for SystemClock {
    fn default() -> Self {
        let system = !cfg!(all(target_family = "wasm", target_os = "unknown"));
        Self(system.then(std::time::Instant::now))
    }
}

#[cfg(feature = "std")]
impl Clock for SystemClock {
    fn micros(&self) -> u64 {
        self.0.map_or(0, |start| start.elapsed().as_micros() as u64)
    }
}
