// RMS norm over the channels of every row, a gain, an activation. One workgroup a row.

//!kernel channel_norm

//!import shared/activation
//!import shared/reduce

struct Node {
    rows: u32,
    dim: u32,
    activation: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<storage, read> x: array<f32>;
@group(1) @binding(2) var<storage, read> weight: array<f32>;
@group(1) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = group.y * groups.x + group.x;
    if row >= node.rows {
        return;
    }
    let first = row * node.dim;
    var squares = 0.0;
    for (var i = lane; i < node.dim; i += LANES) {
        squares += x[first + i] * x[first + i];
    }
    let inverse = 1.0 / sqrt(max(sum(lane, squares) / f32(node.dim), 1e-30));
    for (var i = lane; i < node.dim; i += LANES) {
        y[first + i] = activate(node.activation, x[first + i] * inverse * weight[i]);
    }
}
