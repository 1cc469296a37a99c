// What a device can do at best with cooperative matrices, as peak.wgsl: four chains of products a subgroup.

//!kernel peak_matrices

enable f16;
enable wgpu_cooperative_matrix;
//!import shared/matrices

struct Node {
    rounds: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<storage, read> x: array<vec4<u32>>;
@group(1) @binding(2) var<storage, read_write> y: array<vec4<u32>>;

var<workgroup> tile: array<Unit, EDGE * EDGE / UNIT>;
var<workgroup> sums: array<f32, 4u * EDGE * EDGE>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_size) size: u32,
) {
    check_subgroup(size);
    let at = group.x * LANES + lane;
    let seed = vec4<f32>(x[at] & vec4<u32>(3u));
    for (var i = lane; i < EDGE * EDGE / UNIT; i += LANES) {
        tile[i] = Unit(narrow(seed).x);
    }
    workgroupBarrier();
    let stride = EDGE / UNIT;
    let a = coopLoadT<coop_mat{EDGE}x{EDGE}<f16, A>>(&tile[0], stride);
    let b = coopLoad<coop_mat{EDGE}x{EDGE}<f16, B>>(&tile[0], stride);
//!repeat i 0 4
    var c{i} = coop_mat{EDGE}x{EDGE}<f32, C>();
//!end
    for (var round = 0u; round < node.rounds; round++) {
//!repeat i 0 4
        c{i} = coopMultiplyAdd(a, b, c{i});
//!end
    }
    let mine = lane / SUBGROUP * EDGE * EDGE;
    let edge = EDGE;
    var total = 0.0;
//!repeat i 0 4
    coopStoreT(c{i}, &sums[mine], edge);
    workgroupBarrier();
    total += sums[mine + lane % SUBGROUP];
    workgroupBarrier();
//!end
    y[at] = vec4<u32>(bitcast<u32>(total));
}
