//! Committing a chunk's keys and values to the ring. A piece of work is one head of one frame.

use super::{
    context::Context,
    parts::Parts,
    shared::rotation::{of_token, unturned},
    split::Split,
};
use crate::{kv::number, op::Commit};

/// Heads of frames, frame by frame; an element takes some tens of operations' time.
pub(super) fn parts(op: &Commit) -> Parts {
    Parts::of(op.chunk * op.heads, 40 * (op.tokens * op.head_dim) as u64)
}

pub(super) fn run(op: &Commit, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (k, v, frames) = unsafe { (cx.read::<f32>(op.k), cx.read::<f32>(op.v), cx.read::<u32>(op.frames)) };
    // SAFETY: declared accesses.
    let [ring_k, ring_v] = [op.ring_k, op.ring_v].map(|id| Split::new(unsafe { cx.write::<u32>(id) }));
    // SAFETY: declared access.
    let means = Split::new(unsafe { cx.write::<f32>(op.means) });
    // SAFETY: declared access.
    let plain = op.plain.map(|(table, first)| (unsafe { cx.read::<f32>(table) }, 2 * first));
    let (dim, words) = (op.dim(), op.kv.row_words(op.head_dim));
    let wanted = cx.pieces(&parts(op));
    // One frame after the other: two of them may share a slot in a table that is wrong.
    for f in 0..op.chunk {
        let slot = (frames[op.max_history + f] as usize).min(op.slots - 1);
        let (from, to) = (wanted.start.max(f * op.heads), wanted.end.min((f + 1) * op.heads));
        cx.for_each(to.saturating_sub(from), 2 * op.tokens * dim, |piece| {
            let head = from + piece - f * op.heads;
            // SAFETY: heads are split between pieces.
            let mean = unsafe { means.part(slot * dim + head * op.head_dim, op.head_dim) };
            mean.fill(0.0);
            for token in 0..op.tokens {
                let from = (f * op.tokens + token) * dim + head * op.head_dim;
                let to = ((slot * op.tokens + token) * op.heads + head) * words;
                let key = &k[from..from + op.head_dim];
                // SAFETY: as above.
                let (stored_key, stored_value) = unsafe { (ring_k.part(to, words), ring_v.part(to, words)) };
                op.kv.pack(key, stored_key);
                op.kv.pack(&v[from..from + op.head_dim], stored_value);
                let Some((table, first)) = plain else {
                    mean.iter_mut().zip(key).for_each(|(mean, &key)| *mean += number(key));
                    continue;
                };
                let turns = of_token(table, token, op.head_dim - first);
                unturned(|at| number(key[at]), op.head_dim, turns, |at, value| mean[at] += value);
            }
            mean.iter_mut().for_each(|mean| *mean /= op.tokens as f32);
        });
    }
}
