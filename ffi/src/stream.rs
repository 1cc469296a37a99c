//! A session that several threads may use at once.
//!
//! The runtime's session lies behind one lock, held by the thread that pumps. What a game does every frame goes past that lock:
//! actions and events lie in the inbox until the next pump, finished frames in the outbox until the host fetches them, and both have
//! locks that are held only for copies. Other calls take the lock or, when another thread is inside, fail at once (`CW_ERROR_BUSY`);
//! a worker thread of ours is asked to step aside instead, which takes it one slice.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Instant,
};

use causeway_ops::memory::filled;
use causeway_runtime::{
    Budget, Pump, Session,
    session::{Change, Inbox, read_latent},
};

use crate::{
    error::Error,
    handle::{Handle, Thing},
    image::Target,
    inside::{Inside, this_thread},
    outbox::{Outbox, snapshot_bytes},
    types::*,
    vulkan::Kept,
    worker::{Work, Worker},
};

/// A session of the interface.
pub struct Stream {
    inbox: Mutex<Inbox>,
    outbox: Mutex<Outbox>,
    session: Mutex<Session>,
    /// The thread that is inside the session, and the one that is its worker; 0 for none.
    owner: AtomicU64,
    worker_thread: AtomicU64,
    /// Wakes the worker: a frame was fetched, the pause or the worker's life ended.
    wake: Condvar,
    worker: Mutex<Option<Worker>>,
    has_worker: AtomicBool,
    /// Makes a running pump return after its slice.
    interrupt: Arc<AtomicBool>,
    /// Threads that wait for the worker to step aside.
    waiting: AtomicUsize,
    stop_worker: AtomicBool,
    paused: AtomicBool,
    cancelled: AtomicBool,
    destroyed: AtomicBool,
    counters: Counters,
    size: (usize, usize),
    frame_bytes: usize,
    /// Channels, height and width of a latent frame of a session that gives these.
    latent: Option<[usize; 3]>,
    info: CwSessionInfo,
    kept: Kept,
}

#[derive(Default)]
struct Counters {
    pumps: AtomicU64,
    micros: AtomicU64,
    longest: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stream {
    /// A session whose outbox holds `queue` frames; `info` is what `cw_session_info` tells, `kept` has its frames on a host's GPU.
    pub fn new(session: Session, queue: usize, info: CwSessionInfo, kept: Kept) -> Result<Self, Error> {
        let (width, height) = session.picture();
        let frame = session.frame_bytes();
        let latent = (!session.gives_pictures()).then(|| session.latent_shape());
        let buffer = |_| filled(0, frame).map_err(|refused| Error::memory(refused.0));
        let inbox = Inbox::new(&session);
        let free = (0..queue).map(buffer).collect::<Result<_, _>>()?;
        Ok(Self {
            inbox: Mutex::new(inbox),
            outbox: Mutex::new(Outbox { ready: VecDeque::with_capacity(queue), free, failure: None }),
            interrupt: session.interrupt(),
            session: Mutex::new(session),
            owner: AtomicU64::new(0),
            worker_thread: AtomicU64::new(0),
            wake: Condvar::new(),
            worker: Mutex::new(None),
            has_worker: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            stop_worker: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            cancelled: AtomicBool::new(false),
            destroyed: AtomicBool::new(false),
            counters: Counters::default(),
            size: (width, height),
            frame_bytes: frame,
            latent,
            info,
            kept,
        })
    }

    pub fn info(&self) -> &CwSessionInfo {
        &self.info
    }

    pub fn set_action(&self, action: &[f32]) -> Result<u64, Error> {
        Ok(lock(&self.inbox).set_action(action)?)
    }

    pub fn set_prompt(&self, slot: usize, values: &[f32], width: usize) -> Result<(), Error> {
        Ok(lock(&self.inbox).set_prompt(slot, values, width)?)
    }

    pub fn queue(&self, change: Change<'_>) -> Result<u64, Error> {
        Ok(lock(&self.inbox).queue(change)?)
    }

    /// Takes a change back, here or from the session, which may be busy.
    pub fn withdraw(&self, ticket: u64) -> Result<(), Error> {
        if lock(&self.inbox).withdraw(ticket) || self.enter()?.withdraw(ticket) {
            return Ok(());
        }
        Err(Error::state(format!("no change of ticket {ticket} waits: it is in force, or there is none")))
    }

    pub fn pump(&self, micros: u64) -> Result<CwStatus, Error> {
        if self.has_worker.load(SeqCst) {
            return Err(Error::state("a worker thread pumps this session; stop it first"));
        }
        let mut session = self.enter()?;
        self.advance(&mut session, micros)
    }

    /// One round of pumping; `session` is this stream's.
    pub fn advance(&self, session: &mut Session, micros: u64) -> Result<CwStatus, Error> {
        let start = Instant::now();
        // Cleared before the reasons to set it are looked at, so that none is lost.
        self.interrupt.store(false, SeqCst);
        self.alive()?;
        if self.paused.load(SeqCst) {
            return Ok(CW_PAUSED);
        }
        self.cancel_chunk(session);
        self.feed(session)?;
        self.deliver(session);
        let outcome = session.pump(Budget::Micros(micros));
        self.cancel_chunk(session);
        self.feed(session)?;
        self.deliver(session);
        let spent = start.elapsed().as_micros() as u64;
        self.counters.pumps.fetch_add(1, SeqCst);
        self.counters.micros.fetch_add(spent, SeqCst);
        self.counters.longest.fetch_max(spent, SeqCst);
        self.alive()?;
        Ok(match outcome? {
            Pump::Frame => CW_FRAME,
            Pump::Pending => CW_PENDING,
            Pump::Full => CW_FULL,
        })
    }

    fn alive(&self) -> Result<(), Error> {
        if self.destroyed.load(SeqCst) {
            return Err(Error::new(CW_ERROR_DESTROYED, "the session was destroyed during the call"));
        }
        Ok(())
    }

    fn cancel_chunk(&self, session: &mut Session) {
        if self.cancelled.swap(false, SeqCst) {
            session.abort_chunk();
        }
    }

    /// Hands actions, prompts and changes over.
    fn feed(&self, session: &mut Session) -> Result<(), Error> {
        Ok(lock(&self.inbox).feed(session)?)
    }

    /// Moves finished frames to the outbox as far as there is room.
    fn deliver(&self, session: &mut Session) {
        lock(&self.outbox).fill(session);
    }

    /// Takes the oldest frame: its receipt, and its pixels to the target that `target` makes for them, if any. The frame stays when
    /// the target cannot be had.
    pub fn poll(&self, target: Option<&CwImage>) -> Result<Option<CwReceipt>, Error> {
        let (width, height) = self.size;
        if target.is_some() && self.latent.is_some() {
            return Err(Error::state("this session gives latents; cw_session_poll_latents takes them"));
        }
        let target = target.map(|image| Target::new(image, width, height)).transpose()?;
        self.take(|_, pixels| {
            if let Some(target) = target {
                // SAFETY: by the contract of `cw_session_poll_frame` the host's memory is as long as the image says.
                unsafe { target.write(pixels) };
            }
            Ok(())
        })
    }

    /// Takes the oldest latent frame [C, H, W].
    pub fn poll_latents(&self, values: &mut [f32]) -> Result<Option<CwReceipt>, Error> {
        let Some(shape) = self.latent else {
            return Err(Error::state("this session gives pictures; cw_session_poll_frame takes them"));
        };
        let len = shape.iter().product();
        let Some(values) = values.get_mut(..len) else {
            return Err(Error::new(CW_ERROR_BUFFER_TOO_SMALL, format!("a latent frame has {len} numbers")));
        };
        self.take(|_, bytes| {
            read_latent(bytes, shape[0], values);
            Ok(())
        })
    }

    /// As [`poll`](Self::poll), into an image on the host's GPU.
    pub fn poll_image(&self, image: &CwVulkanImage) -> Result<Option<CwReceipt>, Error> {
        let fits = |at: u32, size: usize, of: u32| at as usize + size <= of as usize && of <= i32::MAX as u32;
        if !fits(image.x, self.size.0, image.width) || !fits(image.y, self.size.1, image.height) {
            return Err(Error::argument(format!(
                "a frame of {:?} at ({}, {}) does not fit in an image of ({}, {})",
                self.size, image.x, image.y, image.width, image.height
            )));
        }
        // VK_IMAGE_LAYOUT_UNDEFINED and VK_IMAGE_LAYOUT_PREINITIALIZED.
        if image.image == 0 || [0, 8].contains(&image.layout_after) {
            return Err(Error::argument("`image` is 0, or `layout_after` is no layout that an image can be left in"));
        }
        // SAFETY: by the contract of `cw_session_poll_image` the image is what it says; it was made sure that the frame fits.
        self.take(|frame, pixels| unsafe { self.kept.write(frame, pixels, image) })
    }

    /// Takes the oldest frame after `write` has seen its number and pixels; it stays when that fails. Under the outbox's lock: the frame's
    /// place on the GPU counts as taken only while the frame is here.
    fn take(&self, write: impl FnOnce(u64, &[u8]) -> Result<(), Error>) -> Result<Option<CwReceipt>, Error> {
        let (width, height) = self.size;
        let mut outbox = lock(&self.outbox);
        let Some((receipt, pixels)) = outbox.ready.pop_front() else {
            return match outbox.failure.take() {
                Some((status, text)) => Err(Error::new(status, text)),
                None => Ok(None),
            };
        };
        if let Err(error) = write(receipt.frame, &pixels) {
            outbox.ready.push_front((receipt, pixels));
            return Err(error);
        }
        outbox.free.push(pixels);
        drop(outbox);
        self.wake.notify_all();
        Ok(Some(CwReceipt {
            struct_size: size_of::<CwReceipt>() as u32,
            width: width as u32,
            height: height as u32,
            event: receipt.event,
            frame: receipt.frame,
            action_ticket: receipt.action,
            event_ticket: receipt.event_ticket,
            began: receipt.began,
            ready: receipt.ready,
            first_of_action: u32::from(receipt.first_of_action),
            first_of_event: u32::from(receipt.first_of_event),
        }))
    }

    /// The session, if no other thread is inside, nor this one, by a hook of the host's. Our own worker steps aside for it.
    fn enter(&self) -> Result<Inside<'_>, Error> {
        let broken = || Error::new(CW_ERROR_PANIC, "an earlier call met a defect; this session can only be destroyed");
        if self.owner.load(SeqCst) == this_thread() {
            return Err(Error::new(CW_ERROR_BUSY, "this thread is inside this session: a hook of it cannot call it"));
        }
        if self.has_worker.load(SeqCst) {
            self.waiting.fetch_add(1, SeqCst);
            self.interrupt.store(true, SeqCst);
            let guard = self.session.lock();
            self.waiting.fetch_sub(1, SeqCst);
            return guard.map(|guard| Inside::new(guard, &self.owner)).map_err(|_| broken());
        }
        match self.session.try_lock() {
            Ok(guard) => Ok(Inside::new(guard, &self.owner)),
            Err(TryLockError::WouldBlock) => Err(Error::new(CW_ERROR_BUSY, "another thread is inside this session")),
            Err(TryLockError::Poisoned(_)) => Err(broken()),
        }
    }

    pub fn reset(&self, seed: u64) -> Result<(), Error> {
        let mut session = self.enter()?;
        // Room for all that wait here, which get their tickets before they are dropped, too.
        session.drop_events();
        self.feed(&mut session)?;
        session.restart(seed)?;
        self.kept.forget();
        self.empty();
        Ok(())
    }

    /// Drops finished frames.
    fn empty(&self) {
        lock(&self.outbox).empty();
        self.wake.notify_all();
    }

    pub fn set_start_image(&self, pixels: &[u8]) -> Result<(), Error> {
        Ok(self.enter()?.set_start_image(pixels)?)
    }

    /// Writes a snapshot and returns its bytes; with too little memory nothing is written.
    pub fn snapshot(&self, target: impl FnOnce(usize) -> Result<Option<*mut u8>, Error>) -> Result<(), Error> {
        let mut session = self.enter()?;
        self.feed(&mut session)?;
        let outbox = lock(&self.outbox);
        let head = snapshot_bytes(outbox.ready.len(), self.frame_bytes);
        let needed = head + session.snapshot_bytes();
        let Some(at) = target(needed)? else { return Ok(()) };
        // SAFETY: by the contract of `cw_session_snapshot` the host's memory has the bytes that `target` compared.
        let bytes = unsafe { std::slice::from_raw_parts_mut(at, needed) };
        let (to, state) = bytes.split_at_mut(head);
        outbox.write(to);
        Ok(session.snapshot_into(state)?)
    }

    pub fn restore(&self, bytes: &[u8]) -> Result<(), Error> {
        let mut session = self.enter()?;
        let mut outbox = lock(&self.outbox);
        let (frames, state) = outbox.frames_of(bytes, self.frame_bytes)?;
        session.restore_bytes(state)?;
        self.kept.forget();
        outbox.read(frames, self.frame_bytes);
        lock(&self.inbox).follow(&session);
        drop(outbox);
        self.wake.notify_all();
        Ok(())
    }

    pub fn pause(&self, paused: bool) {
        self.paused.store(paused, SeqCst);
        self.interrupt.store(true, SeqCst);
        self.notify();
    }

    pub fn cancel(&self) {
        self.cancelled.store(true, SeqCst);
        self.interrupt.store(true, SeqCst);
        self.notify();
    }

    pub fn stats(&self) -> Result<CwStats, Error> {
        let session = self.enter()?;
        let (stats, position) = (session.stats(), session.position());
        drop(session);
        Ok(CwStats {
            struct_size: size_of::<CwStats>() as u32,
            waiting: lock(&self.outbox).ready.len() as u32,
            frames: stats.frames,
            nodes: stats.nodes,
            cancelled: stats.aborted,
            pumps: self.counters.pumps.load(SeqCst),
            pump_micros: self.counters.micros.load(SeqCst),
            longest_pump_micros: self.counters.longest.load(SeqCst),
            position,
            worker: u32::from(self.has_worker.load(SeqCst)),
            paused: u32::from(self.paused.load(SeqCst)),
        })
    }

    pub fn start_worker(self: &Arc<Self>) -> Result<(), Error> {
        self.not_by_worker()?;
        let mut worker = lock(&self.worker);
        self.alive()?;
        if worker.is_some() {
            return Err(Error::state("the session has a worker thread already"));
        }
        // Whoever pumps now must leave first.
        drop(self.enter()?);
        self.stop_worker.store(false, SeqCst);
        self.has_worker.store(true, SeqCst);
        match Worker::start(self.clone()) {
            Ok(started) => *worker = Some(started),
            Err(error) => {
                self.has_worker.store(false, SeqCst);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Ends the worker thread, if there is one, and waits for the slice it is in.
    pub fn stop_worker(&self) -> Result<(), Error> {
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

    /// A hook that the worker calls cannot wait for the worker.
    fn not_by_worker(&self) -> Result<(), Error> {
        if self.worker_thread.load(SeqCst) == this_thread() {
            return Err(Error::new(CW_ERROR_BUSY, "this is the session's worker thread: a hook of it cannot end it"));
        }
        Ok(())
    }

    fn notify(&self) {
        // Under the lock, so that a worker about to sleep does not miss it.
        let _outbox = lock(&self.outbox);
        self.wake.notify_all();
    }
}

impl Work for Stream {
    fn become_worker(&self) {
        self.worker_thread.store(this_thread(), SeqCst);
    }

    fn stops(&self) -> bool {
        self.stop_worker.load(SeqCst)
    }

    /// The session for the worker, which waits its turn.
    fn work(&self, micros: u64) -> Result<CwStatus, Error> {
        let session = self.session.lock().map_err(|_| Error::new(CW_ERROR_PANIC, "an earlier call met a defect"))?;
        self.advance(&mut Inside::new(session, &self.owner), micros)
    }

    /// Sleeps until a frame is fetched, the pause ends or the worker must.
    fn sleep(&self) {
        let mut outbox = lock(&self.outbox);
        let idle = |outbox: &Outbox| self.paused.load(SeqCst) || outbox.free.is_empty();
        while idle(&outbox) && !self.stop_worker.load(SeqCst) && self.waiting.load(SeqCst) == 0 {
            outbox = self.wake.wait(outbox).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn step_aside(&self) {
        while self.waiting.load(SeqCst) > 0 {
            std::thread::yield_now();
        }
    }

    /// Keeps the worker's error for the host's next poll.
    fn fail(&self, error: Error) {
        lock(&self.outbox).failure = Some((error.status, error.text.into_owned()));
    }
}

impl Thing for Stream {
    fn destroy(&self) {
        self.destroyed.store(true, SeqCst);
        self.interrupt.store(true, SeqCst);
        if self.stop_worker().is_err() {
            // By the worker itself, in a hook: it ends after its slice, with nobody to wait for it.
            self.stop_worker.store(true, SeqCst);
        }
    }
}

impl Handle for CwSession {
    type Thing = Stream;
    const KIND: usize = 3;
}
