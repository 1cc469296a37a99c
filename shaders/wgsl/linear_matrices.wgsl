// Linear layers as linear.wgsl on cooperative matrices of half precision with sums in f32: rows and weights are staged in half precision.
//
// Four subgroups, 2 x 2, make a tile of SIDE x SIDE, each a quarter of it. Sums leave through a matrix of workgroup memory a subgroup, to
// be finished as all linear layers are.

//!kernel linear_matrices_f16 F16 SIDE=64 DEEP
//!kernel linear_matrices_q8 Q8 SCALES SIDE=64 DEEP
//!kernel linear_matrices_q4 Q4 SCALES SIDE=64 DEEP
//!kernel linear_matrices_f16_broad F16 SIDE=128 DEEP
//!kernel linear_matrices_q8_broad Q8 SCALES SIDE=128 DEEP
//!kernel linear_matrices_q4_broad Q4 SCALES SIDE=128 DEEP

enable f16;
enable wgpu_cooperative_matrix;
//!import shared/matrices
//!import shared/linear
//!import shared/weight

const SIDE = {SIDE}u;
const DEPTH = 32u;
/// Numbers from row to row; rows begin at multiples of 16 bytes.
const ROW = DEPTH + 8u;

/// [row, depth], then [column, depth].
var<workgroup> tile: array<Unit, 2u * SIDE * ROW / UNIT>;
const RIGHT = SIDE * ROW;
/// A matrix of sums a subgroup.
var<workgroup> sums: array<f32, 4u * EDGE * EDGE>;

fn put(at: u32, x: vec4<f32>) {
    let half = narrow(x);
//!if LONE
    tile[at] = half.x;
    tile[at + 1u] = half.y;
    tile[at + 2u] = half.z;
    tile[at + 3u] = half.w;
//!else
    tile[at / 4u] = half;
//!end
}

fn stage(lane: u32, row: u32, column: u32, k: u32) {
    for (var i = lane; i < SIDE * DEPTH / 4u; i += LANES) {
        let r = i / (DEPTH / 4u);
        let depth = i % (DEPTH / 4u) * 4u;
        put(r * ROW + depth, fetch_a(row + r, k + depth));
        let at = (node.first + min(column + r, node.outputs - 1u)) * node.stride + min(k + depth, node.stride - 4u);
        put(RIGHT + r * ROW + depth, decode(at));
    }
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_size) size: u32,
) {
    check_subgroup(size);
    let row = (node.first_tile + group.y) * SIDE;
    let column = group.x * SIDE;
    let subgroup = lane / SUBGROUP;
    let r = subgroup / 2u * (SIDE / 2u);
    let c = subgroup % 2u * (SIDE / 2u);
    let stride = ROW / UNIT;
//!repeat i 0 {SIDE/2/EDGE}
//!repeat j 0 {SIDE/2/EDGE}
    var sum_{i}_{j} = coop_mat{EDGE}x{EDGE}<f32, C>();
//!end
//!end
    let range = own_depth(group.z, node.stride);
    for (var k = range.x; k < range.y; k += DEPTH) {
        stage(lane, row, column, k);
        workgroupBarrier();
        for (var depth = 0u; depth < DEPTH; depth += EDGE) {
//!repeat i 0 {SIDE/2/EDGE}
            let a_{i} = coopLoadT<coop_mat{EDGE}x{EDGE}<f16, A>>(&tile[((r + {i}u * EDGE) * ROW + depth) / UNIT], stride);
//!end
//!repeat j 0 {SIDE/2/EDGE}
            let b_{j} = coopLoad<coop_mat{EDGE}x{EDGE}<f16, B>>(&tile[(RIGHT + (c + {j}u * EDGE) * ROW + depth) / UNIT], stride);
//!repeat i 0 {SIDE/2/EDGE}
            sum_{i}_{j} = coopMultiplyAdd(a_{i}, b_{j}, sum_{i}_{j});
//!end
//!end
        }
        workgroupBarrier();
    }
    let at = subgroup * EDGE * EDGE;
    let edge = EDGE;
//!repeat i 0 {SIDE/2/EDGE}
//!repeat j 0 {SIDE/2/EDGE}
    coopStoreT(sum_{i}_{j}, &sums[at], edge);
    workgroupBarrier();
//!if HALVES_y
    for (var e = lane % SUBGROUP * 2u; e < EDGE * EDGE; e += SUBGROUP * 2u) {
        let two = vec2<f32>(sums[at + e], sums[at + e + 1u]);
        finish_two(row + r + {i}u * EDGE + e / EDGE, column + c + {j}u * EDGE + e % EDGE, two);
    }
//!else
    for (var e = lane % SUBGROUP; e < EDGE * EDGE; e += SUBGROUP) {
        finish(row + r + {i}u * EDGE + e / EDGE, column + c + {j}u * EDGE + e % EDGE, sums[at + e]);
    }
//!end
    workgroupBarrier();
//!end
//!end
}
