//! A Vulkan driver as a compiler: from a kernel's text to its machine code, and what the driver counts in it.

use std::ffi::{CStr, c_char};

use ash::vk;
use causeway_shaders::{Access, Kernel, Target};
use naga::{
    back::spv,
    proc::{BoundsCheckPolicies, BoundsCheckPolicy},
    valid::{Capabilities, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator},
};

/// Machine code.
pub struct Code {
    /// Lanes of a subgroup.
    pub lanes: u32,
    /// What the driver counted, by its names.
    pub statistics: Vec<(String, u64)>,
    /// Assembler text.
    pub text: String,
}

impl Code {
    /// A number that the driver tells.
    pub fn statistic(&self, name: &str) -> u64 {
        let found = self.statistics.iter().find(|(known, _)| known == name);
        found.unwrap_or_else(|| panic!("the driver does not tell `{name}`: {:?}", self.statistics)).1
    }

    /// Instructions whose names begin so.
    pub fn count(&self, instruction: &str) -> usize {
        self.text.lines().filter(|line| line.trim_start().starts_with(instruction)).count()
    }
}

/// The first device of the driver at hand.
pub struct Compiler {
    entry: ash::Entry,
    instance: ash::Instance,
    physical: vk::PhysicalDevice,
    device: ash::Device,
    matrices: bool,
}

fn text(raw: &[c_char]) -> String {
    // SAFETY: Vulkan ends its names with NUL.
    unsafe { CStr::from_ptr(raw.as_ptr()) }.to_string_lossy().into_owned()
}

const STATISTICS: &CStr = ash::khr::pipeline_executable_properties::NAME;
const MATRICES: &CStr = ash::khr::cooperative_matrix::NAME;

impl Compiler {
    pub fn new() -> Self {
        // SAFETY: the system's Vulkan library; everything below is used as Vulkan asks, and lives until the process ends.
        unsafe {
            let entry = ash::Entry::load().expect("a Vulkan library");
            let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
            let info = vk::InstanceCreateInfo::default().application_info(&application);
            let instance = entry.create_instance(&info, None).expect("an instance");
            let physical = instance.enumerate_physical_devices().expect("devices")[0];
            let all = instance.enumerate_device_extension_properties(physical).expect("extensions");
            let matrices = all.iter().any(|one| text(&one.extension_name).as_bytes() == MATRICES.to_bytes());
            let mut core11 = vk::PhysicalDeviceVulkan11Features::default();
            let mut core12 = vk::PhysicalDeviceVulkan12Features::default();
            let mut core13 = vk::PhysicalDeviceVulkan13Features::default();
            let mut executables = vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default();
            let mut with_matrices = vk::PhysicalDeviceCooperativeMatrixFeaturesKHR::default();
            let mut features = vk::PhysicalDeviceFeatures2::default()
                .push_next(&mut core11)
                .push_next(&mut core12)
                .push_next(&mut core13)
                .push_next(&mut executables);
            let mut extensions = vec![STATISTICS.as_ptr()];
            if matrices {
                extensions.push(MATRICES.as_ptr());
                features = features.push_next(&mut with_matrices);
            }
            instance.get_physical_device_features2(physical, &mut features);
            features.features.robust_buffer_access = 0;
            let queue = [vk::DeviceQueueCreateInfo::default().queue_priorities(&[1.0])];
            let info = vk::DeviceCreateInfo::default()
                .queue_create_infos(&queue)
                .enabled_extension_names(&extensions)
                .push_next(&mut features);
            let device = instance.create_device(physical, &info, None).expect("a device");
            Self { entry, instance, physical, device, matrices }
        }
    }

    /// Whether it has cooperative matrices.
    pub fn matrices(&self) -> bool {
        self.matrices
    }

    pub fn name(&self) -> String {
        let _ = &self.entry;
        // SAFETY: both are valid.
        text(&unsafe { self.instance.get_physical_device_properties(self.physical) }.device_name)
    }

    /// Compiles a kernel as wgpu does.
    pub fn compile(&self, kernel: &Kernel, target: &Target) -> Code {
        let words = words(&kernel.text(target));
        let binding = |slot: u32, uniform: bool| {
            let kind = if uniform { vk::DescriptorType::UNIFORM_BUFFER } else { vk::DescriptorType::STORAGE_BUFFER };
            vk::DescriptorSetLayoutBinding::default()
                .binding(slot)
                .descriptor_type(kind)
                .descriptor_count(1)
                .stage_flags(vk::ShaderStageFlags::COMPUTE)
        };
        let mut node = vec![binding(0, true)];
        node.extend(kernel.bindings.iter().map(|one| binding(one.slot, one.access == Access::Uniform)));
        let device = &self.device;
        // SAFETY: all objects are made of this device, and live until the process ends.
        unsafe {
            let layouts = [vec![binding(0, true)], node].map(|bindings| {
                let info = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
                device.create_descriptor_set_layout(&info, None).expect("a layout")
            });
            let info = vk::PipelineLayoutCreateInfo::default().set_layouts(&layouts);
            let layout = device.create_pipeline_layout(&info, None).expect("a layout");
            let info = vk::ShaderModuleCreateInfo::default().code(&words);
            let module = device.create_shader_module(&info, None).expect("a module");
            let stage = vk::PipelineShaderStageCreateInfo::default()
                .stage(vk::ShaderStageFlags::COMPUTE)
                .module(module)
                .name(c"main");
            let flags = vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR
                | vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR;
            let info = vk::ComputePipelineCreateInfo::default().flags(flags).stage(stage).layout(layout);
            let made = device.create_compute_pipelines(vk::PipelineCache::null(), &[info], None);
            self.code(made.unwrap_or_else(|(_, error)| panic!("{}: {error}", kernel.name))[0])
        }
    }

    /// # Safety
    /// The pipeline is of this device and keeps its statistics and representations.
    unsafe fn code(&self, pipeline: vk::Pipeline) -> Code {
        let executables = ash::khr::pipeline_executable_properties::Device::new(&self.instance, &self.device);
        let info = vk::PipelineInfoKHR::default().pipeline(pipeline);
        let executable = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline).executable_index(0);
        // SAFETY: the contract; buffers have the sizes that the driver said.
        unsafe {
            let lanes = executables.get_pipeline_executable_properties(&info).expect("properties")[0].subgroup_size;
            let statistics = executables.get_pipeline_executable_statistics(&executable).expect("statistics");
            let statistics = statistics.iter().map(|one| (text(&one.name), one.value.u64)).collect();
            let get = executables.fp().get_pipeline_executable_internal_representations_khr;
            let mut count = 0;
            let _ = get(self.device.handle(), &executable, &mut count, std::ptr::null_mut());
            let mut all = vec![vk::PipelineExecutableInternalRepresentationKHR::default(); count as usize];
            let _ = get(self.device.handle(), &executable, &mut count, all.as_mut_ptr());
            let mut bodies: Vec<Vec<u8>> = all.iter().map(|one| vec![0; one.data_size]).collect();
            for (one, body) in all.iter_mut().zip(&mut bodies) {
                one.p_data = body.as_mut_ptr().cast();
            }
            let _ = get(self.device.handle(), &executable, &mut count, all.as_mut_ptr());
            let assembler = all.iter().zip(&bodies).find(|(one, _)| text(&one.name).contains("ssembly"));
            let (_, body) = assembler.expect("assembler text");
            Code { lanes, statistics, text: String::from_utf8_lossy(body).into_owned() }
        }
    }
}

/// SPIR-V as wgpu makes it for kernels that are trusted.
fn words(source: &str) -> Vec<u32> {
    let module = naga::front::wgsl::parse_str(source).expect("parsed at build time");
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::all());
    validator.subgroup_stages(ShaderStages::COMPUTE).subgroup_operations(SubgroupOperationSet::all());
    let info = validator.validate(&module).expect("validated at build time");
    let unchecked = BoundsCheckPolicy::Unchecked;
    let options = spv::Options {
        lang_version: (1, 6),
        flags: spv::WriterFlags::empty(),
        bounds_check_policies: BoundsCheckPolicies {
            index: unchecked,
            buffer: unchecked,
            image_load: unchecked,
            binding_array: unchecked,
        },
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        force_loop_bounding: false,
        ..Default::default()
    };
    spv::write_vec(&module, &info, &options, None).expect("SPIR-V")
}
