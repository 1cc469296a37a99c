//! Computing on a host's own Vulkan device, and frames in its images.

use core::ffi::{c_char, c_void};

use super::session::deliver;
use crate::{enter::enter, handle, sized, types::*, vulkan::Vulkan};

/// A host's Vulkan instance and the GPU it chose, before or after it makes its device.
pub struct CwVulkan {
    _opaque: [u8; 0],
}

/// Any function of Vulkan's; cast it to its type.
pub type CwVulkanFunction = Option<unsafe extern "C" fn()>;

/// `vkGetInstanceProcAddr`, with VkInstance as `void *`.
pub type CwVulkanGetInstanceProcAddr =
    Option<unsafe extern "C" fn(instance: *mut c_void, name: *const c_char) -> CwVulkanFunction>;

/// Takes or gives back the host's lock of its queue. Called by any thread that works in the library, for as long as one call of Vulkan's
/// takes; it must not call this library.
pub type CwQueueLock = Option<unsafe extern "C" fn(user: *mut c_void)>;

/// A host's Vulkan instance and GPU.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwVulkanHost {
    /// Set to sizeof(CwVulkanHost).
    pub struct_size: u32,
    /// `VkApplicationInfo.apiVersion` of the instance, at least VK_API_VERSION_1_3 (the GPU may be older).
    pub api_version: u32,
    /// VkInstance, made with the extension VK_KHR_get_physical_device_properties2.
    pub instance: *mut c_void,
    /// VkPhysicalDevice.
    pub physical_device: *mut c_void,
    /// The host's `vkGetInstanceProcAddr`, cast; or NULL for that of the system's Vulkan library.
    pub get_instance_proc_addr: CwVulkanGetInstanceProcAddr,
}

/// What a device must be made with.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwVulkanNeeds {
    /// Set to sizeof(CwVulkanNeeds).
    pub struct_size: u32,
    /// How many extensions.
    pub extension_count: u32,
    /// For `VkDeviceCreateInfo.ppEnabledExtensionNames`, beside the host's own. Lives as long as the CwVulkan.
    pub extensions: *const *const c_char,
    /// A VkPhysicalDeviceFeatures2 with its chain, for `VkDeviceCreateInfo.pNext`; a host with features of its own enables the union.
    /// Lives as long as the CwVulkan.
    pub features: *const c_void,
}

/// A host's Vulkan device and queue.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwVulkanDevice {
    /// Set to sizeof(CwVulkanDevice).
    pub struct_size: u32,
    /// Family of the queue; it must take compute work.
    pub queue_family: u32,
    /// Number of the queue in its family.
    pub queue_index: u32,
    /// 0.
    pub reserved: u32,
    /// VkDevice, made with all that `cw_vulkan_needs` tells.
    pub device: *mut c_void,
    /// Called before the queue is used; NULL if no other thread uses it during a call of this library.
    pub lock: CwQueueLock,
    /// Called afterwards, by the same thread.
    pub unlock: CwQueueLock,
    /// Passed to both.
    pub lock_user: *mut c_void,
}

/// Where `cw_session_poll_image` has a frame written: a part of a 2D image of format R8G8B8A8 (UNORM or SRGB), one sample, usage
/// TRANSFER_DST, mip level 0, in exclusive use by the queue's family.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwVulkanImage {
    /// Set to sizeof(CwVulkanImage).
    pub struct_size: u32,
    /// VkImageLayout that the image is in; VK_IMAGE_LAYOUT_UNDEFINED if nothing of it is needed any more.
    pub layout_before: u32,
    /// VkImageLayout that it shall be left in.
    pub layout_after: u32,
    /// Width of the image in pixels.
    pub width: u32,
    /// Height of the image in pixels.
    pub height: u32,
    /// Column of the frame's left upper corner.
    pub x: u32,
    /// Row of it.
    pub y: u32,
    /// Array layer.
    pub layer: u32,
    /// VkImage, cast.
    pub image: u64,
}

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
    enter(0, || handle::end(vulkan, drop))
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
