//! A session on its way: the work of `cw_session_create_begin`, which pumps or the worker thread do.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
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
    /// The worker thread that began before the session was there. Locked by who starts or stops one, until that is done.
    worker: Mutex<Option<(Join, Arc<Ended>)>>,
    /// The worker while it creates; [`NOBODY`] and [`STARTING`] are no threads.
    creator: AtomicU64,
    stop_worker: AtomicBool,
    closed: AtomicBool,
}

const NOBODY: u64 = 0;
const STARTING: u64 = u64::MAX;

/// Whether a thread has ended.
#[derive(Default)]
struct Ended(Mutex<bool>, Condvar);

impl Ended {
    fn set(&self) {
        *lock(&self.0) = true;
        self.1.notify_all();
    }

    fn is(&self) -> bool {
        *lock(&self.0)
    }

    fn wait(&self) {
        let mut ended = lock(&self.0);
        while !*ended {
            ended = self.1.wait(ended).unwrap_or_else(PoisonError::into_inner);
        }
    }
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
            creator: AtomicU64::new(NOBODY),
            stop_worker: AtomicBool::new(false),
            closed: AtomicBool::new(false),
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

    /// How far it is; why it never will be there.
    pub fn progress(&self) -> Result<CwProgress, Error> {
        if let Some((status, text)) = self.failure.get() {
            return Err(Error::new(*status, text.clone()));
        }
        let LoadProgress { stage, done, total } = *lock(&self.progress);
        let stage = match (self.ready.get(), stage) {
            (Some(_), _) => CW_STAGE_READY,
            (None, LoadStage::Weights) => CW_STAGE_WEIGHTS,
            (None, LoadStage::Pipelines) => CW_STAGE_PIPELINES,
        };
        let struct_size = size_of::<CwProgress>() as u32;
        Ok(CwProgress { struct_size, stage, done: done as u64, total: total as u64 })
    }

    /// Works on a session that is not there yet, for about so many microseconds.
    pub fn pump(&self, micros: u64) -> Result<CwStatus, Error> {
        let clock = SystemClock::default();
        loop {
            if self.creator.load(SeqCst) != NOBODY {
                return Err(Error::state("a worker thread creates this session; stop it first"));
            }
            let created = self.round(micros.saturating_sub(clock.micros()).min(ROUND_MICROS))?;
            self.alive()?;
            if created || clock.micros() >= micros {
                return Ok(CW_PENDING);
            }
        }
    }

    fn alive(&self) -> Result<(), Error> {
        if self.closed.load(SeqCst) { Err(SharedError::Closed.into()) } else { Ok(()) }
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
        self.alive()?;
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
                self.fail(&error);
                return Err(error);
            }
        }
        if let (true, Some(ready)) = (self.closed.load(SeqCst), self.ready.get()) {
            // Who closed it did not see it.
            ready.close();
        }
        Ok(true)
    }

    fn fail(&self, error: &Error) {
        _ = self.failure.set((error.status, error.text.to_string()));
    }

    /// Starts a thread that creates the session and then pumps it.
    pub fn start_worker(self: &Arc<Self>) -> Result<(), Error> {
        self.not_by_worker()?;
        let mut worker = lock(&self.worker);
        self.alive()?;
        if worker.as_ref().is_some_and(|(_, ended)| !ended.is()) {
            return Err(Error::state("the session has a worker thread already"));
        }
        if let Some((join, _)) = worker.take() {
            join();
        }
        if let Some(ready) = self.ready.get() {
            return Ok(ready.start_worker(&mut |work| threads::start("causeway-worker", work))?);
        }
        self.stop_worker.store(false, SeqCst);
        // Noted before it runs, so that nobody pumps beside it.
        self.creator.store(STARTING, SeqCst);
        let (making, ended) = (self.clone(), Arc::new(Ended::default()));
        let ends = ended.clone();
        let work = move || {
            // What it makes of a panic is for who asks next.
            if catch_unwind(AssertUnwindSafe(|| making.work(&ends))).is_err() {
                making.fail(&Error::new(CW_ERROR_PANIC, "the worker thread met a defect"));
            }
            making.creator.store(NOBODY, SeqCst);
            ends.set();
        };
        match threads::start("causeway-worker", Box::new(work)) {
            Ok(join) => *worker = Some((join, ended)),
            Err(error) => {
                self.creator.store(NOBODY, SeqCst);
                return Err(SharedError::Thread(error.to_string()).into());
            }
        }
        Ok(())
    }

    /// The worker's life: it creates the session, and then pumps it.
    fn work(&self, ended: &Arc<Ended>) {
        self.creator.store(this_thread(), SeqCst);
        let ends = || self.stop_worker.load(SeqCst) || self.closed.load(SeqCst);
        loop {
            if ends() {
                return;
            }
            memory::forget_refusals();
            match self.round(ROUND_MICROS) {
                Ok(false) => {}
                Ok(true) => break,
                // Who pumped when this thread began is about to see it.
                Err(error) if error.status == CW_ERROR_BUSY => std::thread::yield_now(),
                // Who asks is told.
                Err(_) => return,
            }
        }
        let Some(ready) = self.ready.get() else { return };
        let mut work = None;
        loop {
            // Whoever stops it waits for this thread to end.
            let mut here = |pumping| {
                let ended = ended.clone();
                work = Some(pumping);
                Ok(Box::new(move || ended.wait()) as Join)
            };
            match ready.start_worker(&mut here) {
                Err(SharedError::Busy(_)) if !ends() => std::thread::yield_now(),
                _ => break,
            }
        }
        self.creator.store(NOBODY, SeqCst);
        // Who ends it may have looked before it was a worker: what it set then is seen here, and else it is seen there.
        if let (Some(work), false) = (work, ends()) {
            work();
        }
    }

    fn not_by_worker(&self) -> Result<(), Error> {
        if self.creator.load(SeqCst) == this_thread() {
            let what = "this is the session's worker thread: a hook of it cannot end it";
            return Err(SharedError::Busy(what).into());
        }
        Ok(self.ready.get().map_or(Ok(()), Ready::not_by_worker)?)
    }

    /// Ends the worker thread, if there is one, and waits for the slice it is in.
    pub fn stop_worker(&self) -> Result<(), Error> {
        self.not_by_worker()?;
        let mut worker = lock(&self.worker);
        self.stop_worker.store(true, SeqCst);
        if let Some(ready) = self.ready.get() {
            ready.stop_worker()?;
        }
        if let Some((join, _)) = worker.take() {
            join();
        }
        // It may have gone over to pumping meanwhile.
        if let Some(ready) = self.ready.get() {
            ready.stop_worker()?;
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
