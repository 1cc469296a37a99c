// The k history frames one query of one head attends to (design.md, section 6): one workgroup a query and head.
//
// Frames are scored by q . mean(keys) after temporal rotation. Instead of sorting, every lane counts the frames that go before
// its own: forced ones first, then higher scores, then older frames. A frame with fewer than k before it is kept; k may be less than there
// is room for.

//!kernel route

//!import shared/params

struct Node {
    tokens: u32,
    heads: u32,
    head_dim: u32,
    temporal_pairs: u32,
    slots: u32,
    max_history: u32,
    /// Which of the histories.
    ring: u32,
    k: u32,
    force_sink: u32,
    force_recent: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<uniform> frames: array<vec4<u32>, 64>;
@group(1) @binding(2) var<storage, read> rotations: array<vec2<f32>>;
@group(1) @binding(3) var<storage, read> q: array<vec2<f32>>;
@group(1) @binding(4) var<storage, read> means: array<vec2<f32>>;
@group(1) @binding(5) var<storage, read_write> routes: array<u32>;

const LANES = 32u;
const MOST = 256u;

var<workgroup> scores: array<f32, MOST>;
var<workgroup> kept: array<u32, MOST>;

/// q . mean of history row `frame`, the query turned as in attention.
fn score(row: u32, head: u32, frame: u32) -> f32 {
    let pairs = node.head_dim / 2u;
    let query = (row * node.heads + head) * pairs;
    let mean = (min(frames[frame / 4u][frame % 4u], node.slots - 1u) * node.heads + head) * pairs;
    let to = (node.max_history + row / node.tokens) * node.temporal_pairs;
    let back = frame * node.temporal_pairs;
    var total = 0.0;
    for (var pair = 0u; pair < pairs; pair++) {
        var value = q[query + pair];
        if pair < node.temporal_pairs {
            let a = rotations[to + pair];
            let b = rotations[back + pair];
            let c = a.x * b.x + a.y * b.y;
            let s = a.y * b.x - a.x * b.y;
            value = vec2<f32>(value.x * c - value.y * s, value.x * s + value.y * c);
        }
        total += dot(value, means[mean + pair]);
    }
    return total;
}

fn forced(frame: u32, history: u32) -> bool {
    return frame < node.force_sink || (params.cut == 0u && frame + node.force_recent >= history);
}

/// Whether frame `a` is preferred to frame `b`.
fn before(a: u32, b: u32, history: u32) -> bool {
    if forced(a, history) != forced(b, history) {
        return forced(a, history);
    }
    return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group.x;
    let head = group.y;
    let history = min(params.history[node.ring], node.max_history);
    let asked = params.route[node.ring];
    let k = select(min(asked, node.k), node.k, asked == 0u);
    for (var frame = lane; frame < history; frame += LANES) {
        scores[frame] = score(row, head, frame);
    }
    workgroupBarrier();
    for (var frame = lane; frame < history; frame += LANES) {
        var rank = 0u;
        for (var other = 0u; other < history; other++) {
            rank += u32(other != frame && before(other, frame, history));
        }
        kept[frame] = u32(rank < k);
    }
    workgroupBarrier();
    // Kept frames go out in order of age; the rest of the k places say that there is none.
    let first = (row * node.heads + head) * node.k;
    for (var frame = lane; frame < history; frame += LANES) {
        var place = 0u;
        for (var older = 0u; older < frame; older++) {
            place += kept[older];
        }
        if kept[frame] == 1u && place < k {
            routes[first + place] = frame;
        }
    }
    for (var place = min(history, k) + lane; place < node.k; place += LANES) {
        routes[first + place] = 0xffffffffu;
    }
}
