//! Routing: the history frames each query attends to.
//!
//! As in attention a piece of work is a tile of queries of one head, a query a lane. Turning the key means the other way instead of
//! the queries gives the same products, and one product for all frames.

use super::{
    Context,
    context::Split,
    scratch::Need,
    simd::{Kernel, Level, Simd},
    tile::{self, Finish, Left},
};
use crate::op::Route;

fn width(op: &Route, level: Level) -> usize {
    tile::vectors_at(0, op.tokens, level.lanes()) * level.lanes()
}

/// Transposed queries, turned means, scores.
pub(crate) fn need(op: &Route, level: Level) -> Need {
    let width = width(op, level);
    Need { shared: 0, piece: width * op.head_dim + op.max_history * (op.head_dim + width) }
}

pub(crate) fn route(op: &Route, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let [q, means, rotations] = [op.q, op.means, op.rotations].map(|id| unsafe { cx.read::<f32>(id) });
    // SAFETY: declared accesses.
    let (frames, routes) = unsafe { (cx.read::<u32>(op.frames), cx.write::<u32>(op.routes)) };
    let history = (cx.params.history as usize).min(op.max_history);
    let (d, dim) = (op.head_dim, op.heads * op.head_dim);
    let (level, scratch) = (cx.level, cx.scratch);
    let width = width(op, level);
    let tiles = op.tokens.div_ceil(width);
    let routes = Split::new(&mut routes[..op.chunk * op.tokens * op.heads * op.k]);
    // Choosing costs more than scoring: about k comparisons a frame.
    let work = op.chunk * op.tokens * op.heads * history * (d + 8 * op.k);
    cx.for_each(op.chunk * tiles * op.heads, work, |piece| {
        let (head, f, tile) = (piece % op.heads, piece / op.heads / tiles, piece / op.heads % tiles);
        let row = f * op.tokens + tile * width;
        let queries = width.min(op.tokens - tile * width);
        let mut loan = scratch.lend();
        let (transposed, rest) = loan.as_mut_slice::<f32>().split_at_mut(d * width);
        let (turned, scores) = rest.split_at_mut(op.max_history * d);
        for query in 0..width {
            let row = &q[(row + query.min(queries - 1)) * dim + head * d..][..d];
            for (x, q) in row.iter().zip(transposed[query..].iter_mut().step_by(width)) {
                *q = *x;
            }
        }
        let turns = |row: usize| &rotations[row * op.temporal_pairs * 2..][..op.temporal_pairs * 2];
        for (j, turned) in turned.chunks_exact_mut(d).enumerate().take(history) {
            let slot = (frames[j] as usize).min(op.slots - 1);
            turn_back(&means[slot * dim + head * d..][..d], turns(op.max_history + f), turns(j), turned);
        }
        level.run(Score { left: Left::rows(turned, history, d, d), transposed, width, scores });
        for query in 0..queries {
            // SAFETY: a query's head has one route, which one piece of work makes.
            let route = unsafe { routes.part(((row + query) * op.heads + head) * op.k, op.k) };
            choose(op, |j| scores[j * width + query], history, route);
        }
    });
}

/// Turns a mean's leading pairs by own * conj(key), conjugated.
fn turn_back(mean: &[f32], own: &[f32], key: &[f32], out: &mut [f32]) {
    out.copy_from_slice(mean);
    let turns = own.as_chunks::<2>().0.iter().zip(key.as_chunks::<2>().0);
    for (pair, ([co, so], [ck, sk])) in out.as_chunks_mut::<2>().0.iter_mut().zip(turns) {
        let (cos, sin) = (ck * co + sk * so, sk * co - ck * so);
        *pair = [pair[0] * cos - pair[1] * sin, pair[0] * sin + pair[1] * cos];
    }
}

/// Keeps the k best rows, in ascending order.
fn choose(op: &Route, score: impl Fn(usize) -> f32, history: usize, route: &mut [u32]) {
    let forced = |j: usize| j < op.force_sink || j + op.force_recent >= history;
    route.fill(u32::MAX);
    // The route so far, best first. Stable insertion: an equal, younger frame never displaces an older one.
    let mut kept = 0;
    for j in 0..history {
        let better = |other: u32| match (forced(j), forced(other as usize)) {
            (false, false) => score(j) > score(other as usize),
            (here, there) => here && !there,
        };
        let mut at = kept;
        while at > 0 && better(route[at - 1]) {
            at -= 1;
        }
        if at < op.k {
            kept = op.k.min(kept + 1);
            route.copy_within(at..kept - 1, at + 1);
            route[at] = j as u32;
        }
    }
    route[..kept].sort_unstable();
}

/// Products of all turned means with all queries.
struct Score<'a> {
    left: Left<'a>,
    transposed: &'a [f32],
    width: usize,
    scores: &'a mut [f32],
}

impl Kernel for Score<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut scores = Scores(self.scores);
        match self.width / S::LANES {
            1 => tile::multiply::<S, 1>(s, self.left, self.transposed, &mut scores),
            _ => tile::multiply::<S, 2>(s, self.left, self.transposed, &mut scores),
        }
    }
}

struct Scores<'a>(&'a mut [f32]);

impl<S: Simd, const V: usize> Finish<S, V> for Scores<'_> {
    #[inline(always)]
    fn take<const R: usize>(&mut self, s: S, row: usize, sums: &[[S::F; V]; R]) {
        let rows = self.0[row * V * S::LANES..].chunks_exact_mut(V * S::LANES);
        for (row, sums) in rows.zip(sums) {
            for v in 0..V {
                s.store(&mut row[v * S::LANES..(v + 1) * S::LANES], sums[v]);
            }
        }
    }
}
