//! What nodes cost, for slicing: an estimate from their work, corrected by the GPU's timestamps where it has them.
//!
//! One submission at a time is timed as a whole; the correction is shared by its nodes in proportion to their estimates.

use std::{ops::Range, time::Duration};

use super::{
    device::Gpu,
    fusion::{Fusion, Step},
    readback::Staging,
};
use crate::{
    buffer::Cost,
    op::Op,
    plan::{PassId, Plan},
};

/// A modest GPU before anything is measured: too long an estimate only makes a first slice short.
const FLOPS_PER_MICRO: f32 = 0.5e6;
const BYTES_PER_MICRO: f32 = 50e3;
/// Starting a dispatch and waiting for the one before.
const DISPATCH_MICROS: f32 = 5.0;
/// Bounds of one correction: a descheduled process must not ruin the estimates.
const CORRECTION: Range<f32> = 0.25..4.0;
const TIMESTAMPS: u32 = 2;
const TIMESTAMP_BYTES: usize = 8 * TIMESTAMPS as usize;

/// Bytes of host-visible and GPU memory for timestamps.
pub(super) const BYTES: usize = 2 * TIMESTAMP_BYTES;

pub(super) struct Timing {
    /// Estimates of every pass and node in microseconds.
    micros: Vec<Vec<f32>>,
    queries: Option<Queries>,
}

struct Queries {
    set: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    staging: Staging,
    /// Nanoseconds a tick.
    period: f32,
    /// What is being timed, and the share of it that is run.
    timed: Option<(PassId, Range<usize>, f32)>,
}

impl Timing {
    pub fn new(gpu: &Gpu, plan: &Plan, fusion: &Fusion<'_>) -> Self {
        let micros =
            plan.passes.iter().zip(&fusion.passes).map(|(pass, steps)| estimates(&pass.nodes, steps)).collect();
        Self { micros, queries: gpu.timestamps.then(|| Queries::new(gpu)) }
    }

    /// Estimated or measured cost of a node.
    pub fn micros(&self, pass: PassId, node: usize) -> Option<f32> {
        self.micros.get(pass.0 as usize)?.get(node).copied()
    }

    /// Nodes from `node` on that take about `budget` microseconds, at least one.
    pub fn slice(&self, pass: PassId, node: usize, budget: u64) -> usize {
        let nodes = self.micros.get(pass.0 as usize).map_or(&[][..], |pass| pass.get(node..).unwrap_or(&[]));
        if budget == u64::MAX {
            return nodes.len().max(1);
        }
        let mut left = budget as f32;
        let fits = |micros: &&f32| {
            left -= **micros;
            left >= 0.0
        };
        nodes.iter().take_while(fits).count().max(1)
    }

    /// Timestamps for the compute pass of a run about to be recorded, unless an earlier run is still being timed.
    pub fn begin(
        &mut self,
        pass: PassId,
        nodes: Range<usize>,
        share: f32,
    ) -> Option<wgpu::ComputePassTimestampWrites<'_>> {
        let queries = self.queries.as_mut().filter(|queries| queries.timed.is_none())?;
        queries.timed = Some((pass, nodes, share));
        Some(wgpu::ComputePassTimestampWrites {
            query_set: &queries.set,
            beginning_of_pass_write_index: Some(0),
            end_of_pass_write_index: Some(1),
        })
    }

    /// Follows a compute pass for which [`begin`](Self::begin) gave timestamps.
    pub fn resolve(&mut self, encoder: &mut wgpu::CommandEncoder) {
        if let Some(queries) = &mut self.queries {
            encoder.resolve_query_set(&queries.set, 0..TIMESTAMPS, &queries.resolved, 0);
            queries.staging.record(encoder, [(&queries.resolved, 0, TIMESTAMP_BYTES)]);
        }
    }

    /// Follows the submission of such a run.
    pub fn submitted(&mut self) {
        if let Some(queries) = &mut self.queries {
            queries.staging.map();
        }
    }

    /// Takes timestamps that have arrived. The device must have been polled.
    pub fn update(&mut self) {
        let Some(queries) = &mut self.queries else { return };
        let mut ticks = [0u64; TIMESTAMPS as usize];
        if !matches!(queries.staging.take(bytemuck::bytes_of_mut(&mut ticks)), Ok(true)) {
            return;
        }
        let Some((pass, nodes, share)) = queries.timed.take() else { return };
        let elapsed =
            Duration::from_nanos((ticks[1].saturating_sub(ticks[0]) as f64 * f64::from(queries.period)) as u64);
        if let Some(micros) = self.micros.get_mut(pass.0 as usize).and_then(|pass| pass.get_mut(nodes)) {
            correct(micros, elapsed.as_secs_f32() * 1e6 / share);
        }
    }
}

impl Queries {
    fn new(gpu: &Gpu) -> Self {
        let set = gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("timing"),
            ty: wgpu::QueryType::Timestamp,
            count: TIMESTAMPS,
        });
        let resolved = gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("timing"),
            size: TIMESTAMP_BYTES as u64,
            usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        let staging = Staging::new(gpu, TIMESTAMP_BYTES);
        Self { set, resolved, staging, period: gpu.queue.get_timestamp_period(), timed: None }
    }
}

/// A node that a later one does takes no time of its own.
fn estimates(nodes: &[Op], steps: &[Step<'_>]) -> Vec<f32> {
    let mut all = Cost::default();
    let each = nodes.iter().zip(steps).map(|(op, step)| {
        all += op.cost();
        if *step == Step::Later { 0.0 } else { estimate(std::mem::take(&mut all)) }
    });
    each.collect()
}

fn estimate(cost: Cost) -> f32 {
    let bytes = cost.bytes as f32 + 2.0 * cost.weights as f32;
    DISPATCH_MICROS + (cost.flops as f32 / FLOPS_PER_MICRO).max(bytes / BYTES_PER_MICRO)
}

/// Moves the estimates a quarter of the way to a measured sum.
fn correct(micros: &mut [f32], measured: f32) {
    let expected: f32 = micros.iter().sum();
    if measured > 0.0 && expected > 0.0 {
        let factor = (measured / expected).clamp(CORRECTION.start, CORRECTION.end);
        micros.iter_mut().for_each(|estimate| *estimate *= 1.0 + 0.25 * (factor - 1.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(micros: &[f32]) -> Timing {
        Timing { micros: vec![micros.to_vec()], queries: None }
    }

    #[test]
    fn a_slice_fits_its_budget_and_is_never_empty() {
        let timing = timing(&[100.0, 200.0, 300.0, 400.0]);
        let pass = PassId(0);
        for (node, budget, expected) in
            [(0, 350, 2), (0, 99, 1), (2, 700, 2), (3, u64::MAX, 1), (0, u64::MAX, 4), (4, 9, 1)]
        {
            assert_eq!(timing.slice(pass, node, budget), expected, "{budget} us from node {node}");
        }
    }

    #[test]
    fn estimates_approach_what_is_measured() {
        let mut micros = [100.0, 300.0];
        for _ in 0..60 {
            correct(&mut micros, 40.0);
        }
        assert!((micros[0] - 10.0).abs() < 0.1 && (micros[1] - 30.0).abs() < 0.3, "{micros:?}");
        correct(&mut micros, 0.0);
        assert!(micros[0] > 9.9, "an empty measurement changes nothing");
    }
}
