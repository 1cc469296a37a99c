//! A session on its way: the work of `cw_session_create_begin`, which pumps or the worker thread do.

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError,
    atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
};

use causeway_ops::{
    backend::{LoadProgress, LoadStage},
    parallel::Join,
};
use causeway_runtime::{
    clock::{Clock, SystemClock},
    session::{Creation, SharedError, this_thread},
};

use crate::{
    error::Error,
    memory,
    opened::Opened,
    ready::{Outbox, Ready},
    threads,
    types::*,
};

/// Microseconds after which a round looks whether it should end.
const ROUND_MICROS: u64 = 1_000;

/// A session, and what there is of it before.
pub struct Making {
    ready: OnceLock<Ready>,
    creation: Mutex<Option<Creation<Opened>>>,
    outbox: Outbox,
    progress: Mutex<LoadProgress>,
    /// Why it never will be there.
    failure: OnceLock<(CwStatus, String)>,
    /// The worker thread, from before the session was there.
    worker: Mutex<Option<Join>>,
    worker_thread: AtomicU64,
    stop_worker: AtomicBool,
    closed: AtomicBool,
    /// Held while the worker goes over from creating to pumping.
    passing: Mutex<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Making {
    /// A session that is there.
    pub fn ready(ready: Ready, outbox: Outbox) -> Self {
        let nothing = LoadProgress { stage: LoadStage::Weights, done: 0, total: 0 };
        let making = Self::new(None, outbox, nothing);
        _ = making.ready.set(ready);
        making
    }

    /// One that is begun.
    pub fn begun(creation: Creation<Opened>, outbox: Outbox) -> Self {
        let progress = creation.progress();
        Self::new(Some(creation), outbox, progress)
    }

    fn new(creation: Option<Creation<Opened>>, outbox: Outbox, progress: LoadProgress) -> Self {
        Self {
            ready: OnceLock::new(),
            creation: Mutex::new(creation),
            outbox,
            progress: Mutex::new(progress),
            failure: OnceLock::new(),
            worker: Mutex::new(None),
            worker_thread: AtomicU64::new(0),
            stop_worker: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            passing: Mutex::new(()),
        }
    }

    /// The session, once it is there.
    pub fn get(&self) -> Result<&Ready, Error> {
        match (self.ready.get(), self.failure.get()) {
            (Some(ready), _) => Ok(ready),
            (None, Some((status, text))) => Err(Error::new(*status, text.clone())),
            (None, None) => Err(Error::new(CW_PENDING, "the session is being created; pump it")),
        }
    }

    /// How far it is.
    pub fn progress(&self) -> CwProgress {
        let LoadProgress { stage, done, total } = *lock(&self.progress);
        let stage = match (self.ready.get(), stage) {
            (Some(_), _) => CW_STAGE_READY,
            (None, LoadStage::Weights) => CW_STAGE_WEIGHTS,
            (None, LoadStage::Pipelines) => CW_STAGE_PIPELINES,
        };
        CwProgress { struct_size: size_of::<CwProgress>() as u32, stage, done: done as u64, total: total as u64 }
    }

    /// Works on a session that is not there yet, for about so many microseconds.
    pub fn pump(&self, micros: u64) -> Result<CwStatus, Error> {
        if self.worker_thread.load(SeqCst) != 0 {
            return Err(Error::state("a worker thread creates this session; stop it first"));
        }
        let clock = SystemClock::default();
        while !self.round(micros.saturating_sub(clock.micros()).min(ROUND_MICROS))? && clock.micros() < micros {}
        Ok(CW_PENDING)
    }

    /// A short round of creating; whether the session is there.
    fn round(&self, micros: u64) -> Result<bool, Error> {
        let mut creation = match self.creation.try_lock() {
            Ok(creation) => creation,
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(CW_ERROR_BUSY, "another thread is inside this session"));
            }
            Err(TryLockError::Poisoned(creation)) => creation.into_inner(),
        };
        if self.closed.load(SeqCst) {
            return Err(SharedError::Closed.into());
        }
        if self.ready.get().is_some() {
            return Ok(true);
        }
        // What it failed of is told each time.
        let Some(going) = creation.as_mut() else { return self.get().map(|_| true) };
        let made = going.pump(micros, &SystemClock::default()).map_err(Error::from);
        *lock(&self.progress) = going.progress();
        let ready = match made.and_then(|session| session.map(|session| Ready::new(session, self.outbox)).transpose()) {
            Ok(None) => return Ok(false),
            result => result,
        };
        // What was held for it goes, files and all.
        *creation = None;
        match ready {
            Ok(ready) => _ = ready.map(|ready| self.ready.set(ready)),
            Err(error) => {
                _ = self.failure.set((error.status, error.text.to_string()));
                return Err(error);
            }
        }
        Ok(true)
    }

    /// Starts a thread that creates the session, or pumps one that is there.
    pub fn start_worker(self: &Arc<Self>) -> Result<(), Error> {
        if let Some(ready) = self.ready.get() {
            return Ok(ready.start_worker(&mut |work| threads::start("causeway-worker", work))?);
        }
        let mut worker = lock(&self.worker);
        if worker.is_some() {
            return Err(Error::state("the session has a worker thread already"));
        }
        self.stop_worker.store(false, SeqCst);
        let making = self.clone();
        // Noted before it runs, so that nobody pumps beside it.
        self.worker_thread.store(u64::MAX, SeqCst);
        match threads::start("causeway-worker", Box::new(move || making.work())) {
            Ok(join) => *worker = Some(join),
            Err(error) => {
                self.worker_thread.store(0, SeqCst);
                return Err(SharedError::Thread(error.to_string()).into());
            }
        }
        Ok(())
    }

    /// The worker's life: it creates the session, and then pumps it.
    fn work(&self) {
        self.worker_thread.store(this_thread(), SeqCst);
        let created = loop {
            if self.stop_worker.load(SeqCst) || self.closed.load(SeqCst) {
                break false;
            }
            memory::forget_refusals();
            match self.round(ROUND_MICROS) {
                Ok(false) => {}
                Ok(true) => break true,
                // Who polls is told.
                Err(_) => break false,
            }
        };
        let work = self.pass(created);
        self.worker_thread.store(0, SeqCst);
        if let Some(work) = work {
            work();
        }
    }

    /// The work of pumping, where the session is there and the worker should not end.
    fn pass(&self, created: bool) -> Option<Box<dyn FnOnce() + Send>> {
        let _passing = lock(&self.passing);
        let ready = self.ready.get().filter(|_| created && !self.stop_worker.load(SeqCst))?;
        let mut work = None;
        // Who stops it waits for this thread, and not for what is given here.
        let mut here = |pumping| {
            work = Some(pumping);
            Ok(Box::new(|| ()) as Join)
        };
        ready.start_worker(&mut here).ok().and(work)
    }

    /// Ends the worker thread, if there is one, and waits for the slice it is in.
    pub fn stop_worker(&self) -> Result<(), Error> {
        if self.worker_thread.load(SeqCst) == this_thread() {
            let what = "this is the session's worker thread: a hook of it cannot end it";
            return Err(SharedError::Busy(what).into());
        }
        let mut worker = lock(&self.worker);
        {
            let _passing = lock(&self.passing);
            self.stop_worker.store(true, SeqCst);
            if let Some(ready) = self.ready.get() {
                ready.stop_worker()?;
            }
        }
        if let Some(join) = worker.take() {
            join();
        }
        Ok(())
    }

    /// Ends it: a pump under way returns, the worker is waited for.
    pub fn close(&self) {
        self.closed.store(true, SeqCst);
        // By the worker itself, in a hook, nobody waits.
        _ = self.stop_worker();
        if let Some(ready) = self.ready.get() {
            ready.close();
        }
    }
}
