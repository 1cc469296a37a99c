//! A thread of a shared session's own, for hosts that would rather not pump.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use causeway_ops::parallel::Join;

use super::{
    budget::{Budget, Progress},
    error::{SessionError, SharedError},
};

/// A round of the worker: how long others wait for it at most, but for one node.
const ROUND_MICROS: u64 = 1_000;
/// A round shorter than this that made no frame waited for a GPU.
const BUSY: Duration = Duration::from_micros(100);

/// Longest rest: a host's clock may run faster than the system's.
const MOST_REST: Duration = Duration::from_millis(4);

/// A round, to be called once.
pub type Round<'a> = &'a mut dyn FnMut() -> Result<Progress, SharedError>;

pub(super) struct Worker(pub Join);

impl Worker {
    /// Starts a thread of the standard library's.
    pub fn spawn(work: Box<dyn FnOnce() + Send>) -> io::Result<Join> {
        let thread = std::thread::Builder::new().name("causeway-worker".into()).spawn(work)?;
        let thread = std::sync::Mutex::new(Some(thread));
        Ok(Box::new(move || {
            let thread = thread.lock().ok().and_then(|mut thread| thread.take());
            if let Some(thread) = thread {
                // Panics of a round are caught in it.
                _ = thread.join();
            }
        }))
    }

    /// Waits for the thread's end.
    pub fn join(self) {
        (self.0)();
    }
}

/// What a worker works on.
pub(super) trait Work {
    /// The calling thread is the worker from now on.
    fn become_worker(&self);
    /// Whether the worker must end.
    fn stops(&self) -> bool;
    /// A round for the worker, which waits its turn.
    fn round(&self, budget: Budget) -> Result<Progress, SharedError>;
    /// Sleeps until there is something to do again, or the worker must end.
    fn sleep(&self);
    /// Rests for so long, unless it is woken.
    fn rest(&self, time: Duration);
    /// Lets threads in that wait for the worker.
    fn step_aside(&self);
    /// Keeps the error that the worker ended with.
    fn fail(&self, error: SharedError);
}

/// The worker's life. Each round goes through `around`.
pub(super) fn work(on: &impl Work, around: impl Fn(Round<'_>) -> Result<Progress, SharedError>) {
    on.become_worker();
    while !on.stops() {
        let start = Instant::now();
        let mut round = || on.round(Budget::Micros(ROUND_MICROS));
        match catch_unwind(AssertUnwindSafe(|| around(&mut round))) {
            Ok(Ok(Progress::Full | Progress::Paused)) => on.sleep(),
            Ok(Ok(Progress::Early(micros))) => on.rest(Duration::from_micros(micros).min(MOST_REST)),
            // A GPU is busy; nothing is gained by asking all the time.
            Ok(Ok(Progress::Pending)) if start.elapsed() < BUSY => std::thread::sleep(2 * BUSY),
            Ok(Ok(_)) => {}
            // Until it is told what it reads: a host may have started it before that could be done.
            Ok(Err(SharedError::Session(SessionError::NoPrompt | SessionError::NoNegative))) => on.rest(MOST_REST),
            Ok(Err(error)) => return on.fail(error),
            Err(_) => return on.fail(SharedError::Broken("the worker thread met a defect")),
        }
        on.step_aside();
    }
}
