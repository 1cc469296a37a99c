//! Which thread is inside a session.

use std::{
    cell::Cell,
    ops::{Deref, DerefMut},
    sync::{
        MutexGuard,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use super::session::Session;

/// A number of the calling thread's own, not 0.
pub fn this_thread() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    thread_local! {
        // Without a destructor, as all that host threads have of us.
        static NUMBER: Cell<u64> = const { Cell::new(0) };
    }
    if NUMBER.get() == 0 {
        NUMBER.set(COUNT.fetch_add(1, SeqCst));
    }
    NUMBER.get()
}

/// The session, and the note that this thread has it.
pub(super) struct Inside<'a> {
    session: MutexGuard<'a, Session>,
    owner: &'a AtomicU64,
}

impl<'a> Inside<'a> {
    pub fn new(session: MutexGuard<'a, Session>, owner: &'a AtomicU64) -> Self {
        owner.store(this_thread(), SeqCst);
        Self { session, owner }
    }
}

impl Deref for Inside<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl DerefMut for Inside<'_> {
    fn deref_mut(&mut self) -> &mut Session {
        &mut self.session
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        // The lock is let go after this.
        self.owner.store(0, SeqCst);
    }
}
