//! Preferences: a head after the other, a frame after the other. Few queries are asked, so that nothing is worth spreading.

use super::{
    context::Context,
    scratch::Need,
    shared::rotation::{of_token, turned, unturned},
};
use crate::op::Prefer;

/// The sum of a head's queries.
pub(super) fn need(op: &Prefer) -> Need {
    Need { piece: op.head_dim, ..Need::default() }
}

pub(super) fn run(op: &Prefer, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let [q, means, rotations] = [op.q, op.means, op.rotations].map(|id| unsafe { cx.read::<f32>(id) });
    // SAFETY: declared access.
    let plain = op.plain.map(|id| unsafe { cx.read::<f32>(id) });
    // SAFETY: declared accesses.
    let (frames, y) = unsafe { (cx.read::<u32>(op.frames), cx.write::<f32>(op.y)) };
    // SAFETY: declared accesses.
    let routes = op.routes.map(|(id, k)| (unsafe { cx.read::<u32>(id) }, k));
    let history = (cx.params.history[op.group] as usize).min(op.max_history);
    let (d, rows) = (op.head_dim, op.chunk * op.tokens);
    let asked = || (0..rows).step_by(op.stride());
    let of = |row: usize, head: usize| (row * op.heads + head) * d;
    let turns = |row: usize| &rotations[row * 2 * op.temporal_pairs..][..2 * op.temporal_pairs];
    let mut loan = cx.scratch.lend();
    let query = &mut loan.as_mut_slice::<f32>()[..d];
    for head in 0..op.heads {
        query.fill(0.0);
        for row in asked() {
            let (one, add) = (&q[of(row, head)..][..d], |at: usize, value| query[at] += value);
            match plain {
                None => turned(one, turns(op.max_history + row / op.tokens), add),
                Some(table) => {
                    unturned(|at| one[at], d, of_token(table, row % op.tokens, d - 2 * op.temporal_pairs), add)
                }
            }
        }
        let mut preferred = (f32::NEG_INFINITY, 0);
        for (j, &slot) in frames.iter().enumerate().take(history) {
            let mut score = 0.0;
            let mean = &means[of((slot as usize).min(op.slots - 1), head)..][..d];
            let key = if plain.is_some() { &[] } else { turns(j) };
            turned(mean, key, |at, value| score += query[at] * value);
            if score > preferred.0 {
                preferred = (score, j);
            }
        }
        let (mut ages, mut count) = (0, 0);
        if let Some((routes, k)) = routes {
            let kept = asked().flat_map(|row| &routes[(row * op.heads + head) * k..][..k]);
            for &j in kept.filter(|&&j| (j as usize) < history) {
                ages += history - j as usize;
                count += 1;
            }
        }
        let y = &mut y[op.y_offset + 2 * head..][..2];
        y[0] = ((history - preferred.1) * op.every) as f32;
        y[1] = (ages * op.every) as f32 / count.max(1) as f32;
    }
}
