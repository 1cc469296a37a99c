//! The end of the library in a process that goes on: a host that unloads it without `cw_shutdown`.
//!
//! With glibc the library's destructor does then what `cw_shutdown` does: sessions end, their threads are waited for, memory goes back. Two things
//! would be in its way:
//!
//! * glibc keeps a library, and runs no destructor of it, while a living thread has a thread-local value of it that wants dropping. Rust's
//!   standard library leaves one on every thread that starts another. So threads are started by a thread of their own ([`aside`]), and what
//!   host threads have of ours needs no dropping.
//! * The loader's lock is held meanwhile. Our threads need it only when they touch a thread-local value for the first time, so whoever starts
//!   one waits until it has.
//!
//! GPU drivers keep neither rule: once one was asked for, the library stays until the process ends ([`stay`]). Elsewhere it stays in any case
//! where the linker can make it (build.rs), and Windows wants `cw_shutdown` before `FreeLibrary`: a destructor there must not wait for threads.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    use std::{
        any::Any,
        ffi::c_void,
        panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
        ptr::null_mut,
        sync::atomic::{AtomicPtr, Ordering::SeqCst},
    };

    use crate::{api::cw_shutdown, memory};

    unsafe extern "C" {
        fn __cxa_atexit(call: unsafe extern "C" fn(*mut c_void), with: *mut c_void, library: *mut c_void) -> i32;
    }

    /// A semaphore that the process raises when it begins to end. It outlives the library, as does what raises it: libc's own `sem_post`.
    static EXIT: AtomicPtr<libc::sem_t> = AtomicPtr::new(null_mut());

    /// What is run before the library goes, or when the process ends.
    #[used]
    #[unsafe(link_section = ".fini_array")]
    static UNLOAD: extern "C" fn() = unload;

    extern "C" fn unload() {
        let exit = EXIT.load(SeqCst);
        let mut raised = 0;
        // Without it no thread was ever started, and there is nothing to end.
        // SAFETY: a semaphore that was made and is never unmade.
        if exit.is_null() || unsafe { libc::sem_getvalue(exit, &raw mut raised) } != 0 || raised > 0 {
            return;
        }
        // The host's hooks live: it unloads its library, it does not end.
        cw_shutdown();
    }

    /// Notes the end of the process from now on.
    fn watch_exit() {
        if !EXIT.load(SeqCst).is_null() {
            return;
        }
        // SAFETY: libc's memory, zeroed and large enough; a semaphore of this process that begins at 0.
        let made = unsafe {
            let memory: *mut libc::sem_t = libc::calloc(1, size_of::<libc::sem_t>()).cast();
            if memory.is_null() || libc::sem_init(memory, 0, 0) != 0 {
                return;
            }
            memory
        };
        if EXIT.compare_exchange(null_mut(), made, SeqCst, SeqCst).is_err() {
            // SAFETY: nobody else has it.
            return unsafe { libc::free(made.cast()) };
        }
        // SAFETY: `sem_post` takes one pointer, and what it returns in a register is not looked at. It is called when the process ends, whether the
        // library is there by then or not; the semaphore is.
        unsafe {
            let post = std::mem::transmute::<
                unsafe extern "C" fn(*mut libc::sem_t) -> i32,
                unsafe extern "C" fn(*mut c_void),
            >(libc::sem_post);
            __cxa_atexit(post, made.cast(), null_mut());
        }
    }

    struct Job<'a, T> {
        work: Option<Box<dyn FnOnce() -> T + Send + 'a>>,
        result: Option<Result<T, Box<dyn Any + Send>>>,
        refused: usize,
    }

    extern "C" fn run<T>(job: *mut c_void) -> *mut c_void {
        // SAFETY: `aside` passes its own and waits.
        let job = unsafe { &mut *job.cast::<Job<'_, T>>() };
        memory::forget_refusals();
        job.result = job.work.take().map(|work| catch_unwind(AssertUnwindSafe(work)));
        job.refused = memory::refused();
        null_mut()
    }

    /// Does `work` on a thread that has ended when this returns, or here if the system has none.
    pub fn aside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
        watch_exit();
        let mut job = Job { work: Some(Box::new(work)), result: None, refused: 0 };
        let mut thread = 0;
        let at: *mut Job<'_, T> = &raw mut job;
        // SAFETY: the job outlives the thread, which is waited for, and nobody else uses it meanwhile.
        unsafe {
            if libc::pthread_create(&raw mut thread, std::ptr::null(), run::<T>, at.cast()) == 0 {
                // Fails for a thread that is none, which this one is not.
                libc::pthread_join(thread, null_mut());
            } else {
                run::<T>(at.cast());
            }
        }
        memory::refuse(job.refused);
        match job.result {
            Some(Ok(result)) => result,
            Some(Err(panic)) => resume_unwind(panic),
            None => unreachable!("the job was done"),
        }
    }

    /// Keeps the library in its process from now on.
    pub fn stay() {
        // SAFETY: asks where this function is, and for that file, which is loaded, once more.
        unsafe {
            let mut about: libc::Dl_info = std::mem::zeroed();
            if libc::dladdr((stay as fn()) as *const c_void, &raw mut about) != 0 && !about.dli_fname.is_null() {
                libc::dlopen(about.dli_fname, libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE);
            }
        }
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub use glibc::{aside, stay};

/// Does `work`.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn aside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    work()
}

/// The library stays in any case, or not at all.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn stay() {}
