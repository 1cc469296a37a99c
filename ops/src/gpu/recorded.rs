//! What passes record: dispatches with all that they bind, made of a plan's nodes once.

use std::{collections::BTreeMap, ops::Range};

use causeway_shaders::{Access, Halves, Kernel};

use super::{
    arena::{Arena, Slice},
    device::Gpu,
    fusion::Fusion,
    job::{Job, Source},
    lower,
    need::{Between, UNIFORM_ALIGN},
    weights::GpuWeight,
};
use crate::{backend::BackendError, plan::Plan};

/// What a pass records.
#[derive(Default)]
pub(super) struct Recorded {
    pub(super) dispatches: Vec<Dispatch>,
    /// The first dispatch of every node; at the end how many there are.
    pub(super) nodes: Vec<usize>,
    /// Of nodes that are long: the dispatches of each part.
    pub(super) parts: BTreeMap<usize, Vec<Vec<Dispatch>>>,
}

/// Ready to be recorded.
pub(super) struct Dispatch {
    pub(super) kernel: &'static Kernel,
    pub(super) halves: Halves,
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) group: wgpu::BindGroup,
    pub(super) groups: [u32; 3],
}

impl Recorded {
    /// The dispatches of a range of nodes.
    pub(super) fn range(&self, nodes: Range<usize>) -> &[Dispatch] {
        let last = self.nodes.len() - 1;
        let end = nodes.end.min(last);
        &self.dispatches[self.nodes[nodes.start.min(end)]..self.nodes[end]]
    }
}

/// Turns a plan's nodes into dispatches.
pub(super) struct Lowering<'a> {
    gpu: &'a Gpu,
    plan: &'a Plan,
    fusion: &'a Fusion<'a>,
    arena: &'a Arena,
    weights: &'a [GpuWeight],
    /// `Node` structs of all nodes, [`UNIFORM_ALIGN`] apart.
    nodes: wgpu::Buffer,
    /// Bound where an operator lacks an optional buffer.
    nothing: wgpu::Buffer,
    /// What is on its way from one dispatch of a node to the next: codes, their scales, sums.
    between: [Option<wgpu::Buffer>; 3],
}

impl<'a> Lowering<'a> {
    pub(super) fn new(
        gpu: &'a Gpu,
        plan: &'a Plan,
        fusion: &'a Fusion<'a>,
        arena: &'a Arena,
        weights: &'a [GpuWeight],
    ) -> Self {
        let between = Between::new(gpu, fusion, &|id| weights[id.0 as usize].dtype);
        let count = plan.passes.iter().map(|pass| pass.nodes.len()).sum::<usize>() + between.dispatches;
        let nodes = small_buffer(gpu, "nodes", count.max(1) * UNIFORM_ALIGN, wgpu::BufferUsages::UNIFORM);
        let nothing = small_buffer(gpu, "nothing", UNIFORM_ALIGN, wgpu::BufferUsages::STORAGE);
        let buffer = |bytes| (bytes > 0).then(|| small_buffer(gpu, "between", bytes, wgpu::BufferUsages::STORAGE));
        Self { gpu, plan, fusion, arena, weights, nodes, nothing, between: between.bytes().map(buffer) }
    }

    pub(super) fn passes(&self) -> Result<Vec<Recorded>, BackendError> {
        let mut constants = vec![0; self.nodes.size() as usize];
        let mut blocks = constants.chunks_exact_mut(UNIFORM_ALIGN).enumerate();
        let mut passes = Vec::new();
        for steps in &self.fusion.passes {
            let mut recorded = Recorded { nodes: vec![0], ..Recorded::default() };
            for (node, step) in steps.iter().enumerate() {
                let jobs = lower::lower(step, self.weights, self.gpu)?;
                // A step has no more dispatches than `Between` counted, so that blocks do not run out.
                let mut dispatch = |jobs: &[Job]| -> Result<Vec<Dispatch>, BackendError> {
                    let each = jobs.iter().zip(&mut blocks).map(|(job, (index, block))| {
                        block[..job.node.len()].copy_from_slice(&job.node);
                        self.dispatch(job, index)
                    });
                    each.collect()
                };
                recorded.dispatches.extend(dispatch(&jobs)?);
                recorded.nodes.push(recorded.dispatches.len());
                let parts = lower::parts(step, &jobs, self.weights, self.gpu)?
                    .iter()
                    .map(|jobs| dispatch(jobs))
                    .collect::<Result<Vec<_>, _>>()?;
                if !parts.is_empty() {
                    recorded.parts.insert(node, parts);
                }
            }
            passes.push(recorded);
        }
        self.gpu.queue.write_buffer(&self.nodes, 0, &constants);
        Ok(passes)
    }

    fn dispatch(&self, job: &Job, index: usize) -> Result<Dispatch, BackendError> {
        let halves = self.fusion.halves_of(job);
        let pipeline = self.gpu.pipelines.get(&self.gpu.device, job.kernel, halves)?;
        let node = wgpu::BufferBinding {
            buffer: &self.nodes,
            offset: (index * UNIFORM_ALIGN) as u64,
            size: wgpu::BufferSize::new(job.node.len() as u64),
        };
        let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(node) }];
        for (binding, source) in job.kernel.bindings.iter().zip(&job.sources) {
            let missing = || BackendError::Unsupported(format!("{}: nothing for `{}`", job.kernel.name, binding.name));
            let whole = |buffer| Some(Slice::whole(buffer));
            let slice = match source {
                Some(Source::Buffer(id)) => self.arena.get(self.plan, *id, 1),
                Some(Source::From(id, element)) => self.arena.from(*id, *element),
                Some(Source::Joint(id, count)) => self.arena.get(self.plan, *id, *count),
                Some(Source::Weight(id)) => whole(&self.weights[id.0 as usize].data),
                Some(Source::Scales(id)) => self.weights[id.0 as usize].scales.as_ref().and_then(whole),
                Some(Source::Codes) => self.between[0].as_ref().and_then(whole),
                Some(Source::CodeScales) => self.between[1].as_ref().and_then(whole),
                Some(Source::Sums) => self.between[2].as_ref().and_then(whole),
                None if binding.name == "alarm" => self.gpu.alarm.as_ref().and_then(whole),
                None if binding.access == Access::Read => whole(&self.nothing),
                None => None,
            };
            let most = if binding.access == Access::Uniform { u64::from(binding.min_bytes) } else { u64::MAX };
            let resource = slice.ok_or_else(missing)?.binding(most);
            entries.push(wgpu::BindGroupEntry { binding: binding.slot, resource });
        }
        let group = self.gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(job.kernel.name),
            layout: &pipeline.layout,
            entries: &entries,
        });
        Ok(Dispatch { kernel: job.kernel, halves, pipeline: pipeline.pipeline, group, groups: job.groups })
    }
}

pub(super) fn small_buffer(gpu: &Gpu, label: &str, bytes: usize, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: bytes as u64,
        usage: usage | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}
