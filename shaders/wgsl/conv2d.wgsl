// y = act(conv(upsample(cat[x, x2])) + bias + residual), channels-last, as an implicit matrix product: a row is an output
// pixel, k runs over taps (row, column), then over channels. Weights arrive in that order, rows padded to a multiple of 4.
//
// Pixels are read as vec4s of channels, or as scalars where a channel count is no multiple of 4.

//!kernel conv2d_wide F32 WIDE
//!kernel conv2d_skinny F32
//!kernel conv2d_scalar F32 SCALAR
//!kernel conv2d_half F32 WIDE HALF

//!if HALF
enable f16;
//!end
//!import shared/activation
//!import shared/gemm
//!import shared/weight

struct Node {
    height: u32,
    width: u32,
    channels: u32,
    /// Channels of x2; 0 without it.
    channels2: u32,
    out_height: u32,
    out_width: u32,
    outputs: u32,
    kernel: u32,
    stride: u32,
    /// Zeros before the first row and the first column.
    padding: u32,
    /// 1 doubles the input first.
    upsample: u32,
    activation: u32,
    has_bias: u32,
    has_residual: u32,
    /// First row of tiles: a dispatch may make some rows only.
    first_tile: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(3) var<storage, read> bias: array<f32>;
@group(1) @binding(4) var<storage, read> residual: array<f32>;
@group(1) @binding(5) var<storage, read_write> y: array<f32>;

//!if SCALAR
@group(1) @binding(6) var<storage, read> x: array<f32>;
@group(1) @binding(7) var<storage, read> x2: array<f32>;
//!else
@group(1) @binding(6) var<storage, read> x: array<vec4<f32>>;
@group(1) @binding(7) var<storage, read> x2: array<vec4<f32>>;
//!end

fn depth() -> u32 {
    return node.kernel * node.kernel * (node.channels + node.channels2);
}

/// An input pixel's index under tap `tap` of output pixel `row`, or -1 in the padding.
fn source(row: u32, tap: u32) -> i32 {
    let i = i32(row / node.out_width * node.stride + tap / node.kernel) - i32(node.padding);
    let j = i32(row % node.out_width * node.stride + tap % node.kernel) - i32(node.padding);
    if i < 0 || j < 0 || i >= i32(node.height << node.upsample) || j >= i32(node.width << node.upsample) {
        return -1;
    }
    return (i >> node.upsample) * i32(node.width) + (j >> node.upsample);
}

//!if SCALAR
fn element(row: u32, k: u32) -> f32 {
    let inputs = node.channels + node.channels2;
    let pixel = source(row, k / inputs);
    if k >= depth() || pixel < 0 {
        return 0.0;
    }
    let channel = k % inputs;
    if channel < node.channels {
        return x[u32(pixel) * node.channels + channel];
    }
    return x2[u32(pixel) * node.channels2 + channel - node.channels];
}

fn fetch_a(row: u32, k: u32) -> vec4<f32> {
    if row >= node.out_height * node.out_width {
        return vec4<f32>();
    }
    return vec4<f32>(element(row, k), element(row, k + 1u), element(row, k + 2u), element(row, k + 3u));
}
//!else
fn fetch_a(row: u32, k: u32) -> vec4<f32> {
    let inputs = node.channels + node.channels2;
    if row >= node.out_height * node.out_width || k >= depth() {
        return vec4<f32>();
    }
    let pixel = source(row, k / inputs);
    if pixel < 0 {
        return vec4<f32>();
    }
    let channel = k % inputs;
    if channel < node.channels {
        return x[(u32(pixel) * node.channels + channel) / 4u];
    }
    return x2[(u32(pixel) * node.channels2 + channel - node.channels) / 4u];
}
//!end

fn fetch_b(column: u32, k: u32) -> vec4<f32> {
    let padded = (depth() + 3u) / 4u * 4u;
    if column >= node.outputs || k >= padded {
        return vec4<f32>();
    }
    return decode(column * padded + k);
}

fn finish(row: u32, column: u32, value: f32) {
    if row >= node.out_height * node.out_width || column >= node.outputs {
        return;
    }
    let at = row * node.outputs + column;
    var result = value;
    if node.has_bias != 0u {
        result += bias[column];
    }
    if node.has_residual != 0u {
        result += residual[at];
    }
    y[at] = activate(node.activation, result);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    multiply(vec2<u32>(group.x, node.first_tile + group.y), lane, 0u, depth());
}
