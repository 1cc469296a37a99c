//! Memory that a host passes: bytes, texts, places for results.

use std::ffi::c_char;

use crate::error::Error;

/// A host's bytes as a slice.
///
/// # Safety
/// `bytes` readable bytes lie at `at`, unless that is NULL or the length absurd.
pub unsafe fn slice<'a, T>(at: *const T, length: usize, what: &str) -> Result<&'a [T], Error> {
    if length == 0 {
        return Ok(&[]);
    }
    if at.is_null() {
        return Err(Error::argument(format!("the {what} is NULL, but its length is {length}")));
    }
    if !at.is_aligned() {
        return Err(Error::argument(format!("the {what} is not aligned")));
    }
    if length.checked_mul(size_of::<T>()).is_none_or(|bytes| bytes > isize::MAX as usize) {
        return Err(Error::argument(format!("the length of the {what} is {length}, which nothing has")));
    }
    // SAFETY: not NULL, aligned, of a possible length; readable by the contract.
    Ok(unsafe { std::slice::from_raw_parts(at, length) })
}

/// A host's memory for results.
///
/// # Safety
/// `length` writable values lie at `at`, unless that is NULL or the length absurd.
pub unsafe fn slice_mut<'a, T>(at: *mut T, length: usize, what: &str) -> Result<&'a mut [T], Error> {
    // SAFETY: what is writable is readable, too.
    let slice = unsafe { slice(at.cast_const(), length, what) }?;
    if slice.is_empty() {
        return Ok(&mut []);
    }
    // SAFETY: checked above; writable by the contract.
    Ok(unsafe { std::slice::from_raw_parts_mut(at, length) })
}

/// A host's UTF-8 text.
///
/// # Safety
/// As [`slice`].
pub unsafe fn text<'a>(at: *const c_char, length: usize, what: &str) -> Result<&'a str, Error> {
    // SAFETY: the contract.
    let bytes = unsafe { slice(at.cast::<u8>(), length, what) }?;
    std::str::from_utf8(bytes).map_err(|error| Error::argument(format!("the {what} is not UTF-8: {error}")))
}

/// Copies `text` to the host, as much as fits before a NUL, and tells its length. A NULL target asks for the length alone.
///
/// # Safety
/// `capacity` writable bytes lie at `to`, and `length` is NULL or writable.
pub unsafe fn copy_text(text: &[u8], to: *mut c_char, capacity: usize, length: *mut usize) {
    if !length.is_null() {
        // SAFETY: writable by the contract.
        unsafe { length.write(text.len()) };
    }
    if to.is_null() || capacity == 0 {
        return;
    }
    let mut end = text.len().min(capacity - 1);
    // Continuation bytes begin with the bits 10.
    while end < text.len() && end > 0 && text[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    // SAFETY: `end` is below the capacity, which is writable by the contract.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr(), to.cast(), end);
        to.add(end).write(0);
    }
}

/// Writes a result to the host.
///
/// # Safety
/// `to` is NULL or writable.
pub unsafe fn put<T>(to: *mut T, value: T) {
    if !to.is_null() {
        // SAFETY: writable by the contract.
        unsafe { to.write_unaligned(value) };
    }
}

/// A place that a result must go to.
pub fn required<T>(to: *mut T, what: &str) -> Result<*mut T, Error> {
    if to.is_null() { Err(Error::argument(format!("`{what}` is NULL"))) } else { Ok(to) }
}
