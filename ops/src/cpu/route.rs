//! Routing: the history frames each query attends to.
//!
//! As in attention a piece of work is a tile of queries of one head, a query a lane. Turning the key means the other way instead of
//! the queries gives the same products, and one product for all frames. Plain descriptors are not turned, and queries lose their spatial
//! rotation instead. The k best scores of all lanes come out of one sweep that
//! keeps k sorted vectors; the worst of them is each lane's threshold.

use super::{
    context::Context,
    scratch::Need,
    shared::{
        gemm::{self, Finish, Left, VECTORS},
        rotation::{of_token, unturned},
    },
    simd::{Kernel, Level, MAX_LANES, Simd, vectors},
    split::Split,
};
use crate::op::Route;

fn width(op: &Route, level: Level) -> usize {
    gemm::vectors_at(0, op.tokens, level.lanes()) * level.lanes()
}

/// Transposed queries, the best scores, turned means, scores.
pub(super) fn need(op: &Route, level: Level) -> Need {
    let width = width(op, level);
    Need { piece: width * (op.head_dim + op.k) + op.max_history * (op.head_dim + width), ..Need::default() }
}

pub(super) fn run(op: &Route, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let [q, means, rotations] = [op.q, op.means, op.rotations].map(|id| unsafe { cx.read::<f32>(id) });
    // SAFETY: declared access.
    let plain = op.plain.map(|id| unsafe { cx.read::<f32>(id) });
    // SAFETY: declared accesses.
    let (frames, routes) = unsafe { (cx.read::<u32>(op.frames), cx.write::<u32>(op.routes)) };
    let history = (cx.params.history[op.group] as usize).min(op.max_history);
    let k = match cx.params.route[op.group] as usize {
        0 => op.k,
        asked => asked.min(op.k),
    };
    let kept = Kept { k, sink: op.force_sink, recent: if cx.params.cut == 0 { op.force_recent } else { 0 } };
    let d = op.head_dim;
    let (level, scratch) = (cx.level, cx.scratch);
    let width = width(op, level);
    let tiles = op.tokens.div_ceil(width);
    let routes = Split::new(&mut routes[..op.chunk * op.tokens * op.heads * op.k]);
    // Choosing costs some two operations for each frame kept.
    let work = op.chunk * op.tokens * op.heads * history * (d + 2 * k);
    cx.for_each(op.chunk * tiles * op.heads, work, |piece| {
        let (head, f, tile) = (piece / tiles / op.chunk, piece / tiles % op.chunk, piece % tiles);
        let row = f * op.tokens + tile * width;
        let queries = width.min(op.tokens - tile * width);
        let mut loan = scratch.lend();
        let (transposed, rest) = loan.as_mut_slice::<f32>().split_at_mut(d * width);
        let (best, rest) = rest.split_at_mut(k * width);
        let (turned, scores) = rest.split_at_mut(op.max_history * d);
        let scores = &mut scores[..op.max_history * width];
        level.run(Choose {
            op,
            kept,
            q,
            means,
            plain,
            rotations,
            frames,
            routes: &routes,
            head,
            f,
            row,
            queries,
            history,
            width,
            transposed,
            best,
            turned,
            scores,
        });
    });
}

/// What is kept of the history: the `k` best, among them the oldest and the newest rows.
#[derive(Clone, Copy)]
struct Kept {
    k: usize,
    sink: usize,
    recent: usize,
}

impl Kept {
    /// Whether a route always keeps a frame.
    fn forced(self, history: usize, j: usize) -> bool {
        j < self.sink || j + self.recent >= history
    }
}

/// The routes of a tile.
struct Choose<'a> {
    op: &'a Route,
    kept: Kept,
    q: &'a [f32],
    means: &'a [f32],
    plain: Option<&'a [f32]>,
    rotations: &'a [f32],
    frames: &'a [u32],
    routes: &'a Split<'a, u32>,
    head: usize,
    /// Frame of the chunk.
    f: usize,
    /// Row of the first query.
    row: usize,
    queries: usize,
    history: usize,
    /// Lanes of a row of the matrices below.
    width: usize,
    /// Queries [head_dim, width].
    transposed: &'a mut [f32],
    /// Largest scores so far, falling [k, width].
    best: &'a mut [f32],
    /// Means [history, head_dim].
    turned: &'a mut [f32],
    /// Scores [history, width].
    scores: &'a mut [f32],
}

impl Kernel for Choose<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        self.transpose();
        self.turn(s);
        let (d, history) = (self.op.head_dim, self.history);
        let left = Left::rows(self.turned, history, d, d);
        let mut scores = Scores(self.scores);
        match self.width / S::LANES {
            1 => gemm::multiply::<S, 1>(s, left, self.transposed, &mut scores),
            _ => gemm::multiply::<S, 2>(s, left, self.transposed, &mut scores),
        }
        for j in (0..history).filter(|&j| self.kept.forced(history, j)) {
            self.scores[j * self.width..][..self.width].fill(f32::INFINITY);
        }
        self.sort(s);
        self.collect(s);
    }
}

impl Choose<'_> {
    /// Lanes without a query repeat the last one; nobody reads them.
    #[inline(always)]
    fn transpose(&mut self) {
        let (op, d, width) = (self.op, self.op.head_dim, self.width);
        let dim = op.heads * d;
        let row = |lane: usize| &self.q[(self.row + lane.min(self.queries - 1)) * dim + self.head * d..][..d];
        if let Some(plain) = self.plain {
            for lane in 0..width {
                let token = (self.row + lane.min(self.queries - 1)) % op.tokens;
                let turns = of_token(plain, token, d - 2 * op.temporal_pairs);
                unturned(|at| row(lane)[at], d, turns, |at, value| self.transposed[at * width + lane] = value);
            }
            return;
        }
        for lane in (0..width).step_by(4) {
            let rows = [row(lane), row(lane + 1), row(lane + 2), row(lane + 3)];
            for (c, out) in self.transposed.chunks_exact_mut(width).enumerate() {
                out[lane..lane + 4].copy_from_slice(&[rows[0][c], rows[1][c], rows[2][c], rows[3][c]]);
            }
        }
    }

    /// Turns the leading pairs of each visible mean by key * conj(own), if it is not plain.
    #[inline(always)]
    fn turn<S: Simd>(&mut self, s: S) {
        let (op, d) = (self.op, self.op.head_dim);
        let numbers = if self.plain.is_some() { 0 } else { 2 * op.temporal_pairs };
        let turns = |row: usize| &self.rotations[row * numbers..][..numbers];
        let own = turns(op.max_history + self.f);
        // Conjugating is a product with this.
        let mut signs = [1.0; MAX_LANES];
        signs.as_chunks_mut::<2>().0.fill([1.0, -1.0]);
        let signs = s.load(&signs[..S::LANES]);
        for (j, turned) in self.turned.chunks_exact_mut(d).enumerate().take(self.history) {
            let slot = (self.frames[j] as usize).min(op.slots - 1);
            let mean = &self.means[(slot * op.heads + self.head) * d..][..d];
            let key = turns(j);
            turned.copy_from_slice(mean);
            vectors(
                s,
                numbers,
                #[inline(always)]
                |at, n| {
                    let by = s.turn(s.load(&key[at..at + n]), s.mul(s.load(&own[at..at + n]), signs));
                    s.store(&mut turned[at..at + n], s.turn(s.load(&mean[at..at + n]), by));
                },
            );
        }
    }

    /// Keeps the k largest scores of each lane: a larger one takes a place, and what was there moves on to the next.
    #[inline(always)]
    fn sort<S: Simd>(&mut self, s: S) {
        self.best.fill(f32::NEG_INFINITY);
        for row in self.scores.chunks_exact(self.width).take(self.history) {
            for lanes in (0..self.width).step_by(S::LANES) {
                let mut score = s.load(&row[lanes..lanes + S::LANES]);
                for best in self.best.chunks_exact_mut(self.width) {
                    let best = &mut best[lanes..lanes + S::LANES];
                    let here = s.load(best);
                    s.store(best, s.max(here, score));
                    score = s.min(here, score);
                }
            }
        }
    }

    /// Writes down the frames that reach each query's threshold, oldest first.
    #[inline(always)]
    fn collect<S: Simd>(&mut self, s: S) {
        let (op, width) = (self.op, self.width);
        // SAFETY: a query's head has one route, which one piece of work makes.
        let route =
            |query: usize| unsafe { self.routes.part(((self.row + query) * op.heads + self.head) * op.k, op.k) };
        (0..self.queries).for_each(|query| route(query).fill(u32::MAX));
        let mut kept = [0; VECTORS * MAX_LANES];
        let thresholds = &self.best[(self.kept.k - 1) * width..][..width];
        for (j, row) in self.scores.chunks_exact(width).enumerate().take(self.history) {
            for first in (0..self.queries).step_by(S::LANES) {
                let lanes = first..first + S::LANES;
                let mut reached = s.at_least(s.load(&row[lanes.clone()]), s.load(&thresholds[lanes]));
                while reached != 0 {
                    let query = first + reached.trailing_zeros() as usize;
                    reached &= reached - 1;
                    if query < self.queries {
                        if let Some(place) = route(query)[..self.kept.k].get_mut(kept[query]) {
                            *place = j as u32;
                        }
                        kept[query] += 1;
                    }
                }
            }
        }
        for (query, kept) in kept.iter().enumerate().take(self.queries) {
            if *kept != self.kept.k.min(self.history) {
                // Equal scores at the threshold.
                choose(self.kept, |j| self.scores[j * width + query], self.history, route(query));
            }
        }
    }
}

/// Keeps the k best rows, in ascending order: the definition, for the rare query whose scores do not tell frames apart.
#[cold]
fn choose(by: Kept, score: impl Fn(usize) -> f32, history: usize, route: &mut [u32]) {
    route.fill(u32::MAX);
    // The route so far, best first. Stable insertion: an equal, younger frame never displaces an older one.
    let mut kept = 0;
    for j in 0..history {
        let better = |other: u32| match (by.forced(history, j), by.forced(history, other as usize)) {
            (false, false) => score(j) > score(other as usize),
            (here, there) => here && !there,
        };
        let mut at = kept;
        while at > 0 && better(route[at - 1]) {
            at -= 1;
        }
        if at < by.k {
            kept = by.k.min(kept + 1);
            route.copy_within(at..kept - 1, at + 1);
            route[at] = j as u32;
        }
    }
    // Few, and seldom: a sort of the library's is ten thousand bytes.
    for end in 1..kept {
        let (last, before) = (route[end], &route[..end]);
        let place = before.iter().take_while(|&&j| j < last).count();
        route[place..=end].rotate_right(1);
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
