//! Attention over history and chunk, routing, commit.

use super::{Context, scratch::Need};
use crate::op::{Attention, Commit, CrossAttention, Route};

pub(crate) fn need(op: &Attention) -> Need {
    Need { shared: 0, piece: op.head_dim + (op.max_history + op.chunk) * op.tokens }
}

pub(crate) fn cross_need(op: &CrossAttention) -> Need {
    Need { shared: 0, piece: op.context }
}

pub(crate) fn route_need(op: &Route) -> Need {
    Need { shared: 0, piece: op.head_dim + op.max_history }
}

/// Turns the leading pairs of a query by conj(key) * own.
fn turn(q: &[f32], own: &[f32], key: &[f32], out: &mut [f32]) {
    out.copy_from_slice(q);
    let turns = own.as_chunks::<2>().0.iter().zip(key.as_chunks::<2>().0);
    for (pair, ([co, so], [ck, sk])) in out.as_chunks_mut::<2>().0.iter_mut().zip(turns) {
        let (cos, sin) = (ck * co + sk * so, ck * so - sk * co);
        *pair = [pair[0] * cos - pair[1] * sin, pair[0] * sin + pair[1] * cos];
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(crate) fn attention(op: &Attention, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let [q, k, v, ring_k, ring_v, rotations] =
        [op.q, op.k, op.v, op.ring_k, op.ring_v, op.rotations].map(|id| unsafe { cx.read::<f32>(id) });
    // SAFETY: declared accesses.
    let (frames, y) = unsafe { (cx.read::<u32>(op.frames), cx.write::<f32>(op.y)) };
    // SAFETY: declared access.
    let routes = op.routes.map(|(id, k)| (unsafe { cx.read::<u32>(id) }, k));
    let history = (cx.params.history as usize).min(op.max_history);
    let (dim, d) = (op.dim(), op.head_dim);
    let scale = 1.0 / libm::sqrtf(d as f32);
    let scratch = cx.scratch;
    cx.for_rows(&mut y[..op.rows() * dim], dim, 2 * (history + op.chunk) * op.tokens * dim, |first, rows| {
        let mut loan = scratch.lend();
        let (turned, scores) = loan.as_mut_slice::<f32>().split_at_mut(d);
        for (row, y) in rows.chunks_exact_mut(dim).enumerate() {
            let row = first + row;
            let turns = |frame: usize| &rotations[frame * op.temporal_pairs * 2..][..op.temporal_pairs * 2];
            let own = turns(op.max_history + row / op.tokens);
            for head in 0..op.heads {
                let q = &q[row * dim + head * d..][..d];
                let route = routes.map(|(routes, k)| &routes[(row * op.heads + head) * k..][..k]);
                let sources = (0..history).map(|j| (j, (frames[j] as usize).min(op.slots - 1), true));
                let sources = sources.chain((0..op.chunk).map(|f| (op.max_history + f, f, false)));
                let seen =
                    sources.filter(|&(j, _, ring)| !ring || route.is_none_or(|route| route.contains(&(j as u32))));
                let mut n = 0;
                for (j, frame, ring) in seen.clone() {
                    turn(q, own, turns(j), turned);
                    let keys = if ring { ring_k } else { k };
                    for token in 0..op.tokens {
                        scores[n] = dot(turned, &keys[(frame * op.tokens + token) * dim + head * d..][..d]) * scale;
                        n += 1;
                    }
                }
                let top = scores[..n].iter().copied().fold(f32::MIN, f32::max);
                let mut sum = 0.0;
                for score in &mut scores[..n] {
                    *score = libm::expf(*score - top);
                    sum += *score;
                }
                let y = &mut y[head * d..][..d];
                y.fill(0.0);
                let mut n = 0;
                for (_, frame, ring) in seen {
                    let values = if ring { ring_v } else { v };
                    for token in 0..op.tokens {
                        let v = &values[(frame * op.tokens + token) * dim + head * d..][..d];
                        for (y, v) in y.iter_mut().zip(v) {
                            *y += scores[n] / sum * v;
                        }
                        n += 1;
                    }
                }
            }
        }
    });
}

pub(crate) fn route(op: &Route, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let [q, means, rotations] = [op.q, op.means, op.rotations].map(|id| unsafe { cx.read::<f32>(id) });
    // SAFETY: declared accesses.
    let (frames, routes) = unsafe { (cx.read::<u32>(op.frames), cx.write::<u32>(op.routes)) };
    let history = (cx.params.history as usize).min(op.max_history);
    let (d, dim) = (op.head_dim, op.heads * op.head_dim);
    let mut loan = cx.scratch.lend();
    let (turned, scores) = loan.as_mut_slice::<f32>().split_at_mut(d);
    let scores = &mut scores[..history];
    for (at, route) in routes.chunks_exact_mut(op.k).take(op.chunk * op.tokens * op.heads).enumerate() {
        let (row, head) = (at / op.heads, at % op.heads);
        let turns = |frame: usize| &rotations[frame * op.temporal_pairs * 2..][..op.temporal_pairs * 2];
        for (j, score) in scores.iter_mut().enumerate() {
            turn(&q[row * dim + head * d..][..d], turns(op.max_history + row / op.tokens), turns(j), turned);
            let slot = (frames[j] as usize).min(op.slots - 1);
            *score = dot(turned, &means[slot * dim + head * d..][..d]);
            if j < op.force_sink || j + op.force_recent >= history {
                *score = f32::INFINITY;
            }
        }
        // Stable insertion: an equal, younger frame never displaces an older one.
        route.fill(u32::MAX);
        let mut kept = 0;
        for j in 0..history {
            let mut at = kept;
            while at > 0 && scores[route[at - 1] as usize] < scores[j] {
                at -= 1;
            }
            if at < op.k {
                kept = (kept + 1).min(op.k);
                route.copy_within(at..kept - 1, at + 1);
                route[at] = j as u32;
            }
        }
        route[..kept].sort_unstable();
    }
}

pub(crate) fn cross_attention(op: &CrossAttention, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let [q, k, v] = [op.q, op.k, op.v].map(|id| unsafe { cx.read::<f32>(id) });
    // SAFETY: declared access.
    let y = unsafe { cx.write::<f32>(op.y) };
    let (d, dim) = (op.head_dim, op.heads * op.head_dim);
    let scale = 1.0 / libm::sqrtf(d as f32);
    let mut loan = cx.scratch.lend();
    let scores = &mut loan.as_mut_slice::<f32>()[..op.context];
    for row in 0..op.rows {
        for head in 0..op.heads {
            let at = row * dim + head * d;
            for (j, score) in scores.iter_mut().enumerate() {
                *score = dot(&q[at..at + d], &k[j * dim + head * d..][..d]) * scale;
            }
            let top = scores.iter().copied().fold(f32::MIN, f32::max);
            let mut sum = 0.0;
            for score in scores.iter_mut() {
                *score = libm::expf(*score - top);
                sum += *score;
            }
            y[at..at + d].fill(0.0);
            for (j, score) in scores.iter().enumerate() {
                for (y, v) in y[at..at + d].iter_mut().zip(&v[j * dim + head * d..]) {
                    *y += score / sum * v;
                }
            }
        }
    }
}

pub(crate) fn commit(op: &Commit, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (k, v, frames) = unsafe { (cx.read::<f32>(op.k), cx.read::<f32>(op.v), cx.read::<u32>(op.frames)) };
    // SAFETY: declared accesses.
    let [ring_k, ring_v, means] = [op.ring_k, op.ring_v, op.means].map(|id| unsafe { cx.write::<f32>(id) });
    let frame = op.tokens * op.dim;
    for f in 0..op.chunk {
        let slot = (frames[op.max_history + f] as usize).min(op.slots - 1);
        let (k, v) = (&k[f * frame..][..frame], &v[f * frame..][..frame]);
        ring_k[slot * frame..][..frame].copy_from_slice(k);
        ring_v[slot * frame..][..frame].copy_from_slice(v);
        let mean = &mut means[slot * op.dim..][..op.dim];
        mean.fill(0.0);
        for row in k.chunks_exact(op.dim) {
            for (mean, k) in mean.iter_mut().zip(row) {
                *mean += k;
            }
        }
        mean.iter_mut().for_each(|mean| *mean /= op.tokens as f32);
    }
}
