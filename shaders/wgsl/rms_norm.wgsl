// RMS norm of every row, then y * (1 + scale) + shift from a frame's modulation where there is one. One workgroup a row, read as vec4s, or as
// scalars where its length is no multiple of 4. CODES: rows leave as bytes, for linear_dot4.wgsl.

//!kernel rms_norm
//!kernel rms_norm_scalar SCALAR
//!kernel rms_norm_codes CODES

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
    /// Elements of a frame's modulation, 0 without one, and the first of the scale and of the shift vector.
    stride: u32,
    scale_offset: u32,
    shift_offset: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<storage, read> x: array<Value>;
@group(1) @binding(2) var<storage, read> modulation: array<Value>;
//!if SCALAR
@group(1) @binding(3) var<storage, read_write> y: array<f32>;

fn store_y(at: u32, value: f32) {
    y[at] = value;
}
//!else
//!if CODES
//!else
//!numbers 3 write y 4
//!end
//!end

/// A column of a row, normed.
fn normed(row: u32, column: u32, inverse: f32) -> Value {
    let value = x[row * (node.dim / SIZE) + column] * inverse;
    if node.stride == 0u {
        return value;
    }
    let frame = row / node.rows_per_frame * node.stride;
    let scale = 1.0 + modulation[(frame + node.scale_offset) / SIZE + column];
    return value * scale + modulation[(frame + node.shift_offset) / SIZE + column];
}

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
    var squares = Value();
    for (var i = lane; i < count; i += LANES) {
        squares += x[first + i] * x[first + i];
    }
    let inverse = 1.0 / sqrt(sum(lane, total(squares)) / f32(node.dim) + node.eps);
//!if CODES
    for (var start = 0u; start < count; start += LANES) {
        let value = normed(row, min(start + lane, count - 1u), inverse);
        put_codes(lane, first + start, count - start, value);
    }
//!else
    for (var i = lane; i < count; i += LANES) {
        store_y(first + i, normed(row, i, inverse));
    }
//!end
}
