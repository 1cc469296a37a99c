//! Rows of what only Matrix-Game's networks use.

use super::{
    history::{group, window},
    maker::Maker,
};
use crate::{Kv, Params, op::*};

pub(super) fn all(m: &mut Maker) {
    joins(m);
    attention(m);
    activation(m);
}

fn joins(m: &mut Maker) {
    for (rows, widths, every) in [(1, [1, 1], 1), (7, [5, 3], 1), (35, [48, 24], 12), (600, [64, 80], 200)] {
        let op = Join {
            x: m.random("x", rows * widths[0], 1.0),
            z: m.random("z", rows.div_ceil(every) * widths[1], 1.0),
            y: m.random("y", rows * (widths[0] + widths[1]), 1.0),
            rows,
            widths,
            every,
        };
        m.case(op, Params::default(), 0.0);
    }
}

fn attention(m: &mut Maker) {
    for kv in Kv::ALL {
        for [chunk, tokens, heads, head_dim, pairs, slots, max_history, history] in [
            [1, 1, 1, 2, 1, 1, 0, 0],
            [3, 5, 2, 6, 0, 6, 3, 2],
            [3, 20, 3, 64, 4, 6, 3, 3],
            [2, 33, 1, 10, 5, 22, 20, 19],
            [3, 100, 2, 64, 4, 4, 1, 1],
        ] {
            for keys in if tokens == 1 { vec![1] } else { vec![tokens, 1] } {
                let (rows, dim) = (chunk * tokens, heads * head_dim);
                let (frames, rotations, params) = window(m, [chunk, slots, max_history, history, pairs]);
                let op = TemporalAttention {
                    // Scores of some size, so that the softmax has something to choose from.
                    q: m.random("q", rows * dim, 3.0),
                    k: m.random("k", chunk * keys * dim, 1.5),
                    v: m.random("v", chunk * keys * dim, 1.0),
                    ring_k: m.ring("ring_k", kv, slots * keys * heads, head_dim, 1.5),
                    ring_v: m.ring("ring_v", kv, slots * keys * heads, head_dim, 1.0),
                    kv,
                    frames,
                    rotations,
                    y: m.random("y", rows * dim, 1.0),
                    chunk,
                    tokens,
                    keys,
                    heads,
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
}

fn activation(m: &mut Maker) {
    for (len, scale) in [(1, 1.0), (257, 8.0), (256, 100.0)] {
        let (x, y) = (m.random("x", len, scale), m.random("y", len, 1.0));
        m.case(Activate { x, y, len, activation: Activation::GeluErf, affine: None }, Params::default(), 2e-6);
    }
}
