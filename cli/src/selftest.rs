//! Every node of a plan on two backends, side by side.
//!
//! Both start from the same random state. After each node what it wrote is compared, and the candidate goes on with the
//! reference's values, so that each kernel is judged alone.

use std::collections::BTreeMap;

use causeway_ops::{
    Backend, BackendError, BufferId, Params, Plan,
    op::Access,
    plan::{BufferKind, Element, PassId},
};
use causeway_runtime::model::WorldPlan;

use crate::synthetic::Random;

/// How one kernel did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Nodes that ran it.
    pub nodes: usize,
    /// Largest error: relative to the largest value for numbers, in steps of 255 for colours, as a share for routes.
    pub error: f32,
    /// Whether every node stayed within tolerance.
    pub passed: bool,
}

impl Verdict {
    /// Takes another node, or the same kernel in another plan, into account.
    pub fn add(&mut self, other: Verdict) {
        *self = match self.nodes {
            0 => other,
            // NaN is the worst error of all, which `max` would lose.
            nodes => Verdict {
                nodes: nodes + other.nodes,
                error: if self.error.is_nan() || other.error < self.error { self.error } else { other.error },
                passed: self.passed && other.passed,
            },
        };
    }
}

/// Verdicts by kernel name.
pub type Verdicts = BTreeMap<&'static str, Verdict>;

/// A route may differ where two frames score alike to the last bits, a word of a packed ring where a number lies between two codes: this
/// share of the entries.
const ROUTE_TOLERANCE: f32 = 0.02;

/// Compares all passes of `world`, made for `window` latent frames. `tolerance` is relative to the largest value of a buffer.
///
/// # Errors
/// A backend fails.
pub fn compare(
    world: &WorldPlan,
    window: usize,
    reference: &mut dyn Backend,
    candidate: &mut dyn Backend,
    tolerance: f32,
) -> Result<Verdicts, BackendError> {
    let plan = &world.plan;
    fill(world, reference, candidate)?;
    let history = window - world.passes.decode.len();
    let params = Params {
        seed: [7, 9],
        frame: 70,
        step: 1,
        history: history as u32,
        timestep: 833.0,
        sigma: 0.833,
        next_sigma: 0.625,
    };
    let mut verdicts = Verdicts::new();
    for (index, pass) in plan.passes.iter().enumerate() {
        let id = PassId(index as u32);
        for (node, op) in pass.nodes.iter().enumerate() {
            reference.run(id, node..node + 1, &params)?;
            candidate.run(id, node..node + 1, &params)?;
            let mut written = Vec::new();
            op.operator().buffers(&mut |buffer, access| {
                if access != Access::Read {
                    written.push(buffer);
                }
            });
            for buffer in written {
                let (error, allowed) = difference(plan, buffer, world, reference, candidate, tolerance)?;
                let verdict = Verdict { nodes: 1, error, passed: error <= allowed };
                verdicts.entry(op.name()).or_default().add(verdict);
            }
        }
    }
    Ok(verdicts)
}

/// Gives inputs and state of both backends the same contents: valid tables, random numbers elsewhere.
fn fill(world: &WorldPlan, a: &mut dyn Backend, b: &mut dyn Backend) -> Result<(), BackendError> {
    let mut random = Random(3);
    for (index, buffer) in world.plan.buffers.iter().enumerate() {
        let id = BufferId(index as u32);
        if !matches!(buffer.kind, BufferKind::Input | BufferKind::State) {
            continue;
        }
        let mut word = |at: usize| match id {
            // Every row its own slot.
            _ if id == world.frames => at as u32,
            _ if id == world.image => random.bits() as u32,
            _ if id == world.rotations => {
                let angle = (at / 2) as f32 * 0.37;
                (if at.is_multiple_of(2) { angle.cos() } else { angle.sin() }).to_bits()
            }
            // A packed ring: whatever its type, no number is beyond 2 or a code times that.
            _ if buffer.element == Element::U32 && buffer.kind == BufferKind::State => {
                random.bits() as u32 & 0xbbff_bbff
            }
            _ if buffer.element == Element::U32 => 0,
            _ => (0.5 * random.unit()).to_bits(),
        };
        let words: Vec<u32> = (0..buffer.len).map(&mut word).collect();
        a.write(id, bytemuck::cast_slice(&words))?;
        b.write(id, bytemuck::cast_slice(&words))?;
    }
    Ok(())
}

/// Error of one buffer and what is allowed; the candidate gets the reference's values.
fn difference(
    plan: &Plan,
    id: BufferId,
    world: &WorldPlan,
    reference: &mut dyn Backend,
    candidate: &mut dyn Backend,
    tolerance: f32,
) -> Result<(f32, f32), BackendError> {
    let buffer = plan.buffer(id);
    let (mut right, mut found) = (vec![0u32; buffer.len], vec![0u32; buffer.len]);
    reference.read(id, bytemuck::cast_slice_mut(&mut right))?;
    candidate.read(id, bytemuck::cast_slice_mut(&mut found))?;
    candidate.write(id, bytemuck::cast_slice(&right))?;
    let pairs = right.iter().zip(&found);
    Ok(if id == world.pixels {
        let steps = |(a, b): (&u32, &u32)| (0..4).map(|i| a.to_le_bytes()[i].abs_diff(b.to_le_bytes()[i])).max();
        (f32::from(pairs.filter_map(steps).max().unwrap_or(0)), 1.0)
    } else if buffer.element == Element::U32 {
        let wrong = pairs.filter(|(a, b)| a != b).count();
        (wrong as f32 / buffer.len.max(1) as f32, ROUTE_TOLERANCE)
    } else {
        let largest = right.iter().map(|&bits| f32::from_bits(bits).abs()).fold(1e-6, f32::max);
        let error = |(a, b): (&u32, &u32)| (f32::from_bits(*a) - f32::from_bits(*b)).abs() / largest;
        let worst =
            pairs.map(error).fold(0.0, |worst: f32, error| if error > worst || error.is_nan() { error } else { worst });
        (worst, tolerance)
    })
}
