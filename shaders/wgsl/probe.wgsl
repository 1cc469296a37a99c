// What a subgroup is in a kernel that uses cooperative matrices: a driver may choose another size for another kernel, and none can be asked
// for. Also multiplies a matrix by one, so that the kernel is what it pretends to be.

//!kernel probe_matrices

enable f16;
enable wgpu_cooperative_matrix;
//!import shared/matrices

struct Node {
    unused: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<storage, read_write> y: array<f32>;

var<workgroup> tile: array<Unit, EDGE * EDGE / UNIT>;
var<workgroup> sums: array<f32, 4u * EDGE * EDGE>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_size) size: u32,
    @builtin(num_subgroups) count: u32,
) {
    for (var i = lane; i < EDGE * EDGE / UNIT; i += LANES) {
        tile[i] = Unit(1.0);
    }
    workgroupBarrier();
    let stride = EDGE / UNIT;
    let a = coopLoadT<coop_mat{EDGE}x{EDGE}<f16, A>>(&tile[0], stride);
    let b = coopLoad<coop_mat{EDGE}x{EDGE}<f16, B>>(&tile[0], stride);
    let sum = coopMultiplyAdd(a, b, coop_mat{EDGE}x{EDGE}<f32, C>());
    let at = lane / SUBGROUP % 4u * EDGE * EDGE;
    let edge = EDGE;
    coopStoreT(sum, &sums[at], edge);
    workgroupBarrier();
    if lane == 0u {
        y[0] = f32(size);
        y[1] = f32(count);
        y[2] = sums[0] + f32(node.unused);
        alarm[1] = 0u;
    }
}
