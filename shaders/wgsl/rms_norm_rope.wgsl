// RMS norm over all heads of a row, then the spatial rotation of interleaved pairs, in place. One workgroup a row; a lane
// reads and writes the same pairs throughout.

//!kernel rms_norm_rope

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
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<storage, read> weight: array<f32>;
@group(1) @binding(2) var<storage, read> rotations: array<vec2<f32>>;
@group(1) @binding(3) var<storage, read_write> x: array<f32>;

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
    for (var i = lane * 2u; i < node.dim; i += LANES * 2u) {
        squares += x[first + i] * x[first + i];
        if i + 1u < node.dim {
            squares += x[first + i + 1u] * x[first + i + 1u];
        }
    }
    let inverse = 1.0 / sqrt(sum(lane, squares) / f32(node.dim) + node.eps);
    for (var i = lane * 2u; i < node.dim; i += LANES * 2u) {
        let a = x[first + i] * inverse * weight[i];
        if i + 1u >= node.dim {
            x[first + i] = a; // an odd row has no rotation
            continue;
        }
        let b = x[first + i + 1u] * inverse * weight[i + 1u];
        let pair = i / 2u % node.pairs;
        var turn = vec2<f32>(1.0, 0.0);
        if pair >= node.temporal_pairs {
            turn = rotations[row % node.tokens * (node.pairs - node.temporal_pairs) + pair - node.temporal_pairs];
        }
        x[first + i] = a * turn.x - b * turn.y;
        x[first + i + 1u] = a * turn.y + b * turn.x;
    }
}
