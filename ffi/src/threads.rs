//! The library's own threads, and its end in a process that goes on: a host that unloads it without `cw_shutdown`.
//!
//! With glibc the library's destructor does then what `cw_shutdown` does: sessions end, their threads are waited for, memory goes back. Two things
//! would be in its way:
//!
//! * glibc keeps a library, and runs no destructor of it, while a living thread has a thread-local value of it that wants dropping. Rust's
//!   standard library leaves one on every thread it starts, and on every thread that starts one. So ours are started without it, and what
//!   they and the host's have of ours needs no dropping.
//! * The loader's lock is held meanwhile. Our threads need it only when they touch a thread-local value for the first time, so whoever starts
//!   one waits until it has.
//!
//! GPU drivers keep neither rule: once one was asked for, the library stays until the process ends ([`stay`]). Elsewhere it stays in any case
//! where the linker can make it (build.rs), and Windows wants `cw_shutdown` before `FreeLibrary`: a destructor there must not wait for threads.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use causeway_ops::parallel::Join;

/// Starts a thread, whose work catches its panics, and waits until it runs; returns what waits for its end.
pub fn start(name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<Join> {
    let begun = Arc::new(AtomicBool::new(false));
    let begins = begun.clone();
    let work = Box::new(move || {
        crate::memory::forget_refusals();
        begins.store(true, SeqCst);
        work();
    });
    let join = system::start(name, work)?;
    while !begun.load(SeqCst) {
        std::thread::yield_now();
    }
    Ok(join)
}

#[cfg(feature = "gpu")]
pub use system::stay;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod system {
    use std::{
        ffi::{CString, c_void},
        io,
        ptr::{null, null_mut},
        sync::atomic::{AtomicPtr, Ordering::SeqCst},
    };

    use super::Join;
    use crate::shutdown::shutdown;

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
        shutdown();
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

    type Work = Box<dyn FnOnce() + Send>;

    extern "C" fn run(work: *mut c_void) -> *mut c_void {
        // SAFETY: `start` gave it up to this thread.
        let work = unsafe { Box::from_raw(work.cast::<Work>()) };
        work();
        null_mut()
    }

    pub fn start(name: &str, work: Work) -> io::Result<Join> {
        watch_exit();
        let work: *mut Work = Box::into_raw(Box::new(work));
        let mut thread: libc::pthread_t = 0;
        // SAFETY: `run` takes what it is given.
        let error = unsafe { libc::pthread_create(&raw mut thread, null(), run, work.cast()) };
        if error != 0 {
            // SAFETY: no thread has it.
            drop(unsafe { Box::from_raw(work) });
            return Err(io::Error::from_raw_os_error(error));
        }
        if let Ok(name) = CString::new(name) {
            // SAFETY: a thread that was not waited for yet. A name that is too long is not taken.
            unsafe { libc::pthread_setname_np(thread, name.as_ptr()) };
        }
        let own = Own(thread);
        Ok(Box::new(move || own.join()))
    }

    /// A thread that was not waited for; given up without that it ends by itself.
    struct Own(libc::pthread_t);

    impl Own {
        fn join(self) {
            // SAFETY: as the type says.
            unsafe { libc::pthread_join(self.0, null_mut()) };
            std::mem::forget(self);
        }
    }

    impl Drop for Own {
        fn drop(&mut self) {
            // SAFETY: as the type says.
            unsafe { libc::pthread_detach(self.0) };
        }
    }

    /// Keeps the library in its process from now on.
    #[cfg(feature = "gpu")]
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

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod system {
    use super::{Join, io};

    pub fn start(name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<Join> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work)?;
        Ok(Box::new(move || drop(thread.join())))
    }

    /// The library stays in any case, or not at all.
    #[cfg(feature = "gpu")]
    pub fn stay() {}
}
