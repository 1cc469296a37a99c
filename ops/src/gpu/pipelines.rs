//! Pipelines, one a kernel permutation and what of it is in half precision, made on first use and shared by the backends of a device.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, PoisonError},
};

use causeway_shaders::{Access, Halves, Kernel, Target};

use crate::{backend::BackendError, params::Params};

/// A compiled kernel.
#[derive(Clone)]
pub(super) struct Pipeline {
    pub pipeline: wgpu::ComputePipeline,
    /// Layout of bind group 1.
    pub layout: wgpu::BindGroupLayout,
}

pub(super) struct Pipelines {
    /// Layout of bind group 0: the run's parameters.
    pub params: wgpu::BindGroupLayout,
    checked: bool,
    target: Target,
    made: Mutex<HashMap<(&'static str, Halves), Pipeline>>,
}

impl Pipelines {
    /// For which device the kernels' texts are.
    pub fn target(&self) -> (Target, bool) {
        (self.target, self.checked)
    }

    pub fn new(device: &wgpu::Device, checked: bool, target: Target) -> Self {
        let entries = [entry(0, uniform(size_of::<Params>()))];
        let params = device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some("params"), entries: &entries });
        Self { params, checked, target, made: Mutex::default() }
    }

    /// The pipeline of `kernel`, with these bindings of numbers in half precision. Shader compilers are large and not ours: one that panics becomes an error here instead of
    /// unwinding through a host.
    pub fn get(
        &self,
        device: &wgpu::Device,
        kernel: &'static Kernel,
        halves: Halves,
    ) -> Result<Pipeline, BackendError> {
        let unsupported = |what| BackendError::Unsupported(format!("kernel {}: {what}", kernel.name));
        if halves.0 & !kernel.halves().0 != 0 {
            return Err(unsupported("it takes no numbers in half precision there"));
        }
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipeline) = made.get(&(kernel.name, halves)) {
            return Ok(pipeline.clone());
        }
        let pipeline = catch_unwind(AssertUnwindSafe(|| self.make(device, kernel, halves)))
            .map_err(|_| unsupported("the shader compiler panicked"))?;
        made.insert((kernel.name, halves), pipeline.clone());
        Ok(pipeline)
    }

    fn make(&self, device: &wgpu::Device, kernel: &'static Kernel, halves: Halves) -> Pipeline {
        let mut entries = vec![entry(0, uniform(kernel.node_bytes.next_multiple_of(16) as usize))];
        entries.extend(kernel.bindings.iter().map(|binding| {
            let ty = match binding.access {
                Access::Uniform => uniform(binding.min_bytes as usize),
                Access::Read => storage(true),
                Access::ReadWrite => storage(false),
            };
            entry(binding.slot, ty)
        }));
        let label = Some(kernel.name);
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &entries });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &[Some(&self.params), Some(&layout)],
            immediate_size: 0,
        });
        let checks =
            if self.checked { wgpu::ShaderRuntimeChecks::checked() } else { wgpu::ShaderRuntimeChecks::unchecked() };
        let source = wgpu::ShaderSource::Wgsl(kernel.text_with(&self.target, halves).into());
        let descriptor = wgpu::ShaderModuleDescriptor { label, source };
        // SAFETY: kernels are this workspace's own, and index within bounds by construction. Positions follow from node
        // constants, for which PlanBuilder::build checked that the buffers are large enough; the numbers that kernels take from
        // run parameters and buffers (history, slots, routes) are clamped in the kernel. Every loop counts up to a node
        // constant or a clamped number. There are no ray queries.
        let module = unsafe { device.create_shader_module_trusted(descriptor, checks) };
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label,
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some(kernel.entry),
            compilation_options: wgpu::PipelineCompilationOptions {
                // Every kernel writes workgroup memory before it reads it.
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        Pipeline { pipeline, layout }
    }
}

fn entry(binding: u32, ty: wgpu::BindingType) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry { binding, visibility: wgpu::ShaderStages::COMPUTE, ty, count: None }
}

fn uniform(bytes: usize) -> wgpu::BindingType {
    let min_binding_size = wgpu::BufferSize::new(bytes as u64);
    wgpu::BindingType::Buffer { ty: wgpu::BufferBindingType::Uniform, has_dynamic_offset: false, min_binding_size }
}

fn storage(read_only: bool) -> wgpu::BindingType {
    wgpu::BindingType::Buffer {
        ty: wgpu::BufferBindingType::Storage { read_only },
        has_dynamic_offset: false,
        min_binding_size: None,
    }
}
