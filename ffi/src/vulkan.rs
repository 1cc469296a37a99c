//! A host's own Vulkan device. Builds and platforms without Vulkan have the same functions, which say so.

use causeway_runtime::session::Planned;

use crate::{
    device::Device,
    error::Error,
    handle::{Handle, Thing},
    types::{CW_ERROR_UNSUPPORTED, CwVulkan, CwVulkanDevice, CwVulkanHost, CwVulkanImage, CwVulkanNeeds},
};

#[cfg(not(vulkan))]
pub use absent::{Kept, Vulkan};
#[cfg(vulkan)]
pub use present::{Kept, Vulkan};

impl Thing for Vulkan {}

impl Handle for CwVulkan {
    type Thing = Vulkan;
    const KIND: usize = 4;
}

#[cfg(not(vulkan))]
mod absent {
    use super::*;

    /// There is none.
    pub enum Vulkan {}

    impl Vulkan {
        /// # Safety
        /// None needed.
        pub unsafe fn new(_host: &CwVulkanHost) -> Result<Self, Error> {
            Err(Error::new(CW_ERROR_UNSUPPORTED, "this build has no Vulkan"))
        }

        pub fn needs(&self) -> CwVulkanNeeds {
            match *self {}
        }

        /// # Safety
        /// None needed.
        pub unsafe fn open(&self, _device: &CwVulkanDevice) -> Result<Device, Error> {
            match *self {}
        }
    }

    /// Frames on a GPU: none.
    pub struct Kept;

    impl Kept {
        pub fn new(
            _device: &Device,
            _planned: &mut Planned,
            _count: usize,
            _size: (usize, usize),
        ) -> Result<Self, Error> {
            Ok(Self)
        }

        /// # Safety
        /// None needed.
        pub unsafe fn write(&self, _frame: u64, _pixels: &[u8], _image: &CwVulkanImage) -> Result<(), Error> {
            Err(no_image())
        }

        pub fn forget(&self) {}
    }
}

fn no_image() -> Error {
    Error::new(CW_ERROR_UNSUPPORTED, "the session does not compute on a host's Vulkan device")
}

#[cfg(vulkan)]
mod present {
    use std::{ffi::c_void, mem::transmute, sync::Arc};

    use causeway_ops::gpu::{Frames, GetInstanceProcAddr, QueueLock, VulkanDevice, VulkanHost, VulkanImage};

    use super::*;
    use crate::types::CwVulkanGetInstanceProcAddr;

    /// A host's instance and GPU.
    pub struct Vulkan(VulkanHost);

    impl Vulkan {
        /// # Safety
        /// As `cw_vulkan_create`.
        pub unsafe fn new(host: &CwVulkanHost) -> Result<Self, Error> {
            let null = [("instance", host.instance), ("physical_device", host.physical_device)];
            if let Some((name, _)) = null.iter().find(|(_, handle)| handle.is_null()) {
                return Err(Error::argument(format!("the CwVulkanHost's `{name}` is NULL")));
            }
            // VK_API_VERSION_1_3: wgpu calls what the GPU's own version promises, and the instance's version caps that.
            if host.api_version < 1 << 22 | 3 << 12 {
                return Err(Error::argument(format!(
                    "`api_version` is {:#x}; at least VK_API_VERSION_1_3 is needed",
                    host.api_version
                )));
            }
            crate::threads::stay();
            // SAFETY: the type of vkGetInstanceProcAddr, which the host says it is; on all platforms here "C" is Vulkan's own convention
            // but for 32-bit Windows, where the host's compiler knows the difference.
            let get = unsafe {
                transmute::<CwVulkanGetInstanceProcAddr, Option<GetInstanceProcAddr>>(host.get_instance_proc_addr)
            };
            let (instance, physical) = (host.instance.addr() as u64, host.physical_device.addr() as u64);
            // SAFETY: the caller's contract.
            Ok(Self(unsafe { VulkanHost::new(get, host.api_version, instance, physical) }?))
        }

        pub fn needs(&self) -> CwVulkanNeeds {
            let (extensions, features) = self.0.needs();
            CwVulkanNeeds {
                struct_size: size_of::<CwVulkanNeeds>() as u32,
                extension_count: extensions.len() as u32,
                extensions: extensions.as_ptr(),
                features,
            }
        }

        /// # Safety
        /// As `cw_vulkan_device_create`.
        pub unsafe fn open(&self, device: &CwVulkanDevice) -> Result<Device, Error> {
            if device.device.is_null() {
                return Err(Error::argument("the CwVulkanDevice's `device` is NULL"));
            }
            let lock: Option<Arc<dyn QueueLock>> = match (device.lock, device.unlock) {
                (Some(lock), Some(unlock)) => Some(Arc::new(HostLock { lock, unlock, user: device.lock_user })),
                (None, None) => None,
                _ => return Err(Error::argument("`lock` and `unlock` come together")),
            };
            let host = VulkanDevice {
                device: device.device.addr() as u64,
                queue_family: device.queue_family,
                queue_index: device.queue_index,
                lock,
            };
            // SAFETY: the caller's contract.
            Ok(Device { inner: causeway_runtime::Device::on_gpu(unsafe { self.0.open(&host) }?), hosts: true })
        }
    }

    /// A host's lock around its queue.
    pub struct HostLock {
        lock: unsafe extern "C" fn(*mut c_void),
        unlock: unsafe extern "C" fn(*mut c_void),
        user: *mut c_void,
    }

    // SAFETY: the host promises that any thread may call its functions.
    unsafe impl Send for HostLock {}
    // SAFETY: as above.
    unsafe impl Sync for HostLock {}

    impl QueueLock for HostLock {
        fn lock(&self) {
            // SAFETY: the host's function as it declared it.
            unsafe { (self.lock)(self.user) }
        }

        fn unlock(&self) {
            // SAFETY: as above.
            unsafe { (self.unlock)(self.user) }
        }
    }

    /// Frames that stay on a host's device until the host takes them.
    pub struct Kept(Option<Arc<Frames>>);

    impl Kept {
        /// Room for `count` frames of `size` if the device is a host's.
        pub fn new(device: &Device, planned: &mut Planned, count: usize, size: (usize, usize)) -> Result<Self, Error> {
            let Some(gpu) = device.inner.as_gpu().filter(|_| device.hosts) else { return Ok(Self(None)) };
            let frames = Arc::new(Frames::new(gpu, count, size.0 as u32, size.1 as u32)?);
            planned.set_frames(Some(frames.clone()));
            Ok(Self(Some(frames)))
        }

        /// Has a frame written to a host's image.
        ///
        /// # Safety
        /// As `cw_session_poll_image`.
        pub unsafe fn write(&self, frame: u64, pixels: &[u8], image: &CwVulkanImage) -> Result<(), Error> {
            let frames = self.0.as_ref().ok_or_else(no_image)?;
            let to = VulkanImage {
                image: image.image,
                layout_before: image.layout_before as i32,
                layout_after: image.layout_after as i32,
                at: [image.x as i32, image.y as i32],
                layer: image.layer,
            };
            // SAFETY: the caller's contract.
            Ok(unsafe { frames.write(frame, pixels, &to) }?)
        }

        pub fn forget(&self) {
            self.0.iter().for_each(|frames| frames.forget());
        }
    }
}
