//! The way into the library: every function of the interface runs its body through [`enter`].

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{
    error::{self, Error},
    handle, memory,
    types::{CW_ERROR_PANIC, CwStatus},
};

/// Runs `body`; panics and refused allocations become errors, and errors leave their text with the thread and with the handle
/// numbered `handle` (0 for none).
pub fn enter(handle: usize, body: impl FnOnce() -> Result<CwStatus, Error>) -> CwStatus {
    memory::forget_refusals();
    let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(from_panic(&*panic)));
    // An allocation that could not fail was served by the system, so what `body` made is whole; but the host said no.
    let result = result.and_then(|status| memory::check().map(|()| status));
    result.unwrap_or_else(|error| {
        error::remember(&error.text);
        handle::remember(handle, &error.text);
        error.status
    })
}

fn from_panic(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    Error::new(CW_ERROR_PANIC, format!("a defect of the library: {}", text.unwrap_or("a panic without a message")))
}
