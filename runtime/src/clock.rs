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

/// The operating system's monotonic clock.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug)]
pub struct SystemClock(std::time::Instant);

#[cfg(feature = "std")]
impl Default for SystemClock {
    fn default() -> Self {
        Self(std::time::Instant::now())
    }
}

#[cfg(feature = "std")]
impl Clock for SystemClock {
    fn micros(&self) -> u64 {
        self.0.elapsed().as_micros() as u64
    }
}
