//! Large memory that can be refused.
//!
//! Rust ends the process when an allocation fails, unless the code asked in a way that lets it fail. All memory whose size
//! follows from a model or a file is asked for in that way, here. A global allocator that would rather not see the process end can
//! tell such requests from others by [`is_fallible`].

use alloc::vec::Vec;

/// Memory that was asked for and refused: this many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused(pub usize);

#[cfg(feature = "std")]
std::thread_local! {
    static FALLIBLE: core::cell::Cell<bool> = const { core::cell::Cell::new(false) };
}

/// True while this thread asks for memory that may be refused.
#[cfg(feature = "std")]
pub fn is_fallible() -> bool {
    FALLIBLE.try_with(core::cell::Cell::get).unwrap_or(false)
}

/// `len` copies of `value`.
///
/// # Errors
/// The bytes that were refused.
pub fn filled<T: Copy>(value: T, len: usize) -> Result<Vec<T>, Refused> {
    let mut vector = reserved(len)?;
    vector.resize(len, value);
    Ok(vector)
}

/// An empty vector with room for `len` values.
///
/// # Errors
/// The bytes that were refused.
pub fn reserved<T>(len: usize) -> Result<Vec<T>, Refused> {
    let mut vector = Vec::new();
    #[cfg(feature = "std")]
    let before = FALLIBLE.replace(true);
    let result = vector.try_reserve_exact(len);
    #[cfg(feature = "std")]
    FALLIBLE.set(before);
    result.map_err(|_| Refused(len.saturating_mul(size_of::<T>())))?;
    Ok(vector)
}
