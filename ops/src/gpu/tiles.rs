//! Tiles of matrix products: which kernel a shape gets, and how many workgroups.

use causeway_shaders::Kernel;

use super::job::Job;

/// Tiles of gemm.wgsl that keep a GPU busy: with fewer wide ones the skinny ones, eight times as many, are faster.
const ENOUGH_WIDE_TILES: usize = 32;

/// Rows, and columns, of a wide tile.
pub(super) const WIDE_ROWS: usize = 64;

/// Whether C [rows, columns] is made by wide tiles.
pub(super) fn is_wide(rows: usize, columns: usize) -> bool {
    columns.div_ceil(64) * rows.div_ceil(64) >= ENOUGH_WIDE_TILES
}

/// Workgroups of the wide kernel for C [rows, columns] where they are many, else of the skinny one.
pub(super) fn tiles(wide: &'static Kernel, skinny: &'static Kernel, rows: usize, columns: usize) -> Job {
    if is_wide(rows, columns) {
        Job::new(wide, [columns.div_ceil(64), rows.div_ceil(64), 1])
    } else {
        skinny_tiles(skinny, rows, columns)
    }
}

/// Workgroups of a kernel that makes square tiles of C [rows, columns].
pub(super) fn square_tiles(kernel: &'static Kernel, side: usize, rows: usize, columns: usize) -> Job {
    Job::new(kernel, [columns.div_ceil(side), rows.div_ceil(side), 1])
}

/// Sides of tiles of cooperative matrices: 128 where they are 16 on a side, and the tiles keep a GPU busy; else 64.
pub(super) fn is_broad(edge: usize, rows: usize, columns: usize) -> bool {
    edge == 16 && columns.div_ceil(128) * rows.div_ceil(128) >= ENOUGH_WIDE_TILES
}

/// Workgroups that keep a large GPU busy. Fewer tiles than that take a part of the depth each, as long as parts are not too short to be worth
/// adding up.
const BUSY: usize = 256;
const LEAST_SPAN: usize = 1024;
const MOST_SPANS: usize = 8;
/// Kernels take a depth in steps that divide this.
const SPAN_STEP: usize = 64;

/// In how many parts the depth of a product is taken that so many tiles make, and how long these are.
pub(super) fn spans(tiles: usize, depth: usize) -> (usize, usize) {
    let wanted = BUSY.div_ceil(tiles.max(1)).min(depth / LEAST_SPAN).clamp(1, MOST_SPANS);
    let span = depth.div_ceil(wanted).next_multiple_of(SPAN_STEP);
    (depth.div_ceil(span.max(1)).max(1), span)
}

/// Workgroups of a skinny kernel for C [rows, columns].
pub(super) fn skinny_tiles(kernel: &'static Kernel, rows: usize, columns: usize) -> Job {
    Job::new(kernel, [columns.div_ceil(32), rows.div_ceil(16), 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depths_are_shared_where_tiles_are_few_and_depths_long() {
        for (tiles, depth, expected) in [
            (64, 8192, (4, 2048)),
            (64, 1536, (1, 1536)),
            (168, 8960, (2, 4480)),
            (256, 8960, (1, 8960)),
            (1, 1 << 20, (8, 1 << 17)),
            (40, 2080, (2, 1088)),
            (0, 0, (1, 0)),
        ] {
            assert_eq!(spans(tiles, depth), expected, "{tiles} tiles, a depth of {depth}");
        }
    }
}
