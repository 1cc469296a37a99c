//! Tiles of matrix products: which kernel a shape gets, and how many workgroups.

use causeway_shaders::Kernel;

use super::job::Job;

/// Tiles of gemm.wgsl that keep a GPU busy: with fewer wide ones the skinny ones, eight times as many, are faster.
const ENOUGH_WIDE_TILES: usize = 32;

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

/// Workgroups of a skinny kernel for C [rows, columns].
pub(super) fn skinny_tiles(kernel: &'static Kernel, rows: usize, columns: usize) -> Job {
    Job::new(kernel, [columns.div_ceil(32), rows.div_ceil(16), 1])
}
