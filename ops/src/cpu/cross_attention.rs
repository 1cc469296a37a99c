//! Attention over a context. A piece of work is a tile of queries of one head.

use super::{
    context::Context,
    parts::{BAND, Parts},
    scratch::Need,
    shared::{
        flash::{Attend, Tile, inverse_root, kept_words, tile_flops, tile_width, tile_words},
        source::{Added, Source},
        span::Span,
    },
    simd::Level,
    split::Split,
};
use crate::{
    kv::Kv,
    op::{CrossAttention, Offsets},
};

/// Scratch of a tile.
pub(super) fn need(op: &CrossAttention, level: Level) -> Need {
    let kept = if parts(op, level).steps() > 1 { BAND * kept_words(op.rows, op.head_dim, level) } else { 0 };
    Need { piece: tile_words(op.rows, op.head_dim, level), kept, ..Need::default() }
}

pub(super) fn parts(op: &CrossAttention, level: Level) -> Parts {
    let width = tile_width(op.rows, level);
    // A tile takes its time however short the context is.
    Parts::stepped(op.rows.div_ceil(width) * op.heads, tile_flops(width, op.context.max(64), op.head_dim))
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
    let parts = parts(op, level);
    // SAFETY: this node's only view.
    let kept = Split::new(unsafe { cx.kept() });
    let words = kept_words(op.rows, op.head_dim, level);
    cx.for_parts(&parts, 2 * op.rows * op.context * dim, |piece, steps, slot| {
        let (head, row) = (piece % op.heads, piece / op.heads * width);
        let from = head * op.head_dim;
        let mut loan = scratch.lend();
        let span = slot.map(|slot| {
            // SAFETY: a slot belongs to one piece.
            let kept = unsafe { kept.part(slot * words, words) };
            Span::new(steps, parts.steps(), 1, op.context, kept)
        });
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
        let mut sources = core::iter::once(source);
        match span {
            None => level.run(Attend { tile, sources: &mut sources, span }),
            Some(span) => level.run(Attend { tile, sources: &mut span.of(sources), span: Some(span) }),
        }
    });
}
