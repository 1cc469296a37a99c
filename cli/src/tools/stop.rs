//! Ctrl-C and requests to terminate: a question that long commands ask, so that they can clean up, and an end where they cannot ask.
//!
//! * The first signal sets a flag. Commands look at it between steps of their work; what the CPU computes for a session is left in the
//!   middle of an operator ([`Stop::parallel`]), however long a frame would take.
//! * Whoever has not looked within [`PATIENCE`] is inside something long, and the program ends without it. So it does at a second signal.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use causeway_ops::parallel::{Parallel, Serial, ThreadPool};
use causeway_runtime::file::abandon;

use crate::{error::Error, stage::terminal};

/// How long after the first signal a command may take to look at the flag.
const PATIENCE: Duration = Duration::from_secs(1);

/// Set once the user, or the system, has asked the program to end.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    signals: AtomicU32,
    /// The command knows.
    seen: AtomicBool,
}

impl Stop {
    /// Catches Ctrl-C and termination requests from now on. Files that exceed a limit become errors of writing, too, instead of a signal.
    ///
    /// # Errors
    /// The system refuses the handler.
    pub fn install() -> Result<Self, Error> {
        // SAFETY: to ignore a signal touches nothing of this program.
        #[cfg(unix)]
        unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        }
        let stop = Self::default();
        let flags = Arc::clone(&stop.0);
        // Called on a thread of its own, signal after signal.
        let handler = move || {
            if flags.signals.fetch_add(1, Relaxed) > 0 {
                end();
            }
            let flags = Arc::clone(&flags);
            std::thread::spawn(move || {
                std::thread::sleep(PATIENCE);
                if !flags.seen.load(Relaxed) {
                    end();
                }
            });
        };
        ctrlc::set_handler(handler).map_err(|error| Error::Failed(format!("cannot catch Ctrl-C: {error}")))?;
        Ok(stop)
    }

    /// Whether the program should end; who is told so ends it.
    pub fn requested(&self) -> bool {
        let requested = self.0.signals.load(Relaxed) > 0;
        if requested {
            self.0.seen.store(true, Relaxed);
        }
        requested
    }

    /// Goes on unless the program should end.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn check(&self) -> Result<(), Error> {
        if self.requested() { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// So many threads, 0 for all, that leave their work when the program should end, for [`caught`] to notice.
    pub fn parallel(&self, threads: usize) -> Arc<dyn Parallel> {
        let threads = if threads == 0 { std::thread::available_parallelism().map_or(1, usize::from) } else { threads };
        let inner: Box<dyn Parallel> = if threads == 1 { Box::new(Serial) } else { Box::new(ThreadPool::new(threads)) };
        Arc::new(Leaving { inner, stop: self.clone() })
    }
}

/// Work that is left by unwinding, which no result of it survives.
struct Leaving {
    inner: Box<dyn Parallel>,
    stop: Stop,
}

/// What unwinds.
struct Left;

impl Parallel for Leaving {
    fn for_each(&self, n: usize, f: &(dyn Fn(usize) + Sync)) {
        self.inner.for_each(n, &|piece| {
            if self.stop.requested() {
                resume_unwind(Box::new(Left));
            }
            f(piece);
        });
    }

    fn threads(&self) -> usize {
        self.inner.threads()
    }
}

/// Does work that a signal may end in the middle.
///
/// # Errors
/// [`Error::Interrupted`] then; those of `work`.
pub fn caught<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result,
        Err(panic) if panic.is::<Left>() => Err(Error::Interrupted),
        Err(panic) => resume_unwind(panic),
    }
}

/// Ends the program where it stands, without a trace.
fn end() -> ! {
    terminal::give_back();
    abandon();
    eprintln!("causeway: interrupted");
    std::process::exit(Error::Interrupted.code().into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_left_in_the_middle_and_its_errors_come_through() {
        let stop = Stop::default();
        for threads in [1, 3] {
            stop.0.signals.store(0, Relaxed);
            let parallel = stop.parallel(threads);
            let done = AtomicU32::new(0);
            let work = || {
                parallel.for_each(1000, &|piece| {
                    if piece == 500 {
                        stop.0.signals.store(1, Relaxed);
                    }
                    done.fetch_add(1, Relaxed);
                });
                Ok(())
            };
            assert!(matches!(caught(work), Err(Error::Interrupted)), "{threads}");
            assert!(done.load(Relaxed) < 1000, "{threads}");
        }
        assert!(matches!(caught(|| Err::<(), _>(Error::Failed("x".into()))), Err(Error::Failed(_))));
        assert!(caught(|| Ok(1)).is_ok());
    }
}
