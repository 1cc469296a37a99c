//! A thread of a session's own, for hosts that would rather not pump.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::{
    error::Error,
    memory,
    stream::Stream,
    types::{CW_ERROR_HOST, CW_ERROR_PANIC, CW_FULL, CW_PAUSED, CW_PENDING},
    unload,
};

/// A round of the worker: how long others wait for it at most, but for one node.
const ROUND_MICROS: u64 = 1_000;
/// A round shorter than this that made no frame waited for a GPU.
const BUSY: Duration = Duration::from_micros(100);

pub struct Worker(JoinHandle<()>);

impl Worker {
    pub fn start(stream: Arc<Stream>) -> Result<Self, Error> {
        let thread = unload::aside(|| {
            let begun = Arc::new(AtomicBool::new(false));
            let begins = begun.clone();
            let work = move || {
                begins.store(true, SeqCst);
                work(&stream);
            };
            let thread = std::thread::Builder::new().name("causeway-worker".into()).spawn(work)?;
            while !begun.load(SeqCst) {
                std::thread::yield_now();
            }
            Ok(thread)
        });
        let failed = |error: std::io::Error| Error::new(CW_ERROR_HOST, format!("no thread could be started: {error}"));
        thread.map(Self).map_err(failed)
    }

    /// Waits for the thread's end.
    pub fn join(self) {
        // Its panics were caught and kept.
        let _ = self.0.join();
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
