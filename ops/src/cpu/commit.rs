//! Committing a chunk's keys and values to the ring.

use super::{Context, context::Split};
use crate::op::Commit;

/// Features that one piece of work copies and averages.
const FEATURES: usize = 64;

pub(crate) fn commit(op: &Commit, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (k, v, frames) = unsafe { (cx.read::<f32>(op.k), cx.read::<f32>(op.v), cx.read::<u32>(op.frames)) };
    // SAFETY: declared accesses.
    let [ring_k, ring_v, means] = [op.ring_k, op.ring_v, op.means].map(|id| Split::new(unsafe { cx.write::<f32>(id) }));
    let pieces = op.dim.div_ceil(FEATURES);
    for f in 0..op.chunk {
        let slot = (frames[op.max_history + f] as usize).min(op.slots - 1);
        cx.for_each(pieces, op.tokens * op.dim, |piece| {
            let first = piece * FEATURES;
            let n = FEATURES.min(op.dim - first);
            // SAFETY: features are split between pieces.
            let mean = unsafe { means.part(slot * op.dim + first, n) };
            mean.fill(0.0);
            for token in 0..op.tokens {
                let (from, to) =
                    ((f * op.tokens + token) * op.dim + first, (slot * op.tokens + token) * op.dim + first);
                // SAFETY: as above.
                let (key, value) = unsafe { (ring_k.part(to, n), ring_v.part(to, n)) };
                key.copy_from_slice(&k[from..from + n]);
                value.copy_from_slice(&v[from..from + n]);
                mean.iter_mut().zip(&*key).for_each(|(mean, key)| *mean += key);
            }
            mean.iter_mut().for_each(|mean| *mean /= op.tokens as f32);
        });
    }
}
