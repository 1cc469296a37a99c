// Attention of every token over one run of context rows. One workgroup takes 16 queries (HALF and MATRICES: up to 64) of one head.
//
// NORM: the queries are normed first as rms_norm_rope.wgsl does, over all heads of a row.

//!kernel cross_attention_32 HEAD=32
//!kernel cross_attention_64 HEAD=64
//!kernel cross_attention_128 HEAD=128
//!kernel cross_attention_32_norm HEAD=32 NORM
//!kernel cross_attention_64_norm HEAD=64 NORM
//!kernel cross_attention_128_norm HEAD=128 NORM
//!kernel cross_attention_half_32 HEAD=32 HALF
//!kernel cross_attention_half_64 HEAD=64 HALF
//!kernel cross_attention_half_128 HEAD=128 HALF
//!kernel cross_attention_half_32_norm HEAD=32 HALF NORM
//!kernel cross_attention_half_64_norm HEAD=64 HALF NORM
//!kernel cross_attention_half_128_norm HEAD=128 HALF NORM
//!kernel cross_attention_matrices_32 HEAD=32 MATRICES
//!kernel cross_attention_matrices_64 HEAD=64 MATRICES
//!kernel cross_attention_matrices_128 HEAD=128 MATRICES
//!kernel cross_attention_matrices_32_norm HEAD=32 MATRICES NORM
//!kernel cross_attention_matrices_64_norm HEAD=64 MATRICES NORM
//!kernel cross_attention_matrices_128_norm HEAD=128 MATRICES NORM

//!if HALF
enable f16;
//!import shared/flash_half
//!else
//!if MATRICES
enable f16;
enable wgpu_cooperative_matrix;
//!import shared/flash_matrices
//!else
//!import shared/flash
//!end
//!end
//!import shared/heads

struct Node {
    rows: u32,
    context: u32,
    heads: u32,
    head_dim: u32,
    /// Multiplies scores.
    scale: f32,
    /// 1: an offset for each context row.
    row_offsets: u32,
    /// 1: one for each head and distance [heads, rows + context - 1].
    distance_offsets: u32,
    /// First tile of queries: a dispatch may make some rows only.
    first_tile: u32,
//!if NORM
    eps: f32,
//!end
}

@group(1) @binding(0) var<uniform> node: Node;
//!numbers 1 read q 2
//!numbers 2 read k 2
//!numbers 3 read v 2
@group(1) @binding(4) var<storage, read> offsets: array<f32>;
//!numbers 5 write y 2

//!if NORM
@group(1) @binding(6) var<storage, read> weight: array<vec2<f32>>;

fn fetch_query(query: u32, column: u32) -> vec4<f32> {
    // A weight is a row of all heads.
    let at = pairs(0u, column);
    return fetch_plain_query(query, column) * measures[query] * vec4<f32>(weight[at.x], weight[at.y]);
}

/// Inverse root mean squares of this workgroup's rows.
var<workgroup> measures: array<f32, QUERIES>;
var<workgroup> shares: array<f32, LANES>;

fn measure_rows(lane: u32) {
    const PARTS = LANES / QUERIES;
    let count = node.heads * node.head_dim / 2u;
    let first = min(first_row + lane / PARTS, node.rows - 1u) * count;
    var squares = vec2<f32>();
    for (var i = lane % PARTS; i < count; i += PARTS) {
        let value = load_q(first + i);
        squares += value * value;
    }
    shares[lane] = squares.x + squares.y;
    workgroupBarrier();
    if lane < QUERIES {
        var sum = 0.0;
        for (var i = 0u; i < PARTS; i++) {
            sum += shares[lane * PARTS + i];
        }
        measures[lane] = 1.0 / sqrt(sum / f32(node.heads * node.head_dim) + node.eps);
    }
    workgroupBarrier();
}
//!else
fn fetch_query(query: u32, column: u32) -> vec4<f32> {
    return fetch_plain_query(query, column);
}
//!end

fn fetch_key(key: u32, column: u32) -> vec4<f32> {
    let at = pairs(key, column);
    return trim(column, load_k(at.x), load_k(at.y));
}

fn fetch_value(key: u32, column: u32) -> vec4<f32> {
    let at = pairs(key, column);
    return trim(column, load_v(at.x), load_v(at.y));
}

fn offset(query: u32, key: u32) -> f32 {
    if node.row_offsets == 1u {
        return offsets[key];
    }
    if node.distance_offsets == 1u {
        let row = min(first_row + query, node.rows - 1u);
        return offsets[head * (node.rows + node.context - 1u) + row + node.context - 1u - key];
    }
    return 0.0;
}

fn visible(query: u32) -> bool {
    return true;
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
//!if MATRICES
    @builtin(subgroup_size) size: u32,
//!end
) {
//!if MATRICES
    check_subgroup(size);
//!end
    first_row = (node.first_tile + group.x) * QUERIES;
    head = group.y;
    start_flash(lane);
//!if NORM
    measure_rows(lane);
//!end
    stage_queries(lane, COLUMNS);
    for (var first = 0u; first < node.context; first += KEYS) {
        absorb(lane, first, min(first + KEYS, node.context));
    }
    finish_flash(lane);
}
