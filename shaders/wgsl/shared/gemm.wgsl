// C = A B^T by tiles in workgroup memory, f32 accumulation, over a range of the depth that begins at a multiple of 64.
//
// An importing kernel defines
//   fetch_a(row, k), fetch_b(column, k): four consecutive k of a row of A or B, of rows outside any numbers, beyond the depth zero in one
//   of the two and a number in the other;
//   finish(row, column, value): takes an element of C; called outside C as well. With HALVES_y it is finish_two(row, column, values), which
//   takes two neighbours of a row, the first in an even column.
//
// Tiles lie k-major, so that one step of k reads whole vec4s of rows and of columns, and a lane's share of C grows by outer
// products of 4 x 4. A and B are read in 4 x 4 blocks and transposed on the way.
//
// HALF: tiles and sums of eight products in half precision, longer sums in f32. Only with WIDE.
//
// WIDE suits large C: 64 x 64 a workgroup, 8 x 8 a lane. SKINNY suits few rows, where C has too few tiles to fill a GPU and
// latency decides: 16 x 32 a workgroup, whose lanes also split k in four and add up at the end.

//!if WIDE
const LANES = 64u;
const ROWS = 64u;
const COLUMNS = 64u;
//!if HALF
const DEPTH = 32u;
//!else
const DEPTH = 16u;
//!end
//!else
const LANES = 128u;
const ROWS = 16u;
const COLUMNS = 32u;
const DEPTH = 64u;
//!end

//!if HALF
//!import shared/narrow
alias Number = f16;

/// Half of C.
var<workgroup> sums: array<vec4<f32>, ROWS * COLUMNS / 8u>;
//!else
alias Number = f32;

fn narrow(x: vec4<f32>) -> vec4<f32> {
    return x;
}
//!end

/// A's tile [DEPTH, ROWS] and, from B_TILE on, B's tile [DEPTH, COLUMNS]; in the end parts of C, unless these have room of their own.
var<workgroup> tiles: array<vec4<Number>, DEPTH * (ROWS + COLUMNS) / 4u>;
const B_TILE = DEPTH * ROWS / 4u;

/// Stores the columns of a 4 x 4 block as rows, `stride` apart.
fn put(at: u32, stride: u32, block: mat4x4<Number>) {
    tiles[at] = block[0];
    tiles[at + stride] = block[1];
    tiles[at + 2u * stride] = block[2];
    tiles[at + 3u * stride] = block[3];
}

/// Fills both tiles from row `row` of A, row `column` of B and depth `k`.
fn stage(lane: u32, row: u32, column: u32, k: u32) {
    for (var block = lane; block < ROWS / 4u * (DEPTH / 4u); block += LANES) {
        let depth = block % (DEPTH / 4u) * 4u;
        let quad = block / (DEPTH / 4u);
        let at = row + quad * 4u;
        let rows = mat4x4<Number>(
            narrow(fetch_a(at, k + depth)),
            narrow(fetch_a(at + 1u, k + depth)),
            narrow(fetch_a(at + 2u, k + depth)),
            narrow(fetch_a(at + 3u, k + depth)),
        );
        put(depth * (ROWS / 4u) + quad, ROWS / 4u, transpose(rows));
    }
    for (var block = lane; block < COLUMNS / 4u * (DEPTH / 4u); block += LANES) {
        let depth = block % (DEPTH / 4u) * 4u;
        let quad = block / (DEPTH / 4u);
        let at = column + quad * 4u;
        let rows = mat4x4<Number>(
            narrow(fetch_b(at, k + depth)),
            narrow(fetch_b(at + 1u, k + depth)),
            narrow(fetch_b(at + 2u, k + depth)),
            narrow(fetch_b(at + 3u, k + depth)),
        );
        put(B_TILE + depth * (COLUMNS / 4u) + quad, COLUMNS / 4u, transpose(rows));
    }
}

/// `block` + a b^T: row i of the 4 x 4 block of C is `block[i]`.
fn outer(block: mat4x4<Number>, a: vec4<Number>, b: vec4<Number>) -> mat4x4<Number> {
    return mat4x4<Number>(block[0] + a.x * b, block[1] + a.y * b, block[2] + a.z * b, block[3] + a.w * b);
}

//!if HALF
fn add(sum: mat4x4<f32>, more: mat4x4<f16>) -> mat4x4<f32> {
    return mat4x4<f32>(
        sum[0] + vec4<f32>(more[0]),
        sum[1] + vec4<f32>(more[1]),
        sum[2] + vec4<f32>(more[2]),
        sum[3] + vec4<f32>(more[3]),
    );
}

fn put_sums(at: u32, stride: u32, block: mat4x4<f32>) {
    sums[at] = block[0];
    sums[at + stride] = block[1];
    sums[at + 2u * stride] = block[2];
    sums[at + 3u * stride] = block[3];
}
//!else
fn put_sums(at: u32, stride: u32, block: mat4x4<f32>) {
    put(at, stride, block);
}
//!end

/// An element of C that was put there.
fn made(i: u32) -> f32 {
//!if HALF
    return sums[i / 4u][i % 4u];
//!else
    return tiles[i / 4u][i % 4u];
//!end
}

/// Finishes `count` rows of C that were put there, neighbouring lanes neighbouring elements.
fn finish_rows(lane: u32, row: u32, column: u32, count: u32) {
//!if HALVES_y
    for (var i = 2u * lane; i < count * COLUMNS; i += 2u * LANES) {
        let two = vec2<f32>(made(i), made(i + 1u));
        finish_two(row + i / COLUMNS, column + i % COLUMNS, two);
    }
//!else
    for (var i = lane; i < count * COLUMNS; i += LANES) {
        finish(row + i / COLUMNS, column + i % COLUMNS, made(i));
    }
//!end
}

//!if WIDE
fn multiply(group: vec2<u32>, lane: u32, from_k: u32, to_k: u32) {
    let row = group.y * ROWS;
    let column = group.x * COLUMNS;
    // A lane holds four blocks, half a tile apart: neighbouring lanes then read neighbouring words.
    let r = lane / 8u;
    let c = lane % 8u;
    var c00 = mat4x4<f32>();
    var c01 = mat4x4<f32>();
    var c10 = mat4x4<f32>();
    var c11 = mat4x4<f32>();
    for (var k = from_k; k < to_k; k += DEPTH) {
        stage(lane, row, column, k);
        workgroupBarrier();
//!if HALF
        for (var i = 0u; i < DEPTH; i += 8u) {
            var h00 = mat4x4<f16>();
            var h01 = mat4x4<f16>();
            var h10 = mat4x4<f16>();
            var h11 = mat4x4<f16>();
            for (var j = i; j < i + 8u; j++) {
                let a0 = tiles[j * 16u + r];
                let a1 = tiles[j * 16u + 8u + r];
                let b0 = tiles[B_TILE + j * 16u + c];
                let b1 = tiles[B_TILE + j * 16u + 8u + c];
                h00 = outer(h00, a0, b0);
                h01 = outer(h01, a0, b1);
                h10 = outer(h10, a1, b0);
                h11 = outer(h11, a1, b1);
            }
            c00 = add(c00, h00);
            c01 = add(c01, h01);
            c10 = add(c10, h10);
            c11 = add(c11, h11);
        }
//!else
        for (var i = 0u; i < DEPTH; i++) {
            let a0 = tiles[i * 16u + r];
            let a1 = tiles[i * 16u + 8u + r];
            let b0 = tiles[B_TILE + i * 16u + c];
            let b1 = tiles[B_TILE + i * 16u + 8u + c];
            c00 = outer(c00, a0, b0);
            c01 = outer(c01, a0, b1);
            c10 = outer(c10, a1, b0);
            c11 = outer(c11, a1, b1);
        }
//!end
        workgroupBarrier();
    }
    // Both tiles together hold half of C's.
    put_sums(r * 64u + c, 16u, c00);
    put_sums(r * 64u + 8u + c, 16u, c01);
    workgroupBarrier();
    finish_rows(lane, row, column, ROWS / 2u);
    workgroupBarrier();
    put_sums(r * 64u + c, 16u, c10);
    put_sums(r * 64u + 8u + c, 16u, c11);
    workgroupBarrier();
    finish_rows(lane, row + ROWS / 2u, column, ROWS / 2u);
}
//!else
fn multiply(group: vec2<u32>, lane: u32, from_k: u32, to_k: u32) {
    let row = group.y * ROWS;
    let column = group.x * COLUMNS;
    // Four slices of 32 lanes; a slice takes a quarter of each tile's depth, its lanes a block of 4 x 4 each.
    let slice = lane / 32u;
    let r = lane % 32u / 8u;
    let c = lane % 8u;
    var block = mat4x4<f32>();
    for (var k = from_k; k < to_k; k += DEPTH) {
        stage(lane, row, column, k);
        workgroupBarrier();
        for (var i = slice * 16u; i < slice * 16u + 16u; i++) {
            block = outer(block, tiles[i * 4u + r], tiles[B_TILE + i * 8u + c]);
        }
        workgroupBarrier();
    }
    // The slices' sums [slice, row, column quad] are added up in the first slice's place.
    put(slice * 128u + r * 32u + c, 8u, block);
    workgroupBarrier();
    tiles[lane] = (tiles[lane] + tiles[lane + 128u]) + (tiles[lane + 256u] + tiles[lane + 384u]);
    workgroupBarrier();
    finish_rows(lane, row, column, ROWS);
}
//!end
