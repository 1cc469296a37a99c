//! A small pool of threads with low latency.
//!
//! A step runs hundreds of operators of some microseconds each, so a worker that found no work looks again for [`SPIN`] before
//! it sleeps. Each thread has a run of the pieces of its own, the same from step to step, so that the weights it reads stay in
//! its core's cache; a thread that is done takes pieces from the far end of another's run.

use std::{
    any::Any,
    boxed::Box,
    cell::UnsafeCell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    string::String,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
    vec::Vec,
};

use super::serial::Parallel;

/// How long a thread looks for work before it sleeps. Waking a sleeping thread takes about as long.
const SPIN: Duration = Duration::from_micros(50);

/// Threads that wait for `for_each`. The caller's thread takes part in its own work, so `threads - 1` are started.
///
/// Calls from several threads at once, and calls from inside a piece, are safe: all but one run serially.
pub struct ThreadPool {
    shared: Arc<Shared>,
    workers: Vec<Join>,
}

/// Waits for the end of a thread.
pub type Join = Box<dyn FnOnce() + Send + Sync>;

/// The work in flight. Its lifetime is erased: `Shared::pending` tells how long it lives.
#[derive(Clone, Copy)]
struct Job {
    f: *const (dyn Fn(usize) + Sync),
}

/// Keeps one thread's counter off the others' cache lines.
#[repr(align(128))]
struct Run(AtomicU64);

struct Shared {
    /// One run of pieces a thread: begin in the low half, end in the high half; empty when they are equal.
    runs: Vec<Run>,
    /// Written only while nothing is pending and all runs are empty; read only by who holds a piece.
    job: UnsafeCell<Job>,
    /// Pieces not finished yet.
    pending: AtomicUsize,
    /// Held by the caller whose job is in flight.
    busy: AtomicBool,
    /// Workers that sleep or are about to.
    sleepers: AtomicUsize,
    stop: AtomicBool,
    sleep: Mutex<()>,
    wake: Condvar,
    /// First panic of a worker's piece, rethrown on the caller's thread.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `job` is guarded by the protocol of `pending` (see `take` and `for_each`); everything else is Sync.
unsafe impl Sync for Shared {}
// SAFETY: the job's function is Sync, so it may be called from any thread.
unsafe impl Send for Shared {}

impl ThreadPool {
    /// A pool in which `threads` threads run pieces, the caller's among them. Where the system refuses more threads the pool
    /// is smaller.
    pub fn new(threads: usize) -> Self {
        Self::started_by(threads, |name, work| {
            let thread = std::thread::Builder::new().name(name).spawn(work).ok()?;
            let join: Join = Box::new(move || {
                // A worker catches its pieces' panics, so it has none of its own to report.
                let _ = thread.join();
            });
            Some(join)
        })
    }

    /// As [`new`](Self::new), with threads that `start` starts: under a name, with their work, which catches panics.
    pub fn started_by(threads: usize, start: impl Fn(String, Box<dyn FnOnce() + Send>) -> Option<Join>) -> Self {
        let threads = threads.clamp(1, 1024);
        let idle = |_: usize| {};
        let shared = Arc::new(Shared {
            runs: (0..threads).map(|_| Run(AtomicU64::new(0))).collect(),
            job: UnsafeCell::new(Job { f: erase(&idle) }),
            pending: AtomicUsize::new(0),
            busy: AtomicBool::new(false),
            sleepers: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            sleep: Mutex::new(()),
            wake: Condvar::new(),
            panic: Mutex::new(None),
        });
        let start = |index| {
            let shared = shared.clone();
            start(std::format!("causeway-{index}"), Box::new(move || shared.work(index)))
        };
        let workers = (1..threads).map_while(start).collect();
        Self { shared, workers }
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        drop(lock(&self.shared.sleep));
        self.shared.wake.notify_all();
        self.workers.drain(..).for_each(|join| join());
    }
}

impl Parallel for ThreadPool {
    fn for_each(&self, n: usize, f: &(dyn Fn(usize) + Sync)) {
        let shared = &*self.shared;
        let threads = self.threads();
        let serial = n < 2 || threads < 2 || n > u32::MAX as usize;
        if serial || shared.busy.swap(true, Ordering::Acquire) {
            return (0..n).for_each(f);
        }
        // SAFETY: `busy` makes this the only writer. No piece of an earlier job is left (its caller waited for that) and none of this
        // one can be taken yet, so nobody reads.
        unsafe { *shared.job.get() = Job { f: erase(f) } };
        shared.pending.store(n, Ordering::Relaxed);
        for (index, run) in shared.runs[..threads].iter().enumerate() {
            run.0.store(pack(n * index / threads, n * (index + 1) / threads), Ordering::SeqCst);
        }
        if shared.sleepers.load(Ordering::SeqCst) > 0 {
            drop(lock(&shared.sleep));
            shared.wake.notify_all();
        }
        shared.drain(0);
        shared.wait();
        let panic = lock(&shared.panic).take();
        shared.busy.store(false, Ordering::Release);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    fn threads(&self) -> usize {
        self.workers.len() + 1
    }
}

impl Shared {
    /// A worker's life.
    fn work(&self, index: usize) {
        let mut since = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            if self.drain(index) {
                since = Instant::now();
            } else if since.elapsed() < SPIN {
                for _ in 0..16 {
                    core::hint::spin_loop();
                }
            } else {
                self.nap();
                since = Instant::now();
            }
        }
    }

    /// Sleeps until there is work. Announcing the sleep before looking once more, while callers offer work before looking for
    /// sleepers, leaves no gap for a lost wake-up.
    fn nap(&self) {
        let mut guard = lock(&self.sleep);
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        while !self.stop.load(Ordering::SeqCst) && self.runs.iter().all(|run| empty(run.0.load(Ordering::SeqCst))) {
            guard = self.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }

    /// Runs pieces until none is left to take, those of its own run first. Returns whether there were any.
    fn drain(&self, index: usize) -> bool {
        let mut worked = false;
        let n = self.runs.len();
        for other in 0..n {
            let run = &self.runs[(index + other) % n].0;
            while let Some(piece) = take(run, other == 0) {
                worked = true;
                // SAFETY: this thread holds a piece that is pending, so the caller still waits, the job is this piece's and its
                // function lives. `take` acquired what the caller wrote before it offered the piece.
                let f = unsafe { &*(*self.job.get()).f };
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| f(piece))) {
                    lock(&self.panic).get_or_insert(panic);
                }
                self.pending.fetch_sub(1, Ordering::Release);
            }
        }
        worked
    }

    /// Waits for pieces that other threads have taken. They are short; but a thread may have lost its core, so yield after a while.
    fn wait(&self) {
        let mut rounds = 0;
        while self.pending.load(Ordering::Acquire) != 0 {
            rounds += 1;
            if rounds < 2000 {
                core::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }
}

/// Takes a piece off a run: from its front for the owner, else from its back. A stale view of a run cannot do harm: whatever
/// is in the run when the exchange succeeds is a piece of the job then in flight.
fn take(run: &AtomicU64, front: bool) -> Option<usize> {
    let mut now = run.load(Ordering::Relaxed);
    while !empty(now) {
        let (begin, end) = (now as u32 as usize, (now >> 32) as usize);
        let (piece, rest) = if front { (begin, pack(begin + 1, end)) } else { (end - 1, pack(begin, end - 1)) };
        match run.compare_exchange_weak(now, rest, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => return Some(piece),
            Err(current) => now = current,
        }
    }
    None
}

fn pack(begin: usize, end: usize) -> u64 {
    begin as u64 | (end as u64) << 32
}

fn empty(run: u64) -> bool {
    run as u32 == (run >> 32) as u32
}

/// Forgets how long `f` lives.
fn erase<'a>(f: &'a (dyn Fn(usize) + Sync + 'a)) -> *const (dyn Fn(usize) + Sync) {
    // SAFETY: both types are the same fat pointer; using it is unsafe and argued for where it happens.
    unsafe { core::mem::transmute::<*const (dyn Fn(usize) + Sync + 'a), *const (dyn Fn(usize) + Sync)>(f) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_runs_once() {
        for threads in [1, 2, 3, 8] {
            let pool = ThreadPool::new(threads);
            for n in [0, 1, 2, 3, 7, 64, 1000] {
                for _ in 0..50 {
                    let counts: Vec<AtomicUsize> = (0..n).map(|_| AtomicUsize::new(0)).collect();
                    pool.for_each(n, &|piece| {
                        counts[piece].fetch_add(1, Ordering::Relaxed);
                    });
                    assert!(
                        counts.iter().all(|count| count.load(Ordering::Relaxed) == 1),
                        "{threads} threads, {n} pieces"
                    );
                }
            }
        }
    }

    /// Workers fall asleep between these calls and have to be woken.
    #[test]
    fn sleepers_wake() {
        let pool = ThreadPool::new(3);
        for _ in 0..20 {
            std::thread::sleep(SPIN * 4);
            let count = AtomicUsize::new(0);
            pool.for_each(16, &|_| {
                count.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(count.into_inner(), 16);
        }
    }

    #[test]
    fn nested_and_concurrent_calls_finish() {
        let pool = ThreadPool::new(2);
        let count = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        pool.for_each(4, &|_| {
                            pool.for_each(3, &|_| {
                                count.fetch_add(1, Ordering::Relaxed);
                            });
                        });
                    }
                });
            }
        });
        assert_eq!(count.into_inner(), 3 * 100 * 12);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let pool = ThreadPool::new(2);
        let call = || pool.for_each(64, &|piece| assert!(piece % 32 != 5, "piece {piece}"));
        let panic = catch_unwind(AssertUnwindSafe(call)).unwrap_err();
        assert!(panic.downcast_ref::<std::string::String>().is_some_and(|text| text.starts_with("piece ")));
        let count = AtomicUsize::new(0);
        pool.for_each(64, &|_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(count.into_inner(), 64);
    }
}
