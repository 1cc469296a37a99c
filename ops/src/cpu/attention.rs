//! Attention over history and chunk. A piece of work is a tile of queries of one head.

use super::{
    context::Context,
    parts::{BAND, Parts},
    scratch::Need,
    shared::{
        flash::{Attend, Tile, inverse_root, kept_words, tile_flops, tile_width, tile_words, unpacked_words},
        source::Source,
        span::Span,
    },
    simd::Level,
    split::Split,
};
use crate::{kv::Kv, op::Attention};

/// Scratch of a tile, its routes as one mask of queries for each history frame, and unpacked keys and values.
pub(super) fn need(op: &Attention, level: Level) -> Need {
    let tile = tile_words(op.queries(), op.head_dim, level);
    let kept = if parts(op, level).steps() > 1 { BAND * kept_words(op.queries(), op.head_dim, level) } else { 0 };
    Need { piece: op.max_history + unpacked_words(op.kv, op.head_dim) + tile, kept, ..Need::default() }
}

pub(super) fn parts(op: &Attention, level: Level) -> Parts {
    let width = tile_width(op.queries(), level);
    let visible = op.routes.map_or(op.max_history, |(_, k)| op.max_history.min(k)) + op.chunk;
    let flops = tile_flops(width, visible * op.tokens, op.head_dim);
    Parts::stepped(op.chunk * op.queries().div_ceil(width) * op.heads, flops)
}

pub(super) fn run<'a>(op: &Attention, cx: &Context<'a>) {
    // SAFETY: declared accesses.
    let [q, k, v, ring_k, ring_v, rotations] =
        [op.q, op.k, op.v, op.ring_k, op.ring_v, op.rotations].map(|id| unsafe { cx.read::<f32>(id) });
    // SAFETY: declared accesses.
    let (frames, y) = unsafe { (cx.read::<u32>(op.frames), cx.write::<f32>(op.y)) };
    // SAFETY: declared access.
    let routes = op.routes.map(|(id, k)| (unsafe { cx.read::<u32>(id) }, k));
    let history = (cx.params.history[op.group] as usize).min(op.max_history);
    let (dim, level, scratch) = (op.dim(), cx.level, cx.scratch);
    let y = Split::new(&mut y[..op.rows() * dim]);
    let (per_frame, width) = (op.queries(), tile_width(op.queries(), level));
    let tiles = per_frame.div_ceil(width);
    let visible = routes.map_or(history, |(_, k)| history.min(k)) + op.chunk;
    let work = 2 * op.rows() * visible * op.tokens * dim;
    let parts = parts(op, level);
    // SAFETY: this node's only view.
    let kept = Split::new(unsafe { cx.kept() });
    let words = kept_words(per_frame, op.head_dim, level);
    cx.for_parts(&parts, work, |piece, steps, slot| {
        // A head's tiles follow each other, for they read the same keys and values.
        let (head, f, tile) = (piece / tiles / op.chunk, piece / tiles % op.chunk, piece % tiles);
        let row = f * per_frame + tile * width;
        let queries = width.min(per_frame - tile * width);
        let mut loan = scratch.lend();
        let (masks, scratch) = loan.as_mut_slice::<u32>().split_at_mut(op.max_history);
        let masks = &mut masks[..history];
        let (unpacked, scratch) = scratch.split_at_mut(unpacked_words(op.kv, op.head_dim));
        fill_masks(masks, routes.map(|(routes, k)| (&routes[(row * op.heads + head) * k..], k)), queries, op.heads);
        let turns = |row: usize| &rotations[row * op.temporal_pairs * 2..][..op.temporal_pairs * 2];
        let source = |kv: Kv, [keys, values]: [&'a [f32]; 2], frame: usize, visible: usize, mask: u32| {
            let row = kv.row_words(op.head_dim);
            let from = (frame * op.tokens * op.heads + head) * row;
            Source {
                keys: &keys[from..],
                values: &values[from..],
                kv,
                step: op.heads * row,
                rows: op.tokens,
                turn: Some((turns(op.max_history + f), turns(visible))),
                added: None,
                mask,
            }
        };
        // The chunk's own frames come first, so that every query has seen a key before it meets one it does not see.
        let own = (0..op.chunk).map(|own| source(Kv::F32, [k, v], own, op.max_history + own, u32::MAX));
        let seen = masks.iter().enumerate().filter(|(_, mask)| **mask != 0);
        let past =
            seen.map(|(j, mask)| source(op.kv, [ring_k, ring_v], (frames[j] as usize).min(op.slots - 1), j, *mask));
        let span = slot.map(|slot| {
            let seen = op.chunk + masks.iter().filter(|mask| **mask != 0).count();
            // SAFETY: a slot belongs to one piece.
            let kept = unsafe { kept.part(slot * words, words) };
            Span::new(steps, parts.steps(), seen, op.tokens, kept)
        });
        let tile = Tile {
            q,
            y: &y,
            at: row * dim + head * op.head_dim,
            queries,
            head_dim: op.head_dim,
            dim,
            scale: inverse_root(op.head_dim),
            unpacked: bytemuck::cast_slice_mut(unpacked),
            scratch: bytemuck::cast_slice_mut(scratch),
        };
        let mut sources = own.chain(past);
        match span {
            None => level.run(Attend { tile, sources: &mut sources, span }),
            Some(span) => level.run(Attend { tile, sources: &mut span.of(sources), span: Some(span) }),
        }
    });
}

/// For each history row the queries of a tile that see it: those whose routes name it, all without routes. Routes of the tile's
/// first query come first, those of the next one `heads` routes later.
fn fill_masks(masks: &mut [u32], routes: Option<(&[u32], usize)>, queries: usize, heads: usize) {
    let Some((routes, k)) = routes else { return masks.fill(u32::MAX) };
    masks.fill(0);
    for (query, route) in routes.chunks(heads * k).enumerate().take(queries) {
        for &j in &route[..k] {
            if let Some(mask) = masks.get_mut(j as usize) {
                *mask |= 1 << query;
            }
        }
    }
}
