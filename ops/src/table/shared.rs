//! Rows of what only Waypoint's network uses: heads of queries that share one of keys, norms without weights, sums with what a frame has.

use super::{
    history::{group, window},
    maker::Maker,
};
use crate::{Kv, Params, buffer::WeightRole, op::*, quant::DType};

pub(super) fn all(m: &mut Maker) {
    attention(m);
    norms(m);
    sums(m);
}

fn attention(m: &mut Maker) {
    for kv in Kv::ALL {
        for [shared, chunk, tokens, heads, head_dim, pairs, slots, max_history, history] in [
            [2, 1, 1, 1, 2, 1, 1, 0, 0],
            [2, 1, 16, 2, 32, 8, 7, 6, 5],
            [2, 1, 33, 2, 64, 16, 4, 3, 3],
            [3, 2, 7, 3, 10, 2, 9, 6, 6],
            [4, 1, 20, 1, 128, 40, 3, 2, 1],
        ] {
            let (rows, dim) = (chunk * tokens, heads * head_dim);
            let (frames, rotations, params) = window(m, [chunk, slots, max_history, history, pairs]);
            let op = Attention {
                // Scores of some size, so that the softmax has something to choose from.
                q: m.random("q", shared * rows * dim, 3.0),
                k: m.random("k", rows * dim, 1.5),
                v: m.random("v", rows * dim, 1.0),
                ring_k: m.ring("ring_k", kv, slots * tokens * heads, head_dim, 1.5),
                ring_v: m.ring("ring_v", kv, slots * tokens * heads, head_dim, 1.0),
                kv,
                frames,
                rotations,
                routes: None,
                y: m.random("y", shared * rows * dim, 1.0),
                chunk,
                tokens,
                heads,
                shared,
                head_dim,
                temporal_pairs: pairs,
                slots,
                max_history,
                group: group(history),
            };
            m.case(op, params, 1e-5);
        }
    }
}

fn norms(m: &mut Maker) {
    for [rows, dim, rows_per_frame] in [[1usize, 1, 1], [3, 7, 2], [16, 192, 16], [33, 100, 11], [600, 64, 200]] {
        let modulation = m.random("modulation", rows.div_ceil(rows_per_frame) * 6 * dim, 1.0);
        let modulated = Modulated { modulation, vectors: 6, scale: 3, shift: 4, rows_per_frame };
        for modulated in [Some(modulated), None] {
            let (x, y) = (m.random("x", rows * dim, 2.0), m.random("y", rows * dim, 1.0));
            // The release's epsilon, which is not small.
            m.case(RmsNorm { x, y, rows, dim, eps: 0.007_812_5, modulated }, Params::default(), 2e-6);
        }
    }
}

fn sums(m: &mut Maker) {
    for ([rows, dim, every], activation) in [[1usize, 1, 1], [7, 5, 3], [16, 48, 16], [600, 130, 200]]
        .into_iter()
        .zip([Activation::None, Activation::Silu, Activation::Silu, Activation::Relu])
    {
        let [x, z] = [rows, rows.div_ceil(every)].map(|rows| m.random("x", rows * dim, 2.0));
        let y = m.random("y", rows * dim, 1.0);
        m.case(Add { x, z, y, rows, dim, every, activation }, Params::default(), 2e-6);
    }
    for len in [1, 257, 70_000] {
        let (x, y) = (m.random("x", len, 1.0), m.random("y", len, 1.0));
        let weight = m.weight(&[1], WeightRole::Vector, DType::F32, 1.0);
        m.case(Lerp { x, y, weight, len }, Params::default(), 1e-6);
    }
}
