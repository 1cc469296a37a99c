//! The runtime as a WebAssembly module: without `std` on the CPU or, with feature `gpu`, on the browser's GPU. The functions are for `npm/engine.js`, which wraps them; numbers and addresses are all that
//! passes. A world is the address that [`cw_open`] gives. What fails says why in [`cw_text`].
//!
//! The module is single-threaded: there is one text, and a world is used by one call at a time.
#![cfg_attr(not(feature = "gpu"), no_std)]
#![cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "a module is all that this is for"))]

extern crate alloc;

#[cfg(feature = "gpu")]
mod gpu;
mod world;

use alloc::{
    boxed::Box,
    string::{String, ToString},
};
use core::{cell::UnsafeCell, fmt::Display, slice};

use world::{Options, World};

#[cfg(all(target_family = "wasm", not(feature = "gpu")))]
#[global_allocator]
static MEMORY: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[cfg(all(target_family = "wasm", not(feature = "gpu")))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

struct Text(UnsafeCell<String>);

// SAFETY: the module has one thread.
unsafe impl Sync for Text {}

static TEXT: Text = Text(UnsafeCell::new(String::new()));

fn say(text: &impl Display) {
    // SAFETY: one thread, and nobody holds what is replaced: JavaScript copies it.
    unsafe { *TEXT.0.get() = text.to_string() }
}

fn text() -> &'static str {
    // SAFETY: one thread, and what is given here is read before the next text is said.
    unsafe { &*TEXT.0.get() }
}

/// -1 and a text for an error, else the number.
fn told<E: Display>(result: Result<u32, E>) -> i32 {
    match result {
        Ok(number) => number as i32,
        Err(error) => {
            say(&error);
            -1
        }
    }
}

/// The world at that address.
///
/// # Safety
/// It is [`cw_open`]'s, and was not closed.
unsafe fn world<'a>(world: *mut World) -> &'a mut World {
    // SAFETY: the caller's promise.
    unsafe { &mut *world }
}

/// `bytes` bytes, of 16-byte alignment, for what JavaScript hands over.
#[unsafe(no_mangle)]
pub extern "C" fn cw_take(bytes: usize) -> *mut u128 {
    Box::into_raw(alloc::vec![0u128; bytes.div_ceil(16)].into_boxed_slice()).cast()
}

/// Gives them back.
///
/// # Safety
/// They are of [`cw_take`] with the same number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_give(at: *mut u128, bytes: usize) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(core::ptr::slice_from_raw_parts_mut(at, bytes.div_ceil(16))) });
}

/// Address of the newest text, UTF-8.
#[unsafe(no_mangle)]
pub extern "C" fn cw_text() -> *const u8 {
    text().as_ptr()
}

/// Its bytes.
#[unsafe(no_mangle)]
pub extern "C" fn cw_text_bytes() -> usize {
    text().len()
}

/// Opens a model file and a session of it; 0 and a text where that fails. `steps` 0 are the model's. The file's bytes may go once this returns.
///
/// # Safety
/// `bytes` bytes from `file` on are readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_open(file: *const u8, bytes: usize, seed: u32, steps: u32) -> *mut World {
    // SAFETY: the caller's promise.
    let file = unsafe { slice::from_raw_parts(file, bytes) };
    match World::open(file, &Options { seed: seed.into(), steps: steps as usize }) {
        Ok(world) => Box::into_raw(Box::new(world)),
        Err(error) => {
            say(&error);
            core::ptr::null_mut()
        }
    }
}

/// Closes a world.
///
/// # Safety
/// As [`world`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_close(at: *mut World) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(at) });
}

/// Makes what there is to know of a world the text, as JSON.
///
/// # Safety
/// As [`world`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_describe(at: *mut World) {
    // SAFETY: the caller's promise.
    say(&unsafe { world(at) }.describe());
}

/// Sets the action.
///
/// # Safety
/// As [`world`]; `count` numbers from `action` on are readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_act(at: *mut World, action: *const f32, count: usize) -> i32 {
    // SAFETY: the caller's promise.
    told(unsafe { world(at).act(slice::from_raw_parts(action, count)) })
}

/// Puts an event in force with the next frame.
///
/// # Safety
/// As [`world`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_event(at: *mut World, event: u32) -> i32 {
    // SAFETY: the caller's promise.
    told(unsafe { world(at) }.event(event as usize))
}

/// Computes for about `micros` microseconds: 1 when a frame is ready, 0 when not yet.
///
/// # Safety
/// As [`world`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_pump(at: *mut World, micros: u32) -> i32 {
    // SAFETY: the caller's promise.
    told(unsafe { world(at) }.pump(micros.into()))
}

/// Address of the frame that is ready, RGBA8 row by row, until [`cw_release`]; 0 when none is.
///
/// # Safety
/// As [`world`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_frame(at: *mut World) -> *const u8 {
    // SAFETY: the caller's promise.
    unsafe { world(at) }.frame().map_or(core::ptr::null(), <[u8]>::as_ptr)
}

/// Makes the receipt of the frame that is ready the text, as JSON.
///
/// # Safety
/// As [`world`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_receipt(at: *mut World) {
    // SAFETY: the caller's promise.
    say(&unsafe { world(at) }.receipt());
}

/// Makes room for the next frame.
///
/// # Safety
/// As [`world`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_release(at: *mut World) {
    // SAFETY: the caller's promise.
    unsafe { world(at) }.release();
}

/// Makes a picture, RGBA8 of the world's size, the newest frame.
///
/// # Safety
/// As [`world`]; `bytes` bytes from `pixels` on are readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_place(at: *mut World, pixels: *const u8, bytes: usize) -> i32 {
    // SAFETY: the caller's promise.
    told(unsafe { world(at).place(slice::from_raw_parts(pixels, bytes)) })
}

/// Begins anew.
///
/// # Safety
/// As [`world`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_restart(at: *mut World, seed: u32) -> i32 {
    // SAFETY: the caller's promise.
    told(unsafe { world(at) }.restart(seed.into()))
}

/// Bytes of a saved game, or -1; [`cw_saved`] has their address until the next call.
///
/// # Safety
/// As [`world`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_save(at: *mut World) -> i32 {
    // SAFETY: the caller's promise.
    told(unsafe { world(at) }.save())
}

/// Address of the saved game.
///
/// # Safety
/// As [`world`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_saved(at: *mut World) -> *const u8 {
    // SAFETY: the caller's promise.
    unsafe { world(at) }.saved().as_ptr()
}

/// Begins a snapshot of this moment, which [`cw_poll_snapshot`] delivers; the world may go on meanwhile.
///
/// # Safety
/// As [`world`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_begin_snapshot(at: *mut World) -> i32 {
    // SAFETY: the caller's promise.
    told(unsafe { world(at) }.begin_snapshot())
}

/// Bytes of the snapshot that was begun, 0 when it is not there yet, or -1; [`cw_snapshot`] has their address until the next call.
///
/// # Safety
/// As [`world`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_poll_snapshot(at: *mut World) -> i32 {
    // SAFETY: the caller's promise.
    told(unsafe { world(at) }.poll_snapshot())
}

/// Address of the snapshot.
///
/// # Safety
/// As [`world`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_snapshot(at: *mut World) -> *const u8 {
    // SAFETY: the caller's promise.
    unsafe { world(at) }.snapshot().as_ptr()
}

/// Returns to a snapshot.
///
/// # Safety
/// As [`world`]; `bytes` bytes from `snapshot` on are readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_restore(at: *mut World, snapshot: *const u8, bytes: usize) -> i32 {
    // SAFETY: the caller's promise.
    told(unsafe { world(at).restore(slice::from_raw_parts(snapshot, bytes)) })
}

/// Goes on from a saved game.
///
/// # Safety
/// As [`world`]; `bytes` bytes from `saved` on are readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_load(at: *mut World, saved: *const u8, bytes: usize) -> i32 {
    // SAFETY: the caller's promise.
    told(unsafe { world(at).load(slice::from_raw_parts(saved, bytes)) })
}
