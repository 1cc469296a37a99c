// Attention of each token over one key a frame. A lane takes the scores of one head of one query; then the workgroup's lanes go over
// its heads' columns together, so that values are read and outputs written side by side.

//!kernel temporal_attention RING32
//!kernel temporal_attention_f16 RING16
//!kernel temporal_attention_q8 RING8

//!import shared/params

struct Node {
    /// Query rows, chunk * tokens.
    rows: u32,
    chunk: u32,
    tokens: u32,
    /// Keys a frame: tokens or 1.
    keys: u32,
    heads: u32,
    head_dim: u32,
    temporal_pairs: u32,
    slots: u32,
    max_history: u32,
    /// Which of the histories.
    ring: u32,
    /// 1 / sqrt(head_dim).
    scale: f32,
}

@group(1) @binding(0) var<uniform> node: Node;
/// Frame table. A uniform, because eight storage buffers are all a portable kernel has.
@group(1) @binding(1) var<uniform> frames: array<vec4<u32>, 64>;
@group(1) @binding(2) var<storage, read> rotations: array<vec2<f32>>;
@group(1) @binding(4) var<storage, read> q: array<vec2<f32>>;
@group(1) @binding(5) var<storage, read> k: array<vec2<f32>>;
@group(1) @binding(6) var<storage, read> v: array<vec2<f32>>;
// Bindings 7 and 8 are the ring.
@group(1) @binding(9) var<storage, read_write> y: array<vec2<f32>>;

/// The head that shared/ring reads.
var<private> head: u32;

/// Indices of a column's pairs, missing ones replaced by the head's last.
fn pairs(token: u32, column: u32) -> vec2<u32> {
    let count = node.head_dim / 2u;
    let at = min(vec2<u32>(column * 2u, column * 2u + 1u), vec2<u32>(count - 1u));
    return vec2<u32>((token * node.heads + head) * count) + at;
}

/// A column from its pairs, missing ones zero.
fn trim(column: u32, first: vec2<f32>, second: vec2<f32>) -> vec4<f32> {
    let there = vec2<bool>(column * 4u < node.head_dim, column * 4u + 2u < node.head_dim);
    return select(vec4<f32>(), vec4<f32>(first, second), there.xxyy);
}

//!import shared/ring

const LANES = 64u;
/// Visible frames that there is room for.
const MOST = 48u;

/// Scores, then weights [visible frame, lane].
var<workgroup> scores: array<f32, LANES * MOST>;

/// The row that query row `row` sees of visible frame `i`, in `k` and `v` or in the ring.
fn seen(i: u32, history: u32, row: u32) -> u32 {
    var frame = i - history;
    if i < history {
        frame = min(frames[i / 4u][i % 4u], node.slots - 1u);
    }
    return frame * node.keys + select(row % node.tokens, 0u, node.keys == 1u);
}

fn key(i: u32, history: u32, row: u32, column: u32) -> vec4<f32> {
    let token = seen(i, history, row);
    if i < history {
        return ring_key(token, column);
    }
    let at = pairs(token, column);
    return trim(column, k[at.x], k[at.y]);
}

fn value(i: u32, history: u32, row: u32, column: u32) -> vec4<f32> {
    let token = seen(i, history, row);
    if i < history {
        return ring_value(token, column);
    }
    let at = pairs(token, column);
    return trim(column, v[at.x], v[at.y]);
}

/// Pair `pair` of a query, from frame `own` to where frame row `back` of the rotations is, if it is a temporal pair.
fn turn(pair: u32, own: u32, back: u32, x: vec2<f32>) -> vec2<f32> {
    if pair >= node.temporal_pairs {
        return x;
    }
    let to = rotations[own * node.temporal_pairs + pair];
    let from_there = rotations[back * node.temporal_pairs + pair];
    let c = to.x * from_there.x + to.y * from_there.y;
    let s = to.y * from_there.x - to.x * from_there.y;
    return vec2<f32>(x.x * c - x.y * s, x.x * s + x.y * c);
}

fn score(lane: u32, row: u32, history: u32) {
    let visible = history + node.chunk;
    let own = node.max_history + row / node.tokens;
    var peak = -1e30;
    for (var i = 0u; i < visible; i++) {
        let back = select(node.max_history + i - history, i, i < history);
        var sum = 0.0;
        for (var column = 0u; column * 4u < node.head_dim; column++) {
            let at = pairs(row, column);
            let x = trim(column, q[at.x], q[at.y]);
            let turned = vec4<f32>(turn(column * 2u, own, back, x.xy), turn(column * 2u + 1u, own, back, x.zw));
            sum += dot(turned, key(i, history, row, column));
        }
        sum *= node.scale;
        scores[i * LANES + lane] = sum;
        peak = max(peak, sum);
    }
    var mass = 0.0;
    for (var i = 0u; i < visible; i++) {
        let weight = exp(scores[i * LANES + lane] - peak);
        scores[i * LANES + lane] = weight;
        mass += weight;
    }
    for (var i = 0u; i < visible; i++) {
        scores[i * LANES + lane] /= mass;
    }
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let history = min(params.history[node.ring], node.max_history);
    let first = (group.y * groups.x + group.x) * LANES;
    let all = node.rows * node.heads;
    if first + lane < all {
        head = (first + lane) % node.heads;
        score(lane, (first + lane) / node.heads, history);
    }
    workgroupBarrier();
    let columns = (node.head_dim + 3u) / 4u;
    for (var item = lane; item < LANES * columns; item += LANES) {
        let query = item / columns;
        let column = item % columns;
        if first + query >= all {
            break;
        }
        let row = (first + query) / node.heads;
        head = (first + query) % node.heads;
        var sum = vec4<f32>();
        for (var i = 0u; i < history + node.chunk; i++) {
            sum += scores[i * LANES + query] * value(i, history, row, column);
        }
        let at = pairs(row, column);
        y[at.x] = sum.xy;
        if column * 4u + 2u < node.head_dim {
            y[at.y] = sum.zw;
        }
    }
}
