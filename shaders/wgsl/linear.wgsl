// y = act(x W^T + b), or y += gate * act(x W^T + b).
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

//!import shared/activation
//!import shared/gemm
//!import shared/weight

struct Node {
    rows: u32,
    inputs: u32,
    outputs: u32,
    /// Weights from row to row: inputs, rounded up to a multiple of 4.
    stride: u32,
    activation: u32,
    has_bias: u32,
    residual: u32,
    has_gate: u32,
    rows_per_frame: u32,
    /// Modulation elements a frame, and the first of the gate vector.
    gate_stride: u32,
    gate_offset: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(3) var<storage, read> bias: array<f32>;
@group(1) @binding(4) var<storage, read> modulation: array<f32>;
@group(1) @binding(5) var<storage, read_write> y: array<f32>;

//!if SCALAR
@group(1) @binding(6) var<storage, read> x: array<f32>;

fn element(row: u32, k: u32) -> f32 {
    if k >= node.inputs {
        return 0.0;
    }
    return x[row * node.inputs + k];
}

fn fetch_a(row: u32, k: u32) -> vec4<f32> {
    if row >= node.rows {
        return vec4<f32>();
    }
    return vec4<f32>(element(row, k), element(row, k + 1u), element(row, k + 2u), element(row, k + 3u));
}
//!else
@group(1) @binding(6) var<storage, read> x: array<vec4<f32>>;

fn fetch_a(row: u32, k: u32) -> vec4<f32> {
    if row >= node.rows || k >= node.inputs {
        return vec4<f32>();
    }
    return x[(row * node.inputs + k) / 4u];
}
//!end

fn fetch_b(column: u32, k: u32) -> vec4<f32> {
    if column >= node.outputs || k >= node.stride {
        return vec4<f32>();
    }
    return decode(column * node.stride + k);
}

fn finish(row: u32, column: u32, value: f32) {
    if row >= node.rows || column >= node.outputs {
        return;
    }
    var result = value;
    if node.has_bias != 0u {
        result += bias[column];
    }
    result = activate(node.activation, result);
    if node.has_gate != 0u {
        result *= modulation[row / node.rows_per_frame * node.gate_stride + node.gate_offset + column];
    }
    let at = row * node.outputs + column;
    if node.residual != 0u {
        result += y[at];
    }
    y[at] = result;
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    multiply(group.xy, lane, node.stride);
}
