//! What a snapshot must agree with to be restored: the same weights, plan, options, build and kernels.

use causeway_ops::{
    Backend, Kv, Plan,
    op::Access,
    plan::{BufferKind, Element},
};

use super::{ring::Ring, settled::Settled};
use crate::{
    config::Positions,
    file::{Chain, Fingerprint},
    model::Past,
    sampler::{Sampler, Schedule},
};

/// Hashes all that the bits of a stream's future depend on beside its state: `weights` of its files, what was chosen, what is run and by what.
pub(super) fn identity(weights: &[Fingerprint], settled: &Settled, plan: &Plan, backend: &dyn Backend) -> u128 {
    let mut hash = Chain::default();
    text(&mut hash, env!("CARGO_PKG_VERSION"));
    text(&mut hash, backend.tier());
    number(&mut hash, backend.arena_bytes());
    weights.iter().for_each(|weights| hash.add(&weights.0.to_le_bytes()));
    options(&mut hash, settled);
    nodes(&mut hash, plan);
    hash.end().0
}

fn number(hash: &mut Chain, value: usize) {
    hash.add(&(value as u64).to_le_bytes());
}

fn text(hash: &mut Chain, text: &str) {
    hash.add(text.as_bytes());
}

fn floats(hash: &mut Chain, values: &[f32]) {
    hash.add(bytemuck::cast_slice(values));
}

fn options(hash: &mut Chain, settled: &Settled) {
    let Settled { rings, groups, first, given, sampling, context_timestep, length, rows, slots, .. } = settled;
    for (ring, past) in rings.iter().zip(&groups.pasts) {
        let &Ring { window, every, sink, chunk, positions } = ring;
        let &Past { route, most_route, route_sink, route_recent, kv, .. } = past;
        // What may change while a stream runs is state.
        let route = if most_route > 0 { most_route } else { route };
        let (absolute, kv) = (usize::from(positions == Positions::Absolute), Kv::ALL.iter().position(|&one| one == kv));
        let all = [window, every, sink, chunk, absolute, route, route_sink, route_recent, kv.unwrap_or(0)];
        all.into_iter().for_each(|value| number(hash, value));
    }
    groups.layers.iter().for_each(|&group| number(hash, group));
    let sampler = [Sampler::Few, Sampler::Euler, Sampler::UniPc].iter().position(|&one| one == sampling.sampler);
    let flags = [settled.recache, settled.picture, settled.exact].map(usize::from);
    for value in [*first, given[0], given[1], *length, *rows, *slots, sampler.unwrap_or(0)].into_iter().chain(flags) {
        number(hash, value);
    }
    for Schedule { sigmas, timesteps } in settled.lists.iter().chain(&sampling.first) {
        floats(hash, sigmas);
        floats(hash, timesteps);
    }
    floats(hash, &[sampling.guidance, *context_timestep]);
}

fn nodes(hash: &mut Chain, plan: &Plan) {
    for buffer in &plan.buffers {
        let kind = match &buffer.kind {
            BufferKind::State => 0,
            BufferKind::Input => 1,
            BufferKind::Output => 2,
            BufferKind::Scratch => 3,
            BufferKind::Constant(data) => {
                floats(hash, data);
                4
            }
        };
        [buffer.len, usize::from(buffer.element == Element::U32), kind]
            .into_iter()
            .for_each(|value| number(hash, value));
    }
    for weight in &plan.weights {
        text(hash, &weight.name);
        weight.shape.iter().for_each(|&size| number(hash, size));
    }
    for pass in &plan.passes {
        number(hash, pass.nodes.len());
        for op in &pass.nodes {
            // Sizes show in the cost, and in the buffers.
            let cost = op.cost();
            text(hash, op.name());
            [cost.flops, cost.bytes, cost.weights].into_iter().for_each(|value| hash.add(&value.to_le_bytes()));
            op.operator().buffers(&mut |id, access| {
                let access = match access {
                    Access::Read => 0,
                    Access::Write => 1,
                    Access::Update => 2,
                };
                number(hash, id.0 as usize);
                number(hash, access);
            });
        }
    }
}
