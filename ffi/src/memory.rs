//! The host's allocator behind Rust's.
//!
//! Most allocations of Rust code cannot fail: a NULL ends the process. So a refusal by the host is noted, the allocation is
//! served by the system instead, and [`crate::enter`] turns the note into an error and drops what was made. Where the code can
//! handle a refusal (all that is large: weights, arenas, frames, files, snapshots) it says so with `causeway_ops::memory::fallible`
//! and gets the NULL.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::{Cell, UnsafeCell},
    sync::atomic::{AtomicU8, Ordering},
};

use causeway_ops::memory::is_fallible;

use causeway_runtime::session::SharedError;

use crate::{error::Error, types::CwAllocator};

/// Nothing was allocated yet, so a host may still bring its allocator.
const UNDECIDED: u8 = 0;
/// A host's allocator is being set.
const SETTING: u8 = 1;
/// The system's allocator, for good.
const SYSTEM: u8 = 2;
/// The host's allocator, for good.
const HOST: u8 = 3;

static MODE: AtomicU8 = AtomicU8::new(UNDECIDED);

struct Slot(UnsafeCell<CwAllocator>);

// SAFETY: written once by who moved `MODE` from UNDECIDED to SETTING, read only after it became HOST. The host promises that its
// functions may be called by any thread.
unsafe impl Sync for Slot {}

static HOOKS: Slot = Slot(UnsafeCell::new(CwAllocator {
    struct_size: 0,
    reserved: 0,
    allocate: None,
    release: None,
    user: std::ptr::null_mut(),
}));

thread_local! {
    /// Bytes of the first refusal since the call began; 0 for none.
    static REFUSED: Cell<usize> = const { Cell::new(0) };
}

/// Begins to watch the thread for refusals.
pub fn forget_refusals() {
    REFUSED.set(0);
}

/// Bytes that the host refused first since then.
pub fn refused() -> Option<usize> {
    Some(REFUSED.get()).filter(|&bytes| bytes > 0)
}

/// An error if the host refused memory since then.
pub fn check() -> Result<(), Error> {
    refused().map_or(Ok(()), |bytes| Err(SharedError::Refused(bytes).into()))
}

/// Takes the host's allocator for everything from now on.
pub fn set(hooks: CwAllocator) -> Result<(), Error> {
    if hooks.allocate.is_none() || hooks.release.is_none() {
        return Err(Error::argument("an allocator needs both `allocate` and `release`"));
    }
    if MODE.compare_exchange(UNDECIDED, SETTING, Ordering::Acquire, Ordering::Relaxed).is_err() {
        return Err(Error::state("the allocator can be set once, before any other call of the library"));
    }
    // SAFETY: the exchange made this the only writer, and nobody reads before HOST.
    unsafe { *HOOKS.0.get() = hooks };
    MODE.store(HOST, Ordering::Release);
    Ok(())
}

/// The host's functions, if it brought any.
fn hooks() -> Option<&'static CwAllocator> {
    let mut mode = MODE.load(Ordering::Acquire);
    if mode == UNDECIDED {
        mode = MODE
            .compare_exchange(UNDECIDED, SYSTEM, Ordering::Acquire, Ordering::Acquire)
            .map_or_else(|now| now, |_| SYSTEM);
    }
    while mode == SETTING {
        std::hint::spin_loop();
        mode = MODE.load(Ordering::Acquire);
    }
    if mode == SYSTEM {
        return None;
    }
    // SAFETY: HOST was read with Acquire, so the write is over and done, and the last one.
    Some(unsafe { &*HOOKS.0.get() })
}

struct Hooked;

#[global_allocator]
static ALLOCATOR: Hooked = Hooked;

/// With a host's allocator every block is preceded by this much, whose last word says whose the block is.
fn prefix(layout: Layout) -> usize {
    layout.align().max(16)
}

fn whole(layout: Layout) -> Option<Layout> {
    Layout::from_size_align(layout.size().checked_add(prefix(layout))?, layout.align().max(16)).ok()
}

const OF_HOST: u64 = 0x05f0_57a1_10ca_7ed1;
const OF_SYSTEM: u64 = 0x5e57_e3a1_10ca_7ed2;

// SAFETY: without hooks every call goes to the system's allocator unchanged. With hooks a block is a larger block of the host's
// or the system's, aligned alike; the prefix is a multiple of the alignment, so what follows it is aligned too and has the size asked
// for. A word before it, written at once and never handed out, says where it must go back to.
unsafe impl GlobalAlloc for Hooked {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(&CwAllocator { allocate: Some(allocate), release: Some(release), user, .. }) = hooks() else {
            // SAFETY: the caller's contract.
            return unsafe { System.alloc(layout) };
        };
        let Some(whole) = whole(layout) else { return std::ptr::null_mut() };
        // SAFETY: the host promised that this may be called by any thread.
        let mut block: *mut u8 = unsafe { allocate(user, whole.size(), whole.align()) }.cast();
        let mut owner = OF_HOST;
        if !block.is_null() && !block.addr().is_multiple_of(whole.align()) {
            // SAFETY: the host's own block, as it was asked for.
            unsafe { release(user, block.cast(), whole.size(), whole.align()) };
            block = std::ptr::null_mut();
        }
        if block.is_null() {
            // The thread may be ending; then nobody asks for refusals any more.
            let _ = REFUSED.try_with(|refused| refused.set(refused.get().max(layout.size().max(1))));
            if is_fallible() {
                return block;
            }
            // SAFETY: the size is not 0.
            block = unsafe { System.alloc(whole) };
            owner = OF_SYSTEM;
            if block.is_null() {
                return block;
            }
        }
        // SAFETY: the prefix is at least 16 bytes of the block, whose end is aligned to 16.
        unsafe {
            let data = block.add(prefix(layout));
            // Volatile: where both ends of a block's life are inlined, the compiler takes what is written before `dealloc` for dead.
            data.sub(8).cast::<u64>().write_volatile(owner);
            data
        }
    }

    unsafe fn dealloc(&self, data: *mut u8, layout: Layout) {
        let (Some(&CwAllocator { release: Some(release), user, .. }), Some(whole)) = (hooks(), whole(layout)) else {
            // SAFETY: without hooks it came from there.
            return unsafe { System.dealloc(data, layout) };
        };
        // SAFETY: `data` came from `alloc` with this layout, so the block begins there and its owner is written before `data`.
        unsafe {
            let block = data.sub(prefix(layout));
            match data.sub(8).cast::<u64>().read_volatile() {
                OF_HOST => release(user, block.cast(), whole.size(), whole.align()),
                _ => System.dealloc(block, whole),
            }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if hooks().is_none() {
            // SAFETY: the caller's contract. The system knows which pages are zero already.
            return unsafe { System.alloc_zeroed(layout) };
        }
        // SAFETY: the caller's contract.
        let data = unsafe { self.alloc(layout) };
        if !data.is_null() {
            // SAFETY: just allocated with this size.
            unsafe { data.write_bytes(0, layout.size()) };
        }
        data
    }

    unsafe fn realloc(&self, data: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if hooks().is_none() {
            // SAFETY: the caller's contract.
            return unsafe { System.realloc(data, layout, size) };
        }
        // SAFETY: the caller promises a size that fits.
        let grown = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the caller's contract; the copy stays inside both blocks.
        unsafe {
            let new = self.alloc(grown);
            if !new.is_null() {
                new.copy_from_nonoverlapping(data, layout.size().min(size));
                self.dealloc(data, layout);
            }
            new
        }
    }
}
