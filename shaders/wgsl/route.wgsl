// The k history frames one query of one head attends to (design.md, section 6): one workgroup takes 4 queries of a head.
//
// Frames are scored by q . mean(keys) as shared/ranked.wgsl turns both: queries by their own frame's rotation once, means back by theirs, 16
// frames at a time. Instead of sorting, every lane counts the frames that go before its own: forced ones first, then higher scores, then
// older frames. A frame with fewer than k before it is kept; k may be less than there is room for.

//!kernel route

//!import shared/params
//!import shared/ranked

struct Node {
    rows: u32,
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
    /// 1: plain means.
    plain: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<uniform> frames: array<vec4<u32>, 64>;
@group(1) @binding(2) var<storage, read> rotations: array<vec2<f32>>;
//!numbers 3 read q 2
@group(1) @binding(4) var<storage, read> means: array<vec2<f32>>;
@group(1) @binding(5) var<storage, read_write> routes: array<u32>;
@group(1) @binding(6) var<storage, read> spatial: array<vec2<f32>>;

const LANES = 64u;
const MOST = 256u;
const QUERIES = 4u;
/// Frames scored at a time, one a lane and query; also the lanes of a query.
const FRAMES = 16u;
/// Pairs of a head that are staged at a time.
const PAIRS = 32u;

var<workgroup> scores: array<f32, QUERIES * MOST>;
/// 1: kept.
var<workgroup> kept: array<u32, QUERIES * MOST>;
/// [frame, pair], rows one longer than needed so that lanes meet different banks.
var<workgroup> turned: array<vec2<f32>, FRAMES * (PAIRS + 1u)>;
var<workgroup> queries: array<vec2<f32>, QUERIES * PAIRS>;

/// Scores of all queries for history rows first..end, at most FRAMES.
fn score(lane: u32, first_row: u32, head: u32, first: u32, end: u32) {
    let pairs = node.head_dim / 2u;
    var total = 0.0;
    for (var start = 0u; start < pairs; start += PAIRS) {
        for (var i = lane; i < QUERIES * PAIRS; i += LANES) {
            let row = min(first_row + i / PAIRS, node.rows - 1u);
            let pair = start + i % PAIRS;
            queries[i] = select(vec2<f32>(), query_at(row, head, min(pair, pairs - 1u)), pair < pairs);
        }
        for (var i = lane; i < FRAMES * PAIRS; i += LANES) {
            let frame = min(first + i / PAIRS, end - 1u);
            let pair = start + i % PAIRS;
            let slot = min(frames[frame / 4u][frame % 4u], node.slots - 1u);
            let value = means[(slot * node.heads + head) * pairs + min(pair, pairs - 1u)];
            turned[i / PAIRS * (PAIRS + 1u) + i % PAIRS] = turn(value, frame, pair);
        }
        workgroupBarrier();
        for (var pair = 0u; pair < PAIRS; pair++) {
            total += dot(queries[lane / FRAMES * PAIRS + pair], turned[lane % FRAMES * (PAIRS + 1u) + pair]);
        }
        workgroupBarrier();
    }
    if first + lane % FRAMES < end {
        scores[lane / FRAMES * MOST + first + lane % FRAMES] = total;
    }
}

fn forced(frame: u32, history: u32) -> bool {
    return frame < node.force_sink || (params.cut == 0u && frame + node.force_recent >= history);
}

/// Whether frame `a` is preferred to frame `b`, by the scores from `at` on.
fn before(a: u32, b: u32, at: u32, history: u32) -> bool {
    if forced(a, history) != forced(b, history) {
        return forced(a, history);
    }
    return scores[at + a] > scores[at + b] || (scores[at + a] == scores[at + b] && a < b);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let first_row = group.x * QUERIES;
    let head = group.y;
    let history = min(params.history[node.ring], node.max_history);
    let asked = params.route[node.ring];
    let k = select(min(asked, node.k), node.k, asked == 0u);
    for (var frame = 0u; frame < history; frame += FRAMES) {
        score(lane, first_row, head, frame, min(frame + FRAMES, history));
    }
    workgroupBarrier();
    // Sixteen lanes serve a query.
    let query = lane / FRAMES;
    let at = query * MOST;
    for (var frame = lane % FRAMES; frame < history; frame += FRAMES) {
        var rank = 0u;
        for (var other = 0u; other < history; other++) {
            rank += u32(other != frame && before(other, frame, at, history));
        }
        kept[at + frame] = u32(rank < k);
    }
    workgroupBarrier();
    if first_row + query >= node.rows {
        return;
    }
    // Kept frames go out in order of age; the rest of the k places say that there is none.
    let first = ((first_row + query) * node.heads + head) * node.k;
    for (var frame = lane % FRAMES; frame < history; frame += FRAMES) {
        var place = 0u;
        for (var older = 0u; older < frame; older++) {
            place += kept[at + older];
        }
        if kept[at + frame] == 1u && place < k {
            routes[first + place] = frame;
        }
    }
    for (var place = min(history, k) + lane % FRAMES; place < node.k; place += FRAMES) {
        routes[first + place] = 0xffffffffu;
    }
}
