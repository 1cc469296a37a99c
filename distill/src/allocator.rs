//! The allocator of the trainer's process.
//!
//! A step takes and frees the same hundreds of megabytes as the one before. Memory that the allocator gives back to the system in
//! between is taken again page by page, each zeroed by the system, and both workers wait for that in turn: a third of a step's
//! processor time. So it is kept for a while.

use std::ffi::{c_int, c_long};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Milliseconds that unused memory is kept: longer than a step, a look or a checkpoint.
const KEPT: c_long = 60_000;

/// `mi_option_purge_delay` of mimalloc.h, whose numbers stay from version to version.
const PURGE_DELAY: c_int = 15;

unsafe extern "C" {
    fn mi_option_set(option: c_int, value: c_long);
}

/// Has unused memory kept from now on.
pub fn keep_memory() {
    // SAFETY: mimalloc is linked, being the allocator above; it takes any number for an option and ignores those it has not.
    unsafe { mi_option_set(PURGE_DELAY, KEPT) }
}
