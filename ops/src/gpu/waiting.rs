//! Waiting for a GPU. A page must not: what it waits for comes only after it has returned to the browser.

use super::BackendError;

/// Refuses to wait where that has no end.
pub(super) fn may_wait() -> Result<(), BackendError> {
    if cfg!(target_family = "wasm") {
        let why = "a page cannot wait for its GPU; what begins something and asks for it later is there instead";
        return Err(BackendError::Unsupported(why.into()));
    }
    Ok(())
}

/// What comes of a future, once it has.
pub(super) fn wait<T>(future: impl Future<Output = T>) -> Result<T, BackendError> {
    may_wait()?;
    Ok(pollster::block_on(future))
}
