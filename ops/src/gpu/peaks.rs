//! What a device can do at best, measured: loops that do nothing else, so that a kernel can be told from the device's limits.

use std::time::Instant;

use causeway_shaders::{self as shaders, Halves, Kernel};

use super::{device::Gpu, tier::Tier, waiting::may_wait};
use crate::{backend::BackendError, params::Params};

/// Measured rates, a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peaks {
    /// f32 operations, a multiply-add counts two; of registers alone.
    pub f32: f64,
    /// Operations in half precision, a multiply-add counts two; of registers alone. None where the device has none, or no tier that uses them.
    pub half: Option<f64>,
    /// Operations of cooperative matrices of half precision with sums in f32; of registers alone. None as above.
    pub matrices: Option<f64>,
    /// Operations on bytes by products of four, a multiply-add counts two; of registers alone.
    pub dot4: f64,
    /// Bytes read from workgroup memory.
    pub workgroup: f64,
    /// Bytes read and written by a copy that is larger than caches.
    pub copy: f64,
}

/// Workgroups of a loop: many for each core.
const GROUPS: u32 = 1024;
/// As peak.wgsl has them.
const LANES: u32 = 64;
const CHAINS: u32 = 8;
/// Bytes of each side of the copy.
const COPIED: u64 = 64 << 20;
/// A measurement takes at least so long, and the best of so many counts.
const SECONDS: f64 = 0.02;
const ROUNDS: usize = 4;

/// Measures a device; takes a second or two.
///
/// # Errors
/// The device has no memory, or is lost.
pub fn peaks(gpu: &Gpu) -> Result<Peaks, BackendError> {
    may_wait()?;
    gpu.faults.check()?;
    let lanes = f64::from(GROUPS * LANES * CHAINS);
    let small = u64::from(16 * GROUPS * LANES);
    let groups = (COPIED / 16).div_ceil(u64::from(LANES)) as u32;
    // What a lane does in a round of its loop.
    let [f32, dot4, workgroup] = [
        (&shaders::PEAK_F32, 8.0 * lanes),
        (&shaders::PEAK_DOT4, 8.0 * lanes),
        (&shaders::PEAK_WORKGROUP, 16.0 * lanes),
    ]
    .map(|(kernel, work)| rate(gpu, kernel, small, [GROUPS, 1, 1], work));
    let copy =
        rate(gpu, &shaders::PEAK_COPY, COPIED, [groups.min(65_535), groups.div_ceil(65_535), 1], 2.0 * COPIED as f64);
    let half = gpu.device.features().contains(wgpu::Features::SHADER_F16);
    let half = half.then(|| rate(gpu, &shaders::PEAK_HALF, small, [GROUPS, 1, 1], 8.0 * lanes)).transpose()?;
    let matrices = gpu.choice.has(Tier::Cooperative).then(|| {
        // Four subgroups of a workgroup have four chains each; at most 256 lanes.
        let (target, _) = gpu.pipelines.target();
        let work = f64::from(GROUPS * 4 * 4) * 2.0 * f64::from(target.edge).powi(3);
        rate(gpu, &shaders::PEAK_MATRICES, u64::from(16 * GROUPS * 256), [GROUPS, 1, 1], work)
    });
    let matrices = matrices.transpose()?;
    Ok(Peaks { f32: f32?, half, matrices, dot4: dot4?, workgroup: workgroup?, copy: copy? })
}

/// Work a second of a kernel that does `work` a round of its loop, on buffers of so many bytes.
fn rate(gpu: &Gpu, kernel: &'static Kernel, bytes: u64, groups: [u32; 3], work: f64) -> Result<f64, BackendError> {
    let run = gpu.scoped(|| Loop::new(gpu, kernel, bytes, groups))?;
    let mut rounds = 1u32;
    // Long enough, or it is the clock that is measured.
    while run.seconds(gpu, rounds)? < SECONDS && rounds < 1 << 20 {
        rounds *= 2;
    }
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        best = best.min(run.seconds(gpu, rounds)?);
    }
    Ok(work * f64::from(rounds) / best)
}

/// A kernel with its buffers.
struct Loop {
    pipeline: wgpu::ComputePipeline,
    node: wgpu::Buffer,
    params: wgpu::BindGroup,
    group: wgpu::BindGroup,
    groups: [u32; 3],
    /// Rounds are dispatches: a loop would store all but the last in vain.
    again: bool,
}

impl Loop {
    fn new(gpu: &Gpu, kernel: &'static Kernel, bytes: u64, groups: [u32; 3]) -> Result<Self, BackendError> {
        let made = gpu.pipelines.get(&gpu.device, kernel, Halves::default())?;
        let buffer = |size, usage| {
            gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(kernel.name),
                size,
                usage: usage | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        };
        let node = buffer(u64::from(kernel.node_bytes.next_multiple_of(16)), wgpu::BufferUsages::UNIFORM);
        let params = buffer(size_of::<Params>() as u64, wgpu::BufferUsages::UNIFORM);
        let buffers = [(); 2].map(|()| buffer(bytes, wgpu::BufferUsages::STORAGE));
        let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: node.as_entire_binding() }];
        let mut rest = buffers.iter();
        for binding in kernel.bindings {
            let source = if binding.name == "alarm" { gpu.alarm.as_ref() } else { rest.next() };
            let source = source.ok_or_else(|| BackendError::Unsupported(format!("{}: no buffer", kernel.name)))?;
            entries.push(wgpu::BindGroupEntry { binding: binding.slot, resource: source.as_entire_binding() });
        }
        let bind = |layout, entries: &[wgpu::BindGroupEntry<'_>]| {
            gpu.device.create_bind_group(&wgpu::BindGroupDescriptor { label: Some(kernel.name), layout, entries })
        };
        let group = bind(&made.layout, &entries);
        let params =
            bind(&gpu.pipelines.params, &[wgpu::BindGroupEntry { binding: 0, resource: params.as_entire_binding() }]);
        let again = kernel.name == shaders::PEAK_COPY.name;
        Ok(Self { pipeline: made.pipeline, node, params, group, groups, again })
    }

    /// Seconds from the submission of so many rounds to their end.
    fn seconds(&self, gpu: &Gpu, rounds: u32) -> Result<f64, BackendError> {
        gpu.queue.write_buffer(&self.node, 0, &rounds.to_ne_bytes());
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.params, &[]);
        pass.set_bind_group(1, &self.group, &[]);
        let [x, y, z] = self.groups;
        for _ in 0..if self.again { rounds } else { 1 } {
            pass.dispatch_workgroups(x, y, z);
        }
        drop(pass);
        let start = Instant::now();
        gpu.queue.submit([encoder.finish()]);
        let polled = gpu.device.poll(wgpu::PollType::wait_indefinitely());
        gpu.faults.check()?;
        polled.map_err(|error| BackendError::DeviceLost(error.to_string()))?;
        Ok(start.elapsed().as_secs_f64())
    }
}
