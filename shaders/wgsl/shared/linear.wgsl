// What all kernels of linear layers share: their node, the input and its norm, the epilogue.
//
// An importing kernel defines LANES and ROWS, the rows of a workgroup's tile. NORM: x is LayerNorm's input, and normed where it is fetched as
// layer_norm.wgsl does. SCALAR: a row's length is no multiple of 4. CODES: the input is read elsewhere. DEEP: workgroups may take a part of
// the depth each, whose sums linear_sum.wgsl adds up.

//!import shared/activation

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
//!if DEEP
    /// Depth that a workgroup takes, a multiple of 64; elements of y from one part's sums to the next one's.
    span: u32,
    span_step: u32,
    /// First row of tiles: a dispatch may make some rows only.
    first_tile: u32,
//!end
//!if SUM
    /// Parts of the depth.
    spans: u32,
//!end
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
//!numbers 5 update y 1
//!if NORM
@group(1) @binding(4) var<storage, read> scale: array<vec4<f32>>;
@group(1) @binding(7) var<storage, read> shift: array<vec4<f32>>;
//!else
@group(1) @binding(4) var<storage, read> modulation: array<f32>;
//!end

//!if DEEP
/// Which part of the depth is this workgroup's.
var<private> own_span: u32;

/// That part of a depth, from and to.
fn own_depth(which: u32, depth: u32) -> vec2<u32> {
    own_span = which;
    return vec2<u32>(which * node.span, min((which + 1u) * node.span, depth));
}
//!end

//!if CODES
//!else
//!if SCALAR
@group(1) @binding(6) var<storage, read> x: array<f32>;

fn element(row: u32, k: u32) -> f32 {
    return select(0.0, x[min(row, node.rows - 1u) * node.inputs + min(k, node.inputs - 1u)], k < node.inputs);
}

fn fetch_a(row: u32, k: u32) -> vec4<f32> {
    return vec4<f32>(element(row, k), element(row, k + 1u), element(row, k + 2u), element(row, k + 3u));
}
//!else
//!numbers 6 read x 4

// Indices are clamped instead of guarded by a branch, so that a lane's loads are under way together. Rows and columns outside are
// computed and not stored; beyond the depth one zero of a product is enough.
fn fetch_a(row: u32, k: u32) -> vec4<f32> {
    let token = min(row, node.rows - 1u);
    let column = min(k, node.inputs - 4u);
    var value = load_x((token * node.inputs + column) / 4u);
//!if NORM
    let frame = token / node.rows_per_frame * node.scale_stride;
    let measure = measures[row - first_row];
    let gain = node.one + scale[(frame + node.scale_offset + column) / 4u];
    value = (value - measure.x) * measure.y * gain + shift[(frame + node.shift_offset + column) / 4u];
//!end
    return select(vec4<f32>(), value, k < node.inputs);
}
//!end
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
        all += load_x(first + i);
    }
    let mean = average(lane, all);
    var squares = vec4<f32>();
    for (var i = lane % SHARE; i < count; i += SHARE) {
        let d = load_x(first + i) - mean;
        squares += d * d;
    }
    let variance = average(lane, squares);
    if lane % SHARE == 0u {
        measures[lane / SHARE] = vec2<f32>(mean, 1.0 / sqrt(variance + node.eps));
    }
    workgroupBarrier();
}
//!end

/// What becomes of a sum, but for what is added to its place.
fn result_of(row: u32, column: u32, value: f32) -> f32 {
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
    return result;
}

fn place(row: u32, column: u32) -> u32 {
    let at = column / node.part * node.part_step + row * node.part + column % node.part;
//!if DEEP
    return at + own_span * node.span_step;
//!else
    return at;
//!end
}

//!if HALVES_y
/// Two neighbours of an output, the first in an even column, of which there is an even number. Nothing is added to halves.
fn finish_two(row: u32, column: u32, value: vec2<f32>) {
    if row < node.rows && column < node.outputs {
        store_y(place(row, column), vec2<f32>(result_of(row, column, value.x), result_of(row, column + 1u, value.y)));
    }
}
//!else
fn finish(row: u32, column: u32, value: f32) {
    if row >= node.rows || column >= node.outputs {
        return;
    }
    var result = result_of(row, column, value);
    let at = place(row, column);
    if node.residual != 0u {
        result += load_y(at);
    }
    store_y(at, result);
}
//!end
