//! A thread of a session's own, for hosts that would rather not pump.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering::SeqCst},
    time::{Duration, Instant},
};

use causeway_ops::parallel::Join;

use crate::{
    error::Error,
    memory,
    stream::Stream,
    threads,
    types::{CW_ERROR_HOST, CW_ERROR_PANIC, CW_FULL, CW_PAUSED, CW_PENDING},
};

/// A round of the worker: how long others wait for it at most, but for one node.
const ROUND_MICROS: u64 = 1_000;
/// A round shorter than this that made no frame waited for a GPU.
const BUSY: Duration = Duration::from_micros(100);

pub struct Worker(Join);

impl Worker {
    pub fn start(stream: Arc<Stream>) -> Result<Self, Error> {
        threads::start("causeway-worker", Box::new(move || work(&stream)))
            .map(Self)
            .map_err(|error| Error::new(CW_ERROR_HOST, format!("no thread could be started: {error}")))
    }

    /// Waits for the thread's end.
    pub fn join(self) {
        (self.0)();
    }
}

fn work(stream: &Stream) {
    stream.become_worker();
    while !stream.stop_worker.load(SeqCst) {
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
