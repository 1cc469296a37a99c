//! A thread of a session's own, for hosts that would rather not pump.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use causeway_ops::parallel::Join;

use crate::{
    error::Error,
    memory, threads,
    types::{CW_ERROR_HOST, CW_ERROR_PANIC, CW_FULL, CW_PAUSED, CW_PENDING, CwStatus},
};

/// A round of the worker: how long others wait for it at most, but for one node.
const ROUND_MICROS: u64 = 1_000;
/// A round shorter than this that made no frame waited for a GPU.
const BUSY: Duration = Duration::from_micros(100);

/// What a worker works on.
pub trait Work: Send + Sync {
    /// The calling thread is the worker from now on.
    fn become_worker(&self);
    /// Whether the worker must end.
    fn stops(&self) -> bool;
    /// One round of at most `micros`.
    fn work(&self, micros: u64) -> Result<CwStatus, Error>;
    /// Sleeps until there is something to do again, or the worker must end.
    fn sleep(&self);
    /// Lets threads in that wait for the worker.
    fn step_aside(&self);
    /// Keeps the error that the worker ended with.
    fn fail(&self, error: Error);
}

pub struct Worker(Join);

impl Worker {
    pub fn start(stream: Arc<dyn Work>) -> Result<Self, Error> {
        threads::start("causeway-worker", Box::new(move || work(&*stream)))
            .map(Self)
            .map_err(|error| Error::new(CW_ERROR_HOST, format!("no thread could be started: {error}")))
    }

    /// Waits for the thread's end.
    pub fn join(self) {
        (self.0)();
    }
}

fn work(stream: &dyn Work) {
    stream.become_worker();
    while !stream.stops() {
        let start = Instant::now();
        memory::forget_refusals();
        let round = catch_unwind(AssertUnwindSafe(|| {
            let status = stream.work(ROUND_MICROS)?;
            memory::check().map(|()| status)
        }));
        match round {
            Ok(Ok(CW_FULL | CW_PAUSED)) => stream.sleep(),
            // A GPU is busy; nothing is gained by asking all the time.
            Ok(Ok(CW_PENDING)) if start.elapsed() < BUSY => std::thread::sleep(2 * BUSY),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return stream.fail(error),
            Err(_) => return stream.fail(Error::new(CW_ERROR_PANIC, "the worker thread met a defect")),
        }
        stream.step_aside();
    }
}
