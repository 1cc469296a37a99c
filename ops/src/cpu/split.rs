//! A slice in parts that threads write at one time.

use core::marker::PhantomData;

/// A mutable slice that several threads write disjoint parts of.
pub(crate) struct Split<'a, T> {
    at: *mut T,
    len: usize,
    _slice: PhantomData<&'a mut [T]>,
}

// SAFETY: a `Split` only hands out parts through `part`, whose contract keeps them disjoint; moving `&mut T` to other threads
// needs `T: Send`.
unsafe impl<T: Send> Sync for Split<'_, T> {}

impl<'a, T> Split<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self { at: slice.as_mut_ptr(), len: slice.len(), _slice: PhantomData }
    }

    /// Elements `from .. from + len`.
    ///
    /// # Safety
    /// Parts that live at one time must not overlap.
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "the contract keeps parts disjoint")]
    pub(crate) unsafe fn part(&self, from: usize, len: usize) -> &'a mut [T] {
        assert!(from <= self.len && len <= self.len - from, "a part lies outside its slice");
        // SAFETY: in bounds by the assertion, disjoint from other parts by the contract.
        unsafe { core::slice::from_raw_parts_mut(self.at.add(from), len) }
    }
}
