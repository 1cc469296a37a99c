//! A session that several threads may use at once.
//!
//! The session lies behind one lock, held by the thread that pumps. What a game does every frame goes past that lock: actions and changes lie in
//! the inbox until the next pump, finished frames in the outbox until the host takes them, and both have locks that are held only for
//! copies. Other calls take the lock or, when another thread is inside, fail at once ([`SharedError::Busy`]); a worker thread is asked to
//! step aside instead, which takes it one slice.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use super::{
    budget::{Budget, Progress, Pump, Pumped, Stats},
    changes::Change,
    error::{SessionError, SharedError},
    inbox::Inbox,
    inside::{Inside, this_thread},
    outbox::{Outbox, snapshot_bytes},
    quality::QualityChange,
    receipt::Receipt,
    session::Session,
    worker::{Round, Work, Worker, work},
};
use crate::clock::Clock;

/// A session for any number of threads.
///
/// ```
/// # use causeway_runtime::{Session, session::{Shared, SharedError}};
/// # use std::sync::Arc;
/// # fn f(session: Session) -> Result<(), SharedError> {
/// let world = Arc::new(Shared::new(session, 2)?);
/// world.start_worker()?;
/// // From now on, in the game's own frame, on any thread:
/// world.set_action(&[1.0, 0.0, 0.0, 0.0, 0.0])?;
/// let mut picture = Vec::new();
/// if let Some(receipt) = world.take(|_, pixels| { picture.extend_from_slice(pixels); Ok::<_, SharedError>(()) })? {
///     println!("frame {}: {} bytes", receipt.frame, picture.len());
/// }
/// world.close();
/// # Ok(())
/// # }
/// ```
pub struct Shared {
    inbox: Mutex<Inbox>,
    outbox: Mutex<Outbox>,
    session: Mutex<Session>,
    /// The thread that is inside the session, and the one that is its worker; 0 for none.
    owner: AtomicU64,
    worker_thread: AtomicU64,
    /// Wakes the worker: a frame was taken, the pause or the worker's life ended.
    wake: Condvar,
    worker: Mutex<Option<Worker>>,
    has_worker: AtomicBool,
    /// Why the worker ended, for the next who takes a frame.
    failure: Mutex<Option<SharedError>>,
    /// Makes a running pump return after its slice.
    interrupt: Arc<AtomicBool>,
    clock: Arc<dyn Clock>,
    /// Whether frames stay here until they should be shown.
    holds: bool,
    /// Threads that wait for the worker to step aside.
    waiting: AtomicUsize,
    stop_worker: AtomicBool,
    paused: AtomicBool,
    cancelled: AtomicBool,
    closed: AtomicBool,
    pumped: Counters,
}

#[derive(Default)]
struct Counters {
    rounds: AtomicU64,
    micros: AtomicU64,
    longest: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const BROKEN: SharedError = SharedError::Broken("an earlier call met a defect; this session can only be destroyed");

impl Shared {
    /// A session whose outbox holds `queue` frames.
    ///
    /// # Errors
    /// [`SessionError::OutOfMemory`].
    pub fn new(session: Session, queue: usize) -> Result<Self, SessionError> {
        Ok(Self {
            inbox: Mutex::new(Inbox::new(&session)),
            outbox: Mutex::new(Outbox::new(queue, session.frame_bytes())?),
            interrupt: session.interrupt(),
            clock: session.clock.clone(),
            holds: false,
            session: Mutex::new(session),
            owner: AtomicU64::new(0),
            worker_thread: AtomicU64::new(0),
            wake: Condvar::new(),
            worker: Mutex::new(None),
            has_worker: AtomicBool::new(false),
            failure: Mutex::new(None),
            waiting: AtomicUsize::new(0),
            stop_worker: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            cancelled: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            pumped: Counters::default(),
        })
    }

    /// The same, with frames that [`take`](Self::take) gives no sooner than they should be shown ([`Receipt::present`]), for hosts that show what
    /// they take.
    #[must_use]
    pub fn holding(self) -> Self {
        Self { holds: true, ..self }
    }

    /// Most bytes that the outbox adds to a snapshot, for `queue` frames of `frame` bytes.
    pub fn snapshot_bytes(queue: usize, frame: usize) -> usize {
        snapshot_bytes(queue, frame)
    }

    /// As [`Session::set_action`]; any thread, never waits for the one that pumps.
    ///
    /// # Errors
    /// As [`Session::set_action`].
    pub fn set_action(&self, action: &[f32]) -> Result<u64, SessionError> {
        lock(&self.inbox).set_action(action)
    }

    /// As [`Inbox::set_actions`]; any thread, never waits for the one that pumps.
    ///
    /// # Errors
    /// As [`Session::set_actions`].
    pub fn set_actions(&self, rows: &[f32], count: usize) -> Result<u64, SessionError> {
        lock(&self.inbox).set_actions(rows, count)
    }

    /// As [`Inbox::set_prompt`]; any thread, never waits for the one that pumps.
    ///
    /// # Errors
    /// As [`Session::set_prompt`].
    pub fn set_prompt(&self, slot: usize, values: &[f32], width: usize) -> Result<(), SessionError> {
        lock(&self.inbox).set_prompt(slot, values, width)
    }

    /// As [`Session::queue`]; any thread, never waits for the one that pumps.
    ///
    /// # Errors
    /// As [`Session::queue`].
    pub fn queue(&self, change: Change<'_>) -> Result<u64, SessionError> {
        lock(&self.inbox).queue(change)
    }

    /// As [`Session::place`]; any thread, never waits for the one that pumps.
    ///
    /// # Errors
    /// As [`Session::place`].
    pub fn place(&self, pixels: &[u8], frames: usize) -> Result<u64, SessionError> {
        lock(&self.inbox).place(pixels, frames)
    }

    /// As [`Session::set_quality`]; any thread, never waits for the one that pumps.
    ///
    /// # Errors
    /// As [`Session::set_quality`].
    pub fn set_quality(&self, change: QualityChange) -> Result<(), SessionError> {
        lock(&self.inbox).set_quality(change)
    }

    /// Takes a change back, here or from the session, which may be busy.
    ///
    /// # Errors
    /// [`SharedError::State`] if none of that ticket waits, [`SharedError::Busy`].
    pub fn withdraw(&self, ticket: u64) -> Result<(), SharedError> {
        if lock(&self.inbox).withdraw(ticket) || self.enter()?.withdraw(ticket) {
            return Ok(());
        }
        Err(SharedError::State(format!("no change of ticket {ticket} waits: it is in force, or there is none")))
    }

    /// One round of pumping, for hosts without a worker.
    ///
    /// # Errors
    /// [`SharedError::State`] with a worker, [`SharedError::Busy`], [`SharedError::Closed`], those of [`Session::pump`].
    pub fn pump(&self, budget: Budget) -> Result<Progress, SharedError> {
        if self.has_worker.load(SeqCst) {
            return Err(SharedError::State("a worker thread pumps this session; stop it first".into()));
        }
        let mut session = self.enter()?;
        self.advance(&mut session, budget)
    }

    /// One round; `session` is this one's.
    fn advance(&self, session: &mut Session, budget: Budget) -> Result<Progress, SharedError> {
        let start = Instant::now();
        // Cleared before the reasons to set it are looked at, so that none is lost.
        self.interrupt.store(false, SeqCst);
        self.alive()?;
        if self.paused.load(SeqCst) {
            return Ok(Progress::Paused);
        }
        self.hand_over(session)?;
        let outcome = session.pump(budget);
        self.hand_over(session)?;
        let spent = start.elapsed().as_micros() as u64;
        self.pumped.rounds.fetch_add(1, SeqCst);
        self.pumped.micros.fetch_add(spent, SeqCst);
        self.pumped.longest.fetch_max(spent, SeqCst);
        self.alive()?;
        Ok(match outcome? {
            Pump::Frame => Progress::Frame,
            Pump::Pending => Progress::Pending,
            Pump::Full => Progress::Full,
            Pump::Early(micros) => Progress::Early(micros),
        })
    }

    fn alive(&self) -> Result<(), SharedError> {
        if self.closed.load(SeqCst) { Err(SharedError::Closed) } else { Ok(()) }
    }

    /// What the host said goes in, what is finished comes out.
    fn hand_over(&self, session: &mut Session) -> Result<(), SharedError> {
        if self.cancelled.swap(false, SeqCst) {
            session.abort_chunk();
        }
        lock(&self.inbox).feed(session)?;
        lock(&self.outbox).fill(session);
        Ok(())
    }

    /// Takes the oldest frame, if one waits, after `write` has seen its receipt and bytes; it stays when that fails. Any thread; under the outbox's
    /// lock. Where nothing waits, the error of a worker that failed, once.
    ///
    /// # Errors
    /// Those of `write`, and of the worker.
    pub fn take<E: From<SharedError>>(
        &self,
        write: impl FnOnce(&Receipt, &[u8]) -> Result<(), E>,
    ) -> Result<Option<Receipt>, E> {
        let until = if self.holds { self.clock.micros() } else { u64::MAX };
        let taken = lock(&self.outbox).take(until, write)?;
        match taken {
            Some(receipt) => {
                self.wake.notify_all();
                Ok(Some(receipt))
            }
            None => lock(&self.failure).take().map_or(Ok(None), |error| Err(error.into())),
        }
    }

    /// The session, if no other thread is inside, nor this one, by a hook of the host's. A worker steps aside for it.
    fn enter(&self) -> Result<Inside<'_>, SharedError> {
        if self.owner.load(SeqCst) == this_thread() {
            return Err(SharedError::Busy("this thread is inside this session: a hook of it cannot call it"));
        }
        if self.has_worker.load(SeqCst) {
            self.waiting.fetch_add(1, SeqCst);
            self.interrupt.store(true, SeqCst);
            let guard = self.session.lock();
            self.waiting.fetch_sub(1, SeqCst);
            return guard.map(|guard| Inside::new(guard, &self.owner)).map_err(|_| BROKEN);
        }
        match self.session.try_lock() {
            Ok(guard) => Ok(Inside::new(guard, &self.owner)),
            Err(TryLockError::WouldBlock) => Err(SharedError::Busy("another thread is inside this session")),
            Err(TryLockError::Poisoned(_)) => Err(BROKEN),
        }
    }

    /// As [`Session::restart`]; finished frames and all that waits are dropped.
    ///
    /// # Errors
    /// [`SharedError::Busy`], those of [`Session::restart`].
    pub fn restart(&self, seed: u64) -> Result<(), SharedError> {
        let mut session = self.enter()?;
        // Room for all that wait here, which get their tickets before they are dropped, too.
        let before = session.state.prompted;
        session.take_first_prompts();
        // Of what is still here some may be newer.
        let taken = core::mem::replace(&mut session.state.prompted, before);
        session.drop_events();
        lock(&self.inbox).feed(&mut session)?;
        session.restart(seed)?;
        let now = &mut session.state.prompted;
        *now = (now.0 || taken.0, now.1 || taken.1);
        self.empty();
        Ok(())
    }

    /// Drops finished frames.
    fn empty(&self) {
        lock(&self.outbox).empty();
        self.wake.notify_all();
    }

    /// As [`Session::set_start_image`].
    ///
    /// # Errors
    /// [`SharedError::Busy`], those of [`Session::set_start_image`].
    pub fn set_start_image(&self, pixels: &[u8]) -> Result<(), SharedError> {
        Ok(self.enter()?.set_start_image(pixels)?)
    }

    /// A snapshot of session and outbox: `target` is asked for memory of so many bytes, and none is written if it gives none.
    ///
    /// # Errors
    /// [`SharedError::Busy`], those of `target` and of [`Session::snapshot`].
    pub fn snapshot<'m, E: From<SharedError>>(
        &self,
        target: impl FnOnce(usize) -> Result<Option<&'m mut [u8]>, E>,
    ) -> Result<(), E> {
        let mut session = self.enter()?;
        lock(&self.inbox).feed(&mut session).map_err(SharedError::from)?;
        let mut outbox = lock(&self.outbox);
        let head = outbox.bytes();
        let Some(bytes) = target(head + session.snapshot_bytes())? else { return Ok(()) };
        let (to, state) = bytes.split_at_mut(head);
        outbox.write(to).and_then(|()| session.snapshot_into(state)).map_err(SharedError::from)?;
        Ok(())
    }

    /// Returns to such a snapshot. On an error it is as it was, but for a backend failure.
    ///
    /// # Errors
    /// [`SharedError::Busy`], those of [`Session::restore`].
    pub fn restore(&self, bytes: &[u8]) -> Result<(), SharedError> {
        let mut session = self.enter()?;
        let mut outbox = lock(&self.outbox);
        let (part, state) = outbox.part(bytes)?;
        let frames = outbox.read(part)?;
        session.restore_bytes(state)?;
        outbox.put(frames);
        lock(&self.inbox).follow(&session);
        drop(outbox);
        self.wake.notify_all();
        Ok(())
    }

    /// As [`Session::save_into`], into memory that `target` gives for so many bytes, or not.
    ///
    /// # Errors
    /// [`SharedError::Busy`], those of `target`.
    pub fn save<'m, E: From<SharedError>>(
        &self,
        target: impl FnOnce(usize) -> Result<Option<&'m mut [u8]>, E>,
    ) -> Result<(), E> {
        let mut session = self.enter()?;
        lock(&self.inbox).feed(&mut session).map_err(SharedError::from)?;
        let Some(bytes) = target(session.save_bytes())? else { return Ok(()) };
        session.save_into(bytes).map_err(SharedError::from)?;
        Ok(())
    }

    /// As [`Session::load`]; finished frames and all that waits are dropped.
    ///
    /// # Errors
    /// [`SharedError::Busy`], those of [`Session::load`].
    pub fn load(&self, saved: &[u8]) -> Result<(), SharedError> {
        let mut session = self.enter()?;
        session.load_bytes(saved)?;
        lock(&self.inbox).follow(&session);
        self.empty();
        Ok(())
    }

    /// Makes pumping do nothing, or something again. Any thread; never waits.
    pub fn pause(&self, paused: bool) {
        self.paused.store(paused, SeqCst);
        self.interrupt.store(true, SeqCst);
        self.notify();
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        self.paused.load(SeqCst)
    }

    /// Drops the chunk in flight ([`Session::abort_chunk`]) with the next round. Any thread; never waits.
    pub fn cancel(&self) {
        self.cancelled.store(true, SeqCst);
        self.interrupt.store(true, SeqCst);
        self.notify();
    }

    /// Counters of the session, number of the next latent frame, frames that wait, and what pumping took.
    ///
    /// # Errors
    /// [`SharedError::Busy`].
    pub fn stats(&self) -> Result<(Stats, u64, usize, Pumped), SharedError> {
        let session = self.enter()?;
        let (stats, position) = (session.stats(), session.position());
        drop(session);
        let [rounds, micros, longest] =
            [&self.pumped.rounds, &self.pumped.micros, &self.pumped.longest].map(|count| count.load(SeqCst));
        Ok((stats, position, lock(&self.outbox).len(), Pumped { rounds, micros, longest }))
    }

    /// Whether a worker thread pumps.
    pub fn has_worker(&self) -> bool {
        self.has_worker.load(SeqCst)
    }

    /// Starts a thread that pumps. It rests while all frame buffers are full.
    ///
    /// # Errors
    /// [`SharedError::State`] if there is one, [`SharedError::Thread`], [`SharedError::Busy`], [`SharedError::Closed`].
    pub fn start_worker(self: &Arc<Self>) -> Result<(), SharedError> {
        self.start_worker_by(Worker::spawn, |round| round())
    }

    /// The same on a thread that `start` starts, each of whose rounds goes through `around`.
    ///
    /// # Errors
    /// As [`Self::start_worker`].
    pub fn start_worker_by(
        self: &Arc<Self>,
        start: impl FnOnce(Box<dyn FnOnce() + Send>) -> std::io::Result<causeway_ops::parallel::Join>,
        around: impl Fn(Round<'_>) -> Result<Progress, SharedError> + Send + 'static,
    ) -> Result<(), SharedError> {
        self.not_by_worker()?;
        let mut worker = lock(&self.worker);
        self.alive()?;
        if worker.is_some() {
            return Err(SharedError::State("the session has a worker thread already".into()));
        }
        // Nobody is inside who does not know of the worker.
        drop(self.enter()?);
        self.stop_worker.store(false, SeqCst);
        self.has_worker.store(true, SeqCst);
        let shared = self.clone();
        match start(Box::new(move || work(&*shared, around))) {
            Ok(join) => *worker = Some(Worker(join)),
            Err(error) => {
                self.has_worker.store(false, SeqCst);
                return Err(SharedError::Thread(error.to_string()));
            }
        }
        Ok(())
    }

    /// Ends the worker thread, if there is one, and waits for the slice it is in.
    ///
    /// # Errors
    /// [`SharedError::Busy`] on that thread.
    pub fn stop_worker(&self) -> Result<(), SharedError> {
        self.not_by_worker()?;
        // Held until the thread has ended, so that none is started meanwhile.
        let mut worker = lock(&self.worker);
        if let Some(worker) = worker.take() {
            self.stop_worker.store(true, SeqCst);
            self.interrupt.store(true, SeqCst);
            self.notify();
            worker.join();
            self.has_worker.store(false, SeqCst);
        }
        Ok(())
    }

    /// Refuses the worker thread itself: a hook that it calls cannot wait for it.
    ///
    /// # Errors
    /// [`SharedError::Busy`].
    pub fn not_by_worker(&self) -> Result<(), SharedError> {
        if self.worker_thread.load(SeqCst) == this_thread() {
            return Err(SharedError::Busy("this is the session's worker thread: a hook of it cannot end it"));
        }
        Ok(())
    }

    fn notify(&self) {
        // Under the lock, so that a worker about to sleep does not miss it.
        let _outbox = lock(&self.outbox);
        self.wake.notify_all();
    }

    /// Ends it: a pump under way returns [`SharedError::Closed`] after its slice, a worker is waited for. Any thread.
    pub fn close(&self) {
        self.closed.store(true, SeqCst);
        self.interrupt.store(true, SeqCst);
        if self.stop_worker().is_err() {
            // By the worker itself, in a hook: it ends after its slice, with nobody to wait for it.
            self.stop_worker.store(true, SeqCst);
        }
    }
}

impl Work for Shared {
    fn become_worker(&self) {
        self.worker_thread.store(this_thread(), SeqCst);
    }

    fn stops(&self) -> bool {
        self.stop_worker.load(SeqCst)
    }

    fn round(&self, budget: Budget) -> Result<Progress, SharedError> {
        let session = self.session.lock().map_err(|_| SharedError::Broken("an earlier call met a defect"))?;
        self.advance(&mut Inside::new(session, &self.owner), budget)
    }

    fn sleep(&self) {
        let mut outbox = lock(&self.outbox);
        let idle = |outbox: &Outbox| self.paused.load(SeqCst) || outbox.is_full();
        while idle(&outbox) && !self.stops() && self.waiting.load(SeqCst) == 0 {
            outbox = self.wake.wait(outbox).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn rest(&self, time: Duration) {
        let outbox = lock(&self.outbox);
        if !self.stops() && self.waiting.load(SeqCst) == 0 {
            _ = self.wake.wait_timeout(outbox, time);
        }
    }

    fn step_aside(&self) {
        while self.waiting.load(SeqCst) > 0 {
            std::thread::yield_now();
        }
    }

    fn fail(&self, error: SharedError) {
        *lock(&self.failure) = Some(error);
    }
}
