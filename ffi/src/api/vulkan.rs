//! Computing on a host's own Vulkan device, and frames in its images.

use super::session::deliver;
use crate::{enter::enter, handle, sized, types::*, vulkan::Vulkan};

/// Looks at a host's Vulkan instance and GPU, which must outlive everything made from them. `host` is copied. The caller owns `*vulkan`
/// and ends it with `cw_vulkan_destroy`. Any thread; takes some milliseconds.
///
/// # Safety
/// `host` is as long as its `struct_size` and what it says; `vulkan` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_vulkan_create(host: *const CwVulkanHost, vulkan: *mut *mut CwVulkan) -> CwStatus {
    enter(0, || {
        // SAFETY: the caller's contract.
        unsafe { handle::give(vulkan, "vulkan", || Vulkan::new(&sized::read(host)?)) }
    })
}

/// Tells what the host's device must be made with. The caller owns `needs`, the library what it points to. Any thread; never blocks.
///
/// # Safety
/// `needs` is as long as its `struct_size`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_vulkan_needs(vulkan: *const CwVulkan, needs: *mut CwVulkanNeeds) -> CwStatus {
    enter(vulkan.addr(), || {
        let vulkan = handle::get(vulkan)?;
        // SAFETY: the caller's contract.
        unsafe { sized::write(needs, &vulkan.needs()) }?;
        Ok(CW_OK)
    })
}

/// Opens a device that computes on the host's own, as `cw_device_create` opens others. The host's device must outlive `*device` and every
/// session on it. `host` is copied. The caller owns `*device` and ends it with `cw_device_destroy`. Any thread that does not hold the
/// queue's lock, as with every call that works on this device; takes some milliseconds.
///
/// # Safety
/// `host` is as long as its `struct_size` and what it says; `device` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_vulkan_device_create(
    vulkan: *const CwVulkan,
    host: *const CwVulkanDevice,
    device: *mut *mut CwDevice,
) -> CwStatus {
    enter(vulkan.addr(), || {
        // SAFETY: the caller's contract.
        unsafe { handle::give(device, "device", || handle::get(vulkan)?.open(&sized::read(host)?)) }
    })
}

/// Gives a CwVulkan up, and what `cw_vulkan_needs` told; devices made from it stay. NULL does nothing. Any thread; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn cw_vulkan_destroy(vulkan: *mut CwVulkan) -> CwStatus {
    enter(0, || handle::end(vulkan))
}

/// As `cw_session_poll_frame`, but the frame goes to an image of the host's: the GPU copies it, without a way through the CPU. Work that the
/// host submits to the same queue after this call finds it there, without semaphores; the image must stay until the work is done. Only
/// on a device of `cw_vulkan_device_create` (`CW_ERROR_UNSUPPORTED`). Any thread that does not hold the queue's lock, also while another one
/// pumps; hands one copy to the GPU and does not wait for it.
///
/// # Safety
/// `image` and `receipt` are as long as their `struct_size`s, and the image is what it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cw_session_poll_image(
    session: *mut CwSession,
    image: *const CwVulkanImage,
    receipt: *mut CwReceipt,
) -> CwStatus {
    enter(session.addr(), || {
        let session = handle::get(session)?;
        // SAFETY: the caller's contract.
        unsafe {
            let image = sized::read(image)?;
            deliver(receipt, || session.poll_image(&image))
        }
    })
}
