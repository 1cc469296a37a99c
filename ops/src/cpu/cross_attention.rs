//! Attention over a context. A piece of work is a tile of queries of one head.

use super::{
    context::Context,
    scratch::Need,
    shared::flash::{Added, Attend, Source, Tile, inverse_root, tile_width, tile_words},
    simd::Level,
    split::Split,
};
use crate::{
    kv::Kv,
    op::{CrossAttention, Offsets},
};

/// Scratch of a tile.
pub(super) fn need(op: &CrossAttention, level: Level) -> Need {
    Need { shared: 0, piece: tile_words(op.rows, op.head_dim, level) }
}

pub(super) fn run(op: &CrossAttention, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let [q, k, v] = [op.q, op.k, op.v].map(|id| unsafe { cx.read::<f32>(id) });
    // SAFETY: declared access.
    let y = unsafe { cx.write::<f32>(op.y) };
    // SAFETY: declared access.
    let offsets = op.offsets.map(|offsets| (offsets, unsafe { cx.read::<f32>(offsets.buffer()) }));
    let distances = op.rows + op.context - 1;
    let dim = op.heads * op.head_dim;
    let (level, scratch) = (cx.level, cx.scratch);
    let y = Split::new(&mut y[..op.rows * dim]);
    let width = tile_width(op.rows, level);
    cx.for_each(op.rows.div_ceil(width) * op.heads, 2 * op.rows * op.context * dim, |piece| {
        let (head, row) = (piece % op.heads, piece / op.heads * width);
        let from = head * op.head_dim;
        let mut loan = scratch.lend();
        let tile = Tile {
            q,
            y: &y,
            at: row * dim + from,
            queries: width.min(op.rows - row),
            head_dim: op.head_dim,
            dim,
            scale: if op.scaled { inverse_root(op.head_dim) } else { 1.0 },
            unpacked: &mut [],
            scratch: loan.as_mut_slice(),
        };
        let (keys, values) = (&k[from..], &v[from..]);
        let added = match offsets {
            Some((Offsets::Rows(_), numbers)) => Some(Added::Rows(numbers)),
            Some((Offsets::Distances(_), numbers)) => {
                Some(Added::Distances(&numbers[head * distances + row..(head + 1) * distances]))
            }
            None => None,
        };
        let (kv, step) = (Kv::F32, dim);
        let source = Source { keys, values, kv, step, rows: op.context, turn: None, added, mask: u32::MAX };
        level.run(Attend { tile, sources: &mut core::iter::once(source) });
    });
}
