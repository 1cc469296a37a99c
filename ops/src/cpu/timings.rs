//! How long each node takes: a moving average, so that slicing follows a machine that slows down.

use alloc::{vec, vec::Vec};

use crate::plan::{PassId, Plan};

/// Measured cost of every node of a plan.
pub(super) struct Timings {
    /// First entry of each pass in `micros`.
    first: Vec<usize>,
    /// Microseconds, 0 before the first run.
    micros: Vec<f32>,
}

impl Timings {
    /// Nothing measured yet.
    pub(super) fn new(plan: &Plan) -> Self {
        let mut total = 0;
        let first = plan.passes.iter().map(|pass| {
            let first = total;
            total += pass.nodes.len();
            first
        });
        let first = first.collect();
        Self { first, micros: vec![0.0; total] }
    }

    /// Bytes that [`new`](Self::new) allocates.
    pub(super) fn bytes(plan: &Plan) -> usize {
        let nodes: usize = plan.passes.iter().map(|pass| pass.nodes.len()).sum();
        plan.passes.len() * size_of::<usize>() + nodes * size_of::<f32>()
    }

    /// Runs `f`, which is `share` of a node's work, and takes note of its time where there is a clock.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub(super) fn time(&mut self, pass: PassId, node: usize, share: f32, f: impl FnOnce()) {
        let start = std::time::Instant::now();
        f();
        let elapsed = start.elapsed().as_secs_f32() * 1e6 / share;
        let mean = &mut self.micros[self.first[pass.0 as usize] + node];
        *mean = if *mean == 0.0 { elapsed } else { *mean + 0.125 * (elapsed - *mean) };
    }

    /// Runs `f`: without feature `std`, and in a page, there is no clock.
    #[cfg(not(all(feature = "std", not(target_family = "wasm"))))]
    pub(super) fn time(&mut self, _pass: PassId, _node: usize, _share: f32, f: impl FnOnce()) {
        f();
    }

    /// Microseconds of a node; None before it ran.
    pub(super) fn micros(&self, pass: PassId, node: usize) -> Option<f32> {
        let first = self.first.get(pass.0 as usize)?;
        self.micros.get(first + node).copied().filter(|&micros| micros > 0.0)
    }
}
