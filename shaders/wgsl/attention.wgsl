// Attention of the chunk's queries over the visible history in the ring and over the chunk's own keys, with one softmax.
//
// One workgroup takes 16 queries (HALF and MATRICES: up to 64) of one head and visits frame after frame: history rows, then the chunk's own. Keys are
// cached without temporal rotation, so the queries are turned anew for every frame (design.md, idea 4), which costs little
// beside a frame's keys. With routes a workgroup visits the union of its queries' routes and hides a frame from the queries
// that did not choose it; without routes every frame is visible to all.

//!kernel attention_32 HEAD=32 RING32
//!kernel attention_64 HEAD=64 RING32
//!kernel attention_128 HEAD=128 RING32
//!kernel attention_32_f16 HEAD=32 RING16
//!kernel attention_64_f16 HEAD=64 RING16
//!kernel attention_128_f16 HEAD=128 RING16
//!kernel attention_32_q8 HEAD=32 RING8
//!kernel attention_64_q8 HEAD=64 RING8
//!kernel attention_128_q8 HEAD=128 RING8
//!kernel attention_half_32 HEAD=32 RING32 HALF
//!kernel attention_half_64 HEAD=64 RING32 HALF
//!kernel attention_half_128 HEAD=128 RING32 HALF
//!kernel attention_half_32_f16 HEAD=32 RING16 HALF
//!kernel attention_half_64_f16 HEAD=64 RING16 HALF
//!kernel attention_half_128_f16 HEAD=128 RING16 HALF
//!kernel attention_half_32_q8 HEAD=32 RING8 HALF
//!kernel attention_half_64_q8 HEAD=64 RING8 HALF
//!kernel attention_half_128_q8 HEAD=128 RING8 HALF
//!kernel attention_matrices_32 HEAD=32 RING32 MATRICES
//!kernel attention_matrices_64 HEAD=64 RING32 MATRICES
//!kernel attention_matrices_128 HEAD=128 RING32 MATRICES
//!kernel attention_matrices_32_f16 HEAD=32 RING16 MATRICES
//!kernel attention_matrices_64_f16 HEAD=64 RING16 MATRICES
//!kernel attention_matrices_128_f16 HEAD=128 RING16 MATRICES
//!kernel attention_matrices_32_q8 HEAD=32 RING8 MATRICES
//!kernel attention_matrices_64_q8 HEAD=64 RING8 MATRICES
//!kernel attention_matrices_128_q8 HEAD=128 RING8 MATRICES

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
//!import shared/params
//!import shared/heads
//!import shared/ring

struct Node {
    /// Query rows, chunk * queries_per_frame.
    rows: u32,
    chunk: u32,
    tokens: u32,
    /// Queries of a frame: one for each token, or several that share its keys.
    queries_per_frame: u32,
    heads: u32,
    head_dim: u32,
    temporal_pairs: u32,
    slots: u32,
    max_history: u32,
    /// Which of the histories.
    ring: u32,
    /// History frames a query keeps; 0 is dense.
    k: u32,
    /// 1 / sqrt(head_dim).
    scale: f32,
    /// First tile of queries: a dispatch may make some rows only.
    first_tile: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
/// Frame table. A uniform, because eight storage buffers are all a portable kernel has.
@group(1) @binding(1) var<uniform> frames: array<vec4<u32>, 64>;
@group(1) @binding(2) var<storage, read> rotations: array<vec2<f32>>;
@group(1) @binding(3) var<storage, read> routes: array<u32>;
//!numbers 4 read q 2
//!numbers 5 read k 2
//!numbers 6 read v 2
// Bindings 7 and 8 are the ring.
//!numbers 9 write y 2

/// The frame being visited: its row in the tables, whether it is the chunk's, its first token in `k` or in the ring.
var<private> frame_row: u32;
var<private> own: bool;
var<private> frame_token: u32;

/// Bit j of a query's 8 words: history row j is on its route. `united` is the union over the queries.
var<workgroup> chosen: array<u32, QUERIES * 8u>;
var<workgroup> united: array<u32, 8>;

fn fetch_key(key: u32, column: u32) -> vec4<f32> {
    if own {
        let at = pairs(frame_token + key, column);
        return trim(column, load_k(at.x), load_k(at.y));
    }
    return ring_key(frame_token + key, column);
}

fn fetch_value(key: u32, column: u32) -> vec4<f32> {
    if own {
        let at = pairs(frame_token + key, column);
        return trim(column, load_v(at.x), load_v(at.y));
    }
    return ring_value(frame_token + key, column);
}

/// `pair` turned by conj(rotation of the visited frame) * (rotation of the query's own frame), if it is a temporal pair.
fn turn(row: u32, pair: u32, value: vec2<f32>) -> vec2<f32> {
    if pair >= node.temporal_pairs {
        return value;
    }
    let to = rotations[(node.max_history + row / node.queries_per_frame) * node.temporal_pairs + pair];
    let back = rotations[frame_row * node.temporal_pairs + pair];
    let c = to.x * back.x + to.y * back.y;
    let s = to.y * back.x - to.x * back.y;
    return vec2<f32>(value.x * c - value.y * s, value.x * s + value.y * c);
}

fn fetch_query(query: u32, column: u32) -> vec4<f32> {
    let row = min(first_row + query, node.rows - 1u);
    let value = fetch_plain_query(query, column);
    return vec4<f32>(turn(row, column * 2u, value.xy), turn(row, column * 2u + 1u, value.zw));
}

fn offset(query: u32, key: u32) -> f32 {
    return 0.0;
}

fn visible(query: u32) -> bool {
    return own || ((chosen[query * 8u + frame_row / 32u] >> (frame_row % 32u)) & 1u) == 1u;
}

/// Turns the routes into bits. Lane q writes its query's words.
fn choose(lane: u32) {
    for (var query = lane; query < QUERIES; query += LANES) {
        for (var word = 0u; word < 8u; word++) {
            chosen[query * 8u + word] = select(0u, 0xffffffffu, node.k == 0u);
        }
        let row = first_row + query;
        for (var i = 0u; i < node.k && row < node.rows; i++) {
            let frame = routes[(row * node.heads + head) * node.k + i];
            if frame < node.max_history {
                chosen[query * 8u + frame / 32u] |= 1u << (frame % 32u);
            }
        }
    }
    workgroupBarrier();
    if lane < 8u {
        var word = 0u;
        for (var query = 0u; query < QUERIES; query++) {
            word |= chosen[query * 8u + lane];
        }
        united[lane] = word;
    }
    workgroupBarrier();
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
    choose(lane);
    start_flash(lane);
    let history = min(params.history[node.ring], node.max_history);
    // The first frame visited stages whole queries, later ones renew the columns that turn.
    var columns = COLUMNS;
    for (var i = 0u; i < history + node.chunk; i++) {
        // All lanes agree on it, which a browser's compiler cannot see of a variable of theirs.
        let chunk = i >= history;
        own = chunk;
        if chunk {
            frame_row = node.max_history + i - history;
            frame_token = (i - history) * node.tokens;
        } else {
            frame_row = i;
            frame_token = min(frames[i / 4u][i % 4u], node.slots - 1u) * node.tokens;
            if ((workgroupUniformLoad(&united[i / 32u]) >> (i % 32u)) & 1u) == 0u {
                continue;
            }
        }
        stage_queries(lane, columns);
        columns = (node.temporal_pairs + 1u) / 2u;
        for (var first = 0u; first < node.tokens; first += KEYS) {
            absorb(lane, first, min(first + KEYS, node.tokens));
        }
    }
    finish_flash(lane);
}
