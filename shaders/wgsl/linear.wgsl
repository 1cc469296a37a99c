// y = act(x W^T + b), or y += gate * act(x W^T + b). The rows of several matrices may follow each other; each makes a part of y.
//
// NORM: x is LayerNorm's input, and normed on its way into the tiles as layer_norm.wgsl does.
//
// The input is read as vec4s, or as scalars where its row length is no multiple of 4.

//!kernel linear_f32_wide F32 WIDE
//!kernel linear_f32_skinny F32
//!kernel linear_f32_scalar F32 SCALAR
//!kernel linear_f16_wide F16 WIDE
//!kernel linear_f16_skinny F16
//!kernel linear_f16_scalar F16 SCALAR
//!kernel linear_q8_wide Q8 SCALES WIDE
//!kernel linear_q8_skinny Q8 SCALES
//!kernel linear_q4_wide Q4 SCALES WIDE
//!kernel linear_q4_skinny Q4 SCALES
//!kernel linear_f32_norm F32 NORM
//!kernel linear_f16_norm F16 NORM
//!kernel linear_q8_norm Q8 SCALES NORM
//!kernel linear_q4_norm Q4 SCALES NORM

//!import shared/activation
//!import shared/gemm
//!import shared/weight

struct Node {
    rows: u32,
    inputs: u32,
    /// Of all parts.
    outputs: u32,
    /// Outputs of a part, and elements of y from one part to the next.
    part: u32,
    part_step: u32,
    /// Row of the first output in `weight`, and its element of `bias`.
    first: u32,
    first_bias: u32,
    /// Weights from row to row: inputs, rounded up to a multiple of 4.
    stride: u32,
    activation: u32,
    has_bias: u32,
    residual: u32,
    rows_per_frame: u32,
//!if NORM
    eps: f32,
    /// Affine: 0. Modulation elements a frame otherwise, and the first of the scale and of the shift vector.
    scale_stride: u32,
    scale_offset: u32,
    shift_offset: u32,
    /// What is added to the scale: 1 for a modulation.
    one: f32,
//!else
    has_gate: u32,
    /// Modulation elements a frame, and the first of the gate vector.
    gate_stride: u32,
    gate_offset: u32,
//!end
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(3) var<storage, read> bias: array<f32>;
@group(1) @binding(5) var<storage, read_write> y: array<f32>;
//!if NORM
@group(1) @binding(4) var<storage, read> scale: array<vec4<f32>>;
@group(1) @binding(7) var<storage, read> shift: array<vec4<f32>>;
//!else
@group(1) @binding(4) var<storage, read> modulation: array<f32>;
//!end

//!if SCALAR
@group(1) @binding(6) var<storage, read> x: array<f32>;

fn element(row: u32, k: u32) -> f32 {
    return select(0.0, x[min(row, node.rows - 1u) * node.inputs + min(k, node.inputs - 1u)], k < node.inputs);
}

fn fetch_a(row: u32, k: u32) -> vec4<f32> {
    return vec4<f32>(element(row, k), element(row, k + 1u), element(row, k + 2u), element(row, k + 3u));
}
//!else
@group(1) @binding(6) var<storage, read> x: array<vec4<f32>>;

// Indices are clamped instead of guarded by a branch, so that a lane's loads are under way together. Rows and columns outside are
// computed and not stored; beyond the depth one zero of a product is enough.
fn fetch_a(row: u32, k: u32) -> vec4<f32> {
    let token = min(row, node.rows - 1u);
    let column = min(k, node.inputs - 4u);
    var value = x[(token * node.inputs + column) / 4u];
//!if NORM
    let frame = token / node.rows_per_frame * node.scale_stride;
    let measure = measures[row - first_row];
    let gain = node.one + scale[(frame + node.scale_offset + column) / 4u];
    value = (value - measure.x) * measure.y * gain + shift[(frame + node.shift_offset + column) / 4u];
//!end
    return select(vec4<f32>(), value, k < node.inputs);
}
//!end

//!if NORM
/// Lanes that take the measure of a row.
const SHARE = LANES / ROWS;

/// First row of this workgroup; mean and inverse deviation of its rows.
var<private> first_row: u32;
var<workgroup> measures: array<vec2<f32>, ROWS>;
var<workgroup> shares: array<f32, LANES>;

/// The mean over a row of what its lanes have.
fn average(lane: u32, value: vec4<f32>) -> f32 {
    shares[lane] = (value.x + value.y) + (value.z + value.w);
    workgroupBarrier();
    var total = 0.0;
    for (var i = 0u; i < SHARE; i++) {
        total += shares[lane / SHARE * SHARE + i];
    }
    workgroupBarrier();
    return total / f32(node.inputs);
}

fn measure_rows(lane: u32) {
    let count = node.inputs / 4u;
    let first = min(first_row + lane / SHARE, node.rows - 1u) * count;
    var all = vec4<f32>();
    for (var i = lane % SHARE; i < count; i += SHARE) {
        all += x[first + i];
    }
    let mean = average(lane, all);
    var squares = vec4<f32>();
    for (var i = lane % SHARE; i < count; i += SHARE) {
        let d = x[first + i] - mean;
        squares += d * d;
    }
    let variance = average(lane, squares);
    if lane % SHARE == 0u {
        measures[lane / SHARE] = vec2<f32>(mean, 1.0 / sqrt(variance + node.eps));
    }
    workgroupBarrier();
}
//!end

fn fetch_b(column: u32, k: u32) -> vec4<f32> {
    return decode((node.first + min(column, node.outputs - 1u)) * node.stride + min(k, node.stride - 4u));
}

fn finish(row: u32, column: u32, value: f32) {
    if row >= node.rows || column >= node.outputs {
        return;
    }
    var result = value;
    if node.has_bias != 0u {
        result += bias[node.first_bias + column];
    }
    result = activate(node.activation, result);
//!if NORM
//!else
    if node.has_gate != 0u {
        result *= modulation[row / node.rows_per_frame * node.gate_stride + node.gate_offset + column];
    }
//!end
    let at = column / node.part * node.part_step + row * node.part + column % node.part;
    if node.residual != 0u {
        result += y[at];
    }
    y[at] = result;
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
//!if NORM
    first_row = group.y * ROWS;
    measure_rows(lane);
//!end
    multiply(group.xy, lane, node.stride);
}
