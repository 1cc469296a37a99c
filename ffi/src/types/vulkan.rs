//! A host's Vulkan: its instance, its device, its images.

use core::ffi::{c_char, c_void};

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
