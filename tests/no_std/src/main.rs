//! One session without `std`: a static weights blob in, the hash of the fourth frame out. Any dependency that pulls in `std`
//! fails to link here (E0152).
#![no_std]
#![no_main]

extern crate alloc;

use core::{
    alloc::{GlobalAlloc, Layout},
    ffi::{c_char, c_int, c_void},
};

use causeway_runtime::{Budget, Device, Model, Pump, Session, SessionOptions};

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

#[repr(align(64))]
struct Aligned<T: ?Sized>(T);

static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/tiny.safetensors")));

fn play() -> Option<u64> {
    let model = Model::from_bytes(&MODEL.0).ok()?;
    let options = SessionOptions { seed: 9, ..SessionOptions::default() };
    let mut session = Session::new(&model, &Device::cpu(1).strict(), options).ok()?;
    session.set_action(&[1.0, 0.0, 0.0, 1.0, 0.0]).ok()?;
    for frame in 0.. {
        while session.pump(Budget::Nodes(50)).ok()? != Pump::Frame {}
        if frame == 3 {
            break;
        }
        session.release();
    }
    let pixels = session.frame()?.pixels;
    Some(pixels.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)))
}

#[unsafe(no_mangle)]
extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    match play() {
        Some(hash) => {
            // SAFETY: the format matches its argument.
            unsafe { printf(c"%016llx\n".as_ptr(), hash) };
            0
        }
        None => 1,
    }
}
