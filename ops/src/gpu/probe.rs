//! How many lanes a subgroup has in kernels with cooperative matrices. A driver says between which numbers it chooses, and may choose another
//! one for every kernel.

use causeway_shaders::{self as shaders, Halves};

use super::{device::Gpu, readback::Staging};
use crate::{backend::BackendError, params::Params};

/// Bytes of what the probe says, and of its node.
const BYTES: u64 = 16;

/// Asks with kernels of the size that those for the answer have, until the answer is what was asked for.
pub(super) fn lanes(gpu: &Gpu) -> Result<u32, BackendError> {
    let mut gpu = gpu.clone();
    for _ in 0..3 {
        let (target, _) = gpu.pipelines.target();
        let [size, count, sum] = ask(&gpu)?;
        if size as u32 == target.lanes && count == 4.0 {
            let edge = target.edge as f32;
            let wrong = || BackendError::Unsupported(format!("a product of ones is {sum}, expected {edge}"));
            return if sum == edge { Ok(target.lanes) } else { Err(wrong()) };
        }
        gpu.for_subgroups_of((size as u32).clamp(8, 64));
    }
    Err(BackendError::Unsupported("its subgroups have another size each time".into()))
}

/// Size and number of subgroups, and a number of a product of matrices of ones.
fn ask(gpu: &Gpu) -> Result<[f32; 3], BackendError> {
    let kernel = &shaders::PROBE_MATRICES;
    let result = gpu.scoped(|| {
        let pipeline = gpu.pipelines.get(&gpu.device, kernel, Halves::default())?;
        let buffer = |size: u64, usage| {
            let usage = usage | wgpu::BufferUsages::COPY_SRC;
            gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("probe"),
                size,
                usage,
                mapped_at_creation: false,
            })
        };
        let node = buffer(BYTES, wgpu::BufferUsages::UNIFORM);
        let params = buffer(size_of::<Params>().next_multiple_of(16) as u64, wgpu::BufferUsages::UNIFORM);
        let result = buffer(BYTES, wgpu::BufferUsages::STORAGE);
        let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: node.as_entire_binding() }];
        for binding in kernel.bindings {
            let source = if binding.name == "alarm" { gpu.alarm.as_ref() } else { Some(&result) };
            let source = source.ok_or_else(|| BackendError::Unsupported("matrices are not enabled".into()))?;
            entries.push(wgpu::BindGroupEntry { binding: binding.slot, resource: source.as_entire_binding() });
        }
        let group = |layout, entries: &[_]| {
            gpu.device.create_bind_group(&wgpu::BindGroupDescriptor { label: Some("probe"), layout, entries })
        };
        let first = [wgpu::BindGroupEntry { binding: 0, resource: params.as_entire_binding() }];
        let groups = [group(&gpu.pipelines.params, &first), group(&pipeline.layout, &entries)];
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&pipeline.pipeline);
        for (at, group) in (0..).zip(&groups) {
            pass.set_bind_group(at, group, &[]);
        }
        pass.dispatch_workgroups(1, 1, 1);
        drop(pass);
        gpu.queue.submit([encoder.finish()]);
        Ok(result)
    })?;
    let mut words = [0f32; 4];
    Staging::new(gpu, BYTES as usize).fetch(gpu, &result, bytemuck::cast_slice_mut(&mut words))?;
    let [size, count, sum, _] = words;
    Ok([size, count, sum])
}
