//! Drivers that must not be asked about cooperative matrices: while wgpu looks for adapters, it asks every Vulkan driver that lists the
//! extension, and one ends the program in that call. Where such a driver is there, wgpu is given Vulkan's functions with one of ours among
//! them, which leaves the extension out of what it lists.

use std::{
    ffi::{CStr, c_char},
    sync::{PoisonError, RwLock},
};

use ash::{khr::cooperative_matrix, vk};
use wgpu::hal::{Instance as _, api::Vulkan as Api, vulkan as hal};

/// Whether a driver must not be asked: vendor's PCI number, name of the driver.
pub(super) type Denied = fn(u32, &str) -> bool;

/// All Vulkan adapters, where one of them has a driver that must not be asked; else None: wgpu may look for itself.
pub(super) fn adapters(denied: Denied) -> Option<Vec<wgpu::Adapter>> {
    let (flags, budget) = (wgpu::InstanceFlags::empty(), wgpu::MemoryBudgetThresholds::default());
    let descriptor = wgpu::hal::InstanceDescriptor {
        name: "causeway",
        flags,
        memory_budget_thresholds: budget,
        backend_options: wgpu::BackendOptions::default(),
        telemetry: None,
        display: None,
    };
    // SAFETY: nothing is asked of the caller; no adapter has been looked for yet.
    let plain = unsafe { hal::Instance::init(&descriptor) }.ok()?;
    let shared = plain.shared_instance();
    let (entry, version, extensions) = (shared.entry(), shared.instance_api_version(), shared.extensions().to_vec());
    // SAFETY: a valid instance, which `plain` holds until the last user of it is gone.
    let (raw, hiding) = unsafe { Hiding::new(shared.raw_instance(), version, denied) }?;
    let entry = entry.clone();
    let done: wgpu::hal::DropCallback = Box::new(move || drop((hiding, plain)));
    // SAFETY: the same instance, made with these extensions; it lives until `done` is called.
    let hooked =
        unsafe { hal::Instance::from_raw(entry, raw, version, 0, None, extensions, flags, budget, false, Some(done)) };
    // SAFETY: comes from this backend.
    let instance = unsafe { wgpu::Instance::from_hal::<Api>(hooked.ok()?) };
    Some(pollster::block_on(instance.enumerate_adapters(wgpu::Backends::VULKAN)))
}

/// A physical device whose extensions go through [`enumerate`].
struct Hook {
    number: u64,
    physical: vk::PhysicalDevice,
    hidden: bool,
    enumerate: vk::PFN_vkEnumerateDeviceExtensionProperties,
}

/// Vulkan passes its functions nothing of ours, so what is hidden is found by the device.
static HOOKS: RwLock<(u64, Vec<Hook>)> = RwLock::new((0, Vec::new()));

/// Removes its hooks when the instance is given up.
pub(super) struct Hiding(u64);

impl Drop for Hiding {
    fn drop(&mut self) {
        let mut hooks = HOOKS.write().unwrap_or_else(PoisonError::into_inner);
        hooks.1.retain(|hook| hook.number != self.0);
    }
}

impl Hiding {
    /// An instance's functions with ours among them, if one of its devices has a driver that is denied.
    ///
    /// # Safety
    /// `instance` is valid, and was made for Vulkan `version`; it outlives what is returned.
    pub unsafe fn new(instance: &ash::Instance, version: u32, denied: Denied) -> Option<(ash::Instance, Self)> {
        // SAFETY: the contract.
        let devices = unsafe { instance.enumerate_physical_devices() }.ok()?;
        let hidden = |physical| {
            // SAFETY: the contract; the device was just listed.
            let (vendor, driver) = unsafe { driver(instance, version, physical) };
            denied(vendor, &driver)
        };
        let devices: Vec<_> = devices.into_iter().map(|physical| (physical, hidden(physical))).collect();
        if !devices.iter().any(|(_, hidden)| *hidden) {
            return None;
        }
        let theirs = instance.fp_v1_0();
        let mut hooks = HOOKS.write().unwrap_or_else(PoisonError::into_inner);
        hooks.0 += 1;
        let (number, original) = (hooks.0, theirs.enumerate_device_extension_properties);
        let hook = |(physical, hidden)| Hook { number, physical, hidden, enumerate: original };
        hooks.1.extend(devices.into_iter().map(hook));
        drop(hooks);
        let functions = ash::InstanceFnV1_0 { enumerate_device_extension_properties: enumerate, ..theirs.clone() };
        let (v1, v3) = (instance.fp_v1_1().clone(), instance.fp_v1_3().clone());
        Some((ash::Instance::from_parts_1_3(instance.handle(), functions, v1, v3), Self(number)))
    }
}

/// Vendor and name of a device's driver; no name where Vulkan is older than that question.
///
/// # Safety
/// `physical` is a device of `instance`, which is valid and was made for Vulkan `version`.
unsafe fn driver(instance: &ash::Instance, version: u32, physical: vk::PhysicalDevice) -> (u32, String) {
    // SAFETY: the contract.
    let known = unsafe { instance.get_physical_device_properties(physical) };
    if known.api_version.min(version) < vk::API_VERSION_1_2 {
        return (known.vendor_id, String::new());
    }
    let mut driver = vk::PhysicalDeviceDriverProperties::default();
    let mut properties = vk::PhysicalDeviceProperties2::default().push_next(&mut driver);
    // SAFETY: both are of a version that has this function and this struct.
    unsafe { instance.get_physical_device_properties2(physical, &mut properties) };
    let name = driver.driver_name_as_c_str().unwrap_or_default();
    (known.vendor_id, name.to_string_lossy().into_owned())
}

/// `vkEnumerateDeviceExtensionProperties`, less what is hidden.
unsafe extern "system" fn enumerate(
    physical: vk::PhysicalDevice,
    layer: *const c_char,
    count: *mut u32,
    properties: *mut vk::ExtensionProperties,
) -> vk::Result {
    let hooks = HOOKS.read().unwrap_or_else(PoisonError::into_inner);
    // The newest, should an instance have used the same handle before. A device that was plugged in since is taken for a denied one.
    let found = hooks.1.iter().rev().find(|hook| hook.physical == physical).or(hooks.1.last());
    let Some((original, hidden)) = found.map(|hook| (hook.enumerate, hook.hidden || hook.physical != physical)) else {
        return vk::Result::ERROR_INITIALIZATION_FAILED;
    };
    drop(hooks);
    if !hidden {
        // SAFETY: what wgpu passes to Vulkan's function, passed on.
        return unsafe { original(physical, layer, count, properties) };
    }
    // SAFETY: as above.
    let all = match unsafe { listed(original, physical, layer) } {
        Ok(all) => all,
        Err(error) => return error,
    };
    // SAFETY: `count` is valid, and so are as many properties as it says, if any.
    unsafe { give(&all, count, properties) }
}

/// What is listed, without the extension for matrices.
///
/// # Safety
/// As Vulkan's function.
unsafe fn listed(
    original: vk::PFN_vkEnumerateDeviceExtensionProperties,
    physical: vk::PhysicalDevice,
    layer: *const c_char,
) -> Result<Vec<vk::ExtensionProperties>, vk::Result> {
    loop {
        let mut count = 0;
        // SAFETY: the contract; NULL asks for the count.
        unsafe { original(physical, layer, &raw mut count, std::ptr::null_mut()) }.result()?;
        let mut all = vec![vk::ExtensionProperties::default(); count as usize];
        // SAFETY: the contract; there is room for so many.
        match unsafe { original(physical, layer, &raw mut count, all.as_mut_ptr()) } {
            // More than a moment ago.
            vk::Result::INCOMPLETE => continue,
            other => other.result()?,
        }
        all.truncate(count as usize);
        all.retain(|one| one.extension_name_as_c_str() != Ok(HIDDEN));
        return Ok(all);
    }
}

const HIDDEN: &CStr = cooperative_matrix::NAME;

/// Answers as Vulkan does: the count, or as many as there is room for.
///
/// # Safety
/// `count` is valid; so are as many `properties` as it says, unless these are NULL.
unsafe fn give(
    all: &[vk::ExtensionProperties],
    count: *mut u32,
    properties: *mut vk::ExtensionProperties,
) -> vk::Result {
    // SAFETY: the contract.
    let count = unsafe { &mut *count };
    if properties.is_null() {
        *count = all.len() as u32;
        return vk::Result::SUCCESS;
    }
    let given = all.len().min(*count as usize);
    // SAFETY: the contract; `all` is ours.
    unsafe { std::ptr::copy_nonoverlapping(all.as_ptr(), properties, given) };
    *count = given as u32;
    if given < all.len() { vk::Result::INCOMPLETE } else { vk::Result::SUCCESS }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &CStr) -> vk::ExtensionProperties {
        vk::ExtensionProperties::default().extension_name(name).unwrap()
    }

    /// A driver with three extensions.
    unsafe extern "system" fn three(
        _: vk::PhysicalDevice,
        _: *const c_char,
        count: *mut u32,
        properties: *mut vk::ExtensionProperties,
    ) -> vk::Result {
        let all = [named(ash::khr::swapchain::NAME), named(HIDDEN), named(ash::khr::maintenance4::NAME)];
        // SAFETY: passed on.
        unsafe { give(&all, count, properties) }
    }

    #[test]
    fn a_driver_that_is_denied_does_not_list_matrices() {
        // SAFETY: the function looks at no device.
        let all = unsafe { listed(three, vk::PhysicalDevice::null(), std::ptr::null()) }.unwrap();
        let names: Vec<_> = all.iter().map(|one| one.extension_name_as_c_str().unwrap()).collect();
        assert_eq!(names, [ash::khr::swapchain::NAME, ash::khr::maintenance4::NAME]);
        for (room, expected) in [(1, vk::Result::INCOMPLETE), (2, vk::Result::SUCCESS), (3, vk::Result::SUCCESS)] {
            let (mut count, mut there) = (room, vec![vk::ExtensionProperties::default(); 3]);
            // SAFETY: there is room for three.
            assert_eq!(unsafe { give(&all, &raw mut count, there.as_mut_ptr()) }, expected);
            assert_eq!(count, room.min(2));
            assert_eq!(there[0].extension_name, all[0].extension_name);
        }
    }

    /// On whatever Vulkan there is: all its adapters, none of which has matrices, and which compute.
    #[test]
    fn adapters_of_denied_drivers_have_no_matrices() {
        assert!(adapters(|_, _| false).is_none(), "wgpu looks for itself where nothing is denied");
        let Some(found) = adapters(|_, _| true) else {
            eprintln!("LEFT OUT: there is no Vulkan");
            return;
        };
        assert!(!found.is_empty());
        for adapter in found {
            let matrices = wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX;
            assert!(!adapter.features().contains(matrices), "{:?}", adapter.get_info());
            let opened = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default()));
            assert!(opened.is_ok(), "{opened:?}");
        }
        assert!(HOOKS.read().unwrap().1.is_empty(), "hooks are gone with their instance");
    }
}
