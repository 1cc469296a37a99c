// C = A B^T by tiles in workgroup memory, f32 accumulation.
//
// An importing kernel defines
//   fetch_a(row, k), fetch_b(column, k): four consecutive k of a row of A or B, zero outside;
//   finish(row, column, value): takes an element of C; called outside C as well.
//
// Tiles lie k-major, so that one step of k reads whole vec4s of rows and of columns, and a lane's share of C grows by outer
// products of 4 x 4. A and B are read in 4 x 4 blocks and transposed on the way.
//
// WIDE suits large C: 64 x 64 a workgroup, 8 x 8 a lane. SKINNY suits few rows, where C has too few tiles to fill a GPU and
// latency decides: 16 x 32 a workgroup, whose lanes also split k in four and add up at the end.

//!if WIDE
const LANES = 64u;
const ROWS = 64u;
const COLUMNS = 64u;
const DEPTH = 16u;
//!else
const LANES = 128u;
const ROWS = 16u;
const COLUMNS = 32u;
const DEPTH = 64u;
//!end

var<workgroup> tile_a: array<vec4<f32>, DEPTH * ROWS / 4u>;
var<workgroup> tile_b: array<vec4<f32>, DEPTH * COLUMNS / 4u>;

/// Fills both tiles from row `row` of A, row `column` of B and depth `k`.
fn stage(lane: u32, row: u32, column: u32, k: u32) {
    for (var block = lane; block < ROWS / 4u * (DEPTH / 4u); block += LANES) {
        let depth = block % (DEPTH / 4u) * 4u;
        let quad = block / (DEPTH / 4u);
        let at = row + quad * 4u;
        let rows = mat4x4<f32>(
            fetch_a(at, k + depth),
            fetch_a(at + 1u, k + depth),
            fetch_a(at + 2u, k + depth),
            fetch_a(at + 3u, k + depth),
        );
        let turned = transpose(rows);
        tile_a[depth * (ROWS / 4u) + quad] = turned[0];
        tile_a[(depth + 1u) * (ROWS / 4u) + quad] = turned[1];
        tile_a[(depth + 2u) * (ROWS / 4u) + quad] = turned[2];
        tile_a[(depth + 3u) * (ROWS / 4u) + quad] = turned[3];
    }
    for (var block = lane; block < COLUMNS / 4u * (DEPTH / 4u); block += LANES) {
        let depth = block % (DEPTH / 4u) * 4u;
        let quad = block / (DEPTH / 4u);
        let at = column + quad * 4u;
        let rows = mat4x4<f32>(
            fetch_b(at, k + depth),
            fetch_b(at + 1u, k + depth),
            fetch_b(at + 2u, k + depth),
            fetch_b(at + 3u, k + depth),
        );
        let turned = transpose(rows);
        tile_b[depth * (COLUMNS / 4u) + quad] = turned[0];
        tile_b[(depth + 1u) * (COLUMNS / 4u) + quad] = turned[1];
        tile_b[(depth + 2u) * (COLUMNS / 4u) + quad] = turned[2];
        tile_b[(depth + 3u) * (COLUMNS / 4u) + quad] = turned[3];
    }
}

/// `block` + a b^T: row i of the 4 x 4 block of C is `block[i]`.
fn outer(block: mat4x4<f32>, a: vec4<f32>, b: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(block[0] + a.x * b, block[1] + a.y * b, block[2] + a.z * b, block[3] + a.w * b);
}

fn finish_row(row: u32, column: u32, values: vec4<f32>) {
    finish(row, column, values.x);
    finish(row, column + 1u, values.y);
    finish(row, column + 2u, values.z);
    finish(row, column + 3u, values.w);
}

//!if WIDE
fn finish_block(row: u32, column: u32, block: mat4x4<f32>) {
    finish_row(row, column, block[0]);
    finish_row(row + 1u, column, block[1]);
    finish_row(row + 2u, column, block[2]);
    finish_row(row + 3u, column, block[3]);
}

fn multiply(group: vec2<u32>, lane: u32, depth: u32) {
    let row = group.y * ROWS;
    let column = group.x * COLUMNS;
    // A lane holds four blocks, half a tile apart: neighbouring lanes then read neighbouring words.
    let r = lane / 8u;
    let c = lane % 8u;
    var c00 = mat4x4<f32>();
    var c01 = mat4x4<f32>();
    var c10 = mat4x4<f32>();
    var c11 = mat4x4<f32>();
    for (var k = 0u; k < depth; k += DEPTH) {
        stage(lane, row, column, k);
        workgroupBarrier();
        for (var i = 0u; i < DEPTH; i++) {
            let a0 = tile_a[i * 16u + r];
            let a1 = tile_a[i * 16u + 8u + r];
            let b0 = tile_b[i * 16u + c];
            let b1 = tile_b[i * 16u + 8u + c];
            c00 = outer(c00, a0, b0);
            c01 = outer(c01, a0, b1);
            c10 = outer(c10, a1, b0);
            c11 = outer(c11, a1, b1);
        }
        workgroupBarrier();
    }
    finish_block(row + r * 4u, column + c * 4u, c00);
    finish_block(row + r * 4u, column + 32u + c * 4u, c01);
    finish_block(row + 32u + r * 4u, column + c * 4u, c10);
    finish_block(row + 32u + r * 4u, column + 32u + c * 4u, c11);
}
//!else
fn multiply(group: vec2<u32>, lane: u32, depth: u32) {
    let row = group.y * ROWS;
    let column = group.x * COLUMNS;
    // Four slices of 32 lanes; a slice takes a quarter of each tile's depth, its lanes a block of 4 x 4 each.
    let slice = lane / 32u;
    let r = lane % 32u / 8u;
    let c = lane % 8u;
    var block = mat4x4<f32>();
    for (var k = 0u; k < depth; k += DEPTH) {
        stage(lane, row, column, k);
        workgroupBarrier();
        for (var i = slice * 16u; i < slice * 16u + 16u; i++) {
            block = outer(block, tile_a[i * 4u + r], tile_b[i * 8u + c]);
        }
        workgroupBarrier();
    }
    // The slices meet in tile_b, [slice, row, column quad].
    let at = slice * 128u + r * 32u + c;
    tile_b[at] = block[0];
    tile_b[at + 8u] = block[1];
    tile_b[at + 16u] = block[2];
    tile_b[at + 24u] = block[3];
    workgroupBarrier();
    let total = (tile_b[lane] + tile_b[lane + 128u]) + (tile_b[lane + 256u] + tile_b[lane + 384u]);
    finish_row(row + lane / 8u, column + c * 4u, total);
}
//!end
