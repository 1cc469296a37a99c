// RMS norm of every row, then y * (1 + scale) + shift from a frame's modulation where there is one. One workgroup a row.

//!kernel rms_norm

//!import shared/reduce

struct Node {
    rows: u32,
    dim: u32,
    eps: f32,
    rows_per_frame: u32,
    /// Elements of a frame's modulation, 0 without one, and the first of the scale and of the shift vector.
    stride: u32,
    scale_offset: u32,
    shift_offset: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<storage, read> x: array<f32>;
@group(1) @binding(2) var<storage, read> modulation: array<f32>;
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
    let inverse = 1.0 / sqrt(sum(lane, squares) / f32(node.dim) + node.eps);
    if node.stride == 0u {
        for (var i = lane; i < node.dim; i += LANES) {
            y[first + i] = x[first + i] * inverse;
        }
        return;
    }
    let frame = row / node.rows_per_frame * node.stride;
    for (var i = lane; i < node.dim; i += LANES) {
        let scale = 1.0 + modulation[frame + node.scale_offset + i];
        y[first + i] = x[first + i] * inverse * scale + modulation[frame + node.shift_offset + i];
    }
}
