//! Ctrl-C as a question that long commands ask, so that they can clean up.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::error::Error;

/// Set once the user, or the system, has asked the program to end.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Catches Ctrl-C and termination requests from now on.
    ///
    /// # Errors
    /// The system refuses the handler.
    pub fn install() -> Result<Self, Error> {
        let stop = Self::default();
        let flag = Arc::clone(&stop.0);
        ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
            .map_err(|error| Error::Failed(format!("cannot catch Ctrl-C: {error}")))?;
        Ok(stop)
    }

    /// Whether the program should end.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Goes on unless the program should end.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn check(&self) -> Result<(), Error> {
        if self.requested() { Err(Error::Interrupted) } else { Ok(()) }
    }
}
