//! Structs that carry their size: reading what an older or newer caller gives, writing what it has room for.

use core::mem::offset_of;

use crate::{
    error::Error,
    types::{
        CW_ERROR_STRUCT_SIZE, CW_START_STORED, CwAdapterInfo, CwAllocator, CwCondition, CwDeviceOptions, CwImage,
        CwModelInfo, CwPicture, CwProgress, CwReader, CwReceipt, CwSessionInfo, CwSessionOptions, CwStats, CwTextInfo,
        CwTextOptions, CwVulkanDevice, CwVulkanHost, CwVulkanImage, CwVulkanNeeds,
    },
};

/// No struct of this interface will grow beyond this; a larger `struct_size` is garbage.
const LARGEST: u32 = 4096;

/// A struct of the interface.
///
/// # Safety
/// `#[repr(C)]`, begins with `struct_size: u32`, and every bit pattern is a value (callbacks are `Option`s, which admit NULL).
pub unsafe trait Struct: Copy {
    /// Its C name.
    const NAME: &'static str;
    /// Bytes of the first version.
    const FIRST: usize;
    /// All fields at their defaults.
    fn defaults() -> Self;
}

/// Reads a struct that the caller filled in; fields it does not know keep their defaults.
///
/// # Safety
/// `from` is NULL or points to as many readable bytes as its `struct_size` says.
pub unsafe fn read<T: Struct>(from: *const T) -> Result<T, Error> {
    // SAFETY: the caller's contract.
    let size = unsafe { size(from) }?;
    let mut value = T::defaults();
    // SAFETY: `size` bytes are readable by the contract; no more than the struct has are written, and any bits are a value.
    unsafe { core::ptr::copy_nonoverlapping(from.cast::<u8>(), (&raw mut value).cast(), size.min(size_of::<T>())) };
    Ok(value)
}

/// As [`read`]; NULL means all defaults.
///
/// # Safety
/// As [`read`].
pub unsafe fn read_or_defaults<T: Struct>(from: *const T) -> Result<T, Error> {
    // SAFETY: the caller's contract.
    if from.is_null() { Ok(T::defaults()) } else { unsafe { read(from) } }
}

/// Whether [`write`] would succeed.
///
/// # Safety
/// As [`write`].
pub unsafe fn check<T: Struct>(to: *const T) -> Result<(), Error> {
    // SAFETY: the caller's contract.
    unsafe { size(to) }.map(|_| ())
}

/// Writes `value` into the caller's struct, as far as the caller knows it, and leaves its `struct_size` alone.
///
/// # Safety
/// `to` is NULL or points to as many writable bytes as its `struct_size` says.
pub unsafe fn write<T: Struct>(to: *mut T, value: &T) -> Result<(), Error> {
    // SAFETY: the caller's contract.
    let size = unsafe { size(to) }?.min(size_of::<T>());
    let from = (&raw const *value).cast::<u8>();
    // SAFETY: `size` bytes are writable by the contract and readable here; the size field is skipped.
    unsafe { core::ptr::copy_nonoverlapping(from.add(4), to.cast::<u8>().add(4), size - 4) };
    Ok(())
}

/// # Safety
/// As [`read`].
unsafe fn size<T: Struct>(at: *const T) -> Result<usize, Error> {
    if at.is_null() {
        return Err(Error::argument(format!("the {} is NULL", T::NAME)));
    }
    if !at.is_aligned() {
        return Err(Error::argument(format!("the {} is not aligned", T::NAME)));
    }
    // SAFETY: aligned, and every struct is at least this long.
    let size = unsafe { at.cast::<u32>().read() };
    if (size as usize) < T::FIRST || size > LARGEST {
        let what = format!("{} says struct_size {size}; set it to sizeof({0}), {1} here", T::NAME, size_of::<T>());
        return Err(Error::new(CW_ERROR_STRUCT_SIZE, what));
    }
    Ok(size as usize)
}

/// Implements [`Struct`] with zeros for defaults, but for the fields named. The first version ends after field `$last`.
macro_rules! sized {
    ($type:ident, $last:ident: $last_type:ty $(, $field:ident = $value:expr)*) => {
        // SAFETY: `#[repr(C)]` with the size first, and made of integers, floats, raw pointers and `Option`s of functions only.
        unsafe impl Struct for $type {
            const NAME: &'static str = stringify!($type);
            const FIRST: usize = (offset_of!($type, $last) + size_of::<$last_type>()).next_multiple_of(align_of::<$type>());
            fn defaults() -> Self {
                // SAFETY: every bit pattern is a value.
                #[allow(unused_mut, reason = "some structs have no other defaults")]
                let mut value: Self = unsafe { core::mem::zeroed() };
                $(value.$field = $value;)*
                value
            }
        }
    };
}

sized!(CwAllocator, user: *mut u8);
sized!(CwAdapterInfo, driver: [u8; 128]);
sized!(CwDeviceOptions, parallel_user: *mut u8, adapter_index = -1);
sized!(CwReader, user: *mut u8);
sized!(CwModelInfo, file_bytes: u64);
sized!(
    CwSessionOptions, clock_user: *mut u8,
    start = CW_START_STORED, window = -1, sink = -1, route = -1, steps = -1, event = -1, queue = 2
);
sized!(CwSessionInfo, snapshot_bytes: u64);
sized!(CwProgress, total: u64);
sized!(CwImage, row_pitch: usize);
sized!(CwPicture, repeat: u32);
sized!(CwCondition, weight_count: u32);
sized!(CwReceipt, first_of_event: u32);
sized!(CwStats, paused: u32);
sized!(CwTextOptions, reserved: u32);
sized!(CwTextInfo, read_bytes_per_prompt: u64);
sized!(CwVulkanHost, get_instance_proc_addr: *mut u8);
sized!(CwVulkanNeeds, features: *mut u8);
sized!(CwVulkanDevice, lock_user: *mut u8);
sized!(CwVulkanImage, image: u64);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::CW_ERROR_ARGUMENT;

    /// A struct that began with `old` and has grown by `new`.
    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Grown {
        struct_size: u32,
        old: u32,
        new: u64,
    }

    sized!(Grown, old: u32, old = 3, new = 7);

    #[test]
    fn a_caller_that_knows_less_gets_defaults_and_keeps_its_memory() {
        assert_eq!(Grown::FIRST, 8);
        // The caller's struct ends after `old`; what follows is other memory of its own.
        let mut caller = Grown { struct_size: 8, old: 1, new: 99 };
        // SAFETY: as long as it says.
        let value = unsafe { read(&raw const caller) }.unwrap();
        assert_eq!((value.old, value.new), (1, 7));
        // SAFETY: as above.
        unsafe { write(&raw mut caller, &Grown { struct_size: 16, old: 5, new: 6 }) }.unwrap();
        assert_eq!((caller.struct_size, caller.old, caller.new), (8, 5, 99));
    }

    #[test]
    fn sizes_that_no_version_had_are_refused() {
        for size in [0, 4, 7, LARGEST + 1, u32::MAX] {
            let caller = Grown { struct_size: size, old: 0, new: 0 };
            // SAFETY: only the size is read.
            let status = unsafe { read(&raw const caller) }.map(|_| ()).unwrap_err().status;
            assert_eq!(status, CW_ERROR_STRUCT_SIZE, "{size}");
        }
        // SAFETY: NULL is allowed.
        assert_eq!(unsafe { check::<Grown>(core::ptr::null()) }.unwrap_err().status, CW_ERROR_ARGUMENT);
    }
}
