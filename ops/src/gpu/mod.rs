//! The wgpu backend: a plan's passes as compute passes on one device.
//!
//! Everything a run needs is made when the backend is created: pipelines, buffers, bind groups, the constants of every node.
//! A run writes its parameters (if they changed), records its nodes in one compute pass and submits it. Nothing waits for the
//! GPU but [`Backend::read`] and [`Backend::save`].

mod arena;
mod choice;
mod device;
mod flight;
mod frames;
mod fusion;
mod halves;
#[cfg(not(any(target_vendor = "apple", target_family = "wasm")))]
mod hidden;
mod job;
mod load;
mod lower;
mod need;
mod opening;
mod peaks;
mod pipelines;
mod probe;
mod readback;
mod recorded;
mod scopes;
mod selftest;
mod tier;
mod tiles;
mod timing;
mod tune;
#[cfg(not(any(target_vendor = "apple", target_family = "wasm")))]
mod vulkan;
mod waiting;
mod weights;

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use self::{
    arena::{Arena, Places},
    flight::Flight,
    fusion::Fusion,
    need::{UNIFORM_ALIGN, beside, check, staging_bytes},
    readback::Staging,
    recorded::{Dispatch, Lowering, Recorded, small_buffer},
    timing::Timing,
};
use crate::{
    backend::{Backend, BackendError, Memory, Submitted},
    buffer::BufferId,
    params::Params,
    plan::{PassId, Plan},
    planner::Life,
};

#[cfg(not(any(target_vendor = "apple", target_family = "wasm")))]
pub use self::vulkan::{GetInstanceProcAddr, QueueLock, VulkanDevice, VulkanHost, VulkanImage};
pub use self::{
    choice::Shape,
    device::{AdapterChoice, AdapterReport, Gpu, GpuOptions, adapters},
    frames::Frames,
    load::GpuLoad,
    need::memory,
    peaks::{Peaks, peaks},
    tier::{Dropped, Tier},
    tune::{Tuned, shapes_of},
    weights::GpuWeights,
};

/// Runs a plan on a GPU.
///
/// Dropping it frees its memory on the device once submitted work is done. A device that was lost, or a defect that wgpu
/// reported, fails every later call with the same error.
pub struct GpuBackend {
    gpu: Gpu,
    plan: Plan,
    memory: Memory,
    weights: Arc<GpuWeights>,
    /// The device's name and the kernels used.
    tier: String,
    halves: Vec<BufferId>,
    /// When buffers are used, by passes.
    lives: Vec<Vec<Life>>,
    arena: Arena,
    passes: Vec<Recorded>,
    params: wgpu::Buffer,
    params_group: wgpu::BindGroup,
    /// What `params` holds.
    current: Option<Params>,
    /// Copies under way for `begin_read`, and for calls that wait.
    reading: Staging,
    waiting: Staging,
    /// The arena on its way to the host, for `begin_save`.
    saving: Option<Staging>,
    timing: Timing,
    flight: Flight,
    /// Where frames stay for the host.
    frames: Option<Arc<Frames>>,
    submitted: Submitted,
}

impl GpuBackend {
    /// A backend with the weights of another one on this device, if its plan named the same ones. They are not counted against the
    /// memory cap, as they take nothing more.
    ///
    /// # Errors
    /// As [`on`](Self::on).
    pub fn sharing(
        gpu: &Gpu,
        plan: &Plan,
        weights: &Arc<GpuWeights>,
        memory_cap: Option<usize>,
    ) -> Option<Result<Self, BackendError>> {
        weights.fit(plan).then(|| {
            let memory = beside(gpu, plan, &|id| weights.list[id.0 as usize].dtype);
            check(gpu, plan, memory, memory_cap)?;
            gpu.scoped(|| Self::create(gpu.clone(), plan.clone(), weights.clone(), memory))
        })
    }

    /// What [`Self::sharing`] takes.
    pub fn weights(&self) -> &Arc<GpuWeights> {
        &self.weights
    }

    fn create(gpu: Gpu, plan: Plan, weights: Arc<GpuWeights>, memory: Memory) -> Result<Self, BackendError> {
        let fusion = Fusion::new(&plan, gpu.keeps_halves());
        let halves: Vec<BufferId> =
            (0..).map(BufferId).zip(fusion.halves()).filter_map(|(id, half)| half.then_some(id)).collect();
        let places = Places::new(&plan, &fusion);
        let staging = staging_bytes(&plan, &places);
        let arena = Arena::new(&gpu.device, &gpu.queue, &plan, places);
        let passes = Lowering::new(&gpu, &plan, &fusion, &arena, &weights.list).passes()?;
        let params = small_buffer(&gpu, "params", UNIFORM_ALIGN, wgpu::BufferUsages::UNIFORM);
        let params_group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("params"),
            layout: &gpu.pipelines.params,
            entries: &[wgpu::BindGroupEntry { binding: 0, resource: params.as_entire_binding() }],
        });
        let [reading, waiting] = staging.map(|bytes| Staging::new(&gpu, bytes));
        let timing = Timing::new(&gpu, &plan, &fusion);
        let lives = fusion.lives(plan.buffers.len());
        drop(fusion);
        gpu.queue.submit([]);
        Ok(Self {
            tier: format!(
                "{}, {}{}",
                gpu.name(),
                gpu.choice.identity(),
                if halves.is_empty() { "" } else { ", f16 activations" }
            ),
            halves,
            lives,
            gpu,
            plan,
            memory,
            weights,
            arena,
            passes,
            params,
            params_group,
            current: None,
            reading,
            waiting,
            saving: None,
            timing,
            flight: Flight::default(),
            frames: None,
            submitted: Submitted::default(),
        })
    }

    /// Leaves finished frames ([`Backend::keep`]) in `frames`, which lies on the same device.
    #[must_use]
    pub fn keep_frames(self, frames: Arc<Frames>) -> Self {
        Self { frames: Some(frames), ..self }
    }

    /// The device this backend runs on.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Buffers whose numbers lie in half precision: those of [`Element::F16`](crate::plan::Element::F16) that all of their kernels take so.
    pub fn halves(&self) -> &[BufferId] {
        &self.halves
    }

    /// Bindings of kernels that get numbers in half precision.
    pub fn bindings_of_halves(&self) -> BTreeSet<(&'static str, &'static str)> {
        let all = self.passes.iter().flat_map(|pass| &pass.dispatches);
        let bound = |dispatch: &Dispatch| {
            let (kernel, halves) = (dispatch.kernel, dispatch.halves);
            let each = kernel.bindings.iter().enumerate().filter(move |(at, _)| halves.has(*at));
            each.map(move |(_, binding)| (kernel.name, binding.name))
        };
        all.flat_map(bound).collect()
    }

    /// Names of the kernels that the plan runs, one a permutation.
    pub fn kernels(&self) -> BTreeSet<&'static str> {
        self.passes.iter().flat_map(|pass| &pass.dispatches).map(|dispatch| dispatch.kernel.name).collect()
    }

    /// Dispatches of a range of nodes, by their kernels.
    pub fn dispatches(&self, pass: PassId, nodes: Range<usize>) -> Vec<&'static str> {
        let recorded = self.passes.get(pass.0 as usize).map_or(&[][..], |pass| pass.range(nodes));
        recorded.iter().map(|dispatch| dispatch.kernel.name).collect()
    }

    /// Lets wgpu run callbacks, without waiting, and takes what has arrived.
    fn poll(&mut self) -> Result<(), BackendError> {
        let polled = self.gpu.device.poll(wgpu::PollType::Poll);
        self.gpu.faults.check()?;
        polled.map_err(|error| BackendError::DeviceLost(error.to_string()))?;
        self.timing.update();
        Ok(())
    }

    /// Submits some nodes, or some parts of one that has parts.
    fn submit(
        &mut self,
        pass: PassId,
        nodes: Range<usize>,
        parts: Option<Range<usize>>,
        params: &Params,
    ) -> Result<(), BackendError> {
        self.gpu.faults.check()?;
        let Some(recorded) = self.passes.get(pass.0 as usize) else { return Ok(()) };
        let (dispatches, share): (Vec<&Dispatch>, f32) = match parts {
            None => (recorded.range(nodes.clone()).iter().collect(), 1.0),
            Some(parts) => {
                let all = recorded.parts.get(&nodes.start).map_or(&[][..], Vec::as_slice);
                let some = &all[parts.start.min(all.len())..parts.end.min(all.len())];
                (some.iter().flatten().collect(), some.len() as f32 / all.len().max(1) as f32)
            }
        };
        if dispatches.is_empty() {
            return Ok(());
        }
        if self.current.as_ref() != Some(params) {
            // Takes effect between the submissions before and after it.
            self.gpu.queue.write_buffer(&self.params, 0, bytemuck::bytes_of(params));
            self.current = Some(*params);
        }
        self.submitted.times += 1;
        let micros: f32 = nodes.clone().filter_map(|node| self.timing.micros(pass, node)).sum();
        self.submitted.micros += f64::from(micros * share);
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let timestamp_writes = self.timing.begin(pass, nodes, share);
        let timed = timestamp_writes.is_some();
        let mut recording = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes });
        recording.set_bind_group(0, &self.params_group, &[]);
        for dispatch in dispatches {
            recording.set_pipeline(&dispatch.pipeline);
            recording.set_bind_group(1, &dispatch.group, &[]);
            let [x, y, z] = dispatch.groups;
            recording.dispatch_workgroups(x, y, z);
        }
        drop(recording);
        if timed {
            self.timing.resolve(&mut encoder);
        }
        let index = self.gpu.queue.submit([encoder.finish()]);
        if timed {
            self.timing.submitted();
        }
        self.flight.submitted(&self.gpu, index);
        self.gpu.faults.check()
    }

    fn arena_size(&self, found: usize) -> Result<(), BackendError> {
        let expected = self.arena_bytes();
        if found == expected { Ok(()) } else { Err(BackendError::Size { buffer: "arena".into(), expected, found }) }
    }
}

impl Backend for GpuBackend {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn memory(&self) -> Memory {
        Memory { weights: self.weights.bytes / Arc::strong_count(&self.weights), ..self.memory }
    }

    fn run(&mut self, pass: PassId, nodes: Range<usize>, params: &Params) -> Result<(), BackendError> {
        self.submit(pass, nodes, None, params)
    }

    fn parts(&self, pass: PassId, node: usize) -> usize {
        self.passes.get(pass.0 as usize).and_then(|pass| pass.parts.get(&node)).map_or(1, Vec::len)
    }

    fn run_parts(
        &mut self,
        pass: PassId,
        node: usize,
        parts: Range<usize>,
        params: &Params,
    ) -> Result<(), BackendError> {
        match self.parts(pass, node) {
            1 if parts.contains(&0) => self.run(pass, node..node + 1, params),
            1 => Ok(()),
            _ => self.submit(pass, node..node + 1, Some(parts), params),
        }
    }

    fn write(&mut self, buffer: BufferId, bytes: &[u8]) -> Result<(), BackendError> {
        self.gpu.faults.check()?;
        self.gpu.queue.write_buffer(self.arena.sized(&self.plan, buffer, bytes.len())?, 0, bytes);
        self.gpu.faults.check()
    }

    fn read(&mut self, buffer: BufferId, bytes: &mut [u8]) -> Result<(), BackendError> {
        self.gpu.faults.check()?;
        let place = self.arena.sized(&self.plan, buffer, bytes.len())?;
        self.waiting.fetch(&self.gpu, place, bytes)
    }

    /// A read that was begun and not taken is forgotten. Buffers larger than every output make the staging memory grow.
    fn begin_read(&mut self, buffer: BufferId) -> Result<(), BackendError> {
        self.gpu.faults.check()?;
        let bytes = 4 * self.plan.buffer(buffer).len;
        let place = self.arena.sized(&self.plan, buffer, bytes)?;
        if self.reading.capacity() < bytes {
            self.memory.overhead += bytes - self.reading.capacity();
            self.reading.grow(&self.gpu, bytes);
        }
        self.reading.begin(&self.gpu, [(place, 0, bytes)]);
        self.gpu.faults.check()
    }

    fn poll_read(&mut self, bytes: &mut [u8]) -> Result<bool, BackendError> {
        self.poll()?;
        match self.reading.pending() {
            Some(expected) if expected != bytes.len() => {
                Err(BackendError::Size { buffer: "read".into(), expected, found: bytes.len() })
            }
            _ => self.reading.take(bytes),
        }
    }

    fn keep(&mut self, buffer: BufferId, frame: u64) -> Result<(), BackendError> {
        let Some(frames) = &self.frames else { return Ok(()) };
        let bytes = 4 * frames.width as usize * frames.height as usize;
        frames.keep(self.arena.sized(&self.plan, buffer, bytes)?, frame);
        self.gpu.faults.check()
    }

    fn tier(&self) -> &str {
        &self.tier
    }

    fn saved(&self, buffer: BufferId) -> Option<Range<usize>> {
        let from = self.arena.saved_at(buffer)? as usize;
        Some(from..from + self.arena.size(buffer) as usize * self.plan.buffer(buffer).len)
    }

    fn is_written(&self, buffer: BufferId, pass: PassId, node: usize) -> bool {
        self.lives[buffer.0 as usize][pass.0 as usize].is_some_and(|(first, _)| first < node)
    }

    fn arena_bytes(&self) -> usize {
        self.arena.saved().map(|place| place.size() as usize).sum()
    }

    fn save(&mut self, bytes: &mut [u8]) -> Result<(), BackendError> {
        self.gpu.faults.check()?;
        self.arena_size(bytes.len())?;
        let mut rest = bytes;
        for place in self.arena.saved() {
            let (piece, others) = rest.split_at_mut(place.size() as usize);
            self.waiting.fetch(&self.gpu, place, piece)?;
            rest = others;
        }
        Ok(())
    }

    /// Takes as many bytes of staging memory until it is delivered.
    fn begin_save(&mut self, bytes: &mut [u8]) -> Result<bool, BackendError> {
        self.gpu.faults.check()?;
        self.arena_size(bytes.len())?;
        let mut staging = self.gpu.scoped(|| Ok(Staging::new(&self.gpu, bytes.len())))?;
        staging.begin(&self.gpu, self.arena.saved().map(|place| (place, 0, place.size() as usize)));
        self.saving = Some(staging);
        self.gpu.faults.check()?;
        Ok(false)
    }

    fn poll_save(&mut self, bytes: &mut [u8]) -> Result<bool, BackendError> {
        self.poll()?;
        self.arena_size(bytes.len())?;
        let there = self.saving.as_mut().map_or(Ok(false), |staging| staging.take(bytes))?;
        if there {
            self.saving = None;
        }
        Ok(there)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), BackendError> {
        self.gpu.faults.check()?;
        self.arena_size(bytes.len())?;
        let mut rest = bytes;
        for place in self.arena.saved() {
            let (piece, others) = rest.split_at(place.size() as usize);
            self.gpu.queue.write_buffer(place, 0, piece);
            rest = others;
        }
        self.gpu.faults.check()
    }

    fn clear(&mut self) -> Result<(), BackendError> {
        self.gpu.faults.check()?;
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for place in self.arena.saved() {
            encoder.clear_buffer(place, 0, None);
        }
        self.gpu.queue.submit([encoder.finish()]);
        self.gpu.faults.check()
    }

    /// True with at most one submission in flight, so that the GPU has work while the host records more.
    fn idle(&mut self) -> Result<bool, BackendError> {
        self.poll()?;
        self.flight.is_short(&self.gpu)
    }

    fn slice(&self, pass: PassId, node: usize, micros: u64) -> usize {
        self.timing.slice(pass, node, micros)
    }

    fn submitted(&self) -> Submitted {
        self.submitted
    }

    fn node_micros(&self, pass: PassId, node: usize) -> Option<f32> {
        self.timing.micros(pass, node)
    }
}
