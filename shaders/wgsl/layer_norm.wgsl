// LayerNorm of every row, then y * (1 + scale) + shift from a frame's modulation, or y * weight + bias. One workgroup a row, read as
// vec4s, or as scalars where its length is no multiple of 4.

//!kernel layer_norm
//!kernel layer_norm_scalar SCALAR

//!import shared/reduce

//!if SCALAR
alias Value = f32;
const SIZE = 1u;

fn total(x: f32) -> f32 {
    return x;
}
//!else
alias Value = vec4<f32>;
const SIZE = 4u;

fn total(x: vec4<f32>) -> f32 {
    return (x.x + x.y) + (x.z + x.w);
}
//!end

struct Node {
    rows: u32,
    dim: u32,
    eps: f32,
    rows_per_frame: u32,
    /// Affine: 0. Modulation elements a frame otherwise, and the first of the scale and of the shift vector.
    scale_stride: u32,
    scale_offset: u32,
    shift_offset: u32,
    /// What is added to the scale: 1 for a modulation.
    one: f32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<storage, read> x: array<Value>;
/// The modulation of all frames, or the weight.
@group(1) @binding(2) var<storage, read> scale: array<Value>;
/// The modulation of all frames, or the bias.
@group(1) @binding(3) var<storage, read> shift: array<Value>;
@group(1) @binding(4) var<storage, read_write> y: array<Value>;

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
    let count = node.dim / SIZE;
    let first = row * count;
    var all = Value();
    for (var i = lane; i < count; i += LANES) {
        all += x[first + i];
    }
    let mean = Value(sum(lane, total(all)) / f32(node.dim));
    var squares = Value();
    for (var i = lane; i < count; i += LANES) {
        let d = x[first + i] - mean;
        squares += d * d;
    }
    let inverse = 1.0 / sqrt(sum(lane, total(squares)) / f32(node.dim) + node.eps);
    let frame = row / node.rows_per_frame * node.scale_stride;
    let scales = (frame + node.scale_offset) / SIZE;
    let shifts = (frame + node.shift_offset) / SIZE;
    for (var i = lane; i < count; i += LANES) {
        y[first + i] = (x[first + i] - mean) * inverse * (node.one + scale[scales + i]) + shift[shifts + i];
    }
}
