// RMS norm over all heads of a row, then the spatial rotation of interleaved pairs, in place. One workgroup a row; a lane
// reads and writes the same pairs throughout. Rows are read as pairs, or as scalars where their length is odd. A weight is optional. TWO norms the rows of two
// tensors that lie together, queries and keys, each with a weight of its own.

//!kernel rms_norm_rope
//!kernel rms_norm_rope_scalar SCALAR
//!kernel rms_norm_rope_two TWO

//!import shared/reduce

struct Node {
    rows: u32,
    dim: u32,
    eps: f32,
    /// Tokens a frame of the rotation table.
    tokens: u32,
    /// Pairs of a head, and how many of them lead unrotated; equal without a rotation.
    pairs: u32,
    temporal_pairs: u32,
    /// Rows that are of one token.
    rows_per_token: u32,
    /// 1 with a weight.
    weighted: u32,
//!if TWO
    /// Pairs from the first tensor to the second.
    part_step: u32,
//!end
}

@group(1) @binding(0) var<uniform> node: Node;
//!if SCALAR
@group(1) @binding(1) var<storage, read> weight: array<f32>;
@group(1) @binding(3) var<storage, read_write> x: array<f32>;
//!else
@group(1) @binding(1) var<storage, read> weight: array<vec2<f32>>;
@group(1) @binding(2) var<storage, read> rotations: array<vec2<f32>>;
//!numbers 3 update x 2
//!end
//!if TWO
@group(1) @binding(4) var<storage, read> second: array<vec2<f32>>;
//!end

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
//!if SCALAR
    let count = node.dim;
    let first = row * count;
    var squares = 0.0;
    for (var i = lane; i < count; i += LANES) {
        squares += x[first + i] * x[first + i];
    }
    let inverse = 1.0 / sqrt(sum(lane, squares) / f32(node.dim) + node.eps);
    for (var i = lane; i < count; i += LANES) {
        x[first + i] *= inverse;
        if node.weighted == 1u {
            x[first + i] *= weight[i];
        }
    }
//!else
    let count = node.dim / 2u;
    var first = row * count;
//!if TWO
    first += group.z * node.part_step;
//!end
    var squares = vec2<f32>();
    for (var i = lane; i < count; i += LANES) {
        let value = load_x(first + i);
        squares += value * value;
    }
    let inverse = 1.0 / sqrt(sum(lane, squares.x + squares.y) / f32(node.dim) + node.eps);
    for (var i = lane; i < count; i += LANES) {
        var gain = vec2<f32>(1.0);
        if node.weighted == 1u {
            gain = weight[i];
//!if TWO
            gain = select(gain, second[i], group.z == 1u);
//!end
        }
        let value = load_x(first + i) * inverse * gain;
        let pair = i % node.pairs;
        var turn = vec2<f32>(1.0, 0.0);
        if pair >= node.temporal_pairs {
            turn = rotations[row / node.rows_per_token % node.tokens * (node.pairs - node.temporal_pairs) + pair - node.temporal_pairs];
        }
        store_x(first + i, vec2<f32>(value.x * turn.x - value.y * turn.y, value.x * turn.y + value.y * turn.x));
    }
//!end
}
