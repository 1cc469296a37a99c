//! A host's job system and clock behind the runtime's traits.

use std::{
    any::Any,
    ffi::c_void,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use causeway_ops::parallel::Parallel;
use causeway_runtime::clock::Clock;

use crate::types::CwTask;

/// A host's parallel-for.
pub struct HostParallel {
    pub call: unsafe extern "C" fn(*mut c_void, u32, CwTask, *mut c_void),
    pub user: *mut c_void,
    pub threads: usize,
}

// SAFETY: the host promises that its parallel-for may be called by any thread that pumps.
unsafe impl Send for HostParallel {}
// SAFETY: as above.
unsafe impl Sync for HostParallel {}

/// One call's work. The host's indices are taken as permission to work, not as addresses: every task takes the next piece, so a
/// host that repeats or drops indices can neither make two threads write one place nor leave a piece out.
struct Work<'a> {
    f: &'a (dyn Fn(usize) + Sync),
    next: AtomicUsize,
    done: AtomicUsize,
    count: usize,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Work<'_> {
    /// Runs the next piece; false if there is none.
    fn step(&self) -> bool {
        let piece = self.next.fetch_add(1, Ordering::Relaxed);
        if piece >= self.count {
            return false;
        }
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (self.f)(piece))) {
            self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
        }
        self.done.fetch_add(1, Ordering::Release);
        true
    }
}

unsafe extern "C" fn task(context: *mut c_void, _index: u32) {
    // SAFETY: the host passes on the context it was given, and not after its parallel-for has returned.
    let work = unsafe { &*context.cast::<Work<'_>>() };
    work.step();
}

impl Parallel for HostParallel {
    fn for_each(&self, n: usize, f: &(dyn Fn(usize) + Sync)) {
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = Work { f, next, done, count: n, panic: Mutex::new(None) };
        if let Ok(count) = u32::try_from(n) {
            // SAFETY: the host's function as it declared it; `work` outlives the call.
            unsafe { (self.call)(self.user, count, Some(task), (&raw const work).cast_mut().cast()) };
        }
        while work.step() {}
        while work.done.load(Ordering::Acquire) < n {
            std::thread::yield_now();
        }
        if let Some(panic) = work.panic.into_inner().unwrap_or_else(PoisonError::into_inner) {
            resume_unwind(panic);
        }
    }

    fn threads(&self) -> usize {
        self.threads
    }
}

/// A host's clock.
pub struct HostClock {
    pub call: unsafe extern "C" fn(*mut c_void) -> u64,
    pub user: *mut c_void,
}

// SAFETY: the host promises that its clock may be called by the threads that pump and poll, whichever they are.
unsafe impl Send for HostClock {}
// SAFETY: as above, also by two of them at once.
unsafe impl Sync for HostClock {}

impl Clock for HostClock {
    fn micros(&self) -> u64 {
        // SAFETY: the host's function as it declared it.
        unsafe { (self.call)(self.user) }
    }
}
