//! What a C library gives: memory, an end, and a place to print.

use core::{
    alloc::{GlobalAlloc, Layout},
    ffi::{c_char, c_int, c_void},
};

unsafe extern "C" {
    fn aligned_alloc(align: usize, size: usize) -> *mut c_void;
    fn free(pointer: *mut c_void);
    fn abort() -> !;
    fn printf(format: *const c_char, ...) -> c_int;
}

struct Host;

// SAFETY: `aligned_alloc` returns memory of the asked size and alignment or null; sizes are rounded up as C11 wants.
unsafe impl GlobalAlloc for Host {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let align = layout.align().max(16);
        // SAFETY: the alignment is a power of two and the size a multiple of it.
        unsafe { aligned_alloc(align, layout.size().next_multiple_of(align)).cast() }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, _layout: Layout) {
        // SAFETY: the pointer came from `aligned_alloc`.
        unsafe { free(pointer.cast()) }
    }
}

#[global_allocator]
static HOST: Host = Host;

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: `abort` has no preconditions.
    unsafe { abort() }
}

// The prebuilt `alloc` was compiled to unwind and names these two; with `panic = "abort"` nothing calls them.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    // SAFETY: `abort` has no preconditions.
    unsafe { abort() }
}

#[unsafe(no_mangle)]
extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    match crate::play() {
        Some(hash) => {
            // SAFETY: the format matches its argument.
            unsafe { printf(c"%016llx\n".as_ptr(), hash) };
            0
        }
        None => 1,
    }
}
