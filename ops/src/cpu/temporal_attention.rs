//! Attention over time alone. A piece of work is all heads of one token in one frame.

use super::{
    context::Context,
    parts::Parts,
    scratch::Need,
    shared::flash::inverse_root,
    simd::{Kernel, Simd, vectors},
};
use crate::{kv::Kv, op::TemporalAttention};

/// Operations that a key costs beside its products, about.
const KEY: usize = 64;

/// Scores of a head, its turned query, an unpacked row.
pub(super) fn need(op: &TemporalAttention) -> Need {
    Need { piece: visible(op) + 2 * op.head_dim, ..Need::default() }
}

fn visible(op: &TemporalAttention) -> usize {
    op.max_history + op.chunk
}

fn work(op: &TemporalAttention) -> usize {
    visible(op) * (4 * op.dim() + KEY * op.heads)
}

pub(super) fn parts(op: &TemporalAttention) -> Parts {
    Parts::of(op.rows(), work(op) as u64)
}

pub(super) fn run(op: &TemporalAttention, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let [q, k, v, ring_k, ring_v, rotations] =
        [op.q, op.k, op.v, op.ring_k, op.ring_v, op.rotations].map(|id| unsafe { cx.read::<f32>(id) });
    // SAFETY: declared accesses.
    let (frames, y) = unsafe { (cx.read::<u32>(op.frames), cx.write::<f32>(op.y)) };
    let history = (cx.params.history[op.group] as usize).min(op.max_history);
    let (dim, level, scratch) = (op.dim(), cx.level, cx.scratch);
    cx.for_rows_of(&parts(op), &mut y[..op.rows() * dim], (dim, work(op) / 2), |first, y| {
        let mut loan = scratch.lend();
        let scratch: &mut [f32] = loan.as_mut_slice();
        level.run(Rows { op, q, own: [k, v], ring: [ring_k, ring_v], rotations, frames, history, first, y, scratch });
    });
}

struct Rows<'a> {
    op: &'a TemporalAttention,
    q: &'a [f32],
    own: [&'a [f32]; 2],
    ring: [&'a [f32]; 2],
    rotations: &'a [f32],
    frames: &'a [u32],
    history: usize,
    /// First row of `y`.
    first: usize,
    y: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl<'a> Rows<'a> {
    /// One head of visible frame `j`'s row that token `token` sees, of keys (0) or values (1); what is packed is unpacked to `room`.
    fn row<'b>(&self, which: usize, (j, token, head): (usize, usize, usize), room: &'b mut [f32]) -> &'b [f32]
    where
        'a: 'b,
    {
        let op = self.op;
        let token = if op.keys == 1 { 0 } else { token };
        let at = |frame: usize| (frame * op.keys + token) * op.heads + head;
        if j >= self.history {
            return &self.own[which][at(j - self.history) * op.head_dim..][..op.head_dim];
        }
        let (slot, words) = ((self.frames[j] as usize).min(op.slots - 1), op.kv.row_words(op.head_dim));
        let row = &self.ring[which][at(slot) * words..][..words];
        if op.kv == Kv::F32 {
            return row;
        }
        op.kv.unpack(bytemuck::cast_slice(row), room);
        room
    }
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let (op, y, scratch) = (self.op, core::mem::take(&mut self.y), core::mem::take(&mut self.scratch));
        let (head_dim, turned) = (op.head_dim, 2 * op.temporal_pairs);
        let (scores, rest) = scratch.split_at_mut(visible(op));
        let scores = &mut scores[..self.history + op.chunk];
        let (query, room) = rest.split_at_mut(head_dim);
        let room = &mut room[..head_dim];
        let scale = inverse_root(head_dim);
        for (index, y) in y.chunks_exact_mut(head_dim).enumerate() {
            let (row, head) = (self.first + index / op.heads, index % op.heads);
            let (frame, token) = (row / op.tokens, row % op.tokens);
            let q = &self.q[(row * op.heads + head) * head_dim..][..head_dim];
            query.copy_from_slice(q);
            let turns = |row: usize| &self.rotations[row * turned..][..turned];
            let own = turns(op.max_history + frame);
            for (j, score) in scores.iter_mut().enumerate() {
                let seen = turns(if j < self.history { j } else { op.max_history + j - self.history });
                for (pair, (to, back)) in own.chunks_exact(2).zip(seen.chunks_exact(2)).enumerate() {
                    let (c, n) = (to[0] * back[0] + to[1] * back[1], to[1] * back[0] - to[0] * back[1]);
                    let (a, b) = (q[2 * pair], q[2 * pair + 1]);
                    (query[2 * pair], query[2 * pair + 1]) = (a * c - b * n, a * n + b * c);
                }
                let key = self.row(0, (j, token, head), room);
                let mut sum = s.splat(0.0);
                vectors(
                    s,
                    head_dim,
                    #[inline(always)]
                    |at, n| sum = s.fma(s.load(&query[at..at + n]), s.load(&key[at..at + n]), sum),
                );
                *score = s.sum(sum) * scale;
            }
            let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            scores.iter_mut().for_each(|score| *score = libm::expf(*score - most));
            let inverse = 1.0 / scores.iter().sum::<f32>();
            y.fill(0.0);
            for (j, score) in scores.iter().enumerate() {
                let value = self.row(1, (j, token, head), room);
                let weight = s.splat(score * inverse);
                vectors(
                    s,
                    head_dim,
                    #[inline(always)]
                    |at, n| {
                        let y = &mut y[at..at + n];
                        s.store(y, s.fma(weight, s.load(&value[at..at + n]), s.load(y)));
                    },
                );
            }
        }
    }
}
