//! What runs pieces of work, and the simplest that does.

/// Runs `n` independent pieces of work.
pub trait Parallel: Send + Sync {
    /// Calls `f(0) .. f(n-1)`, each exactly once, in any order and on any thread, and returns when all are done.
    fn for_each(&self, n: usize, f: &(dyn Fn(usize) + Sync));

    /// Number of threads that may run pieces at once; kernels size their per-thread scratch by it.
    fn threads(&self) -> usize;
}

/// Runs every piece on the caller's thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct Serial;

impl Parallel for Serial {
    fn for_each(&self, n: usize, f: &(dyn Fn(usize) + Sync)) {
        (0..n).for_each(f);
    }

    fn threads(&self) -> usize {
        1
    }
}
