// LayerNorm of every row, then y * (1 + scale) + shift from a frame's modulation, or y * weight + bias. One workgroup a row.

//!kernel layer_norm

//!import shared/reduce

struct Node {
    rows: u32,
    dim: u32,
    eps: f32,
    rows_per_frame: u32,
    /// Affine: 0. Modulation elements a frame otherwise, and the first of the scale and of the shift vector.
    stride: u32,
    scale_offset: u32,
    shift_offset: u32,
    /// What is added to the scale: 1 for a modulation.
    one: f32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<storage, read> x: array<f32>;
/// The modulation of all frames, or the weight.
@group(1) @binding(2) var<storage, read> scale: array<f32>;
/// The modulation of all frames, or the bias.
@group(1) @binding(3) var<storage, read> shift: array<f32>;
@group(1) @binding(4) var<storage, read_write> y: array<f32>;

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
    var total = 0.0;
    for (var i = lane; i < node.dim; i += LANES) {
        total += x[first + i];
    }
    let mean = sum(lane, total) / f32(node.dim);
    var squares = 0.0;
    for (var i = lane; i < node.dim; i += LANES) {
        let d = x[first + i] - mean;
        squares += d * d;
    }
    let inverse = 1.0 / sqrt(sum(lane, squares) / f32(node.dim) + node.eps);
    let frame = row / node.rows_per_frame * node.stride;
    for (var i = lane; i < node.dim; i += LANES) {
        let gain = node.one + scale[frame + node.scale_offset + i];
        y[first + i] = (x[first + i] - mean) * inverse * gain + shift[frame + node.shift_offset + i];
    }
}
