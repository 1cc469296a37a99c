// LayerNorm of every row, then y * (1 + scale) + shift from a frame's modulation, or y * weight + bias. One workgroup a row, read as
// vec4s, or as scalars where its length is no multiple of 4. CODES: rows leave as bytes, for linear_dot4.wgsl.

//!kernel layer_norm
//!kernel layer_norm_scalar SCALAR
//!kernel layer_norm_codes CODES

//!import shared/reduce
//!import shared/values
//!if CODES
//!import shared/row_codes
//!end

struct Node {
    /// From one row to another.
    first: u32,
    end: u32,
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
//!if SCALAR
@group(1) @binding(4) var<storage, read_write> y: array<f32>;

fn store_y(at: u32, value: f32) {
    y[at] = value;
}
//!else
//!if CODES
//!else
//!numbers 4 write y 4
//!end
//!end

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = node.first + group.y * groups.x + group.x;
    if row >= node.end {
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
//!if CODES
    for (var start = 0u; start < count; start += LANES) {
        let i = min(start + lane, count - 1u);
        let value = (x[first + i] - mean) * inverse * (node.one + scale[scales + i]) + shift[shifts + i];
        put_codes(lane, first + start, count - start, value);
    }
//!else
    for (var i = lane; i < count; i += LANES) {
        store_y(first + i, (x[first + i] - mean) * inverse * (node.one + scale[scales + i]) + shift[shifts + i]);
    }
//!end
}
