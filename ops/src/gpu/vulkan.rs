//! A host's own Vulkan device: what it must be made with, computing on it, and frames in its images.

use std::{
    ffi::{CStr, c_char, c_void},
    ptr::NonNull,
    sync::{Arc, PoisonError, RwLock},
};

use ash::vk::{self, Handle as _};
use wgpu::hal::{api::Vulkan as Api, vulkan as hal};

use super::{
    device::{Gpu, descriptor, unfit},
    frames::Frames,
    hidden::Hiding,
    opening::{Candidates, target},
    tier::{Facts, ends_programs},
};
use crate::backend::BackendError;

/// `vkGetInstanceProcAddr`.
pub type GetInstanceProcAddr = vk::PFN_vkGetInstanceProcAddr;

/// A host's Vulkan instance and the GPU it chose.
pub struct VulkanHost {
    instance: wgpu::Instance,
    physical: vk::PhysicalDevice,
    needs: Needs,
}

/// Extensions of a device. wgpu also lists those for windows, which would ask the host's instance for another; nothing is shown here.
fn extensions(adapter: &hal::Adapter, wanted: wgpu::Features) -> Vec<&'static CStr> {
    let windows = [ash::khr::swapchain::NAME, ash::khr::swapchain_mutable_format::NAME];
    let all = adapter.required_device_extensions(wanted);
    all.into_iter().filter(|name| !windows.contains(name)).collect()
}

/// What [`VulkanHost::needs`] points into.
struct Needs {
    extensions: Vec<*const c_char>,
    /// Owned; behind a raw pointer because the chain points into it.
    features: NonNull<hal::PhysicalDeviceFeatures>,
    chain: Box<vk::PhysicalDeviceFeatures2<'static>>,
}

impl Drop for Needs {
    fn drop(&mut self) {
        // SAFETY: made by `Box::into_raw` in `new`, and nothing uses the chain any more.
        drop(unsafe { Box::from_raw(self.features.as_ptr()) });
    }
}

// SAFETY: the pointers lead to texts of the program and to memory that is owned and never written after `new`.
unsafe impl Send for Needs {}
// SAFETY: as above.
unsafe impl Sync for Needs {}

impl Needs {
    fn new(adapter: &hal::Adapter, wanted: wgpu::Features) -> Self {
        let extensions = extensions(adapter, wanted);
        let features = Box::into_raw(Box::new(adapter.physical_device_features(&extensions, wanted)));
        // SAFETY: the box was just made and has no other user.
        let info = unsafe { &mut *features }.add_to_device_create(vk::DeviceCreateInfo::default());
        // SAFETY: set by the call above to a part of the box.
        let core = unsafe { *info.p_enabled_features };
        let chain =
            vk::PhysicalDeviceFeatures2 { features: core, p_next: info.p_next.cast_mut(), ..Default::default() };
        Self {
            extensions: extensions.iter().map(|name| name.as_ptr()).collect(),
            // SAFETY: a box is never NULL.
            features: unsafe { NonNull::new_unchecked(features) },
            chain: Box::new(chain),
        }
    }
}

/// A device that a host made, and its queue.
pub struct VulkanDevice {
    /// `VkDevice`.
    pub device: u64,
    /// Family of the queue; it must take compute and transfer work.
    pub queue_family: u32,
    /// Number of the queue in its family.
    pub queue_index: u32,
    /// Keeps the host off the queue while work is handed to it; None if the host only uses it between calls.
    pub lock: Option<Arc<dyn QueueLock>>,
}

/// How a host keeps others off its queue.
pub trait QueueLock: Send + Sync {
    /// Called by any thread, before the queue is used.
    fn lock(&self);
    /// Called by the same thread, afterwards.
    fn unlock(&self);
}

/// Where a frame goes: a part of a 2D image of format R8G8B8A8 (UNORM or SRGB), usage TRANSFER_DST, mip level 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VulkanImage {
    /// `VkImage`.
    pub image: u64,
    /// `VkImageLayout` that it is in when the work runs; UNDEFINED if its contents need not be kept.
    pub layout_before: i32,
    /// `VkImageLayout` that it is left in.
    pub layout_after: i32,
    /// Left upper corner of the frame in the image.
    pub at: [i32; 2],
    /// Array layer.
    pub layer: u32,
}

impl VulkanHost {
    /// Looks at the GPU `physical` (`VkPhysicalDevice`) of `instance` (`VkInstance`, of Vulkan `api_version`). `get` is the host's
    /// `vkGetInstanceProcAddr`; None takes that of the system's Vulkan library.
    ///
    /// # Errors
    /// [`BackendError::NoAdapter`]: no Vulkan library, an instance that cannot be used, a GPU that cannot run plans.
    ///
    /// # Safety
    /// The handles are valid, and outlive this and every [`Gpu`] that comes from it; the instance was made with `api_version` and with
    /// VK_KHR_get_physical_device_properties2.
    pub unsafe fn new(
        get: Option<GetInstanceProcAddr>,
        api_version: u32,
        instance: u64,
        physical: u64,
    ) -> Result<Self, BackendError> {
        let refused = |what: String| BackendError::NoAdapter(what);
        let entry = match get {
            // SAFETY: the host's function, valid by the contract.
            Some(get) => unsafe { ash::Entry::from_static_fn(ash::StaticFn { get_instance_proc_addr: get }) },
            // SAFETY: loads the system's Vulkan library, which the host uses too.
            None => unsafe { ash::Entry::load() }.map_err(|error| refused(error.to_string()))?,
        };
        let handle = vk::Instance::from_raw(instance);
        // SAFETY: a valid instance by the contract.
        if unsafe { entry.get_instance_proc_addr(handle, c"vkGetPhysicalDeviceProperties2KHR".as_ptr()) }.is_none() {
            let what = "the host's instance was made without VK_KHR_get_physical_device_properties2";
            return Err(refused(what.into()));
        }
        // SAFETY: as above.
        let raw = unsafe { ash::Instance::load(entry.static_fn(), handle) };
        let extensions = vec![ash::khr::get_physical_device_properties2::NAME];
        let (flags, budget) = (wgpu::InstanceFlags::empty(), wgpu::MemoryBudgetThresholds::default());
        // SAFETY: a valid instance by the contract.
        let hidden = unsafe { Hiding::new(&raw, api_version, ends_programs) };
        let (raw, hiding) = hidden.map_or((raw, None), |(hooked, hiding)| (hooked, Some(hiding)));
        // wgpu owns what it has no callback for.
        let theirs: Option<wgpu::hal::DropCallback> = Some(Box::new(move || drop(hiding)));
        // SAFETY: the contract. Surfaces, which the other extensions are for, are never made.
        let instance = unsafe {
            hal::Instance::from_raw(entry, raw, api_version, 0, None, extensions, flags, budget, false, theirs)
        };
        let instance = instance.map_err(|error| refused(error.to_string()))?;
        let physical = vk::PhysicalDevice::from_raw(physical);
        let exposed = instance.expose_adapter(physical);
        let exposed = exposed.ok_or_else(|| refused("the host's GPU has no use for wgpu".into()))?;
        // SAFETY: comes from this backend.
        let instance = unsafe { wgpu::Instance::from_hal::<Api>(instance) };
        let (adapter, _) = Self::adapter(&instance, physical)?;
        if let Some(why) = unfit(&adapter) {
            return Err(refused(why));
        }
        let facts = Facts::new(&adapter);
        let tiers = Candidates::new(&facts, None).tiers;
        let needs = Needs::new(&exposed.adapter, descriptor(&facts, &tiers).required_features);
        Ok(Self { instance, physical, needs })
    }

    /// Names of the extensions (ended by NUL) that the device must be made with, and its features: a `VkPhysicalDeviceFeatures2` with
    /// its chain, for `VkDeviceCreateInfo.pNext`. Both live as long as this.
    pub fn needs(&self) -> (&[*const c_char], *const c_void) {
        (&self.needs.extensions, (&raw const *self.needs.chain).cast())
    }

    /// The adapter, for wgpu and for wgpu-hal.
    fn adapter(
        instance: &wgpu::Instance,
        physical: vk::PhysicalDevice,
    ) -> Result<(wgpu::Adapter, wgpu::hal::ExposedAdapter<Api>), BackendError> {
        let gone = || BackendError::NoAdapter("the host's GPU is gone".into());
        // SAFETY: nothing of it is destroyed.
        let raw = unsafe { instance.as_hal::<Api>() }.ok_or_else(gone)?;
        let expose = || raw.expose_adapter(physical).ok_or_else(gone);
        // SAFETY: made from this instance.
        Ok((unsafe { instance.create_adapter_from_hal(expose()?) }, expose()?))
    }

    /// Computes on the host's device.
    ///
    /// # Errors
    /// [`BackendError::NoAdapter`].
    ///
    /// # Safety
    /// The device is valid, was made from this GPU with everything that [`needs`](Self::needs) names, has that queue, and outlives the
    /// [`Gpu`], its clones and all backends on them.
    pub unsafe fn open(&self, host: &VulkanDevice) -> Result<Gpu, BackendError> {
        let (adapter, exposed) = Self::adapter(&self.instance, self.physical)?;
        let facts = Facts::new(&adapter);
        let candidates = Candidates::new(&facts, None);
        let descriptor = descriptor(&facts, &candidates.tiers);
        let name = facts.info.name.clone();
        let refused = |error: String| BackendError::NoAdapter(format!("{name}: {error}"));
        let (wanted, limits, hints) =
            (descriptor.required_features, &descriptor.required_limits, &descriptor.memory_hints);
        let handle = vk::Device::from_raw(host.device);
        let raw = exposed.adapter.shared_instance().raw_instance();
        // SAFETY: a valid device of this instance by the contract.
        let (device, registered) = unsafe { load_hooked(raw, handle, host) };
        let done: wgpu::hal::DropCallback = Box::new(move || drop(registered));
        let extensions = extensions(&exposed.adapter, wanted);
        let (family, index) = (host.queue_family, host.queue_index);
        // SAFETY: the contract.
        let opened = unsafe {
            exposed.adapter.device_from_raw(device, Some(done), &extensions, wanted, limits, hints, family, index)
        };
        let opened = opened.map_err(|error| refused(error.to_string()))?;
        // SAFETY: made from this adapter with these features.
        let made = unsafe { adapter.create_device_from_hal(opened, &descriptor) };
        let (device, queue) = made.map_err(|error| refused(error.to_string()))?;
        let target = target(&adapter, &facts);
        Gpu::wrap(device, queue, &facts.info, false, target).with_tiers(candidates, None, None)
    }
}

impl Frames {
    /// Hands the GPU the work of writing frame number `frame` to a host's image; `pixels` is the frame, for the case that the GPU has it no
    /// more (it came from a snapshot). Work that the host hands to the same queue afterwards finds it there.
    ///
    /// # Errors
    /// The device was lost, or is no Vulkan device.
    ///
    /// # Safety
    /// The image is as [`VulkanImage`] says, is of the device that the frames lie on, has room for a frame there, and lives until the work is
    /// done.
    pub unsafe fn write(&self, frame: u64, pixels: &[u8], to: &VulkanImage) -> Result<(), BackendError> {
        let gpu = &self.gpu;
        gpu.faults.check()?;
        let foreign = || BackendError::Unsupported("the GPU is not driven by Vulkan".into());
        // SAFETY: the device is used for recording only.
        let device = unsafe { gpu.device.as_hal::<Api>() }.ok_or_else(foreign)?.raw_device().clone();
        self.with(frame, |slot| {
            if slot.frame != Some(frame) {
                gpu.queue.write_buffer(&slot.buffer, 0, pixels);
                slot.frame = Some(frame);
            }
            // SAFETY: the buffer lives as long as the slot.
            let source = unsafe { slot.buffer.as_hal::<Api>() }.map(|buffer| unsafe { buffer.raw_handle() });
            let source = source.ok_or_else(foreign)?;
            let begin = || gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            // wgpu knows of the copy by this transition alone, and keeps the buffer for it.
            let mut before = begin();
            let state = wgpu::BufferUses::COPY_SRC;
            let read = wgpu::BufferTransition { buffer: &slot.buffer, state };
            before.transition_resources(std::iter::once(read), std::iter::empty());
            let mut copy = begin();
            // SAFETY: nothing else is recorded to this encoder.
            let recorded = unsafe {
                copy.as_hal_mut::<Api, _, _>(|encoder| {
                    encoder.map(|encoder| record(&device, encoder.raw_handle(), source, to, [self.width, self.height]))
                })
            };
            recorded.ok_or_else(foreign)?;
            gpu.queue.submit([before.finish(), copy.finish()]);
            gpu.faults.check()
        })
    }
}

/// Records the copy, with the image's changes of layout.
///
/// # Safety
/// As [`Frames::write`]; the command buffer is being recorded.
unsafe fn record(
    device: &ash::Device,
    commands: vk::CommandBuffer,
    source: vk::Buffer,
    to: &VulkanImage,
    size: [u32; 2],
) {
    use vk::{AccessFlags as Access, PipelineStageFlags as Stage};
    let aspect = vk::ImageAspectFlags::COLOR;
    let all = Access::MEMORY_READ | Access::MEMORY_WRITE;
    let range = vk::ImageSubresourceRange::default()
        .aspect_mask(aspect)
        .level_count(1)
        .base_array_layer(to.layer)
        .layer_count(1);
    let image = vk::Image::from_raw(to.image);
    let barrier = vk::ImageMemoryBarrier::default()
        .image(image)
        .subresource_range(range)
        .src_queue_family_index(vk::QUEUE_FAMILY_IGNORED)
        .dst_queue_family_index(vk::QUEUE_FAMILY_IGNORED);
    let working = vk::ImageLayout::TRANSFER_DST_OPTIMAL;
    let take = barrier
        .old_layout(vk::ImageLayout::from_raw(to.layout_before))
        .new_layout(working)
        .src_access_mask(all)
        .dst_access_mask(Access::TRANSFER_WRITE);
    let give = barrier
        .old_layout(working)
        .new_layout(vk::ImageLayout::from_raw(to.layout_after))
        .src_access_mask(Access::TRANSFER_WRITE)
        .dst_access_mask(all);
    let layers = vk::ImageSubresourceLayers::default().aspect_mask(aspect).base_array_layer(to.layer).layer_count(1);
    let [x, y] = to.at;
    let region = vk::BufferImageCopy::default()
        .image_subresource(layers)
        .image_offset(vk::Offset3D { x, y, z: 0 })
        .image_extent(vk::Extent3D { width: size[0], height: size[1], depth: 1 });
    let (everything, transfer, none) = (Stage::ALL_COMMANDS, Stage::TRANSFER, vk::DependencyFlags::empty());
    // SAFETY: the contract.
    unsafe {
        device.cmd_pipeline_barrier(commands, everything, transfer, none, &[], &[], &[take]);
        device.cmd_copy_buffer_to_image(commands, source, image, working, &[region]);
        device.cmd_pipeline_barrier(commands, transfer, everything, none, &[], &[], &[give]);
    }
}

// Sharing a queue with a host. Vulkan leaves it to the program that only one thread uses a queue at a time, and wgpu, which believes the
// queue to be its own, has no hook for that. So the device that wgpu is given has two functions of ours in place of Vulkan's.

struct Hook {
    number: u64,
    queue: vk::Queue,
    lock: Option<Arc<dyn QueueLock>>,
    submit: vk::PFN_vkQueueSubmit,
    wait_idle: vk::PFN_vkQueueWaitIdle,
}

/// Vulkan passes its functions a queue and nothing of ours, so the locks are found by the queue.
static HOOKS: RwLock<(u64, Vec<Hook>)> = RwLock::new((0, Vec::new()));

/// The lock and Vulkan's functions of a queue; the newest, should a host have handed it over twice.
fn with_hook<T>(queue: vk::Queue, f: impl FnOnce(&Hook) -> T) -> Option<T> {
    let hooks = HOOKS.read().unwrap_or_else(PoisonError::into_inner);
    hooks.1.iter().rev().find(|hook| hook.queue == queue).map(f)
}

fn locked(
    queue: vk::Queue,
    call: impl FnOnce(vk::PFN_vkQueueSubmit, vk::PFN_vkQueueWaitIdle) -> vk::Result,
) -> vk::Result {
    // Not called under the registry's own lock: the host may take its time.
    let Some((lock, submit, wait)) = with_hook(queue, |hook| (hook.lock.clone(), hook.submit, hook.wait_idle)) else {
        return vk::Result::ERROR_DEVICE_LOST;
    };
    lock.iter().for_each(|lock| lock.lock());
    let result = call(submit, wait);
    lock.iter().for_each(|lock| lock.unlock());
    result
}

unsafe extern "system" fn submit(
    queue: vk::Queue,
    count: u32,
    submits: *const vk::SubmitInfo<'_>,
    fence: vk::Fence,
) -> vk::Result {
    // SAFETY: what wgpu passes to Vulkan's function, passed on.
    locked(queue, |submit, _| unsafe { submit(queue, count, submits, fence) })
}

unsafe extern "system" fn wait_idle(queue: vk::Queue) -> vk::Result {
    // SAFETY: as above.
    locked(queue, |_, wait| unsafe { wait(queue) })
}

/// Removes its hook when the device is given up.
struct Registered(u64);

impl Drop for Registered {
    fn drop(&mut self) {
        let mut hooks = HOOKS.write().unwrap_or_else(PoisonError::into_inner);
        hooks.1.retain(|hook| hook.number != self.0);
    }
}

/// The functions of a host's device, with ours where the queue is used.
///
/// # Safety
/// `device` is a valid device of `instance` and has that queue.
unsafe fn load_hooked(instance: &ash::Instance, device: vk::Device, host: &VulkanDevice) -> (ash::Device, Registered) {
    // SAFETY: the contract.
    let theirs = unsafe { ash::Device::load(instance.fp_v1_0(), device) };
    let functions = theirs.fp_v1_0();
    // SAFETY: the contract.
    let queue = unsafe { theirs.get_device_queue(host.queue_family, host.queue_index) };
    let mut hooks = HOOKS.write().unwrap_or_else(PoisonError::into_inner);
    hooks.0 += 1;
    let number = hooks.0;
    let lock = host.lock.clone();
    hooks.1.push(Hook { number, queue, lock, submit: functions.queue_submit, wait_idle: functions.queue_wait_idle });
    drop(hooks);
    let functions = ash::DeviceFnV1_0 { queue_submit: submit, queue_wait_idle: wait_idle, ..functions.clone() };
    let (v1, v2, v3) = (theirs.fp_v1_1().clone(), theirs.fp_v1_2().clone(), theirs.fp_v1_3().clone());
    (ash::Device::from_parts_1_3(device, functions, v1, v2, v3), Registered(number))
}
