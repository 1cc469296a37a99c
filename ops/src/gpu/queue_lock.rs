//! Sharing a queue with a host. Vulkan leaves it to the program that only one thread uses a queue at a time, and wgpu, which believes the
//! queue to be its own, has no hook for that. So the device that wgpu is given has two functions of ours in place of Vulkan's.

use std::sync::{Arc, PoisonError, RwLock};

use ash::vk;

use super::vulkan::VulkanDevice;

/// How a host keeps others off its queue.
pub trait QueueLock: Send + Sync {
    /// Called by any thread, before the queue is used.
    fn lock(&self);
    /// Called by the same thread, afterwards.
    fn unlock(&self);
}

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
fn with<T>(queue: vk::Queue, f: impl FnOnce(&Hook) -> T) -> Option<T> {
    let hooks = HOOKS.read().unwrap_or_else(PoisonError::into_inner);
    hooks.1.iter().rev().find(|hook| hook.queue == queue).map(f)
}

fn locked(
    queue: vk::Queue,
    call: impl FnOnce(vk::PFN_vkQueueSubmit, vk::PFN_vkQueueWaitIdle) -> vk::Result,
) -> vk::Result {
    // Not called under the registry's own lock: the host may take its time.
    let Some((lock, submit, wait)) = with(queue, |hook| (hook.lock.clone(), hook.submit, hook.wait_idle)) else {
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
pub(super) struct Registered(u64);

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
pub(super) unsafe fn load(
    instance: &ash::Instance,
    device: vk::Device,
    host: &VulkanDevice,
) -> (ash::Device, Registered) {
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
